#include "core/gguf/gguf_parts.h"

#include <fmt/format.h>
#include <gmock/gmock.h>

#include <filesystem>

#include "core/kernels/kernels.h"
#include "core/model/model.h"
#include "tests/support/temp_file.h"
#include "tests/support/tiny_model.h"

namespace lockstep {
namespace {

using ::testing::HasSubstr;

// The tiny model as `count` files beside each other; the first part has no tensors.
class SplitModel {
 public:
  explicit SplitModel(size_t count) : folder_(std::filesystem::path(place_.path()).parent_path()) {
    const GgufBuilder whole = TinyModelBuilder();
    for (size_t i = 0; i < count; ++i) {
      GgufBuilder part;
      if (i == 0) part.pairs = whole.pairs;
      part.Set("split.no", 2, LittleEndian(static_cast<uint16_t>(i)));
      part.Set("split.count", 2, LittleEndian(static_cast<uint16_t>(count)));
      part.Set("split.tensors.count", 5, LittleEndian(static_cast<int32_t>(whole.tensors.size())));
      for (size_t t = 0; i > 0 && t < whole.tensors.size(); ++t) {
        if (t % (count - 1) == i - 1) part.tensors.push_back(whole.tensors[t]);
      }
      parts.push_back(part);
    }
    Write();
  }

  std::string Path(size_t number) const {
    return folder_ / fmt::format("tiny-{:05}-of-{:05}.gguf", number, parts.size());
  }
  void Write() const {
    for (size_t i = 0; i < parts.size(); ++i) {
      const std::vector<uint8_t> bytes = parts[i].Build();
      std::ofstream(Path(i + 1), std::ios::binary)
          .write(reinterpret_cast<const char*>(bytes.data()),
                 static_cast<std::streamsize>(bytes.size()));
    }
  }

  std::vector<GgufBuilder> parts;

 private:
  TempFile place_;
  std::filesystem::path folder_;
};

std::string ErrorOf(const std::string& path) {
  const auto opened = GgufParts::Open(path);
  EXPECT_TRUE(opened || opened.error().kind == ErrorKind::kBadFile);
  return opened ? "" : opened.error().message;
}

TEST(GgufParts, ASplitModelIsTheModel) {
  const SplitModel split(3);
  const TempFile whole(TinyModel());
  const auto opened = GgufParts::Open(split.Path(1));
  ASSERT_TRUE(opened) << opened.error().message;
  EXPECT_EQ(opened->parts().size(), 3u);
  size_t bytes = 0;
  for (size_t i = 1; i <= 3; ++i) bytes += std::filesystem::file_size(split.Path(i));
  EXPECT_EQ(opened->file().size(), bytes);
  for (const GgufTensor& tensor : opened->file().tensors()) {
    EXPECT_GE(tensor.part, 1u);
    const uint8_t first = tensor.data[0];
    opened->DropPages(tensor);
    EXPECT_EQ(tensor.data[0], first);
  }

  ThreadPool pool(1);
  size_t read = 0;
  const auto a = LoadModel(split.Path(1), ScalarKernels(), pool, [&](size_t done, size_t total) {
    read = done;
    EXPECT_LE(done, total);
  });
  ASSERT_TRUE(a) << a.error().message;
  EXPECT_GT(read, bytes);  // for the hash and for the tensors
  const auto b = LoadModel(whole.path(), ScalarKernels(), pool);
  ASSERT_TRUE(b);
  EXPECT_EQ((*a)->transformer.weight_bytes(), (*b)->transformer.weight_bytes());
  EXPECT_NE((*a)->fingerprint, (*b)->fingerprint);  // other bytes
  std::filesystem::resize_file(split.Path(3), std::filesystem::file_size(split.Path(3)) + 8);
  const auto c = LoadModel(split.Path(1), ScalarKernels(), pool);
  ASSERT_TRUE(c);
  EXPECT_NE((*c)->fingerprint, (*a)->fingerprint);  // of the last part, too
}

TEST(GgufParts, AWholeFileIsOnePart) {
  const TempFile whole(TinyModel());
  const auto opened = GgufParts::Open(whole.path());
  ASSERT_TRUE(opened);
  EXPECT_EQ(opened->parts().size(), 1u);
  EXPECT_EQ(opened->file().size(), opened->file().bytes().size());
}

TEST(GgufParts, RefusesWhatIsNotAllParts) {
  SplitModel split(3);
  EXPECT_THAT(ErrorOf(split.Path(2)), HasSubstr("this is part 2 of 3: give the path of the first"));

  std::filesystem::rename(split.Path(2), split.Path(2) + ".away");
  const std::string missing = ErrorOf(split.Path(1));
  EXPECT_THAT(missing, HasSubstr("part 2 of 3 is missing: " + split.Path(2)));
  EXPECT_EQ(missing.find('\n'), missing.npos);
  std::filesystem::copy_file(split.Path(3), split.Path(2));
  EXPECT_THAT(ErrorOf(split.Path(1)), HasSubstr("split.no is 2, but the name says 1"));

  split.parts[2].tensors.push_back(split.parts[1].tensors[0]);
  split.Write();
  EXPECT_THAT(ErrorOf(split.Path(1)), HasSubstr("is in part 2, too"));
  split.parts[2].tensors.clear();
  split.Write();
  EXPECT_THAT(ErrorOf(split.Path(1)), HasSubstr("split.tensors.count is 20, but the 3 parts have"));

  split.parts[0].Set("split.count", 2, LittleEndian<uint16_t>(4));
  split.Write();
  EXPECT_THAT(ErrorOf(split.Path(1)), HasSubstr("does not end in -00001-of-00004.gguf"));
  split.parts[0].Set("split.count", 2, LittleEndian<uint16_t>(65535));
  split.Write();
  EXPECT_THAT(ErrorOf(split.Path(1)), HasSubstr("at most 1000 parts"));
}

TEST(GgufParts, OnePartAloneIsNoModel) {
  const SplitModel split(3);
  ThreadPool pool(1);
  const auto model = LoadModel(split.parts[0].Build(), "memory", ScalarKernels(), pool);
  ASSERT_FALSE(model);
  EXPECT_THAT(model.error().message, HasSubstr("split.count is 3, but 1 of the parts is here"));
}

}  // namespace
}  // namespace lockstep
