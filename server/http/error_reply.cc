// Clients of OpenAI's API decide by status, type and code whether to try again, so these stand in
// one table each, and no handler writes its own.
#include "server/http/error_reply.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <utility>

#include "server/json/json_text.h"

namespace lockstep {
namespace {

// Where nothing better is known: a queue moves with every request that ends, a model is loaded or
// another server started in seconds.
constexpr double kQueueRetryS = 1, kUnavailableRetryS = 5, kMaxRetryS = 3600;

// All of an error but its message.
struct ErrorForm {
  int status;
  const char* type;
  const char* code;  // nullptr: null
};

ErrorForm FormOf(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::kInvalidArgument:
      return {400, "invalid_request_error", nullptr};
    case ErrorKind::kContextExceeded:
      return {400, "invalid_request_error", "context_length_exceeded"};
    case ErrorKind::kNotFound:  // of the core's errors and the dialects', the model alone
      return {404, "invalid_request_error", "model_not_found"};
    case ErrorKind::kOverloaded:
      return {429, "rate_limit_exceeded", "queue_full"};
    case ErrorKind::kUnavailable:
      return {503, "server_error", "unavailable"};
    case ErrorKind::kDeadlineExceeded:
      return {504, "server_error", "deadline_exceeded"};
    case ErrorKind::kCancelled:  // seldom read by anyone: the client has gone
      return {499, "server_error", "cancelled"};
    case ErrorKind::kBadFile:
    case ErrorKind::kInternal:
      break;
  }
  return {500, "server_error", "internal_error"};
}

ErrorForm FormOf(int status) {
  static const std::map<int, const char*> kCodes = {
      {401, "invalid_api_key"},    {403, "host_not_allowed"},      {404, "not_found"},
      {405, "method_not_allowed"}, {408, "request_timeout"},       {411, "length_required"},
      {413, "body_too_large"},     {414, "uri_too_long"},          {415, "unsupported_media_type"},
      {417, "expectation_failed"}, {431, "headers_too_large"},     {500, "internal_error"},
      {501, "not_implemented"},    {505, "version_not_supported"},
  };
  const auto code = kCodes.find(status);
  return {status, status < 500 ? "invalid_request_error" : "server_error",
          code == kCodes.end() ? nullptr : code->second};
}

std::string ErrorBody(const ErrorForm& form, std::string_view message, std::string_view param) {
  return fmt::format(R"({{"error":{{"message":{},"type":"{}","param":{},"code":{}}}}})",
                     DumpString(message), form.type, param.empty() ? "null" : DumpString(param),
                     form.code == nullptr ? "null" : DumpString(form.code));
}

std::string_view CodeOrType(const ErrorForm& form) {
  return form.code != nullptr ? form.code : form.type;
}

HttpReply MakeErrorReply(const ErrorForm& form, std::string body) {
  HttpReply reply;
  reply.status = form.status;
  reply.body = std::move(body);
  if (form.status == 401) reply.headers.emplace_back("WWW-Authenticate", "Bearer");
  reply.record->outcome = CodeOrType(form);
  return reply;
}

}  // namespace

void AddRetryAfter(HttpReply& reply, double seconds) {
  if (reply.status != 429 && reply.status != 503) return;
  if (seconds <= 0) seconds = reply.status == 429 ? kQueueRetryS : kUnavailableRetryS;
  seconds = std::min(seconds, kMaxRetryS);
  reply.headers.emplace_back("Retry-After",
                             fmt::format("{:.0f}", std::max(1.0, std::ceil(seconds))));
  // The client libraries that know it can so be told less than a second.
  reply.headers.emplace_back("retry-after-ms", fmt::format("{:.0f}", std::ceil(seconds * 1000)));
}

HttpReply ErrorReply(const Error& error) {
  const ErrorForm form = FormOf(error.kind);
  HttpReply reply = MakeErrorReply(form, RenderError(error));
  AddRetryAfter(reply, error.retry_after_s);
  // The client libraries try again after a 504. What took too long once will do so twice.
  if (form.status == 504) reply.headers.emplace_back("x-should-retry", "false");
  return reply;
}

HttpReply ErrorReply(int status, std::string_view message) {
  const ErrorForm form = FormOf(status);
  HttpReply reply = MakeErrorReply(form, ErrorBody(form, message, {}));
  AddRetryAfter(reply, 0);
  return reply;
}

std::string_view ErrorCode(ErrorKind kind) { return CodeOrType(FormOf(kind)); }

std::string RenderError(const Error& error) {
  return ErrorBody(FormOf(error.kind), error.message, error.param);
}

}  // namespace lockstep
