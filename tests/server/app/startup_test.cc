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
