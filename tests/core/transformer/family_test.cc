// Every family of models: the numeric contract, and that what it computes is right.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "core/model/model.h"
#include "tests/support/testable_kernels.h"
#include "tests/support/transformer_fixture.h"

namespace lockstep {
namespace {

// Where a window begins and ends, what an expert's rows are gathered from, which rows ride along:
// none of it may be seen in the result, whatever the family.
TEST(FamilyTest, ChunksThreadsNeighboursAndIsaChangeNoBit) {
  for (auto [name, options] : TinyFamilies()) {
    for (const WeightType type : {WeightType::kF32, WeightType::kQ8_0}) {
      options.type = type;
      const std::string what = std::string(name) + " " + Name(type);
      const TestModel scalar(options, ScalarKernels());
      const std::vector<int32_t> tokens = scalar.Tokens(72);
      const Logits expected = Feed(scalar, tokens, 72);
      for (const KernelTable* table : TestableKernels()) {
        const TestModel model(options, *table);
        for (size_t chunk : {1, 7, 72}) {
          // What chunks do is seen with the one type, what types do with one chunk.
          const bool slow = table == &ScalarKernels() || type != WeightType::kF32;
          if (slow && chunk != 7) continue;
          ExpectSameBits(Feed(model, tokens, chunk, 2), expected,
                         what + ", " + table->isa + ", chunk " + std::to_string(chunk));
        }
        const std::vector<int32_t> few(tokens.begin(), tokens.begin() + 4);
        ExpectSameBits(FeedAmong(model, few, 5), Logits(expected.begin(), expected.begin() + 4),
                       what + ", " + table->isa + ", among others");
      }
    }
  }
}

// The logits of tokens from `from` on, in a cache that holds those before.
Logits FeedRest(const TestModel& model, const std::vector<int32_t>& tokens, KvCache& kv,
                size_t chunk) {
  Scratch scratch(model.config, 128, 128, kMaxThreads);
  ThreadPool pool(1);
  Logits logits;
  while (kv.length() < tokens.size()) {
    const size_t n = std::min(chunk, tokens.size() - kv.length());
    const BatchEntry entry = {&kv, std::span(tokens).subspan(kv.length(), n), LogitRows::kAll};
    EXPECT_TRUE(model.transformer->Forward({&entry, 1}, scratch, pool));
    Append(scratch, logits);
  }
  return logits;
}

// What another sequence computed of the same prefix, what is left after going back, and a cache
// that forgets what is behind the windows: the tokens that follow cannot tell.
TEST(FamilyTest, APrefixThatWasCopiedOrCutChangesNoBit) {
  for (const auto& [name, options] : TinyFamilies()) {
    const TestModel model(options);
    const std::vector<int32_t> tokens = model.Tokens(72);
    for (const KvType type : kKvTypes) {
      auto made = KvCache::Create(model.config, 128, type);
      if (!made) continue;  // heads that 32 does not divide
      KvCache& kv = *made;
      const Logits expected = FeedRest(model, tokens, kv, 16);
      // States are no copy of a part of what was computed: they are kept where they are wanted.
      const auto states_after = [&](size_t n) {
        KvCache cache = KvCache::Create(model.config, 128, type).value();
        FeedRest(model, {tokens.begin(), tokens.begin() + static_cast<ptrdiff_t>(n)}, cache, n);
        return std::vector<float>(cache.states().begin(), cache.states().end());
      };
      const auto rest = [&](size_t from) {
        return Logits(expected.begin() + static_cast<ptrdiff_t>(from), expected.end());
      };
      KvCache windows = KvCache::Create(model.config, 128, type, KvKeep::kWindows).value();
      ASSERT_TRUE(windows.AppendForCopy(48));
      for (size_t i = 0; i < 48; i += 16) windows.CopyFrom(kv, i, i, 16);
      windows.SetStates(states_after(48));
      ExpectSameBits(FeedRest(model, tokens, windows, 5), rest(48), std::string(name) + ", copied");
      kv.Truncate(30);
      kv.SetStates(states_after(30));
      ExpectSameBits(FeedRest(model, tokens, kv, 64), rest(30), std::string(name) + ", cut");
    }
  }
}

TEST(FamilyTest, LogitsAgreeWithDoublePrecision) {
  for (const auto& [name, options] : TinyFamilies()) {
    const TestModel model(options);
    EXPECT_LT(RelativeError(model, 72), 2e-3) << name;
  }
}

// The same on every machine; see transformer_test.cc.
TEST(FamilyTest, LogitsHaveTheBitsOfThisNumericsVersion) {
  ASSERT_EQ(kNumericsVersion, 3);
  const std::map<std::string, uint64_t> digests = {
      {"llama2", 17022714250154903039u},
      {"llama3", 17720030472172598493u},
      {"llama-linear", 2894271032523280362u},
      {"mixtral", 1449814813706733816u},
      {"qwen2", 10253072392859357328u},
      {"qwen2-yarn", 7927330382114395317u},
      {"qwen3", 5736760848855620368u},
      {"qwen3moe", 4823018433605969940u},
      {"gemma2", 2985608645645250705u},
      {"gemma3", 8267910325487422371u},
      {"phi3", 1022231955094865827u},
      {"phi3-long", 13076699900658542696u},
      {"granite", 369573361650430126u},
      {"olmo2", 3680117250298786014u},
      {"olmo3", 15565576197731230780u},
      {"smollm3", 6057369180978981307u},
      {"gpt2", 4012648913989378884u},
      {"gptneox", 12431465032797679014u},
      {"gptneox-serial", 5061477735972139540u},
      {"starcoder2", 8678865797381471716u},
      {"bailingmoe2", 6012297397256728143u},
      {"dots1", 2160338459105286157u},
      {"ernie4_5-moe", 14966708003974378676u},
      {"glm4moe", 3329476924805900173u},
      {"granitemoe", 14771313685413989721u},
      {"qwen2moe", 15729605539399878083u},
      {"olmoe", 18356792196896692406u},
      {"qwen3vlmoe", 6178301320225914589u},
      {"qwen3moe-scales", 15809036521729416614u},
      {"gemma4", 4394110673260810821u},
      {"gemma4-moe", 3475739971679038821u},
      {"gpt-oss", 12575916123544284507u},
      {"deepseek2", 9284732175149654708u},
      {"mistral4", 17092816275136065163u},
      {"deepseek2-old", 255548543577081039u},
      {"deepseek2-plain", 16442493751614658646u},
      {"mistral3", 9891279042793587100u},
      {"mistral3-moe", 13305391994278882301u},
      {"qwen2vl", 4359146711472992502u},
      {"qwen3vl", 5736760848855620368u},
      {"glm4", 11746426292174294970u},
      {"seed_oss", 10253072392859357328u},
      {"exaone4-windows", 9176921765101145042u},
      {"exaone4", 7307909748579939311u},
      {"llama-values", 6384193023151091462u},
      {"arcee", 1793705007704416600u},
      {"ernie4_5", 13793744539262518291u},
      {"gemma", 447041536297858873u},
      {"hunyuan-dense", 13858144806449309122u},
      {"qwen35", 12214886441264322375u},
      {"qwen35-mtp", 15681684603637721419u},
      {"qwen35moe", 435629063748272869u},
      {"qwen3next", 8879231727390728975u},
      {"qwen3next-old", 690338063162847913u},
      {"lfm2", 7150270396537905275u},
      {"lfm2-window", 2300004164508284647u},
      {"lfm2moe", 2450465503433743490u},
      {"qwen35-scales", 1470085072684931834u},
      {"granitehybrid", 14047794833752514354u},
      {"granitehybrid-moe", 17399431792762351958u},
      {"nemotron_h", 14156464365983949631u},
      {"nemotron_h_moe", 2201194302694184535u},
      {"falcon-h1", 7779860576262014211u},
      {"falcon-h1-no-norm", 5887456852357862085u},
  };
  for (const auto& [name, options] : TinyFamilies()) {
    const uint64_t digest = Digest(TestModel(options), 30);
    const auto known = digests.find(name);
    if (known == digests.end()) {
      ADD_FAILURE() << "add {\"" << name << "\", " << digest << "u},";
    } else {
      EXPECT_EQ(digest, known->second) << name;
    }
  }
}

// Learned positions end with the model's context, whatever the cache has room for.
TEST(FamilyTest, PositionsThatWereNotLearnedAreRefused) {
  TinyModelOptions options;
  options.architecture = "gpt2";
  options.context = 20;
  const TestModel model(options);
  Scratch scratch(model.config, 32, 1, kMaxThreads);
  ThreadPool pool(1);
  KvCache kv = model.NewCache();
  const std::vector<int32_t> tokens = model.Tokens(21);
  BatchEntry entry = {&kv, tokens, LogitRows::kLast};
  const Status status = model.transformer->Forward({&entry, 1}, scratch, pool);
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().kind, ErrorKind::kContextExceeded);
  EXPECT_NE(status.error().message.find("20 positions"), std::string::npos);
  entry.tokens = std::span(tokens).first(20);
  EXPECT_TRUE(model.transformer->Forward({&entry, 1}, scratch, pool));
}

}  // namespace
}  // namespace lockstep
