// The prompts of gaps, token for token as llama-server's format_prompt_infill makes them.
#include "server/api/fill_prompt.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/server/generation/fake_service.h"

namespace lockstep {
namespace {

using testing::ElementsAreArray;
using testing::HasSubstr;

// As the fake encodes: a character a token. P, S, M, R and F stand for the tokens of gaps, B for
// BOS.
class FillPromptTest : public testing::Test {
 protected:
  FillPromptTest() { service_.served().fill = {'P', 'S', 'M', 'R', 'F'}; }

  std::string Infill(const FillGap& gap, size_t answer = 1, bool parse_special = false) {
    return service_.Decode(InfillPrompt(service_, gap, answer, parse_special));
  }

  FakeService service_;
};

TEST_F(FillPromptTest, AGapAloneHasItsThreeTokens) {
  EXPECT_EQ(service_.Decode(GapPrompt(service_, "ab", "cd")), "PabScdM");
  EXPECT_EQ(service_.Decode(GapPrompt(service_, "", "")), "PSM");
  service_.served().bos = 'B';
  EXPECT_EQ(service_.Decode(GapPrompt(service_, "ab", "cd")), "PabScdM");
  service_.served().adds_bos = true;
  EXPECT_EQ(service_.Decode(GapPrompt(service_, "ab", "cd")), "BPabScdM");
}

TEST_F(FillPromptTest, FilesStandBeforeTheGapAndBeforeBos) {
  service_.served().context = 4096;
  const FillGap gap{"ab", "cd", "x", {{"a.c", "one"}, {"b.c", "two\n"}}};
  EXPECT_EQ(Infill(gap), "Rmyproject\nFa.c\noneFb.c\ntwo\nFfilename\nPabxScdM");
  EXPECT_EQ(Infill({"ab", "cd", "", {}}), "Rmyproject\nFfilename\nPabScdM");
  service_.served().bos = 'B';
  service_.served().adds_bos = true;
  EXPECT_EQ(Infill({"ab", "cd", "", {}}), "Rmyproject\nFfilename\nBPabScdM");
}

TEST_F(FillPromptTest, WithoutTokensForFilesTheyAreSnippets) {
  service_.served().context = 4096;
  service_.served().fill.repository = service_.served().fill.file = -1;
  EXPECT_EQ(Infill({"ab", "cd", "", {{"a.c", "one"}}}), "\n\n--- snippet ---\n\nonePabScdM");
  EXPECT_EQ(Infill({"ab", "cd", "", {}}), "PabScdM");
}

TEST_F(FillPromptTest, WhatIsNearTheGapIsKept) {
  service_.served().context = 8192;
  const std::string long_text(3000, 'p'), behind(3000, 's');
  const std::string got = Infill({"q" + long_text, behind, "abc", {}});
  const std::string files = "Rmyproject\nFfilename\n";
  EXPECT_EQ(got,
            files + "P" + std::string(1536, 'p') + "abcS" + std::string(512 - 2 - 3, 's') + "M");
  // The nearest part of the files, where they do not fit with the answer.
  service_.served().context = 4096;
  const std::string cut = Infill({long_text, behind, "", {{"f", std::string(9000, 'f')}}}, 100);
  EXPECT_EQ(cut.size(), 4096u - 100);
  EXPECT_THAT(cut, HasSubstr("fffFfilename\nPppp"));
  // A context of one batch and less.
  service_.served().context = 64;
  const std::string small = Infill({long_text, behind, "", {{"f", "file"}}}, 16);
  EXPECT_LE(small.size(), 48u);
  EXPECT_THAT(small, HasSubstr("P" + std::string(24, 'p') + "S" + std::string(6, 's') + "M"));
}

TEST_F(FillPromptTest, ControlTokensAreTextUnlessAskedFor) {
  service_.served().context = 4096;
  service_.served().fill.repository = service_.served().fill.file = -1;
  EXPECT_EQ(Infill({"^", "^", "^", {}}), "P??S?M");
  EXPECT_EQ(Infill({"^", "^", "^", {}}, 1, true), "P?^S?M");
}

TEST_F(FillPromptTest, AModelWithoutTheTokensIsNamed) {
  EXPECT_TRUE(CheckCanFill(service_.model(), "suffix"));
  service_.served().fill.middle = -1;
  const Error error = CheckCanFill(service_.model(), "suffix").error();
  EXPECT_EQ(error.kind, ErrorKind::kInvalidArgument);
  EXPECT_EQ(error.param, "suffix");
  EXPECT_THAT(error.message, HasSubstr("no token for middle"));
}

}  // namespace
}  // namespace lockstep
