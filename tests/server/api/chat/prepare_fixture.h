// A conversation on its way to a prompt and a form of the answer, before a fake service.
#pragma once

#include <gtest/gtest.h>

#include <string_view>

#include "server/api/chat/prepare.h"
#include "tests/server/generation/fake_service.h"
#include "tests/support/grammar_match.h"

namespace lockstep {

class PrepareFixture : public testing::Test {
 protected:
  Result<ChatForm> Prepare(const Conversation& conversation) {
    context_.ignored.clear();
    context_.headers.clear();
    generate_ = {};
    return PrepareChat(conversation, FieldNames(), context_, &generate_);
  }
  // Whether the grammar of the last conversation allows a text.
  bool Allows(std::string_view text) {
    const auto& grammar = generate_.options.grammar;
    return grammar == nullptr || Matches(grammar->grammar(), text);
  }

  FakeService service_;
  const ModelNames names_{};
  ReadContext context_{service_, names_, false, {}};
  GenerateRequest generate_;
};

}  // namespace lockstep
