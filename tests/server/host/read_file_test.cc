#include "server/host/read_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <thread>

#include "tests/support/temp_file.h"

namespace lockstep {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

TempFile FileOf(const std::string& text) {
  return TempFile(std::vector<uint8_t>(text.begin(), text.end()));
}

TEST(ReadFileTest, AFileIsReadWhole) {
  const std::string long_text(200'000, 'x');
  for (const std::string& text : {std::string(), std::string("a\0b\n", 4), long_text}) {
    const TempFile file = FileOf(text);
    const auto read = ReadSmallFile(file.path());
    ASSERT_TRUE(read.has_value()) << read.error().message;
    EXPECT_EQ(*read, text);
  }
  EXPECT_THAT(*ReadSmallFile("/proc/self/stat"), HasSubstr(" "));  // has bytes but no size
}

TEST(ReadFileTest, AByteOrderMarkIsNoText) {
  const std::string mark = "\xEF\xBB\xBF";
  EXPECT_EQ(ReadSmallFile(FileOf(mark + "[a]\r\n").path()).value(), "[a]\r\n");
  EXPECT_EQ(ReadSmallFile(FileOf(mark).path()).value(), "");
  EXPECT_EQ(ReadSmallFile(FileOf(mark + mark).path()).value(), mark);  // a character of the text
  EXPECT_EQ(ReadSmallFile(FileOf("a" + mark).path()).value(), "a" + mark);
}

TEST(ReadFileTest, TheLimitIsTheLastSizeThatIsTaken) {
  const TempFile file = FileOf("12345");
  EXPECT_EQ(ReadSmallFile(file.path(), 5).value(), "12345");
  const auto over = ReadSmallFile(file.path(), 4);
  ASSERT_FALSE(over.has_value());
  EXPECT_EQ(over.error().kind, ErrorKind::kBadFile);
  EXPECT_THAT(over.error().message, HasSubstr("has more than 4 bytes"));
}

TEST(ReadFileTest, APipeIsReadToItsEnd) {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  std::thread writer([&ends] {
    for (const char* part : {"a key\n", "another\n"}) {
      EXPECT_EQ(write(ends[1], part, strlen(part)), static_cast<ssize_t>(strlen(part)));
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
    close(ends[1]);
  });
  const auto read = ReadSmallFile("/dev/fd/" + std::to_string(ends[0]));
  writer.join();
  close(ends[0]);
  ASSERT_TRUE(read.has_value()) << read.error().message;
  EXPECT_EQ(*read, "a key\nanother\n");
}

TEST(ReadFileTest, WhatHasNoEndIsRefusedAtOnce) {
  const std::string pipe = testing::TempDir() + "read_file_test_pipe";
  std::filesystem::remove(pipe);
  ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
  const auto error = [](const std::string& path) {
    const auto read = ReadSmallFile(path);
    EXPECT_FALSE(read.has_value()) << path;
    return read ? Error{} : read.error();
  };
  EXPECT_EQ(error("/").message, "\"/\" is a directory, not a file");
  EXPECT_EQ(error("/dev/zero").message, "\"/dev/zero\" is neither a regular file nor a pipe");
  EXPECT_THAT(error(pipe).message, HasSubstr("is a pipe into which nobody writes"));
  EXPECT_EQ(error("/proc/self/mem").message,
            "\"/proc/self/mem\" cannot be read: Input/output error");
  for (const std::string& path : {std::string("/"), pipe, std::string("/proc/self/mem")}) {
    EXPECT_EQ(error(path).kind, ErrorKind::kBadFile) << path;
  }
  EXPECT_EQ(error("/no/file").message, "\"/no/file\" cannot be read: No such file or directory");
  EXPECT_EQ(error("/no/file").kind, ErrorKind::kNotFound);
  std::filesystem::remove(pipe);
}

}  // namespace
}  // namespace lockstep
