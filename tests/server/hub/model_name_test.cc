#include "server/hub/model_name.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace lockstep {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr const char* kHub = "https://hub.example.org/prefix";

TEST(ModelName, IsReadInAllItsForms) {
  const struct {
    const char *text, *repo, *quant, *revision;
  } cases[] = {
      {"a/b", "a/b", "", "main"},
      {"Qwen/Qwen3-4B-GGUF:Q4_K_M", "Qwen/Qwen3-4B-GGUF", "Q4_K_M", "main"},
      {"hf://a/b.c_d:x/y.gguf", "a/b.c_d", "x/y.gguf", "main"},
      {"hf.co/a/b:latest", "a/b", "", "main"},
      {"https://huggingface.co/a/b", "a/b", "", "main"},
      {"https://huggingface.co/a/b/resolve/v1.0/c%20d/e.gguf?download=true", "a/b", "c d/e.gguf",
       "v1.0"},
      {"https://hf.co/a/b/blob/main/e.gguf", "a/b", "e.gguf", "main"},
      {"https://hub.example.org/prefix/a/b/resolve/main/e.GGUF", "a/b", "e.GGUF", "main"},
  };
  for (const auto& c : cases) {
    const auto name = ParseModelName(c.text, kHub);
    ASSERT_TRUE(name.has_value()) << c.text;
    EXPECT_EQ(name->repo, c.repo) << c.text;
    EXPECT_EQ(name->quant, c.quant) << c.text;
    EXPECT_EQ(name->revision, c.revision) << c.text;
    EXPECT_EQ(name->address, "") << c.text;
  }
  for (const char* text :
       {"https://example.org/m.gguf", "http://h:81/a/b/m-00001-of-00002.gguf?x=y",
        "https://hub.example.org/a/b/resolve/main/e.gguf", "https://huggingface.co/x/m.gguf"}) {
    const auto name = ParseModelName(text, kHub);
    ASSERT_TRUE(name.has_value()) << text;
    EXPECT_EQ(name->repo, "") << text;
    EXPECT_EQ(name->Text(), text);
  }
}

TEST(ModelName, RefusesWhatIsNone) {
  for (const char* text : {"",
                           "a",
                           "/",
                           "a/",
                           "/b",
                           "a/b/c",
                           "../b",
                           "a/..",
                           "a/b:",
                           "a/b:/x",
                           "a/b:../x",
                           "a/b c",
                           "a/b\n",
                           "-a/b",
                           "a/b-",
                           "a--b/c",
                           "a..b/c",
                           "hf://x",
                           "https://h/x.bin",
                           "https://h/",
                           "https://h/..%2fx.gguf",
                           "https://h/%00.gguf",
                           "ftp://h/x.gguf"}) {
    const auto name = ParseModelName(text, kHub);
    ASSERT_FALSE(name.has_value()) << text;
    EXPECT_EQ(name.error().kind, ErrorKind::kInvalidArgument) << text;
  }
  EXPECT_TRUE(IsModelName("hf://a/b") && IsModelName("HTTP://x"));
  EXPECT_FALSE(IsModelName("a/b.gguf") || IsModelName("hf:a"));
}

TEST(ModelName, PartsKnowEachOther) {
  const PartName part = ReadPartName("d/M-Q4_K_M-00002-of-00003.gguf");
  EXPECT_EQ(part.prefix, "d/M-Q4_K_M");
  EXPECT_EQ(part.index, 2u);
  EXPECT_EQ(part.count, 3u);
  EXPECT_EQ(NameOfPart(part, 3), "d/M-Q4_K_M-00003-of-00003.gguf");
  for (const char* one : {"m.gguf", "-00001-of-00002.gguf", "m-00001-of-00001.gguf",
                          "m-00004-of-00003.gguf", "m-00000-of-00003.gguf", "m-0001-of-00003.gguf",
                          "m-00001-of-00003.bin", "m-00001-of-0000x.gguf"}) {
    EXPECT_EQ(ReadPartName(one).count, 1u) << one;
    EXPECT_EQ(ReadPartName(one).prefix, one);
  }
}

TEST(ModelName, FindsTheQuantizationOfAFile) {
  const std::pair<const char*, const char*> cases[] = {{"Qwen3-4B-Q4_K_M.gguf", "Q4_K_M"},
                                                       {"m.q8_0.gguf", "Q8_0"},
                                                       {"m-UD-IQ2_XXS.gguf", "UD-IQ2_XXS"},
                                                       {"Model_Q5_K_S.gguf", "Q5_K_S"},
                                                       {"a/M-BF16-00001-of-00002.gguf", "BF16"},
                                                       {"gpt-oss-20b-mxfp4.gguf", "MXFP4"},
                                                       {"F16.gguf", "F16"},
                                                       {"model.gguf", ""},
                                                       {"m-4bit.gguf", ""}};
  for (const auto& [file, quant] : cases) EXPECT_EQ(QuantOf(file), quant) << file;
}

TEST(ModelName, PathsThatLeaveTheFolderAreNotSafe) {
  for (const char* path : {"a", "a/b.c", "..a/b", "\xc3\xbc"})
    EXPECT_TRUE(IsSafePath(path)) << path;
  for (const char* path : {"", "/a", "a/", "a//b", ".", "..", "a/../b", "./a", "a\\b", "a\nb"}) {
    EXPECT_FALSE(IsSafePath(path)) << path;
  }
  EXPECT_FALSE(IsSafePath(std::string("a\0b", 3)));
  EXPECT_FALSE(IsSafePath(std::string(256, 'a')));
}

TEST(ModelName, ChoosesAFile) {
  const std::vector<std::string> files{"M-BF16-00001-of-00002.gguf",
                                       "M-BF16-00002-of-00002.gguf",
                                       "M-IQ4_XS.gguf",
                                       "M-Q4_K_M.gguf",
                                       "M-Q4_K_S.gguf",
                                       "M-UD-Q4_K_XL.gguf",
                                       "M-UD-Q8_0.gguf",
                                       "M-Q8_0.gguf",
                                       "README.md",
                                       "mmproj-M-Q6_K.gguf"};
  const auto chosen = [&files](const char* quant) { return *ChooseModel(files, quant); };
  EXPECT_THAT(chosen(""), ElementsAre("M-Q4_K_M.gguf"));
  EXPECT_THAT(chosen("bf16"), ElementsAre(files[0], files[1]));
  EXPECT_THAT(chosen("Q4_K_XL"), ElementsAre("M-UD-Q4_K_XL.gguf"));
  EXPECT_THAT(chosen("Q8_0"), ElementsAre("M-Q8_0.gguf"));
  EXPECT_THAT(chosen("m-iq4_xs.GGUF"), ElementsAre("M-IQ4_XS.gguf"));
  EXPECT_THAT(chosen("mmproj-M-Q6_K.gguf"), ElementsAre("mmproj-M-Q6_K.gguf"));
  for (const char* quant : {"Q4_XS", "Q4_K", "K_M", "Q6_K", "x.gguf"}) {
    const auto none = ChooseModel(files, quant);
    ASSERT_FALSE(none.has_value()) << quant;
    EXPECT_EQ(none.error().kind, ErrorKind::kNotFound);
    EXPECT_THAT(none.error().message,
                HasSubstr("BF16, IQ4_XS, Q4_K_M, Q4_K_S, Q8_0, UD-Q4_K_XL and UD-Q8_0"));
  }
  const std::vector<std::string> half{"M-Q8_0-00001-of-00002.gguf"};
  EXPECT_THAT(ChooseModel(half, "").error().message, HasSubstr("M-Q8_0-00002-of-00002.gguf"));
  const std::vector<std::string> folder{"Q4_K_M/M-00001-of-00002.gguf",
                                        "Q4_K_M/M-00002-of-00002.gguf"};
  EXPECT_THAT(*ChooseModel(folder, "q4_k_m"), ElementsAre(folder[0], folder[1]));
  EXPECT_FALSE(ChooseModel({}, "").has_value());
}

}  // namespace
}  // namespace lockstep
