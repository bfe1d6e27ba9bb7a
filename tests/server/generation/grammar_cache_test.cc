#include "server/generation/grammar_cache.h"

#include <gtest/gtest.h>

#include <string>
#include <thread>
#include <vector>

#include "tests/support/random.h"
#include "tests/support/vocabulary_files.h"

namespace lockstep {
namespace {

Json Schema(const std::string& text) { return ParseStrictObject(text).value(); }

// Of one client, who waits for whatever it takes.
struct Grammars : GrammarCache {
  using GrammarCache::GrammarCache;
  Bound Gbnf(std::string_view text) { return GrammarCache::Gbnf(text, client); }
  Bound JsonSchema(const Json& schema, std::string_view where) {
    return GrammarCache::JsonSchema(schema, where, /*strict=*/true, client);
  }
  CompileClient client = {"client"};
};

TEST(GrammarCacheTest, EqualRequestsShareOneGrammar) {
  const Tokenizer tokenizer = LoadTokenizer(TestData("tales-bpe.gguf"));
  Grammars cache(tokenizer, {}, CompileLimits(), 3);
  const auto yes = cache.Gbnf("root ::= \"yes\"").value();
  EXPECT_EQ(cache.Gbnf("root ::= \"yes\"").value(), yes);
  EXPECT_NE(cache.Gbnf("root ::= \"no\"").value(), yes);
  const auto schema = cache.JsonSchema(Schema(R"({"type": "null"})"), "s").value();
  EXPECT_EQ(cache.JsonSchema(Schema(R"({"type":"null"})"), "t").value(), schema);
  EXPECT_EQ(cache.entries(), 3u);
  // The order of members is part of a schema; what was used longest ago is forgotten.
  EXPECT_NE(cache.JsonSchema(Schema(R"({"properties":{"a":true,"b":true}})"), "s").value(),
            cache.JsonSchema(Schema(R"({"properties":{"b":true,"a":true}})"), "s").value());
  EXPECT_EQ(cache.entries(), 3u);
  EXPECT_EQ(cache.JsonSchema(Schema(R"({"type":"null"})"), "s").value(), schema);
  EXPECT_NE(cache.Gbnf("root ::= \"yes\"").value(), yes);
  EXPECT_FALSE(cache.Gbnf("root ::= nowhere"));
  EXPECT_FALSE(cache.JsonSchema(Schema(R"({"not":{}})"), "s"));
  EXPECT_EQ(&cache.JsonObject(cache.client).value()->vocabulary(), &schema->vocabulary());

  Grammars small(tokenizer, {}, CompileLimits(), 100, 1);  // the newest is kept, however large
  EXPECT_EQ(small.Gbnf("root ::= \"a\"").value(), small.Gbnf("root ::= \"a\"").value());
  EXPECT_TRUE(small.Gbnf("root ::= \"b\""));
  EXPECT_EQ(small.entries(), 1u);
}

TEST(GrammarCacheTest, ManyThreadsGetTheSame) {
  const Tokenizer tokenizer = LoadTokenizer(TestData("tales-bpe.gguf"));
  GrammarCache cache(tokenizer);
  std::vector<std::shared_ptr<const TokenGrammar>> found(8);
  std::vector<std::thread> threads;
  for (auto& grammar : found) {
    threads.emplace_back([&cache, &grammar] {
      CompileClient client{"client"};
      for (int i = 0; i < 50; ++i) grammar = cache.JsonObject(client).value();
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const auto& grammar : found) EXPECT_EQ(grammar, found[0]);
  EXPECT_EQ(cache.entries(), 1u);
}

// The 200 schemas that tests/clients/schemas.mjs sends to a server, here with tokens at random:
// what comes out is JSON, and every place has a way on.
TEST(GrammarCacheTest, RandomTextsOfManySchemasAreJson) {
  const Tokenizer tokenizer = LoadTokenizer(TestData("tales-bpe.gguf"));
  Grammars cache(tokenizer);
  const auto schemas =
      ParseStrictObject("{\"all\":" + ReadFile(TestData("schemas.json")) + "}").value()["all"];
  ASSERT_EQ(schemas.size(), 200u);
  std::vector<std::string_view> texts;
  for (size_t i = 0; i < tokenizer.vocab_size(); ++i) {
    texts.push_back(tokenizer.TokenBytes(static_cast<int32_t>(i)));
  }
  const auto closes = [](std::string_view text) { return text.find_first_of("\"}]") != text.npos; };
  size_t complete = 0;
  Random random(5);
  for (const Json& schema : schemas) {
    const auto grammar = cache.JsonSchema(schema, "schema");
    ASSERT_TRUE(grammar) << Dump(schema) << grammar.error().message;
    GrammarMatcher matcher(*grammar);
    std::vector<uint64_t> mask((*grammar)->vocabulary().words());
    std::string text;
    for (int step = 0; step < 150 && !matcher.must_end(); ++step) {
      ASSERT_TRUE(matcher.Allow(false, mask)) << Dump(schema) << text;
      if (matcher.complete() && random.Below(3) == 0) break;
      std::vector<std::string_view> allowed, closing;
      for (size_t i = 0; i < texts.size(); ++i) {
        if ((mask[i / 64] >> (i % 64) & 1) == 0 || texts[i].empty()) continue;
        allowed.push_back(texts[i]);
        if (closes(texts[i])) closing.push_back(texts[i]);
      }
      if (allowed.empty()) break;  // the text ends here
      const auto& from = !closing.empty() && random.Below(4) == 0 ? closing : allowed;
      const std::string_view token = from[random.Below(from.size())];
      ASSERT_TRUE(matcher.Accept(token));
      text += token;
    }
    if (!matcher.complete()) continue;
    ++complete;
    EXPECT_TRUE(ParseStrictObject("{\"value\":" + text + "}")) << Dump(schema) << text;
  }
  EXPECT_GT(complete, 150u);
}

}  // namespace
}  // namespace lockstep
