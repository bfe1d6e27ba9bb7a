// One file from an address to a path: begun again where it was cut, checked, and under its name
// only when it is whole.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "core/base/status.h"
#include "server/hub/http_get.h"

namespace lockstep {

struct DownloadObserver {
  // Bytes of the file that are there, and all of them if that is known (else 0).
  std::function<void(uint64_t done, uint64_t total)> progress;
  std::function<void(const std::string& sentence)> note;  // what goes wrong and is tried again
};

struct DownloadPolicy {
  // So many tries in a row may fail without a byte that is new; the pause doubles after each.
  size_t tries = 5;
  std::chrono::milliseconds pause{500};
  std::chrono::seconds longest_pause{120};  // that an answer with Retry-After may ask for
};

struct DownloadJob {
  HttpGet from;
  std::string path;              // the file; PATH.incomplete is what it is made from
  std::string hash;              // IsFileHash, or empty: nobody said what it must be
  std::optional<uint64_t> size;  // as somebody said it
  std::string what;              // for messages: the file's name
};

// The server's answer to what was asked: a sentence, and of which kind the error is. Both for a
// listing and for a file; `token` says whether one was sent.
Error ReplyError(const ReplyHead& head, const std::string& what, const Url& url, bool token);
// What an answer means for who would ask again: when, or never.
struct Again {
  bool worth = false;
  std::chrono::milliseconds after{0};  // 0: it does not say
};
Again WhenAgain(const ReplyHead& head);

// Errors are sentences: kUnavailable if it may go better another time (what came is kept),
// kNotFound and kInvalidArgument if not, kBadFile for a server whose file is not what it should be.
// REQUIRES: nobody else writes to the path: the caller has its lock.
[[nodiscard]] Status Download(const DownloadJob& job, const DownloadPolicy& policy,
                              const DownloadObserver& observer);

}  // namespace lockstep
