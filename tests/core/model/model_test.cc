#include "core/model/model.h"

#include <gmock/gmock.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "core/kernels/kernels.h"
#include "tests/support/temp_file.h"
#include "tests/support/tiny_model.h"

namespace lockstep {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

TEST(ModelTest, LoadsFromAFileAndFromBytesAlike) {
  ThreadPool pool(2);
  const std::vector<uint8_t> bytes = TinyModel();
  const TempFile temp(bytes);
  const auto from_file = LoadModel(temp.path(), ScalarKernels(), pool);
  ASSERT_TRUE(from_file) << from_file.error().message;
  const auto from_bytes = LoadModel(bytes, "memory", ScalarKernels(), pool);
  ASSERT_TRUE(from_bytes) << from_bytes.error().message;
  const Model &a = **from_file, &b = **from_bytes;
  EXPECT_EQ(a.source, temp.path());
  EXPECT_EQ(b.source, "memory");
  EXPECT_EQ(a.name, "tiny");
  EXPECT_EQ(a.config().layers.size(), 2u);
  EXPECT_EQ(a.tokenizer.vocab_size(), 320u);
  EXPECT_EQ(a.fingerprint, b.fingerprint);
  EXPECT_EQ(a.transformer.weight_bytes(), b.transformer.weight_bytes());
  EXPECT_TRUE(a.warnings.empty());
}

// The value also pins the tiny model's bytes: the same on every platform.
TEST(ModelTest, TheFingerprintIsTheFilesSha256) {
  ThreadPool pool(1);
  std::vector<uint8_t> bytes = TinyModel();
  const auto model = LoadModel(bytes, "memory", ScalarKernels(), pool);
  ASSERT_TRUE(model);
  EXPECT_EQ((*model)->fingerprint, "ls3-29435afaccec9621");
  bytes.back() ^= 1;
  const auto other = LoadModel(bytes, "memory", ScalarKernels(), pool);
  ASSERT_TRUE(other);
  EXPECT_NE((*other)->fingerprint, (*model)->fingerprint);
}

TEST(ModelTest, TheModelOutlivesTheBytes) {
  ThreadPool pool(1);
  auto bytes = TinyModel();
  const auto model = LoadModel(bytes, "memory", ScalarKernels(), pool);
  ASSERT_TRUE(model);
  std::fill(bytes.begin(), bytes.end(), uint8_t{0xFF});
  const std::vector<int32_t> ids = (*model)->tokenizer.Encode("the end", true);
  EXPECT_EQ((*model)->tokenizer.Decode(ids), "the end");
  EXPECT_EQ((*model)->config().name, "tiny");
}

TEST(ModelTest, WarningsArePassedOn) {
  ThreadPool pool(1);
  GgufBuilder builder = TinyModelBuilder();
  builder.trailer = std::string(50, 'x');
  const auto model = LoadModel(builder.Build(), "memory", ScalarKernels(), pool);
  ASSERT_TRUE(model) << model.error().message;
  ASSERT_EQ((*model)->warnings.size(), 1u);
  EXPECT_THAT((*model)->warnings[0], HasSubstr("50 bytes follow"));
}

TEST(ModelTest, TheEmbeddedModelLoads) {
  ThreadPool pool(2);
  const auto model = LoadModel("", ScalarKernels(), pool);
  ASSERT_TRUE(model) << model.error().message;
  EXPECT_EQ((*model)->source, "embedded");
  EXPECT_THAT((*model)->fingerprint, StartsWith("ls3-"));
  EXPECT_GE((*model)->config().context, 512u);
  EXPECT_FALSE((*model)->tokenizer.Encode("Once upon a time", true).empty());
  const auto file = GgufFile::Parse(EmbeddedModel(), "embedded");
  ASSERT_TRUE(file);
  EXPECT_TRUE(file->warnings().empty());  // all of the file is there, and no more
}

TEST(ModelTest, ProgressGrowsToTheEnd) {
  ThreadPool pool(2);
  const TempFile temp(TinyModel());
  size_t last = 0, all = 0, calls = 0;
  const auto model = LoadModel(temp.path(), ScalarKernels(), pool, [&](size_t done, size_t total) {
    EXPECT_GT(done, last);
    EXPECT_TRUE(all == 0 || all == total);
    last = done;
    all = total;
    ++calls;
  });
  ASSERT_TRUE(model) << model.error().message;
  EXPECT_EQ(last, all);
  EXPECT_GT(all, std::filesystem::file_size(temp.path()));
  EXPECT_GT(calls, 2u);  // once for each tensor at least
}

size_t ResidentBytes() {
  size_t pages = 0, resident = 0;
  std::ifstream("/proc/self/statm") >> pages >> resident;
  return resident * static_cast<size_t>(sysconf(_SC_PAGESIZE));
}

// The pages of the mapping go as soon as a tensor is repacked, and hashing brings none back.
TEST(ModelTest, WeightsAreInMemoryOnce) {
  ThreadPool pool(2);
  TinyModelOptions options;
  options.dim = 512;
  options.ffn_dim = 3072;
  const TempFile temp(TinyModel(options));
  const size_t size = std::filesystem::file_size(temp.path());
  ASSERT_GT(size, size_t{32} << 20);
  const size_t before = ResidentBytes();
  size_t peak = 0;
  const auto model = LoadModel(temp.path(), ScalarKernels(), pool,
                               [&](size_t, size_t) { peak = std::max(peak, ResidentBytes()); });
  ASSERT_TRUE(model) << model.error().message;
  // Twice the file would be both copies; huge pages and the sanitizers' shadow take some, too.
  EXPECT_LT(ResidentBytes() - before, size + size * 3 / 4);
  EXPECT_LT(peak - before, size + size * 3 / 4);
}

TEST(ModelFileTest, CheckAgreesWithLoad) {
  ThreadPool pool(1);
  GgufBuilder builder = TinyModelBuilder();
  const auto check = [&] {
    const auto bytes = builder.Build();
    return ModelFile::Parse(bytes, "memory").and_then(&ModelFile::Check);
  };
  EXPECT_TRUE(check());
  builder.RemoveTensor("output_norm.weight");
  const auto model = LoadModel(builder.Build(), "memory", ScalarKernels(), pool);
  ASSERT_FALSE(model);
  const Status checked = check();
  ASSERT_FALSE(checked);
  EXPECT_EQ(checked.error().message, model.error().message);
}

// What was planned for is what is loaded, whatever the path has come to name since.
TEST(ModelFileTest, LoadsTheFileThatWasOpened) {
  ThreadPool pool(1);
  const std::vector<uint8_t> bytes = TinyModel();
  const TempFile temp(bytes);
  auto file = ModelFile::Open(temp.path());
  ASSERT_TRUE(file) << file.error().message;
  EXPECT_EQ(file->bytes(), bytes.size());
  EXPECT_EQ(file->config().layers.size(), 2u);
  std::filesystem::remove(temp.path());
  std::ofstream(temp.path()) << "something else";
  const auto model = std::move(*file).Load(ScalarKernels(), pool);
  ASSERT_TRUE(model) << model.error().message;
  EXPECT_EQ((*model)->fingerprint,
            LoadModel(bytes, "", ScalarKernels(), pool).value()->fingerprint);
}

// A kept digest is taken as it is: that of another file shows that the file was not read for it.
TEST(ModelFileTest, HashesAFileOnceAndAgainWhenItWasChanged) {
  ThreadPool pool(1);
  std::vector<uint8_t> bytes = TinyModel();
  const TempFile temp(bytes), folder;
  const DigestCache digests(folder.path(), std::chrono::nanoseconds(0));
  size_t read = 0;
  const auto load = [&] {
    const LoadProgress progress = [&](size_t done, size_t total) {
      read = done;
      EXPECT_LE(done, total);
    };
    auto model = ModelFile::Open(temp.path()).value();
    return std::move(model)
        .Load(ScalarKernels(), pool, {.progress = progress, .digests = &digests})
        .value()
        ->card.sha256;
  };
  const std::string first = load();
  const size_t read_first = read;
  const auto state = MappedFile::Open(temp.path()).value().State().value();
  EXPECT_EQ(digests.Find(temp.path(), {{state}}), first);
  EXPECT_EQ(load(), first);
  EXPECT_EQ(read, read_first - bytes.size());
  const std::string other(64, 'f');
  digests.Keep(temp.path(), {{state}}, other);
  EXPECT_EQ(load(), other);

  bytes.back() ^= 1;
  temp.Write(bytes);
  const std::string changed = load();
  EXPECT_NE(changed, first);
  EXPECT_NE(changed, other);
  EXPECT_EQ(read, read_first);
}

// It is there where it was asked for and is whole, and the model is the same without it.
TEST(ModelFileTest, LoadsTheBlockThatGuessesAhead) {
  ThreadPool pool(1);
  TinyModelOptions options;
  options.architecture = "qwen35";
  options.skipped_layers = 1;
  GgufBuilder builder = TinyModelBuilder(options);
  const auto load = [&](bool mtp) {
    const auto bytes = builder.Build();
    auto file = ModelFile::Parse(bytes, "memory");
    return std::move(*file).Load(ScalarKernels(), pool, {.mtp = mtp}).value();
  };
  const auto with = load(true), without = load(false);
  ASSERT_NE(with->mtp, nullptr);
  EXPECT_GT(with->mtp->weight_bytes(), 0u);
  EXPECT_EQ(without->mtp, nullptr);
  EXPECT_EQ(with->fingerprint, without->fingerprint);
  EXPECT_EQ(with->warnings, without->warnings);
  builder.RemoveTensor("blk.2.nextn.eh_proj.weight");
  const auto broken = load(true);
  EXPECT_EQ(broken->mtp, nullptr);
  EXPECT_THAT(broken->warnings,
              testing::Contains(HasSubstr("tensor blk.2.nextn.eh_proj.weight is missing")));
  EXPECT_EQ(load(false)->warnings, without->warnings);
}

TEST(ModelFileTest, LimitsTheChatTemplate) {
  GgufBuilder builder = TinyModelBuilder();
  const auto error = [&](size_t size) {
    builder.SetString("tokenizer.chat_template", std::string(size, 'x'));
    const std::vector<uint8_t> bytes = builder.Build();
    const auto file = ModelFile::Parse(bytes, "memory");
    return file ? "" : file.error().message;
  };
  EXPECT_EQ(error(65536), "");
  EXPECT_THAT(error(65537), HasSubstr("tokenizer.chat_template has 65537 bytes"));
}

// What only tells people something refuses no file, whatever its type.
TEST(ModelFileTest, TakesDescriptionsOfAnyType) {
  GgufBuilder builder = TinyModelBuilder();
  for (const char* const key : {"general.name", "general.description", "general.url",
                                "general.license", "general.file_type", "general.size_label"}) {
    builder.SetStrings(key, {"a", "b"});
  }
  std::vector<uint8_t> bytes = builder.Build();
  auto file = ModelFile::Parse(bytes, "memory");
  ASSERT_TRUE(file) << file.error().message;
  EXPECT_EQ(file->config().name, "llama");  // as without a name
  EXPECT_TRUE(file->Check());
  builder.SetU32("general.name", 7);
  builder.SetBool("general.license", true);
  bytes = builder.Build();
  file = ModelFile::Parse(bytes, "memory");
  ASSERT_TRUE(file) << file.error().message;
  EXPECT_EQ(file->config().name, "llama");
  EXPECT_TRUE(file->Check());
}

TEST(ModelFileTest, LimitsTheNamesOfTemplates) {
  GgufBuilder builder = TinyModelBuilder();
  const auto error = [&](const std::vector<std::string>& names) {
    builder.SetStrings("tokenizer.chat_templates", names);
    const std::vector<uint8_t> bytes = builder.Build();
    const auto file = ModelFile::Parse(bytes, "memory");
    return file ? "" : file.error().message;
  };
  EXPECT_EQ(error(std::vector<std::string>(15, "rag")), "");
  EXPECT_THAT(error(std::vector<std::string>(16, "rag")),
              HasSubstr("tokenizer.chat_templates has 16 names: at most 15 are allowed"));
  EXPECT_EQ(error({std::string(64, 'n')}), "");
  EXPECT_THAT(error({std::string(65, 'n')}), HasSubstr("at most 64 bytes of UTF-8 are allowed"));
  EXPECT_THAT(error({"\xff"}), HasSubstr("has the name \"\\xff\""));
}

TEST(ModelTest, AMissingFileIsNamed) {
  ThreadPool pool(1);
  const auto model = LoadModel("/no/such/model.gguf", ScalarKernels(), pool);
  ASSERT_FALSE(model);
  EXPECT_EQ(model.error().kind, ErrorKind::kBadFile);
  EXPECT_THAT(model.error().message, StartsWith("/no/such/model.gguf: "));
}

}  // namespace
}  // namespace lockstep
