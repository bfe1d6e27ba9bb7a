#include "core/grammar/automaton.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "core/grammar/grammar.h"

namespace lockstep {
namespace {

using Config = GrammarAutomaton::Config;

Config Read(GrammarAutomaton& automaton, std::string_view text, Config from) {
  for (const char byte : text) {
    if (from == GrammarAutomaton::kDead) break;
    from = automaton.Next(from, static_cast<uint8_t>(byte));
  }
  return from;
}

std::shared_ptr<const Grammar> Brackets() {
  return ParseGbnf("root ::= \"[\" root \"]\" | \"x\" | \"\"").value();
}

TEST(AutomatonTest, EqualPlacesAreOneConfiguration) {
  const auto grammar = Brackets();
  GrammarAutomaton automaton(*grammar);
  const Config one = Read(automaton, "[", automaton.start());
  EXPECT_EQ(Read(automaton, "[[]", automaton.start()), Read(automaton, "[x", automaton.start()));
  EXPECT_EQ(Read(automaton, "[", automaton.start()), one);
  EXPECT_NE(Read(automaton, "[[", automaton.start()), one);
  EXPECT_EQ(Read(automaton, "[]]", automaton.start()), GrammarAutomaton::kDead);
  const Config end = Read(automaton, "[]", automaton.start());
  EXPECT_TRUE(automaton.complete(end));
  EXPECT_EQ(automaton.heads(end), 0u);
}

// By their keys, the automata of two matchers find each other's masks.
TEST(AutomatonTest, KeysDoNotDependOnWhatWasReadBefore) {
  const auto grammar = Brackets();
  GrammarAutomaton fresh(*grammar), used(*grammar);
  Read(used, "[[[[x]]]]", used.start());
  for (const std::string text : {"", "[", "[[", "[[x", "[[x]"}) {
    EXPECT_EQ(fresh.key(Read(fresh, text, fresh.start())), used.key(Read(used, text, used.start())))
        << text;
  }
  EXPECT_FALSE(fresh.key(Read(fresh, "[", fresh.start())) ==
               fresh.key(Read(fresh, "[[", fresh.start())));
}

TEST(AutomatonTest, ForgettingKeepsWhatIsLive) {
  const auto grammar = Brackets();
  GrammarAutomaton automaton(*grammar);
  Config live[] = {Read(automaton, "[[[", automaton.start()),
                   Read(automaton, "[x", automaton.start())};
  const ConfigKey keys[] = {automaton.key(live[0]), automaton.key(live[1])};
  const uint64_t work = automaton.work();
  automaton.Forget(live);
  EXPECT_GT(automaton.work(), work);
  for (size_t i = 0; i < 2; ++i) EXPECT_EQ(automaton.key(live[i]), keys[i]);
  EXPECT_TRUE(automaton.complete(Read(automaton, "x]]]", live[0])));
  EXPECT_TRUE(automaton.complete(Read(automaton, "]", live[1])));
  EXPECT_EQ(Read(automaton, "x]]]]", live[0]), GrammarAutomaton::kDead);
}

// Work is what a caller's budget is spent on: none where the table knows the answer.
TEST(AutomatonTest, WhatIsKnownTakesNoWork) {
  const auto grammar = ParseGbnf("root ::= [a-z]* \"!\"").value();
  GrammarAutomaton automaton(*grammar);
  Read(automaton, "ab", automaton.start());
  const uint64_t work = automaton.work();
  EXPECT_GT(work, 0u);
  Read(automaton, "someotherletters", automaton.start());
  EXPECT_EQ(automaton.work(), work);
}

}  // namespace
}  // namespace lockstep
