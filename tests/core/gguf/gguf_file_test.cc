#include "core/gguf/gguf_file.h"

#include <gmock/gmock.h>

#include <limits>

#include "tests/support/gguf_builder.h"

namespace lockstep {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;

GgufBuilder::Tensor FloatTensor(std::string name, std::vector<uint64_t> dims) {
  size_t count = 1;
  for (const uint64_t dim : dims) count *= dim;
  std::string data;
  for (size_t i = 0; i < count; ++i) data += LittleEndian(static_cast<float>(i));
  return {std::move(name), std::move(dims), 0, std::move(data)};
}

// One pair of every type, and two tensors.
GgufBuilder Everything() {
  GgufBuilder b;
  b.Set("u8", 0, LittleEndian<uint8_t>(200));
  b.Set("i8", 1, LittleEndian<int8_t>(-100));
  b.Set("u16", 2, LittleEndian<uint16_t>(60000));
  b.Set("i16", 3, LittleEndian<int16_t>(-30000));
  b.SetU32("u32", 4000000000u);
  b.Set("i32", 5, LittleEndian<int32_t>(-2000000000));
  b.SetF32("f32", 1.5f);
  b.SetBool("bool", true);
  b.SetString("string", "text");
  b.Set("u64", 10, LittleEndian(std::numeric_limits<uint64_t>::max()));
  b.Set("i64", 11, LittleEndian(std::numeric_limits<int64_t>::min()));
  b.Set("f64", 12, LittleEndian(0.1));
  b.SetStrings("strings", {"a", "", "bcd"});
  b.SetNumbers<float>("floats", 6, {1.0f, -2.5f});
  b.SetNumbers<int32_t>("ints", 5, {-1, 7});
  b.SetNumbers<uint32_t>("uints", 4, {3, 4000000000u});
  b.SetNumbers<uint8_t>("bools", 7, {0, 1});
  b.SetNumbers<float>("nothing", 6, {});
  b.tensors.push_back(FloatTensor("first", {3, 2}));
  b.tensors.push_back(FloatTensor("second", {5}));
  return b;
}

// The bytes stay beside the views into them.
struct Parsed {
  explicit Parsed(const GgufBuilder& builder)
      : bytes(builder.Build()), file(GgufFile::Parse(bytes, "test.gguf")) {}
  std::vector<uint8_t> bytes;
  Result<GgufFile> file;
};

void ExpectRefused(const GgufBuilder& builder, const std::string& why) {
  const Parsed p(builder);
  ASSERT_FALSE(p.file) << why;
  EXPECT_EQ(p.file.error().kind, ErrorKind::kBadFile);
  EXPECT_THAT(p.file.error().message, StartsWith("test.gguf: "));
  EXPECT_THAT(p.file.error().message, HasSubstr(why));
}

TEST(GgufTest, ReadsEveryValueType) {
  const Parsed p(Everything());
  ASSERT_TRUE(p.file) << p.file.error().message;
  const auto value = [&](const char* key) { return p.file->Find(key)->value; };
  const auto expect = [&](const char* key, auto wanted) {
    EXPECT_EQ(std::get<decltype(wanted)>(value(key)), wanted) << key;
  };
  expect("u8", uint64_t{200});
  expect("i8", int64_t{-100});
  expect("u16", uint64_t{60000});
  expect("i16", int64_t{-30000});
  expect("u32", uint64_t{4000000000});
  expect("i32", int64_t{-2000000000});
  expect("f32", 1.5);
  expect("bool", true);
  expect("string", std::string_view("text"));
  expect("u64", std::numeric_limits<uint64_t>::max());
  expect("i64", std::numeric_limits<int64_t>::min());
  expect("f64", 0.1);
  EXPECT_THAT(std::get<GgufArray>(value("strings")).strings, ElementsAre("a", "", "bcd"));
  const GgufArray bools = std::get<GgufArray>(value("bools"));
  EXPECT_EQ(bools.element_type, Id(GgufType::kBool));
  EXPECT_EQ(bools.count, 2u);
  EXPECT_THAT(bools.data, ElementsAre(0, 1));
  EXPECT_EQ(p.file->pairs().size(), 18u);
  EXPECT_EQ(p.file->pairs()[8].key, "string");
  EXPECT_EQ(p.file->Find("absent"), nullptr);
}

TEST(GgufTest, ReadsTensors) {
  const Parsed p(Everything());
  ASSERT_TRUE(p.file);
  const GgufTensor* first = p.file->FindTensor("first");
  ASSERT_NE(first, nullptr);
  EXPECT_EQ(first->cols(), 3u);
  EXPECT_EQ(first->rows(), 2u);
  EXPECT_STREQ(first->type->name, "F32");
  EXPECT_EQ(first->offset % 32, 0u);
  EXPECT_EQ(first->data.data(), p.bytes.data() + first->offset);
  const GgufTensor* second = p.file->FindTensor("second");
  ASSERT_NE(second, nullptr);
  EXPECT_EQ(second->rows(), 1u);
  ASSERT_EQ(second->data.size(), 20u);
  float last;
  std::memcpy(&last, second->data.data() + 16, 4);
  EXPECT_EQ(last, 4.0f);
  EXPECT_EQ(p.file->FindTensor("third"), nullptr);
  EXPECT_TRUE(p.file->warnings().empty());
}

TEST(GgufTest, TypedAccess) {
  const Parsed p(Everything());
  ASSERT_TRUE(p.file);
  const GgufFile& f = *p.file;
  EXPECT_EQ(f.GetU64("u8").value(), 200u);
  EXPECT_EQ(f.GetFloat("f32").value(), 1.5);
  EXPECT_EQ(f.GetFloat("f64").value(), 0.1);
  EXPECT_EQ(f.GetBool("bool").value(), true);
  EXPECT_EQ(f.GetString("string").value(), "text");
  EXPECT_THAT(*f.GetFloats("floats").value(), ElementsAre(1.0f, -2.5f));
  EXPECT_TRUE(f.GetFloats("nothing").value()->empty());
  EXPECT_THAT(*f.GetInts("ints").value(), ElementsAre(-1, 7));
  EXPECT_THAT(*f.GetStrings("strings").value(), ElementsAre("a", "", "bcd"));
}

TEST(GgufTest, AnAbsentKeyIsNoError) {
  const Parsed p(Everything());
  ASSERT_TRUE(p.file);
  EXPECT_EQ(p.file->GetU64("absent").value(), std::nullopt);
  EXPECT_EQ(p.file->GetFloat("absent").value(), std::nullopt);
  EXPECT_EQ(p.file->GetBool("absent").value(), std::nullopt);
  EXPECT_EQ(p.file->GetString("absent").value(), std::nullopt);
  EXPECT_EQ(p.file->GetFloats("absent").value(), std::nullopt);
  EXPECT_EQ(p.file->GetInts("absent").value(), std::nullopt);
  EXPECT_EQ(p.file->GetStrings("absent").value(), nullptr);
}

TEST(GgufTest, AnotherTypeIsAnErrorThatNamesBoth) {
  const Parsed p(Everything());
  ASSERT_TRUE(p.file);
  const GgufFile& f = *p.file;
  EXPECT_EQ(f.GetU64("string").error().message,
            "test.gguf: \"string\" is of type string, but must be an integer");
  EXPECT_THAT(f.GetU64("i8").error().message, HasSubstr("\"i8\" is -100"));
  EXPECT_THAT(f.GetFloat("u8").error().message, HasSubstr("is of type u8"));
  EXPECT_THAT(f.GetBool("u8").error().message, HasSubstr("must be bool"));
  EXPECT_THAT(f.GetString("bool").error().message, HasSubstr("must be string"));
  EXPECT_THAT(f.GetFloats("ints").error().message, HasSubstr("array of i32"));
  EXPECT_THAT(f.GetInts("floats").error().message, HasSubstr("array of f32"));
  EXPECT_THAT(f.GetInts("uints").error().message, HasSubstr("4000000000"));
  EXPECT_THAT(f.GetStrings("string").error().message, HasSubstr("must be array of string"));
}

TEST(GgufTest, Version2IsRead) {
  GgufBuilder b = Everything();
  b.version = 2;
  const Parsed p(b);
  ASSERT_TRUE(p.file);
  EXPECT_EQ(p.file->version(), 2u);
  EXPECT_EQ(p.file->tensors().size(), 2u);
}

TEST(GgufTest, AVocabularyOnlyFileIsRead) {
  GgufBuilder b = Everything();
  b.tensors.clear();
  const Parsed p(b);
  ASSERT_TRUE(p.file) << p.file.error().message;
  EXPECT_TRUE(p.file->tensors().empty());
}

TEST(GgufTest, AlignmentIsFollowed) {
  for (const uint32_t alignment : {8u, 64u, 4096u}) {
    GgufBuilder b = Everything();
    b.alignment = alignment;
    b.SetU32("general.alignment", alignment);
    const Parsed p(b);
    ASSERT_TRUE(p.file) << p.file.error().message;
    EXPECT_EQ(p.file->FindTensor("second")->offset % alignment, 0u);
  }
}

TEST(GgufTest, GapsAndAnyOrderAreAccepted) {
  GgufBuilder b = Everything();
  b.trailer = std::string(64, '\0');
  b.tensors[0].offset = 64;
  b.tensors[1].offset = 0;
  const Parsed p(b);
  ASSERT_TRUE(p.file) << p.file.error().message;
  EXPECT_EQ(p.file->FindTensor("first")->offset, p.file->FindTensor("second")->offset + 64);
}

TEST(GgufTest, TrailingBytesAreAWarning) {
  GgufBuilder b = Everything();
  b.trailer = std::string(100, 'x');
  const Parsed p(b);
  ASSERT_TRUE(p.file);
  ASSERT_EQ(p.file->warnings().size(), 1u);
  EXPECT_THAT(p.file->warnings()[0], HasSubstr("bytes follow"));
}

TEST(GgufTest, AnUnpaddedEndIsNoWarning) {
  std::vector<uint8_t> bytes = Everything().Build();
  bytes.resize(bytes.size() - 12);  // "second" has 20 bytes
  const auto file = GgufFile::Parse(bytes, "test.gguf");
  ASSERT_TRUE(file) << file.error().message;
  EXPECT_TRUE(file->warnings().empty());
  bytes.pop_back();
  EXPECT_FALSE(GgufFile::Parse(bytes, "test.gguf"));
}

TEST(GgufTest, UnsupportedButKnownTypesAreParsed) {
  GgufBuilder b;
  b.tensors.push_back({"k", {256, 2}, 12, std::string(288, '\0')});
  const Parsed p(b);
  ASSERT_TRUE(p.file) << p.file.error().message;
  EXPECT_STREQ(p.file->FindTensor("k")->type->name, "Q4_K");
}

TEST(GgufTest, MessagesEscapeWhatTheFileSays) {
  GgufBuilder b;
  b.Set("evil\x1b[2J", 99, "");
  ExpectRefused(b, "type of \"evil\\x1b[2J\" is 99");
}

TEST(GgufTest, LimitsAreNamed) {
  GgufBuilder b = Everything();
  b.n_pairs = 65537;
  ExpectRefused(b, "n_kv is 65537, but the limit is 65536");
  b = Everything();
  b.tensors[1].offset = 32 + 8;
  ExpectRefused(b, "offset of tensor \"second\" is 40, not a multiple of the alignment 32");
}

}  // namespace
}  // namespace lockstep
