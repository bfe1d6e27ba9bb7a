// What passes between the HTTP server and whoever answers its requests: plain structs, without the
// HTTP library, JSON or a model. Each belongs to one request, and has no lock of its own.
#pragma once

#include <strings.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace lockstep {

using HttpHeaders = std::vector<std::pair<std::string, std::string>>;

inline bool IsAlphanumeric(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

inline std::string LowerCase(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return lower;
}

inline bool EqualsNoCase(std::string_view a, std::string_view b) {
  return a.size() == b.size() && strncasecmp(a.data(), b.data(), a.size()) == 0;
}

// The value of the first header of that name in any case, or an empty view.
inline std::string_view FindHeader(const HttpHeaders& headers, std::string_view name) {
  for (const auto& [key, value] : headers) {
    if (EqualsNoCase(key, name)) return value;
  }
  return {};
}

// The text without spaces and tabs, or what else is said to be space, at both ends.
inline std::string_view TrimSpaces(std::string_view text, std::string_view spaces = " \t") {
  const size_t begin = text.find_first_not_of(spaces);
  if (begin == text.npos) return {};
  return text.substr(begin, text.find_last_not_of(spaces) - begin + 1);
}

// What names and other words of headers are made of: RFC 9110's tchar.
inline bool IsTokenCharacter(char c) {
  return IsAlphanumeric(c) ||
         (c != 0 && std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos);
}

struct HttpRequest {
  std::string method;
  std::string path;   // percent-decoded, without the query
  std::string query;  // as it came, without the question mark; query.h reads it
  HttpHeaders headers;
  std::string body;
  std::string request_id;
  std::string peer;  // the client's address, without the port
  // True once the client has closed its side: nobody will read an answer.
  std::function<bool()> client_gone = [] { return false; };
};

// What the log says about one request. Never the prompt, never the text.
struct RequestRecord {
  std::string request_id;  // X-Request-Id, the client's or ours
  std::string id;          // of the generation
  std::string method, path;
  std::string route;           // what the path stands for; empty: nothing of ours
  std::string_view operation;  // of the route, which outlives this; empty: it asks no model
  bool control = false;        // a health check or a scrape, of which there are many
  // Ids of the traceparent that came, else empty; `traced`: its sender tells of this trace.
  std::string trace_id, span_id, parent_id;
  bool traced = false;
  int status = 0;
  std::string outcome;  // "ok", a finish reason, "cancelled" or an error's code
  size_t prompt_tokens = 0, completion_tokens = 0;
  bool resumed = false;  // it went on with a stream that had broken off
  // How many answers were asked for, with how many tokens at most, and how many tokens the longest
  // had. No answers: it was no request to generate.
  size_t answers = 0, max_tokens = 0, longest_answer = 0;
  std::string model;  // that answered
  bool stream = false;
  double temperature = 0, top_p = 1;
  uint64_t seed = 0;
  size_t cached_tokens = 0;  // of the prompt, in the first answer, as its times are
  double queue_ms = 0, prefill_ms = 0, decode_ms = 0;
  double first_token_ms = 0;  // from submission
  double tokens_per_second = 0;
  double total_ms = 0;
};

// A part of a streamed body. After kLast the body is complete; after kClose it is too, and the
// connection ends; kAbort ends the connection without completing the body.
struct BodyPart {
  enum class Then { kMore, kLast, kClose, kAbort };
  std::string data;
  Then then = Then::kMore;
};

struct HttpReply {
  int status = 200;
  std::string content_type = "application/json";
  HttpHeaders headers;
  std::string body;
  // Streamed instead of `body`: called for one part after the other, and blocks until there is one.
  // Destroying it before the last part cancels the request.
  std::function<BodyPart()> next;
  // Another server of ours has made it, with all that replies get on their way.
  bool handed_on = false;
  std::shared_ptr<RequestRecord> record = std::make_shared<RequestRecord>();
};

using HttpHandler = std::function<HttpReply(const HttpRequest&)>;

}  // namespace lockstep
