// A step allocates nothing: neither the forward pass, nor the choice of a token, nor texts that are
// encoded.
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <new>

#include "core/engine/sampler.h"
#include "core/grammar/token_grammar.h"
#include "tests/support/transformer_fixture.h"

namespace {

std::atomic<size_t> allocations{0};

void* Allocate(size_t size) {
  ++allocations;
  void* p = std::malloc(size == 0 ? 1 : size);
  if (p == nullptr) std::abort();
  return p;
}

}  // namespace

void* operator new(size_t size) { return Allocate(size); }
void* operator new[](size_t size) { return Allocate(size); }
void operator delete(void* p) noexcept { std::free(p); }
void operator delete[](void* p) noexcept { std::free(p); }
void operator delete(void* p, size_t) noexcept { std::free(p); }
void operator delete[](void* p, size_t) noexcept { std::free(p); }

namespace lockstep {
namespace {

TEST(AllocationTest, AStepOfPrefillAndDecodeAllocatesNothing) {
  std::vector<TinyFamily> models = TinyFamilies();
  for (const WeightType type : {WeightType::kQ4_0, WeightType::kF16, WeightType::kBF16}) {
    models.push_back({Name(type), {}});
    models.back().options.type = type;
  }
  for (const auto& [name, options] : models) {
    const TestModel model(options);
    ThreadPool pool(3);
    Scratch scratch(model.config, 64, 3, 3);
    std::vector<KvCache> caches;
    for (int i = 0; i < 3; ++i) caches.push_back(model.NewCache());
    Sampler sampler(model.config.vocab);
    sampler.Reset({}, {});
    const std::vector<int32_t> prompt(40, 7);
    std::vector<int32_t> last = {5, 6};
    const std::vector<BatchEntry> batch = {{&caches[0], {&last[0], 1}, LogitRows::kLast},
                                           {&caches[1], {&last[1], 1}, LogitRows::kLast},
                                           {&caches[2], prompt, LogitRows::kLast}};
    const size_t before = allocations;
    for (int step = 0; step < 3; ++step) {
      if (!model.transformer->Forward(batch, scratch, pool)) std::abort();
      for (size_t i = 0; i < 2; ++i) {
        const auto token = sampler.Sample(scratch.logits(i), caches[i].length());
        if (!token) std::abort();
        last[i] = token->token;
      }
    }
    EXPECT_EQ(allocations - before, 0u) << name;
    EXPECT_EQ(caches[2].length(), 120u);
  }
}

TEST(AllocationTest, TextsAreEncodedWithoutAllocating) {
  for (auto [name, options] : TinyEncoders()) {
    for (const WeightType type : {WeightType::kF32, WeightType::kQ8_0}) {
      options.type = type;
      const TestModel model(options);
      ThreadPool pool(3);
      Scratch scratch(model.config, 64, 3, 3);
      const std::vector<int32_t> few(3, 5), some(20, 6), many(41, 7);
      const EncoderText texts[] = {{few}, {some, 9}, {many, SIZE_MAX, TextForm::kPooled}};
      const size_t before = allocations;
      for (int step = 0; step < 3; ++step) {
        if (!model.transformer->Encode(texts, scratch, pool)) std::abort();
      }
      EXPECT_EQ(allocations - before, 0u) << name << " " << Name(type);
    }
  }
}

TEST(AllocationTest, AStepUnderAGrammarAllocatesNothingWhereItHasBeenBefore) {
  const std::vector<std::string_view> tokens = {"", "{", "}", "[", "]", ",", "a", "\xC3\xA9", "aa"};
  const auto vocabulary =
      std::make_shared<GrammarVocabulary>(tokens, std::vector<int32_t>{0}, size_t{1} << 20);
  const auto grammar = std::make_shared<TokenGrammar>(
      ParseGbnf("root ::= value*\nvalue ::= \"{\" value* \"}\" | [a\\u00e9]{1,5} \",\"").value(),
      vocabulary);
  GrammarMatcher matcher(grammar);
  Sampler sampler(tokens.size());
  sampler.Reset({}, {});
  std::vector<uint64_t> allowed(vocabulary->words());
  std::vector<float> logits(tokens.size(), 0.0f);
  size_t before = 0;
  for (int round = 0; round < 3; ++round) {
    if (round == 1) before = allocations;
    for (const size_t token : {1, 1, 6, 7, 8, 5, 2, 2}) {
      logits[token] = 1000;
      if (!matcher.Allow(false, allowed)) std::abort();
      const auto sampled = sampler.Sample(logits, 5, allowed);
      if (!sampled || sampled->token != static_cast<int32_t>(token)) std::abort();
      if (!matcher.Accept(tokens[token])) std::abort();
      logits[token] = 0;
    }
  }
  EXPECT_EQ(allocations - before, 0u);
  EXPECT_TRUE(matcher.complete());
}

TEST(AllocationTest, AllocationsAreSeen) {
  const size_t before = allocations;
  const auto p = std::make_unique<int>(1);
  EXPECT_GT(allocations, before) << *p;
}

}  // namespace
}  // namespace lockstep
