#include "core/grammar/token_mask.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "core/grammar/token_grammar.h"
#include "tests/support/random.h"

namespace lockstep {
namespace {

constexpr int32_t kEnd = 0;  // the first token ends a generation

// Tokens of up to 4 letters of the alphabet, some twice, and single bytes of a character.
std::vector<std::string> Tokens(std::string_view alphabet, size_t n) {
  Random random(n);
  std::vector<std::string> tokens = {"",
                                     "\xC3",
                                     "\xA9",
                                     "\u00e9",
                                     "a\xC3",
                                     "\xA9"
                                     "b"};
  while (tokens.size() < n) {
    std::string& token = tokens.emplace_back();
    for (size_t length = 1 + random.Below(4); length > 0; --length) {
      token += alphabet[random.Below(alphabet.size())];
    }
  }
  return tokens;
}

std::shared_ptr<const GrammarVocabulary> Vocabulary(const std::vector<std::string>& tokens,
                                                    size_t mask_bytes = 1 << 20) {
  const std::vector<std::string_view> views(tokens.begin(), tokens.end());
  return std::make_shared<GrammarVocabulary>(views, std::vector<int32_t>{kEnd}, mask_bytes);
}

std::shared_ptr<const TokenGrammar> Bind(const std::string& gbnf,
                                         std::shared_ptr<const GrammarVocabulary> vocabulary) {
  const auto grammar = ParseGbnf(gbnf);
  EXPECT_TRUE(grammar) << gbnf << (grammar ? "" : grammar.error().message);
  return std::make_shared<TokenGrammar>(*grammar, std::move(vocabulary));
}

bool IsSet(const std::vector<uint64_t>& mask, size_t i) { return mask[i / 64] >> (i % 64) & 1; }

// A grammar without left recursion: in front of a rule of its own or an earlier one stands a byte.
std::string RandomGrammar(Random& random) {
  const size_t rules = 1 + random.Below(4);
  std::string text;
  for (size_t rule = 0; rule < rules; ++rule) {
    text += (rule == 0 ? "root" : "r" + std::to_string(rule)) + " ::= ";
    for (size_t choice = 1 + random.Below(3); choice > 0; --choice) {
      bool has_byte = false;
      for (size_t item = random.Below(4); item > 0; --item) {
        switch (random.Below(5)) {
          case 0:
            text += "\"ab\" ";
            has_byte = true;
            break;
          case 1:
            text += "[ac\u00e9] ";
            has_byte = true;
            break;
          case 2: {
            const size_t least = has_byte ? 0 : rule + 1;
            if (least >= rules) break;
            const size_t called = least + random.Below(rules - least);
            text += called == 0 ? "root " : "r" + std::to_string(called) + " ";
            break;
          }
          case 3:
            text += "(\"b\" | \"\"){0,3} ";
            break;
          default:
            text += "[^a]* ";
        }
      }
      text += choice > 1 ? "| " : "\n";
    }
  }
  return text;
}

TEST(TokenMaskTest, IsWhatTheMatcherTakesTokenByToken) {
  const std::vector<std::string> tokens = Tokens("abc", 150);
  const auto vocabulary = Vocabulary(tokens, 8 << 10);  // masks are forgotten on the way
  Random random(7);
  size_t compared = 0;
  for (int round = 0; round < 60; ++round) {
    const std::string gbnf = RandomGrammar(random);
    if (!ParseGbnf(gbnf)) continue;  // it may match no text at all
    const auto grammar = Bind(gbnf, vocabulary);
    GrammarMatcher matcher(grammar);
    std::string text;
    std::vector<uint64_t> mask(vocabulary->words());
    for (int step = 0; step < 12 && matcher.Allow(false, mask); ++step) {
      std::vector<size_t> allowed;
      for (size_t i = 1; i < tokens.size(); ++i) {
        GrammarMatcher other(grammar);  // from the beginning, byte by byte
        bool takes = true;
        for (const char byte : text + tokens[i]) takes = takes && other.Accept({&byte, 1});
        EXPECT_EQ(IsSet(mask, i), takes) << gbnf << text << "+" << tokens[i];
        if (takes) allowed.push_back(i);
      }
      EXPECT_EQ(IsSet(mask, kEnd), matcher.complete()) << gbnf << text;
      compared += allowed.size();
      if (allowed.empty()) break;
      const std::string& token = tokens[allowed[random.Below(allowed.size())]];
      EXPECT_TRUE(matcher.Accept(token));
      text += token;
    }
  }
  EXPECT_GT(compared, 1000u);
}

// Places in a long repetition share their masks where they may, and nowhere else.
TEST(TokenMaskTest, LongRepetitionsEndExactly) {
  std::vector<std::string> tokens = {""};
  for (const size_t n : {1, 2, 3, 7, 50, 256}) tokens.emplace_back(n, 'a');
  tokens.emplace_back(257, 'a');  // longer than any that a grammar offers
  const auto grammar = Bind("root ::= [ab]{300,700}", Vocabulary(tokens));
  GrammarMatcher matcher(grammar);
  std::vector<uint64_t> mask(1);
  for (size_t length = 0; length <= 700; ++length) {
    ASSERT_TRUE(matcher.Allow(false, mask));
    for (size_t i = 1; i < tokens.size(); ++i) {
      EXPECT_EQ(IsSet(mask, i), tokens[i].size() <= 256 && length + tokens[i].size() <= 700)
          << length << " " << tokens[i].size();
    }
    EXPECT_EQ(IsSet(mask, kEnd), length >= 300);
    EXPECT_EQ(matcher.must_end(), length == 700);
    EXPECT_EQ(matcher.Accept("a").has_value(), length < 700);
  }
}

TEST(TokenMaskTest, EndsWhereTheGrammarMayEnd) {
  const std::vector<std::string> tokens = {"", "a", "b", "ab"};
  const auto vocabulary = Vocabulary(tokens);
  std::vector<uint64_t> mask(1);
  GrammarMatcher matcher(Bind("root ::= \"a\" \"b\"?", vocabulary));
  ASSERT_TRUE(matcher.Allow(false, mask));
  EXPECT_EQ(mask[0], 0b1010u);  // "a", "ab"
  EXPECT_FALSE(matcher.Accept("b"));
  EXPECT_TRUE(matcher.Accept("a"));
  ASSERT_TRUE(matcher.Allow(false, mask));
  EXPECT_EQ(mask[0], 0b0101u);  // the end, "b"
  EXPECT_FALSE(matcher.must_end());
  ASSERT_TRUE(matcher.Allow(true, mask));
  EXPECT_EQ(mask[0], 0b0100u);  // only "b": the end comes last
  EXPECT_TRUE(matcher.Accept("b"));
  EXPECT_TRUE(matcher.must_end());
  ASSERT_TRUE(matcher.Allow(true, mask));
  EXPECT_EQ(mask[0], 0b0001u);

  GrammarMatcher stuck(Bind("root ::= \"a\" \"x\"", vocabulary));  // no token has an x
  EXPECT_TRUE(stuck.Accept("a"));
  const Result<bool> status = stuck.Allow(false, mask);
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().kind, ErrorKind::kInvalidArgument);
}

TEST(TokenMaskTest, ALiteralIsSpelledAsFarAsNothingElseMayFollow) {
  const std::vector<std::string> tokens = {"", "a", "ab", "abc", "d", "x", "xy", "y"};
  const auto literal = [&](const std::string& gbnf, size_t most, const std::string& read = "") {
    GrammarMatcher matcher(Bind(gbnf, Vocabulary(tokens)));
    EXPECT_TRUE(matcher.Accept(read));
    std::vector<uint64_t> mask(1);
    EXPECT_TRUE(matcher.Allow(false, mask));
    std::vector<int32_t> spelled = {7};
    WorkBudget unbounded, spent(0);
    matcher.Literal(most, spelled, spent);
    EXPECT_TRUE(spelled.empty());
    matcher.Literal(most, spelled, unbounded);
    return spelled;
  };
  EXPECT_EQ(literal("root ::= \"abcabd\" [xy]", 9), (std::vector<int32_t>{3, 2, 4}));
  EXPECT_EQ(literal("root ::= \"abcabd\" [xy]", 2), (std::vector<int32_t>{3, 2}));
  EXPECT_EQ(literal("root ::= \"ab\" (\"da\" | \"dab\")", 9), (std::vector<int32_t>{2, 4}));
  EXPECT_EQ(literal("root ::= [ad] \"ddx\" [xy]", 9, "a"),
            (std::vector<int32_t>{4, 4}));  // or "xy"
  EXPECT_TRUE(literal("root ::= [ad]", 9).empty());
  EXPECT_TRUE(literal("root ::= \"a\" \"d\"?", 9, "a").empty());  // it may end
}

// However often the work is interrupted, the masks are the same.
TEST(TokenMaskTest, SlicesChangeNothing) {
  const std::vector<std::string> tokens = Tokens("abc", 150);
  size_t compared = 0;
  const auto slow_vocabulary = Vocabulary(tokens, 0), vocabulary = Vocabulary(tokens);
  Random random(3);
  for (int round = 0; round < 40; ++round) {
    const std::string gbnf = RandomGrammar(random);
    if (!ParseGbnf(gbnf)) continue;
    GrammarMatcher whole(Bind(gbnf, vocabulary)), sliced(Bind(gbnf, slow_vocabulary));
    std::vector<uint64_t> mask(vocabulary->words()), same(mask);
    for (int step = 0; step < 8 && whole.Allow(false, mask); ++step) {
      size_t slices = 1;
      const auto slice = [&](const auto& work) {
        WorkBudget one(1);
        return work(one);
      };
      while (!slice([&](auto& one) { return sliced.Allow(false, same, one); }).value()) ++slices;
      EXPECT_GT(slices, 1u);
      EXPECT_EQ(mask, same) << gbnf;
      size_t token = 1 + random.Below(tokens.size() - 1);
      for (size_t i = 0; i < tokens.size() && !IsSet(mask, token); ++i) {
        token = 1 + token % (tokens.size() - 1);  // one that is allowed, if any is
      }
      const bool taken = whole.Accept(tokens[token]).has_value();
      const auto accept = [&](auto& one) { return sliced.Accept(tokens[token], one); };
      auto read = slice(accept);
      while (read && !*read) read = slice(accept);
      EXPECT_EQ(read.has_value(), taken);
      compared += taken;
    }
  }
  EXPECT_GT(compared, 40u);
}

// Distinct sets of states without end: what is kept is bounded, and so is the time of a walk.
TEST(TokenMaskTest, HostileGrammarsAreBounded) {
  const auto vocabulary = Vocabulary(Tokens("abcdefgh", 3000));
  std::string gbnf = "root ::= ";
  for (char c = 'a'; c <= 'h'; ++c) {
    gbnf += std::string(c == 'a' ? "" : " | ") + "[a-h]* [" + c + "] [a-h]{60}";
  }
  GrammarMatcher matcher(Bind(gbnf, vocabulary));
  std::vector<uint64_t> mask(vocabulary->words());
  Random random(1);
  for (int step = 0; step < 40; ++step) {
    if (!matcher.Allow(false, mask)) break;
    EXPECT_TRUE(matcher.Accept(std::string(1, static_cast<char>('a' + random.Below(8)))));
  }
}

}  // namespace
}  // namespace lockstep
