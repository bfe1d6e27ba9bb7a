// Whole answers and streams go through the same reader, so that the pieces of a stream add up to
// the whole answer.
#include "server/api/chat/chat_answer.h"

#include <algorithm>
#include <string_view>
#include <utility>

namespace lockstep {

using Kind = ChatPiece::Kind;

namespace {

constexpr std::string_view kSpace = " \t\r\n";

}  // namespace

ChatAnswerReader::ChatAnswerReader(const ChatForm& form, const std::string& answer_id)
    : tags_(form.thought), thought_(form.thought), opened_(form.thought.inside) {
  if (form.harmony) {
    harmony_.emplace(form, answer_id);
  } else if (form.calls != nullptr) {
    calls_.emplace(form.calls, form.strings, answer_id, form.formatted);
  }
}

size_t ChatAnswerReader::calls() const {
  return harmony_ ? harmony_->calls() : calls_ ? calls_->calls() : 0;
}

bool ChatAnswerReader::thinking() const {
  return harmony_ ? harmony_->thinking() : thought_.inside();
}

std::vector<ChatPiece> ChatAnswerReader::Push(const TokenEvent& token) {
  std::vector<ChatPiece> pieces;
  const bool was_thinking = thinking();
  Read(token.text, false, &pieces);
  if (was_thinking || thinking()) ++reasoning_tokens_;
  return pieces;
}

std::vector<ChatPiece> ChatAnswerReader::Finish() {
  std::vector<ChatPiece> pieces;
  Read({}, true, &pieces);
  if (calls_) calls_->Finish(&pieces);
  return pieces;
}

void ChatAnswerReader::Read(std::string_view text, bool last, std::vector<ChatPiece>* pieces) {
  if (harmony_) {
    last ? harmony_->Finish(pieces) : harmony_->Push(text, pieces);
    return;
  }
  if (thought_.outside()) return ReadAnswer(text, pieces);
  const ThoughtSplitter::Parts parts = thought_.Push(text, last);
  ReadThought(parts, pieces);
  ReadAnswer(parts.rest, pieces);
}

void ChatAnswerReader::ReadThought(const ThoughtSplitter::Parts& parts,
                                   std::vector<ChatPiece>* pieces) {
  std::string_view text = parts.thought;
  if (parts.closed) {
    text.remove_suffix(tags_.close.size());
    drop_space_ = true;
  }
  if (!opened_ && !text.empty()) {
    text.remove_prefix(text.find(tags_.open) + tags_.open.size());
    opened_ = true;
  }
  std::string thought = std::exchange(space_, {}) + std::string(text);
  if (!thought_begun_)
    thought.erase(0, std::min(thought.find_first_not_of(kSpace), thought.size()));
  space_ = thought.substr(thought.find_last_not_of(kSpace) + 1);
  thought.resize(thought.size() - space_.size());
  if (thought.empty()) return;
  thought_begun_ = true;
  pieces->push_back({Kind::kReasoning, std::move(thought), 0, {}, {}});
}

void ChatAnswerReader::ReadAnswer(std::string_view text, std::vector<ChatPiece>* pieces) {
  if (drop_space_) {
    text.remove_prefix(std::min(text.find_first_not_of(kSpace), text.size()));
    drop_space_ = text.empty();
  }
  if (text.empty()) return;
  if (calls_) {
    calls_->Push(text, pieces);
  } else {
    pieces->push_back({Kind::kText, std::string(text), 0, {}, {}});
  }
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
  ChatAnswerReader reader(form, answer.id);
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
