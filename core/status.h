// Expected failures as values. An Error says what is wrong, where, and what to do about it;
// its kind decides the exit code or the HTTP status. Bugs are asserts, never Errors.
#pragma once

#include <string>
#include <tl/expected.hpp>
#include <utility>

namespace lockstep {

enum class ErrorKind {
  kInvalidArgument,   // a bad flag or request field
  kBadFile,           // a file that is malformed or not supported
  kContextExceeded,   // more tokens than the context holds
  kNotFound,          // no such model, route or request
  kOverloaded,        // the queue is full: try again later
  kUnavailable,       // loading or draining
  kDeadlineExceeded,  // the request took too long
  kCancelled,         // the client went away
  kInternal,          // our own fault
};

struct Error {
  ErrorKind kind = ErrorKind::kInternal;
  std::string message;       // one sentence for a person
  std::string param;         // the request field or flag at fault, if one is
  double retry_after_s = 0;  // kOverloaded and kUnavailable: when to try again, if that is known
};

template <class T>
using Result = tl::expected<T, Error>;
using Status = Result<void>;

// `return Fail(ErrorKind::kBadFile, "...")` from any function that returns a Result.
inline tl::unexpected<Error> Fail(ErrorKind kind, std::string message, std::string param = {}) {
  return tl::unexpected<Error>(Error{kind, std::move(message), std::move(param), 0});
}

}  // namespace lockstep
