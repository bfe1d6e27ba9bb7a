// Whole answers and streams go through the same reader, so that the pieces of a stream add up to
// the whole answer.
#include "server/api/chat/chat_answer.h"

#include <algorithm>
#include <utility>

namespace lockstep {

using Kind = ChatPiece::Kind;

ChatAnswerReader::ChatAnswerReader(const ChatForm& form) {
  if (!form.tools) return;
  style_ = *form.tools;
  tools_.emplace(style_);
}

std::vector<ChatPiece> ChatAnswerReader::Push(const TokenEvent& token) {
  if (tools_) return Pieces(tools_->Push(token.text));
  if (token.text.empty()) return {};
  return {{Kind::kText, token.text, 0, {}, {}}};
}

std::vector<ChatPiece> ChatAnswerReader::Finish() {
  return tools_ ? Pieces(tools_->Finish()) : std::vector<ChatPiece>();
}

std::vector<ChatPiece> ChatAnswerReader::Pieces(const std::vector<ToolDelta>& deltas) {
  std::vector<ChatPiece> pieces;
  for (const ToolDelta& delta : deltas) {
    if (!delta.call) {
      pieces.push_back({Kind::kText, delta.content, 0, {}, {}});
      continue;
    }
    if (delta.name) {
      ++calls_;
      pieces.push_back({Kind::kCallBegin, {}, *delta.call, NewToolCallId(style_), *delta.name});
    }
    if (!delta.arguments.empty()) {
      pieces.push_back({Kind::kArguments, delta.arguments, *delta.call, {}, {}});
    }
    if (delta.ends) pieces.push_back({Kind::kCallEnd, {}, *delta.call, {}, {}});
  }
  return pieces;
}

namespace {

void Add(std::vector<ChatPiece> pieces, ChatAnswer* answer) {
  for (ChatPiece& piece : pieces) {
    switch (piece.kind) {
      case Kind::kReasoning:
        answer->reasoning += piece.text;
        break;
      case Kind::kText:
        answer->text += piece.text;
        break;
      case Kind::kCallBegin:
        answer->calls.push_back({std::move(piece.id), std::move(piece.name), {}, false});
        break;
      case Kind::kArguments:
        answer->calls[piece.call].arguments += piece.text;
        break;
      case Kind::kCallEnd:
        answer->calls[piece.call].whole = true;
        break;
    }
  }
}

}  // namespace

ChatAnswer ReadChatAnswer(const ChatForm& form, const Answer& answer) {
  ChatAnswerReader reader(form);
  ChatAnswer read;
  size_t from = 0;
  for (size_t i = 0; i < answer.text_ends.size(); ++i) {
    TokenEvent token;
    token.index = i;
    token.sampled.token = answer.tokens[i];
    token.text = answer.text.substr(from, answer.text_ends[i] - from);
    from = answer.text_ends[i];
    Add(reader.Push(token), &read);
  }
  Add(reader.Finish(), &read);
  read.reasoning_tokens = reader.reasoning_tokens();
  return read;
}

bool EndsInCalls(const Answer& answer, const ChatAnswer& read) {
  return answer.finish == FinishReason::kStop && !read.calls.empty() &&
         std::ranges::all_of(read.calls, &ChatCall::whole);
}

}  // namespace lockstep
