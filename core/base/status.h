// Expected failures as values. An Error says what is wrong, where, and what to do about it;
// its kind decides the exit code or the HTTP status. Bugs are asserts, never Errors.
#pragma once

#include <exception>
#include <new>
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
  kUnavailable,       // loading, draining or out of memory
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

// TRY(auto config, ReadModelConfig(file)); declares config, or assigns to it if it exists already,
// with the value of a Result, or returns its error. TRY_OK(Check(file)); is the same for a Status.
// REQUIRES: a function that returns a Result or Status. TRY is two statements: it needs braces.
#define TRY(target, ...) LOCKSTEP_TRY(LOCKSTEP_JOIN(tried_, __COUNTER__), target, __VA_ARGS__)
#define TRY_OK(...) LOCKSTEP_TRY_OK(LOCKSTEP_JOIN(tried_, __COUNTER__), __VA_ARGS__)
#define LOCKSTEP_TRY(result, target, ...)                                             \
  auto result = (__VA_ARGS__);                                                        \
  if (!result) return ::tl::unexpected<::lockstep::Error>(std::move(result).error()); \
  target = *std::move(result)
#define LOCKSTEP_TRY_OK(result, ...)        \
  if (auto result = (__VA_ARGS__); !result) \
  return ::tl::unexpected<::lockstep::Error>(std::move(result).error())
#define LOCKSTEP_JOIN(a, b) LOCKSTEP_JOIN_EXPANDED(a, b)
#define LOCKSTEP_JOIN_EXPANDED(a, b) a##b

// What ended with an exception: memory that was not to be had, which fails one request and leaves
// the others as they are, or a bug of ours. Never throws. REQUIRES: called in a catch block.
inline Error CaughtError() noexcept {
  try {
    throw;
  } catch (const std::bad_alloc&) {
    try {
      return {ErrorKind::kUnavailable,
              "there is not enough memory for this request now; try again later, or send a smaller "
              "one",
              {}};
    } catch (const std::bad_alloc&) {
      return {ErrorKind::kUnavailable, "out of memory", {}};  // too short to need any
    }
  } catch (...) {
    return {ErrorKind::kInternal, "internal error", {}};
  }
}

}  // namespace lockstep
