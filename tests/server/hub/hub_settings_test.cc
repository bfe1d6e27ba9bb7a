#include "server/hub/hub_settings.h"

#include <gtest/gtest.h>

#include <fstream>
#include <map>

#include "tests/support/temp_file.h"

namespace lockstep {
namespace {

Result<HubSettings> Read(const std::map<std::string, std::string>& variables) {
  return ReadHubSettings([&variables](const char* name) {
    const auto found = variables.find(name);
    return found == variables.end() ? nullptr : found->second.c_str();
  });
}

TEST(HubSettings, TheFolderIsWhereHuggingFaceHasIt) {
  EXPECT_EQ(Read({{"HOME", "/h"}})->cache, "/h/.cache/huggingface/hub");
  EXPECT_EQ(Read({{"HOME", "/h"}, {"XDG_CACHE_HOME", "/x"}})->cache, "/x/huggingface/hub");
  EXPECT_EQ(Read({{"HOME", "/h"}, {"HF_HOME", "~/y"}})->cache, "/h/y/hub");
  EXPECT_EQ(Read({{"HF_HUB_CACHE", "/z"}, {"HF_HOME", "/y"}})->cache, "/z");
  EXPECT_EQ(Read({{"HF_HUB_CACHE", ""}, {"HOME", "/h"}})->cache, "/h/.cache/huggingface/hub");
  EXPECT_EQ(Read({{"HOME", "/h"}})->own_cache, "/h/.cache/lockstep");
  EXPECT_EQ(Read({{"HF_HUB_CACHE", "/z"}})->own_cache, "/z/.lockstep");
  EXPECT_FALSE(Read({}).has_value());
}

TEST(HubSettings, TheRestHasDefaults) {
  const auto plain = Read({{"HOME", "/none"}});
  EXPECT_EQ(plain->endpoint, "https://huggingface.co");
  EXPECT_EQ(plain->token, "");
  EXPECT_FALSE(plain->offline);
  const auto all = Read({{"HOME", "/none"},
                         {"HF_ENDPOINT", "http://mirror:80/x//"},
                         {"HF_TOKEN", " hf_x\n"},
                         {"HF_HUB_OFFLINE", "True"},
                         {"SSL_CERT_FILE", "/ca.pem"}});
  EXPECT_EQ(all->endpoint, "http://mirror:80/x");
  EXPECT_EQ(all->token, "hf_x");
  EXPECT_TRUE(all->offline);
  EXPECT_EQ(all->authorities, "/ca.pem");
  EXPECT_EQ(Read({{"HOME", "/h"}, {"MODEL_ENDPOINT", "http://m/"}})->endpoint, "http://m");
  EXPECT_FALSE(Read({{"HOME", "/h"}, {"HF_HUB_OFFLINE", "0"}})->offline);
}

TEST(HubSettings, ATokenMayBeInAFile) {
  const TempFile file;
  std::ofstream(file.path()) << "hf_file\n";
  EXPECT_EQ(Read({{"HOME", "/h"}, {"HF_TOKEN_PATH", file.path()}})->token, "hf_file");
  EXPECT_EQ(Read({{"HOME", "/h"}, {"HF_TOKEN_PATH", file.path()}, {"HF_TOKEN", "t"}})->token, "t");
}

TEST(HubSettings, AFolderIsNoTokenFileAndAMissingFileIsNoToken) {
  const auto folder = Read({{"HOME", "/h"}, {"HF_TOKEN_PATH", "/"}});
  ASSERT_FALSE(folder.has_value());
  EXPECT_EQ(folder.error().kind, ErrorKind::kInvalidArgument);
  EXPECT_EQ(folder.error().message, "HF_TOKEN_PATH: \"/\" is a directory, not a file");
  const TempFile home;
  std::filesystem::create_directories(home.path() + "/token");
  const auto made = Read({{"HOME", "/h"}, {"HF_HOME", home.path()}});
  ASSERT_FALSE(made.has_value());
  EXPECT_NE(made.error().message.find("/token\" is a directory"), std::string::npos);
  EXPECT_EQ(Read({{"HOME", "/h"}, {"HF_TOKEN_PATH", "/no/file"}})->token, "");
}

TEST(HubSettings, WhatIsOfNoUseIsNamed) {
  const auto endpoint = Read({{"HOME", "/h"}, {"HF_ENDPOINT", "huggingface.co"}});
  ASSERT_FALSE(endpoint.has_value());
  EXPECT_EQ(endpoint.error().message.find("HF_ENDPOINT"), 0u);
  for (const char* token : {"a b", "a\nb", "\xc3\xbc"}) {
    const auto wrong = Read({{"HOME", "/h"}, {"HF_TOKEN", token}});
    ASSERT_FALSE(wrong.has_value()) << token;
    EXPECT_EQ(wrong.error().message.find("HF_TOKEN"), 0u);
    EXPECT_EQ(wrong.error().message.find(token), std::string::npos);
  }
}

}  // namespace
}  // namespace lockstep
