// The text has been bound to the form's grammar, so that each literal is expected where the grammar
// puts it; what is something else, because a client has turned the grammar's calls off, is text.
#include "server/api/chat/call_reader.h"

#include <algorithm>
#include <utility>

namespace lockstep {

using Kind = ChatPiece::Kind;

CallReader::CallReader(std::shared_ptr<const CallForm> form,
                       std::shared_ptr<const StringParameters> strings, std::string answer_id,
                       bool at_start)
    : form_(std::move(form)),
      strings_(std::move(strings)),
      answer_id_(std::move(answer_id)),
      marker_(Marker(*form_)),
      begin_(Prefix(*form_).substr(marker_.size())),
      next_(form_->between + form_->before_name),
      at_start_(at_start || IsAtStart(*form_)) {}

void CallReader::Push(std::string_view text, std::vector<ChatPiece>* pieces) {
  held_ += text;
  while (ReadNext(pieces)) continue;
}

bool CallReader::ReadNext(std::vector<ChatPiece>* pieces) {
  switch (state_) {
    case State::kStart:
    case State::kText:
      return ReadText(pieces);
    case State::kBegin:
      return ReadBegin(pieces);
    case State::kName:
      return ReadName(pieces);
    case State::kArguments:
      return ReadArguments(pieces);
    case State::kTail:
      return ReadTail();
    case State::kEnd:
      break;
  }
  held_.clear();
  return false;
}

void CallReader::Finish(std::vector<ChatPiece>* pieces) {
  if (state_ == State::kStart || state_ == State::kText) EmitText(held_.size(), pieces);
  held_.clear();
}

void CallReader::EmitText(size_t size, std::vector<ChatPiece>* pieces) {
  if (size > 0) pieces->push_back({Kind::kText, held_.substr(0, size), 0, {}, {}});
  held_.erase(0, size);
}

// Text that could be the beginning of the marker is held back: of "a <tool" only "a" is given out
// until more has come. Space in front of a call belongs to the call's form and is held back as
// well.
bool CallReader::ReadText(std::vector<ChatPiece>* pieces) {
  if (at_start_) {
    if (state_ == State::kStart && held_.starts_with(marker_)) {
      TakeMarker(marker_.size());
      return true;
    }
    if (state_ == State::kStart && marker_.starts_with(held_)) return false;
    state_ = State::kText;
    EmitText(held_.size(), pieces);
    return false;
  }
  const size_t at = held_.find(marker_);
  const std::string_view text = std::string_view(held_).substr(
      0, at != held_.npos ? at : held_.size() - PartAtEnd(held_, marker_));
  EmitText(text.find_last_not_of(" \t\r\n") + 1, pieces);  // npos + 1 is 0
  if (at == held_.npos) return false;
  TakeMarker(held_.find(marker_) + marker_.size());
  return true;
}

// The marker and the space in front of it are text after all if no call follows.
void CallReader::TakeMarker(size_t size) {
  marked_ = held_.substr(0, size);
  held_.erase(0, size);
  state_ = State::kBegin;
}

bool CallReader::ReadBegin(std::vector<ChatPiece>* pieces) {
  const size_t space = form_->mistral && held_.starts_with(' ') && !begin_.empty() ? 1 : 0;
  const std::string_view ahead = std::string_view(held_).substr(space);
  const auto match = MatchLiteral(ahead, begin_, &id_);
  if (match == ahead.npos) return false;
  if (match) {
    held_.erase(0, space + *match);
    state_ = State::kName;
    return true;
  }
  held_.insert(0, marked_);
  state_ = State::kText;
  EmitText(held_.size(), pieces);
  return false;
}

bool CallReader::ReadName(std::vector<ChatPiece>* pieces) {
  const std::string& behind = form_->after_name;
  size_t end = static_cast<size_t>(std::ranges::find_if_not(held_, IsCallNameChar) - held_.begin());
  if (end == held_.size()) return false;
  const std::string_view held = held_;
  auto match = MatchLiteral(held.substr(end), behind, &id_);
  // What stands behind a name may begin as a name does.
  for (size_t i = 1; i < end && !match && IsCallNameChar(behind[0]); ++i) {
    match = MatchLiteral(held.substr(i), behind, &id_);
    if (match) end = i;
  }
  if (match == held.npos) return false;
  if (!match) {
    state_ = State::kEnd;
    return true;
  }
  const std::string name = held_.substr(0, end);
  // The model's own id, if it has one, is what the template shows again; but clients tell calls by
  // their ids.
  if (id_.empty() || !ids_.insert(id_).second) id_ = CallId(*form_, answer_id_, calls_);
  pieces->push_back({Kind::kCallBegin, {}, calls_++, std::exchange(id_, {}), name});
  held_.erase(0, end + *match);
  const bool known = strings_ != nullptr && strings_->contains(name);
  arguments_.emplace(*form_, known ? strings_->at(name) : std::set<std::string>());
  state_ = State::kArguments;
  return true;
}

bool CallReader::ReadArguments(std::vector<ChatPiece>* pieces) {
  if (!arguments_->Read(calls_ - 1, &held_, pieces)) return false;
  state_ = State::kTail;
  return true;
}

// What stands between two calls, and behind the last one, is given to nobody.
bool CallReader::ReadTail() {
  if (!form_->many) {
    state_ = State::kEnd;
    return true;
  }
  const std::string next = form_->after + next_;
  size_t at = 0;
  auto match = MatchLiteral(held_, next, &id_);
  if (!match && form_->mistral) {  // behind an id
    at = held_.find(next);
    if (at != held_.npos) match = next.size();
  }
  if (!match || match == held_.npos) return false;
  held_.erase(0, at + *match);
  state_ = State::kName;
  return true;
}

}  // namespace lockstep
