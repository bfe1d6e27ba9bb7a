// A download is a loop over tries, each of which goes on where the file ends. Nothing that a server
// says is believed: ranges and lengths are compared with what was asked for, and the hash decides.
#include "server/hub/download.h"

#include <fmt/format.h>
#include <sys/statvfs.h>

#include <algorithm>
#include <charconv>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <thread>
#include <utility>

#include "core/base/quoted.h"
#include "server/host/read_file.h"
#include "server/hub/file_digest.h"
#include "server/hub/partial_file.h"

namespace lockstep {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;

constexpr size_t kMaxNote = 64 * 1024;  // bytes of what is noted beside a file
constexpr int kOk = 200, kPartial = 206, kUnchanged = 304, kBadRange = 416;

// How one try ended.
struct Ended {
  Status status;       // of the try
  bool again = false;  // where it failed: another may do
  milliseconds after{0};
};

Ended Done() { return {}; }
Ended Failed(tl::unexpected<Error> error, bool again) { return {std::move(error), again, {}}; }

// Nothing where there is no such file.
std::string ReadText(const std::string& path) { return ReadSmallFile(path, kMaxNote).value_or(""); }

// "bytes 100-199/200"
struct Range {
  uint64_t first = 0;
  std::optional<uint64_t> total;
};
std::optional<Range> ReadRange(std::string_view text) {
  if (!text.starts_with("bytes ")) return {};
  text.remove_prefix(6);
  Range range;
  const char* const end = text.data() + text.size();
  const auto first = std::from_chars(text.data(), end, range.first);
  if (first.ec != std::errc() || first.ptr == end || *first.ptr != '-') return {};
  const size_t slash = text.find('/');
  if (slash == text.npos) return {};
  uint64_t total = 0;
  const auto all = std::from_chars(text.data() + slash + 1, end, total);
  if (all.ec == std::errc() && all.ptr == end)
    range.total = total;
  else if (text.substr(slash) != "/*")
    return {};
  return range;
}

// The hash of X-Linked-Etag: "HASH", in quotes.
std::string HashOf(std::string_view etag) {
  if (etag.starts_with("W/")) etag.remove_prefix(2);
  if (etag.size() > 2 && etag.starts_with('"')) etag = etag.substr(1, etag.size() - 2);
  return IsFileHash(etag) ? std::string(etag) : "";
}

Status CheckSpace(const DownloadJob& job, uint64_t there) {
  struct statvfs disk {};
  const std::string folder = fs::path(job.path).parent_path().string();
  if (!job.size || statvfs(folder.c_str(), &disk) != 0) return {};
  const uint64_t left = uint64_t{disk.f_bavail} * disk.f_frsize;
  if (*job.size <= there || *job.size - there <= left) return {};
  return Fail(ErrorKind::kUnavailable,
              fmt::format("{} needs {} MB, and {} has {} MB left: free some space, or set "
                          "HF_HUB_CACHE to a folder on another disk",
                          job.what, (*job.size - there) / 1'000'000 + 1, folder, left / 1'000'000));
}

class Downloader {
 public:
  Downloader(const DownloadJob& job, const DownloadObserver& observer, PartialFile& file)
      : job_(job), observer_(observer), file_(file), hash_(job.hash), total_(job.size) {}

  Ended Try();
  bool unchanged() const { return unchanged_; }
  std::string etag() const { return etag_; }

 private:
  HttpGet Request() const;
  bool Begin(const ReplyHead& head);
  bool BeginWhole(const ReplyHead& head);
  bool BeginRest(const ReplyHead& head);
  bool Take(std::string_view piece);
  bool Give(Ended ended) {
    ended_ = std::move(ended);
    return false;
  }
  bool StartAgain(std::string why);
  Ended Check();
  std::string EtagPath() const { return job_.path + ".etag"; }
  std::string PartialEtagPath() const { return job_.path + ".incomplete.etag"; }
  void Tell() const {
    if (observer_.progress) observer_.progress(file_.size(), total_.value_or(0));
  }

  const DownloadJob& job_;
  const DownloadObserver& observer_;
  PartialFile& file_;
  std::string hash_;  // also as the server says it where nobody else did
  std::optional<uint64_t> total_;
  std::string etag_;
  Ended ended_;
  bool unchanged_ = false, was_wrong_ = false;
};

HttpGet Downloader::Request() const {
  HttpGet request = job_.from;
  const auto add = [&request](const char* name, std::string value) {
    request.headers.emplace_back(name, std::move(value));
  };
  if (file_.size() > 0) {
    add("Range", fmt::format("bytes={}-", file_.size()));
    // Where no hash would tell, the rest must be of the same file.
    if (job_.hash.empty()) add("If-Range", ReadText(PartialEtagPath()));
  } else if (job_.hash.empty() && fs::exists(job_.path)) {
    if (const std::string etag = ReadText(EtagPath()); !etag.empty()) add("If-None-Match", etag);
  }
  return request;
}

bool Downloader::StartAgain(std::string why) {
  if (const Status empty = file_.Restart(); !empty) return Give({empty, false, {}});
  return Give(Failed(Fail(ErrorKind::kBadFile, std::move(why)), true));
}

bool Downloader::BeginWhole(const ReplyHead& head) {
  if (file_.size() > 0) {
    if (const Status empty = file_.Restart(); !empty) return Give({empty, false, {}});
  }
  if (job_.size && head.length && *head.length != *job_.size) {
    return StartAgain(fmt::format("{}: {} sends {} bytes, and the file has {}", job_.what,
                                  job_.from.url.Origin(), *head.length, *job_.size));
  }
  if (!job_.size) total_ = head.length;
  if (!total_ && !head.chunked) {
    return Give(Failed(Fail(ErrorKind::kBadFile,
                            fmt::format("{}: the server does not say how long the file is, so "
                                        "that half of it could be taken for the whole",
                                        job_.from.url.Text())),
                       false));
  }
  if (!job_.hash.empty()) return true;
  hash_ = HashOf(head.linked_etag);
  etag_ = head.etag.starts_with('"') ? head.etag : "";
  std::ofstream(PartialEtagPath()) << etag_;
  return true;
}

bool Downloader::BeginRest(const ReplyHead& head) {
  const auto range = ReadRange(head.range);
  const bool fits = range && range->first == file_.size() && file_.size() > 0 &&
                    (!job_.size || !range->total || *range->total == *job_.size);
  if (!fits) {
    return StartAgain(fmt::format("{}: {} sends another part of the file than was asked for",
                                  job_.what, job_.from.url.Origin()));
  }
  if (!total_) total_ = range->total;
  if (job_.hash.empty()) {
    hash_ = HashOf(head.linked_etag);
    etag_ = ReadText(PartialEtagPath());
  }
  return true;
}

bool Downloader::Begin(const ReplyHead& head) {
  switch (head.status) {
    case kOk:
      return BeginWhole(head);
    case kPartial:
      return BeginRest(head);
    case kUnchanged:
      unchanged_ = true;
      return Give(Done());
    case kBadRange:
      return StartAgain(fmt::format("{}: the server has less than what is here", job_.what));
    default:
      break;
  }
  const Again again = WhenAgain(head);
  return Give({tl::unexpected(ReplyError(head, job_.what, job_.from.url, !job_.from.token.empty())),
               again.worth, again.after});
}

bool Downloader::Take(std::string_view piece) {
  if (total_ && file_.size() + piece.size() > *total_) {
    return StartAgain(fmt::format("{}: {} sends more than the file's {} bytes", job_.what,
                                  job_.from.url.Origin(), *total_));
  }
  if (const Status added = file_.Add(piece); !added) return Give({added, false, {}});
  Tell();
  return true;
}

Ended Downloader::Try() {
  Tell();
  // A process before may have been ended between the last byte and the name.
  if (job_.size && file_.size() == *job_.size) return Check();
  if (job_.hash.empty() && file_.size() > 0 && ReadText(PartialEtagPath()).empty()) {
    if (const Status empty = file_.Restart(); !empty) return {empty, false, {}};
  }
  ended_ = Done();
  const auto head = Get(
      Request(), [this](const ReplyHead& reply) { return Begin(reply); },
      [this](std::string_view piece) { return Take(piece); });
  if (!ended_.status || unchanged_) return ended_;
  if (!head)
    return Failed(tl::unexpected(head.error()), head.error().kind == ErrorKind::kUnavailable);
  if (total_ && file_.size() < *total_) {
    return Failed(Fail(ErrorKind::kUnavailable,
                       fmt::format("{}: the connection ended {} bytes before the end", job_.what,
                                   *total_ - file_.size())),
                  true);
  }
  return Check();
}

Ended Downloader::Check() {
  if (const Status flushed = file_.Flush(); !flushed) return {flushed, false, {}};
  if (hash_.empty() || file_.Hash() == hash_) return Done();
  // What was here before may have been of something else; the second time it is the server's.
  const bool again = !std::exchange(was_wrong_, true);
  if (const Status empty = file_.Restart(); !empty) return {empty, false, {}};
  return Failed(Fail(ErrorKind::kBadFile,
                     fmt::format("{}: what {} sends has not the {} that it should have ({}): it is "
                                 "damaged, or another file; nothing of it is kept",
                                 job_.what, job_.from.url.Origin(),
                                 hash_.size() == 40 ? "SHA-1" : "SHA-256", hash_)),
                again);
}

// Seconds, or a date (RFC 9110, 10.2.3).
std::string RetryText(const std::string& retry_after) {
  if (retry_after.empty()) return {};
  const bool seconds = retry_after.find_first_not_of("0123456789") == std::string::npos;
  return "; retry after " + Escaped(retry_after, 100) + (seconds ? " s" : "");
}

}  // namespace

Error ReplyError(const ReplyHead& head, const std::string& what, const Url& url, bool token) {
  const std::string said = head.error.empty() ? "" : " (" + Escaped(head.error, 200) + ")";
  switch (head.status) {
    case 401:
      return {
          ErrorKind::kNotFound,
          token ? fmt::format("{}: {} does not take the token in HF_TOKEN (401){}", what,
                              url.Origin(), said)
                : fmt::format("{}: {} has it not, or not for everybody (401){}: look at the name, "
                              "or set HF_TOKEN to a token that may read it",
                              what, url.Origin(), said),
          "hf"};
    case 403:
      return {ErrorKind::kNotFound,
              fmt::format("{}: {} does not give it to {} (403){}: its page may have terms to agree "
                          "to first",
                          what, url.Origin(),
                          token ? "the token in HF_TOKEN" : "whoever sends no HF_TOKEN", said),
              "hf"};
    case 404:
    case 410:
      return {
          ErrorKind::kNotFound,
          fmt::format("{}: {} has no {} ({}){}", what, url.Origin(), url.path, head.status, said),
          "hf"};
    case 429:
      return {ErrorKind::kUnavailable,
              fmt::format("{}: {} has had too many requests from here (429){}{}", what,
                          url.Origin(), RetryText(head.retry_after), said),
              {}};
    default:
      return {head.status >= 500 ? ErrorKind::kUnavailable : ErrorKind::kBadFile,
              fmt::format("{}: {} answers {}{}", what, url.Text(), head.status, said),
              {}};
  }
}

Again WhenAgain(const ReplyHead& head) {
  const int status = head.status;
  if (status != 408 && status != 429 && status != 500 && (status < 502 || status > 504)) return {};
  const std::string& text = head.retry_after;
  int64_t seconds = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
  if (error != std::errc()) {
    tm date{};
    if (strptime(text.c_str(), "%a, %d %b %Y %H:%M:%S GMT", &date) != nullptr) {
      seconds = timegm(&date) - time(nullptr);
    }
  }
  constexpr int64_t kMost = 1'000'000;
  return {true, std::chrono::seconds(std::clamp<int64_t>(seconds, 0, kMost))};
}

Status Download(const DownloadJob& job, const DownloadPolicy& policy,
                const DownloadObserver& observer) {
  TRY(const auto file, PartialFile::Open(job.path, job.hash, job.size.value_or(0)));
  TRY_OK(CheckSpace(job, file->size()));
  Downloader downloader(job, observer, *file);
  milliseconds pause = policy.pause;
  uint64_t furthest = file->size();
  for (size_t failed = 0;;) {
    const Ended ended = downloader.Try();
    if (ended.status) break;
    // A server that breaks off each time at the same place brings nothing that is new.
    if (file->size() > furthest) {
      furthest = file->size();
      failed = 0;
      pause = policy.pause;
    }
    const bool last =
        !ended.again || ++failed >= policy.tries || ended.after > policy.longest_pause;
    if (last) {
      if (ended.status.error().kind == ErrorKind::kBadFile || file->size() == 0) file->Discard();
      return ended.status;
    }
    const milliseconds wait = std::max(pause, ended.after);
    if (observer.note) {
      observer.note(fmt::format("{}; trying again in {:.1f} s", ended.status.error().message,
                                std::chrono::duration<double>(wait).count()));
    }
    std::this_thread::sleep_for(wait);
    pause *= 2;
  }
  std::error_code error;
  if (downloader.unchanged()) {
    file->Discard();
    return {};
  }
  TRY_OK(file->Finish());
  fs::remove(job.path + ".incomplete.etag", error);
  if (job.hash.empty()) std::ofstream(job.path + ".etag") << downloader.etag();
  return {};
}

}  // namespace lockstep
