#include "server/api/chat/harmony_reader.h"

#include <gtest/gtest.h>

namespace lockstep {
namespace {

using Kind = ChatPiece::Kind;

// "thought:... text:... call:NAME ARGUMENTS;" of an answer in pieces of a size.
std::string ReadIn(size_t piece, std::string_view text, const ChatForm& form) {
  HarmonyReader reader(form, "id");
  std::vector<ChatPiece> pieces;
  for (size_t at = 0; at < text.size(); at += piece) reader.Push(text.substr(at, piece), &pieces);
  reader.Finish(&pieces);
  std::string read;
  std::optional<Kind> last;
  for (const ChatPiece& part : pieces) {
    if (last != part.kind && part.kind == Kind::kReasoning) read += "thought:";
    if (last != part.kind && part.kind == Kind::kText) read += "text:";
    if (part.kind == Kind::kCallBegin) read += "call:" + part.name + " ";
    read += part.kind == Kind::kCallEnd ? ";" : part.text;
    last = part.kind;
  }
  return read;
}

void ExpectRead(std::string_view text, const ChatForm& form, const std::string& wanted) {
  for (size_t piece = 1; piece <= text.size(); ++piece) {
    EXPECT_EQ(ReadIn(piece, text, form), wanted) << piece;
  }
}

ChatForm WithCalls() {
  ChatForm form;
  form.calls = std::make_shared<const CallForm>(HarmonyForm());
  form.harmony = true;
  return form;
}

constexpr char kThought[] = "<|channel|>analysis<|message|>So <|en.<|end|><|start|>assistant";
constexpr char kCall[] =
    "<|channel|>commentary to=functions.f <|constrain|>json<|message|>{\"a\": 1}<|call|>";

TEST(HarmonyReader, ChannelsSayWhatAPartIs) {
  ExpectRead(std::string(kThought) + kCall, WithCalls(), "thought:So <|en.call:f {\"a\": 1};");
  ExpectRead("<|channel|>final<|message|>Four", WithCalls(), "text:Four");
  ExpectRead("<|channel|>commentary<|message|>Wait<|end|><|start|>assistant" + std::string(kCall),
             WithCalls(), "text:Waitcall:f {\"a\": 1};");
}

TEST(HarmonyReader, CallsAreLeftOutWhereThereAreNone) {
  ChatForm form;
  form.harmony = true;
  ExpectRead(kCall, form, "");
  // So are those of what is no tool of the client's.
  ExpectRead("<|channel|>commentary to=browser.search<|message|>{}", WithCalls(), "");
}

TEST(HarmonyReader, AnAnswerMayGoOnWithAPart) {
  ChatForm form = WithCalls();
  form.thought.inside = true;
  ExpectRead("So.<|end|><|start|>assistant<|channel|>final<|message|>Four", form,
             "thought:So.text:Four");
  form.begun = "Fo";
  ExpectRead("ur", form, "text:ur");
}

TEST(HarmonyReader, AnAnswerWithoutAHeaderIsText) {
  ExpectRead("Four", WithCalls(), "text:Four");
  ExpectRead("<|channel|>final", WithCalls(), "");
}

}  // namespace
}  // namespace lockstep
