#include "server/app/terminal_style.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>

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

}  // namespace
}  // namespace lockstep
