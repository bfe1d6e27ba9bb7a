// A form's calls in pieces of every size; chat_answer_test has the forms of all families.
#include "server/api/chat/call_reader.h"

#include <gtest/gtest.h>

namespace lockstep {
namespace {

using Kind = ChatPiece::Kind;

struct Read {
  std::string text;
  std::vector<std::string> calls;  // NAME ARGUMENTS
  std::vector<std::string> ids;
  size_t ended = 0;
  bool operator==(const Read&) const = default;
};

Read ReadIn(size_t piece, std::string_view text, const CallForm& form = HermesForm()) {
  CallReader reader(std::make_shared<const CallForm>(form), nullptr, "id");
  std::vector<ChatPiece> pieces;
  for (size_t at = 0; at < text.size(); at += piece) reader.Push(text.substr(at, piece), &pieces);
  reader.Finish(&pieces);
  Read read;
  for (const ChatPiece& part : pieces) {
    if (part.kind == Kind::kText) read.text += part.text;
    if (part.kind == Kind::kCallBegin) {
      EXPECT_EQ(part.call, read.calls.size());
      read.calls.push_back(part.name + " ");
      read.ids.push_back(part.id);
    }
    if (part.kind == Kind::kArguments) read.calls.at(part.call) += part.text;
    if (part.kind == Kind::kCallEnd) ++read.ended;
  }
  EXPECT_EQ(reader.calls(), read.calls.size());
  return read;
}

void ExpectRead(std::string_view text, const std::string& shown,
                const std::vector<std::string>& calls) {
  const Read whole = ReadIn(text.size(), text);
  EXPECT_EQ(whole.text, shown);
  EXPECT_EQ(whole.calls, calls);
  EXPECT_EQ(whole.ended, calls.size());
  EXPECT_EQ(std::set(whole.ids.begin(), whole.ids.end()).size(), calls.size());
  for (size_t piece = 1; piece < text.size(); ++piece) {
    EXPECT_EQ(ReadIn(piece, text), whole) << piece;
  }
}

constexpr char kCall[] =
    "<tool_call>\n{\"name\": \"f\", \"arguments\": {\"a\": \"}\"}}\n</tool_call>";

TEST(CallReader, TellsTextFromCalls) {
  ExpectRead("Just text <tool", "Just text <tool", {});
  ExpectRead(kCall, "", {"f {\"a\": \"}\"}"});
  ExpectRead(std::string("See: \n\n") + kCall, "See:", {"f {\"a\": \"}\"}"});
  ExpectRead(std::string(kCall) + "\n" + kCall, "", {"f {\"a\": \"}\"}", "f {\"a\": \"}\"}"});
}

TEST(CallReader, WhatOnlyLooksLikeACallIsText) {
  ExpectRead("<tool_call> is a tag", "<tool_call> is a tag", {});
  ExpectRead("See \n <tool_call> of XML", "See \n <tool_call> of XML", {});
  ExpectRead("a <tool_call>\n{\"na", "a", {});  // the beginning of one, which never ended
}

TEST(CallReader, AnIdOfTheModelsOwnIsKept) {
  CallForm form = HermesForm();
  form.after_name = std::string("#") + kAnyId + form.after_name;
  const std::string call = "<tool_call>\n{\"name\": \"f#x7\", \"arguments\": {}}\n</tool_call>";
  const Read read = ReadIn(5, call + "\n" + call, form);
  ASSERT_EQ(read.ids.size(), 2u);
  EXPECT_EQ(read.ids[0], "x7");
  EXPECT_NE(read.ids[1], "x7");  // clients tell calls by their ids
}

}  // namespace
}  // namespace lockstep
