//   <|channel|>analysis<|message|>...<|end|><|start|>assistant
//   <|channel|>commentary to=functions.f <|constrain|>json<|message|>{...}<|call|>
//   <|channel|>final<|message|>...<|return|>
//
// The prompt ends with <|start|>assistant, and the last token of an answer is not part of its text.
#include "server/api/chat/harmony_reader.h"

#include <algorithm>
#include <utility>

namespace lockstep {
namespace {

using Kind = ChatPiece::Kind;

constexpr std::string_view kMessage = "<|message|>", kEnd = "<|end|>", kChannel = "<|channel|>",
                           kTo = " to=", kFunctions = "functions.";

bool IsBlankOrTag(char c) { return c == ' ' || c == '<'; }

// The word behind `before`, empty if there is none.
std::string_view WordBehind(std::string_view header, std::string_view before) {
  const size_t at = header.find(before);
  if (at == header.npos) return {};
  const std::string_view rest = header.substr(at + before.size());
  return rest.substr(0,
                     static_cast<size_t>(std::ranges::find_if(rest, IsBlankOrTag) - rest.begin()));
}

}  // namespace

HarmonyReader::HarmonyReader(const ChatForm& form, std::string answer_id)
    : has_calls_(form.calls != nullptr), form_(HarmonyForm()), answer_id_(std::move(answer_id)) {
  if (form.thought.inside) body_ = Body::kThought;
  if (!form.begun.empty()) body_ = Body::kText;
}

void HarmonyReader::Push(std::string_view text, std::vector<ChatPiece>* pieces) {
  held_ += text;
  while (body_ == Body::kHeader ? ReadHeader(pieces) : ReadBody(pieces)) {
  }
}

void HarmonyReader::Finish(std::vector<ChatPiece>* pieces) {
  // Without a header the answer is text: that of a model which was never taught the form.
  if (body_ == Body::kHeader && !held_.starts_with("<|")) body_ = Body::kText;
  if (body_ == Body::kThought || body_ == Body::kText) Emit(std::exchange(held_, {}), pieces);
}

bool HarmonyReader::ReadHeader(std::vector<ChatPiece>* pieces) {
  const size_t at = held_.find(kMessage);
  if (at == held_.npos) return false;
  const std::string header = " " + held_.substr(0, at);
  held_.erase(0, at + kMessage.size());
  const std::string_view to = WordBehind(header, kTo), channel = WordBehind(header, kChannel);
  if (to.starts_with(kFunctions) && has_calls_) {
    const std::string name(to.substr(kFunctions.size()));
    pieces->push_back({Kind::kCallBegin, {}, calls_++, CallId(form_, answer_id_, calls_), name});
    arguments_.emplace(form_, std::set<std::string>());
    body_ = Body::kCall;
  } else if (!to.empty()) {
    body_ = Body::kNone;
  } else {
    body_ = channel == "analysis" ? Body::kThought : Body::kText;
  }
  return true;
}

bool HarmonyReader::ReadBody(std::vector<ChatPiece>* pieces) {
  if (body_ == Body::kCall) {
    if (!arguments_->Read(calls_ - 1, &held_, pieces)) return false;
    body_ = Body::kNone;
  }
  const size_t at = held_.find(kEnd);
  const size_t certain = at != held_.npos ? at : held_.size() - PartAtEnd(held_, kEnd);
  Emit(held_.substr(0, certain), pieces);
  held_.erase(0, certain + (at != held_.npos ? kEnd.size() : 0));
  if (at == held_.npos) return false;
  body_ = Body::kHeader;
  return true;
}

void HarmonyReader::Emit(std::string text, std::vector<ChatPiece>* pieces) {
  if (text.empty() || body_ == Body::kNone) return;
  const Kind kind = body_ == Body::kThought ? Kind::kReasoning : Kind::kText;
  pieces->push_back({kind, std::move(text), 0, {}, {}});
}

}  // namespace lockstep
