// Which models a server can have, and that both answer as they would alone.
#include "server/app/startup.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>

#include "core/kernels/dispatch.h"
#include "server/api/router.h"
#include "server/json/json_text.h"
#include "tests/server/api/post.h"
#include "tests/support/temp_file.h"
#include "tests/support/tiny_model.h"

namespace lockstep {
namespace {

using testing::HasSubstr;

class StartupTest : public testing::Test {
 protected:
  Result<Engine> Start(const std::string& model, const std::string& embedding_model,
                       size_t context = 0, const std::string& prefix_dir = {}) {
    Options options;
    options.prefix_dir = prefix_dir;
    options.model = model;
    options.embedding_model = embedding_model;
    options.threads = 2;
    options.context = context;
    options.log_level = LogLevel::kOff;
    return StartEngine(options, *ChooseKernels("auto").kernels, pool_, {}, {}, memory_);
  }
  std::string WhyNot(const std::string& model, const std::string& embedding_model,
                     const std::string& prefix_dir = {}) {
    const auto engine = Start(model, embedding_model, 0, prefix_dir);
    return engine ? "" : engine.error().message;
  }
  Result<Engine> StartWithDraft(const std::string& model, const std::string& draft_model,
                                size_t memory_mib = 0, size_t longest_draft = 16) {
    Options options;
    options.model = model;
    options.draft_model = draft_model;
    options.threads = 2;
    options.memory_mib = memory_mib;
    options.scheduling.longest_draft = longest_draft;
    return StartEngine(options, *ChooseKernels("auto").kernels, pool_, {}, {}, memory_);
  }
  static Json Post(const Router& router, const std::string& path, const std::string& body) {
    const HttpReply reply = PostJson(router, path, body);
    EXPECT_EQ(reply.status, 200) << reply.body;
    return Json::parse(reply.body, nullptr, false);
  }
  static std::string Vector(const Router& router, const std::string& text) {
    return Dump(Post(router, "/v1/embeddings",
                     Dump(Json{{"input", text}, {"encoding_format", "base64"}}))["data"][0]);
  }

  const TempFile generates_{TinyModel()}, encodes_{TinyModel(TinyBert())};
  MemoryBudget memory_{0};
  ThreadPool pool_{2};
};

TEST_F(StartupTest, OneOfEachKind) {
  EXPECT_THAT(WhyNot(encodes_.path(), encodes_.path()), HasSubstr("one of each kind"));
  EXPECT_THAT(WhyNot(generates_.path(), generates_.path()), HasSubstr("which generates text"));
  EXPECT_THAT(WhyNot(generates_.path(), "/nowhere.gguf"), HasSubstr("/nowhere.gguf"));
  const auto long_context = Start(encodes_.path(), "", 129);
  ASSERT_FALSE(long_context);
  EXPECT_THAT(long_context.error().message, HasSubstr("more than the model's 128"));
  GgufBuilder unpooled = TinyModelBuilder(TinyBert());
  unpooled.SetU32("bert.pooling_type", 0);
  const TempFile file(unpooled.Build());
  EXPECT_THAT(WhyNot(file.path(), ""), HasSubstr("bert.pooling_type"));
}

TEST_F(StartupTest, PrefixesAreKeptInAFolderUnlessTheModelHasStates) {
  const TempFile place;
  const auto plain = Start(generates_.path(), "");
  ASSERT_TRUE(plain) << plain.error().message;
  EXPECT_EQ(plain->archiver, nullptr);
  const auto keeps = Start(generates_.path(), "", 0, place.path());
  ASSERT_TRUE(keeps) << keeps.error().message;
  EXPECT_NE(keeps->archiver, nullptr);
  EXPECT_GT(keeps->memory.other_bytes, plain->memory.other_bytes + (64 << 20));
  EXPECT_THAT(WhyNot(generates_.path(), "", generates_.path()), HasSubstr("is no folder"));
  TinyModelOptions recurrent;
  recurrent.architecture = "qwen35";
  const TempFile hybrid(TinyModel(recurrent));
  const auto leaves_out = Start(hybrid.path(), "", 0, place.path());
  ASSERT_TRUE(leaves_out) << leaves_out.error().message;
  EXPECT_EQ(leaves_out->archiver, nullptr);
}

TEST_F(StartupTest, AnEncoderAlone) {
  auto engine = Start(encodes_.path(), "", 64);
  ASSERT_TRUE(engine) << engine.error().message;
  EXPECT_EQ(engine->scheduler, nullptr);
  EXPECT_EQ(engine->memory.session_bytes, 0u);
  EXPECT_GT(memory_.capacity(), 0u);
  EXPECT_EQ(engine->service->model().context, 64u);
  const Router router(*engine->service);
  const Json answer = Post(router, "/v1/embeddings", R"({"input":["a b","a b","c"]})");
  EXPECT_EQ(answer["data"][0]["embedding"], answer["data"][1]["embedding"]);
  EXPECT_NE(answer["data"][0]["embedding"], answer["data"][2]["embedding"]);
  const HttpReply refused = PostJson(router, "/v1/completions", R"({"prompt":"a"})");
  EXPECT_EQ(refused.status, 400);
  EXPECT_THAT(refused.body, HasSubstr("generates nothing"));
  EXPECT_EQ(
      PostJson(router, "/v1/chat/completions", R"({"messages":[{"role":"user","content":"a"}]})")
          .status,
      400);
  EXPECT_EQ(Post(router, "/tokenize", R"({"content":"a"})")["max_model_len"], 64);
  engine->AnnounceDrain();
  EXPECT_TRUE(engine->service->state().draining);
  EXPECT_TRUE(engine->Drain(std::chrono::seconds(1)));
}

TEST_F(StartupTest, ADraftModelHasTheSameVocabularyAndGenerates) {
  const auto why_not = [&](const std::string& model, const std::string& draft, size_t longest) {
    const auto engine = StartWithDraft(model, draft, 0, longest);
    return engine ? "" : engine.error().message;
  };
  EXPECT_THAT(why_not(generates_.path(), encodes_.path(), 16), HasSubstr("which makes vectors"));
  EXPECT_THAT(why_not(encodes_.path(), generates_.path(), 16), HasSubstr("has no answers"));
  EXPECT_THAT(why_not(generates_.path(), generates_.path(), 0), HasSubstr("--draft-max 0"));
  EXPECT_THAT(why_not(generates_.path(), "/nowhere.gguf", 16), HasSubstr("/nowhere.gguf"));
  EXPECT_THAT(why_not(generates_.path(), "", 0), "");
  TinyModelOptions larger;
  larger.vocab = 500;
  const TempFile large(TinyModel(larger));
  EXPECT_THAT(why_not(generates_.path(), large.path(), 16),
              testing::AllOf(HasSubstr("--draft-model: " + large.path()),
                             HasSubstr("500 tokens and not 320")));
}

TEST_F(StartupTest, ADraftModelIsInThePlanAndChangesNoAnswerAndNoFingerprint) {
  constexpr char kPrompt[] = R"({"prompt":"once upon","max_tokens":60,"seed":7,"ignore_eos":true})";
  TinyModelOptions small;
  small.layers = 1;
  const TempFile draft(TinyModel(small));
  auto alone = Start(generates_.path(), "");
  auto engine = StartWithDraft(generates_.path(), draft.path());
  ASSERT_TRUE(engine) << engine.error().message;
  ASSERT_NE(engine->draft_model, nullptr);
  EXPECT_EQ(engine->draft_model->texts(), 4u);
  EXPECT_EQ(engine->memory.draft_caches, 4u);
  EXPECT_GT(engine->memory.draft_bytes, 4 * KvCache::kPageWaste);
  EXPECT_GT(engine->memory.model_bytes, alone->memory.model_bytes);
  EXPECT_GT(engine->memory.other_bytes, alone->memory.other_bytes);
  const Router router(*engine->service), without(*alone->service);
  const Json answer = Post(router, "/generate", kPrompt);
  const Json expected = Post(without, "/generate", kPrompt);
  for (const char* const field : {"text", "tokens", "system_fingerprint", "receipt"}) {
    EXPECT_EQ(answer[field], expected[field]) << field;
  }
  // Where memory is short there are no caches and no draft model, and the server starts.
  const size_t need = (alone->memory.total_bytes() >> 20) * 100 / 80;
  bool left_out = false;
  for (size_t mib = need / 4; mib < 2 * need && !left_out; mib += 4) {
    const auto tight = StartWithDraft(generates_.path(), draft.path(), mib);
    if (!tight) continue;
    left_out = tight->draft_model == nullptr;
    if (!left_out) break;
  }
  EXPECT_TRUE(left_out);
}

// Nothing has to be given for it, and where it cannot be had the server starts as without it.
TEST_F(StartupTest, ABlockThatGuessesAheadIsInThePlanAndChangesNoAnswer) {
  constexpr char kPrompt[] = R"({"prompt":"once upon","max_tokens":60,"seed":7,"ignore_eos":true})";
  TinyModelOptions options;
  options.architecture = "qwen35";
  options.skipped_layers = 1;
  GgufBuilder builder = TinyModelBuilder(options);
  const TempFile whole(builder.Build());
  builder.RemoveTensor("blk.2.nextn.hnorm.weight");
  const TempFile broken(builder.Build());
  const TempFile draft(TinyModel());
  auto engine = StartWithDraft(whole.path(), "");
  auto silent = StartWithDraft(whole.path(), "", 0, 0);
  ASSERT_TRUE(engine) << engine.error().message;
  ASSERT_TRUE(silent) << silent.error().message;
  ASSERT_NE(engine->draft_model, nullptr);
  EXPECT_EQ(engine->memory.draft_caches, 4u);
  EXPECT_GT(engine->memory.draft_bytes, 4 * KvCache::kPageWaste);
  EXPECT_EQ(engine->memory.model_bytes, silent->memory.model_bytes);
  EXPECT_EQ(silent->draft_model, nullptr);
  EXPECT_EQ(silent->model->mtp, nullptr);
  const Router router(*engine->service), without(*silent->service);
  const Json answer = Post(router, "/generate", kPrompt);
  const Json expected = Post(without, "/generate", kPrompt);
  for (const char* const field : {"text", "tokens", "system_fingerprint", "receipt"}) {
    EXPECT_EQ(answer[field], expected[field]) << field;
  }
  auto incomplete = StartWithDraft(broken.path(), "");
  ASSERT_TRUE(incomplete) << incomplete.error().message;
  EXPECT_EQ(incomplete->draft_model, nullptr);
  auto given = StartWithDraft(whole.path(), draft.path());
  ASSERT_TRUE(given) << given.error().message;
  EXPECT_NE(given->draft_model, nullptr);
  EXPECT_EQ(given->model->mtp, nullptr);
  // Any memory that suffices without it suffices with it.
  bool left_out = false;
  for (size_t mib = 40; mib < 400 && !left_out; mib += 4) {
    const auto plain = StartWithDraft(whole.path(), "", mib, 0);
    const auto tight = StartWithDraft(whole.path(), "", mib);
    if (!plain) continue;
    ASSERT_TRUE(tight) << mib << ": " << tight.error().message;
    left_out = tight->draft_model == nullptr;
    break;
  }
  EXPECT_TRUE(left_out);
}

// Side by side they share the threads, and no bit changes.
TEST_F(StartupTest, BothAtOnceAnswerAsEachAlone) {
  constexpr char kPrompt[] = R"({"prompt":"once upon","max_tokens":60,"seed":7,
                                 "ignore_eos":true})";
  const auto text = [&](const Router& router) {
    return Dump(Post(router, "/generate", kPrompt)["tokens"]);
  };
  std::string vector_alone, text_alone;
  {
    auto engine = Start(encodes_.path(), "");
    vector_alone = Vector(Router(*engine->service), "once upon a time");
  }
  {
    auto engine = Start(generates_.path(), "");
    text_alone = text(Router(*engine->service));
  }
  auto engine = Start(generates_.path(), encodes_.path());
  ASSERT_TRUE(engine) << engine.error().message;
  const Router router(*engine->service);
  std::vector<std::future<std::string>> texts, vectors;
  for (int i = 0; i < 4; ++i) {
    texts.push_back(std::async(std::launch::async, [&] { return text(router); }));
    for (int j = 0; j < 5; ++j) {
      vectors.push_back(
          std::async(std::launch::async, [&] { return Vector(router, "once upon a time"); }));
    }
  }
  for (auto& answer : texts) EXPECT_EQ(answer.get(), text_alone);
  for (auto& answer : vectors) EXPECT_EQ(answer.get(), vector_alone);
  engine->AnnounceDrain();
  EXPECT_TRUE(engine->Drain(std::chrono::seconds(10)));
}

}  // namespace
}  // namespace lockstep
