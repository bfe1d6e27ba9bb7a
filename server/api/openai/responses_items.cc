// One item is open at a time, the last one: a piece of another kind ends it. What has no events,
// an answer that is not streamed, goes the same way, so that both have the same items.
#include "server/api/openai/responses_items.h"

#include <fmt/format.h>

#include <utility>

#include "server/api/openai/responses_input.h"
#include "server/api/openai/tool_answer.h"
#include "server/http/sse.h"

namespace lockstep {

void EventLog::Add(std::string_view type, const Json& fields) {
  Json event{{"type", type}, {"sequence_number", next_++}};
  event.update(fields);
  text_ += FrameNamedEvent(type, Dump(event));
}

void ResponseItems::Add(const ChatPiece& piece, Json logprobs) {
  switch (piece.kind) {
    case ChatPiece::Kind::kReasoning:
      if (!IsOpen(Kind::kThought)) Open(Kind::kThought, piece);
      return Grow(
          summarized_ ? "response.reasoning_summary_text.delta" : "response.reasoning_text.delta",
          piece.text, {});
    case ChatPiece::Kind::kText:
      if (!IsOpen(Kind::kMessage)) Open(Kind::kMessage, piece);
      return Grow("response.output_text.delta", piece.text, std::move(logprobs));
    case ChatPiece::Kind::kCallBegin:
      return Open(tools_.list.custom.contains(piece.name) ? Kind::kCustomCall : Kind::kCall, piece);
    case ChatPiece::Kind::kArguments:
      // A custom call's input is a string inside of its arguments, so that it can be unescaped only
      // when they are whole.
      if (IsOpen(Kind::kCustomCall)) {
        items_.back().text += piece.text;
        return;
      }
      return Grow("response.function_call_arguments.delta", piece.text, {});
    case ChatPiece::Kind::kCallEnd:
      return Close(/*whole=*/true);
  }
}

void ResponseItems::End(bool cut, Json logprobs) {
  if (items_.empty()) Open(Kind::kMessage, {});
  if (IsOpen(Kind::kMessage)) {
    for (Json& logprob : logprobs) items_.back().logprobs.push_back(std::move(logprob));
  }
  // What begins a call and does not end it can never be run.
  Close(!cut && !IsOpen(Kind::kCall) && !IsOpen(Kind::kCustomCall));
}

Json ResponseItems::Output() const {
  Json output = Json::array();
  for (const Item& item : items_) output.push_back(ItemJson(item));
  return output;
}

void ResponseItems::Open(Kind kind, const ChatPiece& piece) {
  Close(/*whole=*/true);
  static constexpr const char* kPrefixes[] = {"rs", "msg", "fc", "ctc"};
  Item item;
  item.kind = kind;
  item.id = fmt::format("{}_{}{}", kPrefixes[static_cast<size_t>(kind)], id_, items_.size());
  item.call_id = piece.id;
  item.name = piece.name;
  items_.push_back(std::move(item));
  if (events_ == nullptr) return;
  Json json = ItemJson(items_.back());
  for (const char* parts : {"content", "summary"}) {
    if (json.contains(parts)) json[parts] = Json::array();
  }
  events_->Add("response.output_item.added",
               {{"output_index", items_.size() - 1}, {"item", std::move(json)}});
  if (IsSummary(items_.back())) {
    Tell("response.reasoning_summary_part.added",
         {{"summary_index", 0}, {"part", Part(items_.back())}});
  } else if (kind == Kind::kMessage || kind == Kind::kThought) {
    Tell("response.content_part.added", {{"content_index", 0}, {"part", Part(items_.back())}});
  }
}

void ResponseItems::Grow(const char* type, const std::string& delta, Json logprobs) {
  Item& item = items_.back();
  item.text += delta;
  Json fields{{"delta", delta}};
  if (item.kind != Kind::kCall) fields[IsSummary(item) ? "summary_index" : "content_index"] = 0;
  if (item.kind == Kind::kMessage) {
    for (const Json& logprob : logprobs) item.logprobs.push_back(logprob);
    fields["logprobs"] = logprobs.is_null() ? Json::array() : std::move(logprobs);
  }
  Tell(type, fields);
}

void ResponseItems::Close(bool whole) {
  if (items_.empty() || items_.back().status != "in_progress") return;
  Item& item = items_.back();
  item.status = whole ? "completed" : "incomplete";
  if (events_ == nullptr) return;
  const Json text{{IsSummary(item) ? "summary_index" : "content_index", 0}, {"text", item.text}};
  switch (item.kind) {
    case Kind::kThought:
      Tell(summarized_ ? "response.reasoning_summary_text.done" : "response.reasoning_text.done",
           text);
      break;
    case Kind::kMessage: {
      Json done = text;
      done["logprobs"] = item.logprobs;
      Tell("response.output_text.done", done);
      break;
    }
    case Kind::kCall:
      Tell("response.function_call_arguments.done",
           {{"name", ItemJson(item)["name"]}, {"arguments", item.text}});
      break;
    case Kind::kCustomCall:
      Tell("response.custom_tool_call_input.delta", {{"delta", CustomInput(item.text)}});
      Tell("response.custom_tool_call_input.done", {{"input", CustomInput(item.text)}});
      break;
  }
  if (IsSummary(item)) {
    Tell("response.reasoning_summary_part.done", {{"summary_index", 0}, {"part", Part(item)}});
  } else if (item.kind == Kind::kMessage || item.kind == Kind::kThought) {
    Tell("response.content_part.done", {{"content_index", 0}, {"part", Part(item)}});
  }
  events_->Add("response.output_item.done",
               {{"output_index", items_.size() - 1}, {"item", ItemJson(item)}});
}

void ResponseItems::Tell(std::string_view type, const Json& fields) {
  if (events_ == nullptr) return;
  Json event{{"item_id", items_.back().id}, {"output_index", items_.size() - 1}};
  event.update(fields);
  events_->Add(type, event);
}

Json ResponseItems::Part(const Item& item) const {
  if (item.kind == Kind::kThought) {
    return {{"type", summarized_ ? "summary_text" : "reasoning_text"}, {"text", item.text}};
  }
  return {{"type", "output_text"},
          {"text", item.text},
          {"annotations", Json::array()},
          {"logprobs", item.logprobs}};
}

Json ResponseItems::ItemJson(const Item& item) const {
  Json json{{"id", item.id}, {"type", "message"}, {"status", item.status}};
  if (item.kind == Kind::kThought) {
    json["type"] = "reasoning";
    json["summary"] = Json::array();
    json[summarized_ ? "summary" : "content"] = Json::array({Part(item)});
    if (encrypted_) json["encrypted_content"] = std::string(kPlainThought) + item.text;
    return json;
  }
  if (item.kind == Kind::kMessage) {
    json["role"] = "assistant";
    json["content"] = Json::array({Part(item)});
    return json;
  }
  const auto spaced = tools_.spaced.find(item.name);
  const bool inside = spaced != tools_.spaced.end();
  json["type"] = item.kind == Kind::kCall ? "function_call" : "custom_tool_call";
  json["call_id"] = item.call_id;
  if (inside) json["namespace"] = spaced->second.space;
  json["name"] = inside ? spaced->second.name : item.name;
  if (item.kind == Kind::kCall) {
    json["arguments"] = item.text;
  } else {
    json["input"] = item.text.empty() ? "" : CustomInput(item.text);
  }
  return json;
}

}  // namespace lockstep
