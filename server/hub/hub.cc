// One question to the hub tells the commit, the files, their sizes and their hashes; all that is
// fetched is then of that commit, whatever becomes of the branch meanwhile.
#include "server/hub/hub.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <system_error>
#include <thread>
#include <utility>

#include "core/base/quoted.h"
#include "server/hub/file_digest.h"
#include "server/json/json_text.h"

namespace lockstep {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMostListing = size_t{32} << 20;
constexpr size_t kCommitDigits = 40;
constexpr int kOk = 200;

std::optional<uint64_t> SizeOf(const Json& json) {
  const Json* const value = FindField(json, "size");
  if (value == nullptr || !value->is_number_unsigned()) return {};
  return value->get<uint64_t>();
}

bool IsCommit(std::string_view text) { return text.size() == kCommitDigits && IsFileHash(text); }

std::vector<std::string> PathsOf(const auto& files) {
  std::vector<std::string> paths;
  paths.reserve(files.size());
  for (const auto& file : files) paths.push_back(file.path);
  return paths;
}

// Has the name in front of what went wrong.
tl::unexpected<Error> About(const ModelName& name, Error error) {
  error.message = fmt::format("{}: {}", name.Text(), error.message);
  return tl::unexpected(std::move(error));
}

bool IsWhole(const std::string& path, const std::optional<uint64_t>& size) {
  std::error_code error;
  const uintmax_t found = fs::file_size(path, error);
  return !error && (!size || found == *size);
}

}  // namespace

Hub::Hub(HubSettings settings, DownloadPolicy policy, DownloadObserver observer)
    : settings_(std::move(settings)),
      policy_(policy),
      observer_(std::move(observer)),
      cache_(settings_.cache),
      addresses_(settings_.own_cache) {}

Result<std::string> Hub::FindCached(const ModelName& name, const std::string& quant) const {
  for (const std::string& snapshot : cache_.Snapshots(name.repo, name.revision)) {
    const std::vector<std::string> files = HubCache::Files(snapshot);
    if (const auto chosen = ChooseModel(files, quant)) return snapshot + "/" + chosen->front();
  }
  return Fail(ErrorKind::kNotFound, fmt::format("it is not in {}", cache_.folder()));
}

Result<std::string> Hub::Find(const ModelName& name) {
  if (name.repo.empty()) return FetchAddress(name, false);
  if (auto path = FindCached(name, name.quant.empty() ? "Q4_K_M" : name.quant)) return path;
  const auto whatever = [&] { return FindCached(name, name.quant); };
  if (settings_.offline) {
    if (auto path = whatever()) return path;
    return About(name,
                 {ErrorKind::kNotFound,
                  fmt::format("it is not in {}, and --offline or HF_HUB_OFFLINE keeps it from "
                              "being fetched; `lockstep list` shows what is there",
                              cache_.folder()),
                  "hf"});
  }
  auto listing = Ask(name);
  if (!listing) {
    auto path = whatever();
    if (listing.error().kind != ErrorKind::kUnavailable || !path) {
      return tl::unexpected(std::move(listing).error());
    }
    if (observer_.note) {
      observer_.note(fmt::format("{}; what the cache has of it is taken", listing.error().message));
    }
    return path;
  }
  const auto chosen = ChooseModel(PathsOf(listing->files), name.quant);
  if (!chosen) return About(name, chosen.error());
  if (auto path = FindCached(name, chosen->front())) return path;
  return Fetch(name, *listing);
}

Result<std::string> Hub::Pull(const ModelName& name) {
  if (settings_.offline) {
    return About(name, {ErrorKind::kInvalidArgument,
                        "--offline or HF_HUB_OFFLINE keeps it from being fetched", "offline"});
  }
  if (name.repo.empty()) return FetchAddress(name, true);
  TRY(const Listing listing, Ask(name));
  return Fetch(name, listing);
}

Result<WholeReply> Hub::AskUntilAnswered(const HttpGet& request, const std::string& what) const {
  auto pause = policy_.pause;
  for (size_t tries = 1;; ++tries) {
    auto reply = GetWhole(request, kMostListing);
    if (reply && reply->head.status == kOk) return reply;
    Again again{!reply && reply.error().kind == ErrorKind::kUnavailable, {}};
    if (reply) again = WhenAgain(reply->head);
    Error error = reply ? ReplyError(reply->head, what, request.url, !request.token.empty())
                        : std::move(reply).error();
    if (!again.worth || tries >= policy_.tries || again.after > policy_.longest_pause) {
      return tl::unexpected(std::move(error));
    }
    const auto wait = std::max(pause, again.after);
    if (observer_.note) {
      observer_.note(fmt::format("{}; trying again in {:.1f} s", error.message,
                                 std::chrono::duration<double>(wait).count()));
    }
    std::this_thread::sleep_for(wait);
    pause *= 2;
  }
}

Result<Hub::Listing> Hub::Ask(const ModelName& name) const {
  HttpGet request;
  TRY(request.url, ParseUrl(fmt::format("{}/api/models/{}/revision/{}?blobs=true",
                                        settings_.endpoint, name.repo, name.revision)));
  request.token = settings_.token;
  request.authorities = settings_.authorities;
  request.headers.emplace_back("Accept", "application/json");
  TRY(const WholeReply reply, AskUntilAnswered(request, name.Text()));
  const auto answer = ParseStrictObject(reply.body);
  Listing listing;
  if (answer) listing.commit = TextField(*answer, "sha");
  const Json* const files = answer ? FindField(*answer, "siblings") : nullptr;
  if (!IsCommit(listing.commit) || files == nullptr || !files->is_array()) {
    return Fail(ErrorKind::kBadFile,
                fmt::format("{}: {} answers with something else than a list of files: is "
                            "HF_ENDPOINT the address of a hub?",
                            name.Text(), request.url.Text()));
  }
  for (const Json& entry : *files) {
    File file{TextField(entry, "rfilename"), {}, SizeOf(entry)};
    if (!IsSafePath(file.path)) continue;  // nothing that we could keep, and so nothing to choose
    const Json* const large = FindField(entry, "lfs");
    file.hash = large != nullptr ? TextField(*large, "sha256") : "";
    if (large != nullptr && file.hash.empty()) file.hash = TextField(*large, "oid");
    if (large == nullptr) file.hash = TextField(entry, "blobId");
    if (large != nullptr && SizeOf(*large)) file.size = SizeOf(*large);
    listing.files.push_back(std::move(file));
  }
  std::sort(listing.files.begin(), listing.files.end(),
            [](const File& a, const File& b) { return a.path < b.path; });
  return listing;
}

Result<std::string> Hub::Fetch(const ModelName& name, const Listing& listing) {
  const auto chosen = ChooseModel(PathsOf(listing.files), name.quant);
  if (!chosen) return About(name, chosen.error());
  std::vector<const File*> parts;
  done_before_ = total_ = 0;
  for (const std::string& path : *chosen) {
    parts.push_back(&*std::find_if(listing.files.begin(), listing.files.end(),
                                   [&path](const File& file) { return file.path == path; }));
    total_ += parts.back()->size.value_or(0);
  }
  for (const File* const part : parts) TRY_OK(FetchPart(name, listing, *part));
  // Last, so that the revision does not lead to what is not there yet.
  TRY_OK(cache_.SetRevision(name.repo, name.revision, listing.commit));
  return cache_.LinkPath(name.repo, listing.commit, chosen->front());
}

Result<FileLock> Hub::Lock(const std::string& path, const std::string& what) const {
  return FileLock::Take(path, [this, &what] {
    if (observer_.note) observer_.note(what + ": another process is fetching it; waiting for it");
  });
}

Status Hub::FetchPart(const ModelName& name, const Listing& listing, const File& file) {
  DownloadJob job;
  job.what = Escaped(file.path, 200);
  job.hash = file.hash;
  job.size = file.size;
  if (!IsFileHash(job.hash)) {
    return Fail(ErrorKind::kBadFile,
                fmt::format("{}: {} does not say the SHA-256 of {}, without which a damaged file "
                            "could not be told from a good one",
                            name.Text(), settings_.endpoint, job.what));
  }
  TRY(job.from.url, ParseUrl(fmt::format("{}/{}/resolve/{}/{}", settings_.endpoint, name.repo,
                                         listing.commit, EncodePath(file.path))));
  job.from.token = settings_.token;
  job.from.authorities = settings_.authorities;
  job.path = cache_.BlobPath(name.repo, job.hash);
  TRY(const FileLock lock, Lock(cache_.LockPath(name.repo, job.hash), job.what));
  // Whoever had the lock before may have brought it, or an older commit has the same.
  const std::string link = cache_.LinkPath(name.repo, listing.commit, file.path);
  if (!IsWhole(job.path, job.size) && !IsWhole(link, job.size)) {
    const uint64_t before = done_before_;
    const DownloadObserver observer{[this, before](uint64_t done, uint64_t total) {
                                      if (!observer_.progress) return;
                                      observer_.progress(before + done, std::max(total_, total));
                                    },
                                    observer_.note};
    TRY_OK(Download(job, policy_, observer));
  }
  done_before_ += job.size.value_or(0);
  return cache_.Link(name.repo, listing.commit, file.path, job.hash);
}

Result<std::string> Hub::FetchAddress(const ModelName& name, bool again) {
  const std::vector<std::string> addresses = PartAddresses(name.address);
  for (const std::string& address : addresses) {
    DownloadJob job;
    job.path = addresses_.PathOf(address);
    job.what = address;
    if (!again && IsWhole(job.path, {})) continue;
    if (settings_.offline) {
      return About(name, {ErrorKind::kNotFound,
                          fmt::format("{} is not there, and --offline or HF_HUB_OFFLINE keeps it "
                                      "from being fetched",
                                      job.path),
                          "model"});
    }
    TRY(job.from.url, ParseUrl(address));
    job.from.authorities = settings_.authorities;
    TRY_OK(addresses_.Note(address));
    TRY(const FileLock lock, Lock(job.path + ".lock", job.what));
    if (!again && IsWhole(job.path, {})) continue;
    TRY_OK(Download(job, policy_, observer_));
  }
  return addresses_.PathOf(addresses.front());
}

std::vector<CachedModel> Hub::List() const {
  std::vector<CachedModel> models = cache_.List();
  for (CachedModel& model : addresses_.List()) models.push_back(std::move(model));
  return models;
}

Result<uint64_t> Hub::Remove(const ModelName& name) const {
  std::vector<CachedModel> found;
  if (name.repo.empty()) {
    const std::string first = PartAddresses(name.address).front();
    for (const CachedModel& model : addresses_.List()) {
      if (model.quant == first) return AddressCache::Remove(model);
    }
  } else {
    // An older version that stayed would be served under the name that is to be gone.
    found = cache_.Versions(name.repo, name.revision, name.quant);
  }
  if (found.empty()) {
    return About(name, {ErrorKind::kNotFound,
                        "there is no such model here; `lockstep list` shows what there is",
                        {}});
  }
  return cache_.Remove(found);
}

}  // namespace lockstep
