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

// What an error looks like from outside.
struct ErrorLook {
  int status;
  const char* type;
  const char* code;  // nullptr: null
};

ErrorLook LookOf(ErrorKind kind) {
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

ErrorLook LookOf(int status) {
  static const std::map<int, const char*> kCodes = {
      {401, "invalid_api_key"},       {404, "not_found"},
      {405, "method_not_allowed"},    {408, "request_timeout"},
      {411, "length_required"},       {413, "body_too_large"},
      {414, "uri_too_long"},          {415, "unsupported_media_type"},
      {417, "expectation_failed"},    {431, "headers_too_large"},
      {500, "internal_error"},        {501, "not_implemented"},
      {505, "version_not_supported"},
  };
  const auto code = kCodes.find(status);
  return {status, status < 500 ? "invalid_request_error" : "server_error",
          code == kCodes.end() ? nullptr : code->second};
}

std::string ErrorBody(const ErrorLook& look, std::string_view message, std::string_view param) {
  return fmt::format(R"({{"error":{{"message":{},"type":"{}","param":{},"code":{}}}}})",
                     DumpString(message), look.type, param.empty() ? "null" : DumpString(param),
                     look.code == nullptr ? "null" : DumpString(look.code));
}

std::string_view CodeOrType(const ErrorLook& look) {
  return look.code != nullptr ? look.code : look.type;
}

HttpReply MakeErrorReply(const ErrorLook& look, std::string body) {
  HttpReply reply;
  reply.status = look.status;
  reply.body = std::move(body);
  if (look.status == 401) reply.headers.emplace_back("WWW-Authenticate", "Bearer");
  reply.record->outcome = CodeOrType(look);
  return reply;
}

}  // namespace

void AddRetryAfter(HttpReply& reply, double seconds) {
  if (reply.status != 429 && reply.status != 503) return;
  if (seconds <= 0) seconds = reply.status == 429 ? kQueueRetryS : kUnavailableRetryS;
  seconds = std::min(seconds, kMaxRetryS);
  reply.headers.emplace_back("Retry-After",
                             fmt::format("{:.0f}", std::max(1.0, std::ceil(seconds))));
  // Of a second and less, for the client libraries that know it.
  reply.headers.emplace_back("retry-after-ms", fmt::format("{:.0f}", std::ceil(seconds * 1000)));
}

HttpReply ErrorReply(const Error& error) {
  const ErrorLook look = LookOf(error.kind);
  HttpReply reply = MakeErrorReply(look, RenderError(error));
  AddRetryAfter(reply, error.retry_after_s);
  // The client libraries try again after a 504. What took too long once will do so twice.
  if (look.status == 504) reply.headers.emplace_back("x-should-retry", "false");
  return reply;
}

HttpReply ErrorReply(int status, std::string_view message) {
  const ErrorLook look = LookOf(status);
  HttpReply reply = MakeErrorReply(look, ErrorBody(look, message, {}));
  AddRetryAfter(reply, 0);
  return reply;
}

std::string_view ErrorCode(ErrorKind kind) { return CodeOrType(LookOf(kind)); }

std::string RenderError(const Error& error) {
  return ErrorBody(LookOf(error.kind), error.message, error.param);
}

}  // namespace lockstep
