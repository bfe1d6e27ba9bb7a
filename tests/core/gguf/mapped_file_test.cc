#include "core/gguf/mapped_file.h"

#include <gmock/gmock.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <numeric>
#include <utility>
#include <vector>

#include "tests/support/temp_file.h"

namespace lockstep {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;

std::vector<uint8_t> Counting(size_t size) {
  std::vector<uint8_t> bytes(size);
  std::iota(bytes.begin(), bytes.end(), uint8_t{0});
  return bytes;
}

void ExpectRefused(const std::string& path, const std::string& why) {
  const auto file = MappedFile::Open(path);
  ASSERT_FALSE(file);
  EXPECT_EQ(file.error().kind, ErrorKind::kBadFile);
  EXPECT_THAT(file.error().message, AllOf(StartsWith(path + ": "), HasSubstr(why)));
}

TEST(MappedFileTest, MapsTheWholeFile) {
  const std::vector<uint8_t> content = Counting(10001);
  const TempFile temp(content);
  const auto file = MappedFile::Open(temp.path());
  ASSERT_TRUE(file);
  EXPECT_TRUE(
      std::equal(content.begin(), content.end(), file->bytes().begin(), file->bytes().end()));
}

TEST(MappedFileTest, MovingKeepsTheBytes) {
  const TempFile temp(Counting(100)), other(Counting(7));
  auto file = MappedFile::Open(temp.path());
  auto target = MappedFile::Open(other.path());
  ASSERT_TRUE(file && target);
  const uint8_t* data = file->bytes().data();
  *target = *std::move(file);
  const MappedFile last = *std::move(target);
  EXPECT_EQ(last.bytes().data(), data);
  EXPECT_EQ(last.bytes().size(), 100u);
  EXPECT_EQ(last.bytes()[99], 99);
}

TEST(MappedFileTest, DroppedPagesAreReadAgain) {
  const std::vector<uint8_t> content = Counting(50000);
  const TempFile temp(content);
  const auto file = MappedFile::Open(temp.path());
  ASSERT_TRUE(file);
  file->DropPages(100, 40000);
  file->DropPages(0, 50000);
  file->DropPages(49999, 2);          // beyond the end: no effect
  file->DropPages(SIZE_MAX - 1, 10);  // would wrap: no effect
  EXPECT_TRUE(std::equal(content.begin(), content.end(), file->bytes().begin()));
}

TEST(MappedFileTest, ReadsAnyRangeAndNothingBeyondTheEnd) {
  const std::vector<uint8_t> content = Counting(50000);
  const TempFile temp(content);
  auto opened = MappedFile::Open(temp.path());
  ASSERT_TRUE(opened);
  const MappedFile file = *std::move(opened);
  std::vector<uint8_t> part(5000);
  ASSERT_TRUE(file.Read(45000, part));
  EXPECT_TRUE(std::equal(part.begin(), part.end(), content.begin() + 45000));
  EXPECT_FALSE(file.Read(45001, part));
  EXPECT_FALSE(file.Read(SIZE_MAX, part));
  EXPECT_TRUE(file.Read(50000, {}));
}

TEST(MappedFileTest, ItsStateTellsAWrittenFileFromTheOneBefore) {
  const TempFile temp(Counting(5000));
  const auto file = MappedFile::Open(temp.path());
  ASSERT_TRUE(file);
  const auto before = file->State();
  ASSERT_TRUE(before);
  EXPECT_EQ(before->size, 5000u);
  EXPECT_EQ(file->State(), before);
  temp.Write(Counting(5001));
  const auto after = file->State();
  ASSERT_TRUE(after);
  EXPECT_EQ(after->inode, before->inode);
  EXPECT_EQ(after->size, 5001u);
  EXPECT_GE(after->changed_ns, before->changed_ns);
  EXPECT_NE(after, before);
}

TEST(MappedFileTest, RefusesWhatIsNotARegularFile) {
  const TempFile temp;
  ExpectRefused(temp.path(), "No such file");
  ExpectRefused("/", "is a directory");
  ExpectRefused("/dev/null", "not a regular file");
  ASSERT_EQ(mkfifo(temp.path().c_str(), 0600), 0);
  ExpectRefused(temp.path(), "not a regular file");  // and does not wait for a writer
  ExpectRefused(temp.path() + "/below", "Not a directory");
}

TEST(MappedFileTest, RefusesAnEmptyFile) {
  const TempFile temp(std::span<const uint8_t>{});
  ExpectRefused(temp.path(), "empty");
}

}  // namespace
}  // namespace lockstep
