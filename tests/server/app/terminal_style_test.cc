#include "server/app/terminal_style.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <string_view>

#include "tests/server/app/parse.h"

namespace lockstep {
namespace {

TEST(TerminalStyle, TheEnvironmentDeniesSequencesAndStyles) {
  const int controller = posix_openpt(O_RDWR | O_NOCTTY);
  ASSERT_GE(controller, 0);
  ASSERT_EQ(grantpt(controller), 0);
  ASSERT_EQ(unlockpt(controller), 0);
  const int terminal = open(ptsname(controller), O_RDWR | O_NOCTTY);
  ASSERT_GE(terminal, 0);
  unsetenv("NO_COLOR");
  unsetenv("TERM");
  EXPECT_FALSE(TakesSequences(terminal));
  for (const char* kind : {"", "dumb"}) {
    const Variable term("TERM", kind);
    EXPECT_FALSE(TakesSequences(terminal)) << kind;
    EXPECT_FALSE(TakesStyles(terminal)) << kind;
  }
  const Variable term("TERM", "xterm");
  EXPECT_TRUE(TakesSequences(terminal));
  EXPECT_TRUE(TakesStyles(terminal));
  {
    const Variable empty("NO_COLOR", "");
    EXPECT_TRUE(TakesStyles(terminal));
  }
  {
    const Variable none("NO_COLOR", "1");
    EXPECT_TRUE(TakesSequences(terminal));
    EXPECT_FALSE(TakesStyles(terminal));
  }
  const int file = open("/dev/null", O_WRONLY);
  EXPECT_FALSE(TakesSequences(file));
  close(file);
  close(terminal);
  close(controller);
}

TEST(TerminalStyle, ControlCharactersAreShownAndNotObeyed) {
  EXPECT_EQ(ForTerminal("a\tb\nc"), "a\tb\nc");
  EXPECT_EQ(ForTerminal("\x1b]52;c;cm0gLXJm\x07"), "\u241b]52;c;cm0gLXJm\u2407");
  EXPECT_EQ(ForTerminal("over\rwritten\r\nline"), "over\u240dwritten\nline");
  EXPECT_EQ(ForTerminal("\x7f\b"), "\u2421\u2408");
  EXPECT_EQ(ForTerminal(std::string_view("\0", 1)), "\u2400");
  EXPECT_EQ(ForTerminal("\xC2\x9B"
                        "31m \x9B"
                        "31m"),
            "\uFFFD31m \uFFFD31m");  // CSI, in both forms
  EXPECT_EQ(ForTerminal("d\u00e9j\u00e0 \u65e5\u672c"), "d\u00e9j\u00e0 \u65e5\u672c");
}

}  // namespace
}  // namespace lockstep
