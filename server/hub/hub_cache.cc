// All of it by the file system alone: there is no index that could be wrong. What is under a final
// name is whole, so that looking there is enough.
#include "server/hub/hub_cache.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <system_error>
#include <utility>

#include "server/host/read_file.h"
#include "server/hub/model_name.h"

namespace lockstep {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kPrefix = "models--";
constexpr size_t kCommitDigits = 40;

Status Cannot(const std::string& what, const std::error_code& error) {
  return Fail(ErrorKind::kUnavailable, fmt::format("cannot {}: {}", what, error.message()));
}

std::error_code LastError() { return {errno, std::generic_category()}; }

Status MakeFolder(const fs::path& path) {
  std::error_code error;
  fs::create_directories(path, error);
  if (error) return Cannot("make the folder " + path.string(), error);
  return {};
}

// "USER/REPO" of a folder's name, or empty.
std::string RepoOf(const std::string& folder) {
  if (!folder.starts_with(kPrefix)) return {};
  std::string name = folder.substr(kPrefix.size());
  const size_t at = name.find("--");
  if (at == name.npos) return {};
  return name.replace(at, 2, "/");
}

fs::file_time_type TimeOf(const fs::path& path) {
  std::error_code error;
  const auto time = fs::last_write_time(path, error);
  return error ? fs::file_time_type::min() : time;
}

// The blob behind a link, or the file itself where the file system has no links. The blob may be a
// link by itself, into a store that repositories share, and then stays what is meant here.
fs::path Behind(const fs::path& link) {
  std::error_code error;
  const fs::path target = fs::read_symlink(link, error);
  return error ? link : (link.parent_path() / target).lexically_normal();
}

void RemoveEmptyFolders(fs::path folder, const fs::path& last) {
  std::error_code error;
  for (; folder != last && fs::remove(folder, error) && !error; folder = folder.parent_path()) {
  }
}

// Those of a commit that has no snapshot any more.
void RemoveEmptyRevisions(const fs::path& base) {
  std::vector<fs::path> empty;
  std::error_code error;
  for (fs::recursive_directory_iterator at(base / "refs", error), end; !error && at != end;
       at.increment(error)) {
    const std::string ref = ReadSmallFile(at->path().string()).value_or("");
    const std::string commit = ref.substr(0, ref.find('\n'));
    std::error_code gone;
    if (commit.size() == kCommitDigits && !fs::exists(base / "snapshots" / commit, gone)) {
      empty.push_back(at->path());
    }
  }
  for (const fs::path& ref : empty) {
    fs::remove(ref, error);
    RemoveEmptyFolders(ref.parent_path(), base);
  }
}

// Whether somebody has the lock now.
bool IsLocked(const std::string& path) {
  const int fd = open(path.c_str(), O_RDWR | O_CLOEXEC);
  if (fd < 0) return false;
  const bool locked = flock(fd, LOCK_EX | LOCK_NB) != 0;
  close(fd);
  return locked;
}

}  // namespace

Result<FileLock> FileLock::Take(const std::string& path, const std::function<void()>& waiting) {
  TRY_OK(MakeFolder(fs::path(path).parent_path()));
  for (bool told = false;;) {
    FileLock lock(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666));
    if (lock.fd_ < 0) TRY_OK(Cannot("make the lock " + path, LastError()));
    if (flock(lock.fd_, LOCK_EX | LOCK_NB) != 0) {
      if (waiting && !std::exchange(told, true)) waiting();
      while (flock(lock.fd_, LOCK_EX) != 0) {
        if (errno != EINTR) TRY_OK(Cannot("lock " + path, LastError()));
      }
    }
    // Whoever had it may have removed the file, and another may hold the one of that name now.
    struct stat held {
    }, named{};
    if (fstat(lock.fd_, &held) == 0 && stat(path.c_str(), &named) == 0 &&
        held.st_ino == named.st_ino) {
      return lock;
    }
  }
}

FileLock::FileLock(FileLock&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}

FileLock::~FileLock() {
  if (fd_ >= 0) close(fd_);
}

std::string HubCache::RepoFolder(const std::string& repo) const {
  std::string name = repo;
  name.replace(name.find('/'), 1, "--");
  return fmt::format("{}/{}{}", folder_, kPrefix, name);
}

std::string HubCache::BlobPath(const std::string& repo, const std::string& hash) const {
  return RepoFolder(repo) + "/blobs/" + hash;
}

std::string HubCache::LinkPath(const std::string& repo, const std::string& commit,
                               const std::string& file) const {
  return fmt::format("{}/snapshots/{}/{}", RepoFolder(repo), commit, file);
}

std::string HubCache::LockPath(const std::string& repo, const std::string& hash) const {
  return fmt::format("{}/.locks/{}/{}.lock", folder_,
                     fs::path(RepoFolder(repo)).filename().string(), hash);
}

Status HubCache::Link(const std::string& repo, const std::string& commit, const std::string& file,
                      const std::string& hash) const {
  const fs::path link = LinkPath(repo, commit, file), blob = BlobPath(repo, hash);
  std::error_code error;
  if (fs::equivalent(link, blob, error) && !error) return {};
  TRY_OK(MakeFolder(link.parent_path()));
  // The link gets its name by renaming, so that nobody finds the name without its file.
  const fs::path made = fmt::format("{}.{}.tmp", link.string(), getpid());
  fs::remove(made, error);
  fs::create_symlink(fs::path(blob).lexically_relative(link.parent_path()), made, error);
  if (error) {
    // A file system without symbolic links; the bytes have one place then.
    fs::rename(blob, link, error);
    if (error) return Cannot("make the link " + link.string(), error);
    return {};
  }
  fs::rename(made, link, error);
  if (error) return Cannot("make the link " + link.string(), error);
  return {};
}

Status HubCache::SetRevision(const std::string& repo, const std::string& revision,
                             const std::string& commit) const {
  if (revision == commit) return {};
  const fs::path path = RepoFolder(repo) + "/refs/" + revision;
  TRY_OK(MakeFolder(path.parent_path()));
  const fs::path made = fmt::format("{}.{}.tmp", path.string(), getpid());
  std::ofstream(made) << commit;
  std::error_code error;
  if (fs::file_size(made, error) != commit.size() || error) {
    fs::remove(made, error);
    return Cannot("write " + path.string(), std::make_error_code(std::errc::no_space_on_device));
  }
  fs::rename(made, path, error);
  if (error) return Cannot("write " + path.string(), error);
  return {};
}

std::vector<std::string> HubCache::Snapshots(const std::string& repo,
                                             const std::string& revision) const {
  const std::string base = RepoFolder(repo);
  const std::string ref = ReadSmallFile(base + "/refs/" + revision).value_or(revision);
  const std::string commit = ref.substr(0, ref.find('\n'));
  std::vector<fs::path> found;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(base + "/snapshots", error)) {
    if (entry.is_directory(error)) found.push_back(entry.path());
  }
  // A commit that was asked for by its hash is meant alone.
  if (revision.size() == kCommitDigits) {
    std::erase_if(found, [&](const fs::path& path) { return path.filename() != revision; });
  }
  std::sort(found.begin(), found.end(), [&commit](const fs::path& a, const fs::path& b) {
    const bool a_is = a.filename() == commit, b_is = b.filename() == commit;
    return a_is != b_is ? a_is : std::pair(TimeOf(b), b) < std::pair(TimeOf(a), a);
  });
  return {found.begin(), found.end()};
}

std::vector<std::string> HubCache::Files(const std::string& snapshot) {
  std::vector<std::string> files;
  std::error_code error;
  for (fs::recursive_directory_iterator at(snapshot, error), end; at != end; at.increment(error)) {
    if (error) break;
    std::error_code gone;  // a link whose blob was removed
    if (at->is_regular_file(gone)) {
      files.push_back(at->path().lexically_relative(snapshot).generic_string());
    }
  }
  std::sort(files.begin(), files.end());
  return files;
}

std::vector<CachedModel> HubCache::List() const {
  std::vector<CachedModel> models;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder_, error)) {
    const std::string repo = RepoOf(entry.path().filename().string());
    if (repo.empty()) continue;
    std::set<std::string> seen;
    for (const std::string& snapshot : Snapshots(repo, "main")) {
      const std::vector<std::string> files = Files(snapshot);
      for (const std::string& file : files) {
        if (!IsModelFile(file) || ReadPartName(file).index != 1) continue;
        const auto parts = ChooseModel(files, file);
        if (!parts || !seen.insert(file).second) continue;
        CachedModel model{repo, QuantOf(file), {}, 0};
        // The short name is a name only where it means this file.
        const auto meant = model.quant.empty() ? parts : ChooseModel(files, model.quant);
        if (model.quant.empty() || !meant || *meant != *parts) model.quant = file;
        for (const std::string& part : *parts) {
          model.paths.push_back(fmt::format("{}/{}", snapshot, part));
          std::error_code gone;
          const uintmax_t size = fs::file_size(model.paths.back(), gone);
          if (!gone) model.bytes += size;
        }
        models.push_back(std::move(model));
      }
    }
  }
  std::sort(models.begin(), models.end(), [](const CachedModel& a, const CachedModel& b) {
    return std::pair(a.repo, a.quant) < std::pair(b.repo, b.quant);
  });
  return models;
}

std::vector<CachedModel> HubCache::Versions(const std::string& repo, const std::string& revision,
                                            const std::string& quant) const {
  std::vector<CachedModel> versions;
  for (const std::string& snapshot : Snapshots(repo, revision)) {
    const std::vector<std::string> files = Files(snapshot);
    for (const std::string& file : files) {
      if (!IsModelFile(file) || ReadPartName(file).index != 1) continue;
      const auto parts = ChooseModel(files, file);
      const auto meant = quant.empty() ? parts : ChooseModel(files, quant);
      if (!parts || !meant || *meant != *parts) continue;
      CachedModel model{repo, QuantOf(file), {}, 0};
      // Where the one that is named is missing, the name may mean one that has another.
      if (!quant.empty() && !versions.empty() && versions[0].quant != model.quant) continue;
      for (const std::string& part : *parts) {
        model.paths.push_back(fmt::format("{}/{}", snapshot, part));
      }
      versions.push_back(std::move(model));
    }
  }
  return versions;
}

Result<uint64_t> HubCache::RemoveFile(const std::string& repo, const std::string& path) const {
  const fs::path base = RepoFolder(repo), blob = Behind(path);
  if (IsLocked(LockPath(repo, blob.filename().string()))) {
    return Fail(ErrorKind::kUnavailable,
                fmt::format("{} is just being fetched; remove it afterwards", path));
  }
  std::error_code error;
  // A link that somebody made to a file of their own is no reason to take that.
  const bool ours = blob == path || fs::equivalent(blob.parent_path(), base / "blobs", error);
  const uintmax_t size = fs::exists(blob, error) ? fs::file_size(blob, error) : 0;
  // The links of all snapshots to it: the file is what one wants to be rid of.
  for (const std::string& snapshot : Snapshots(repo, "main")) {
    for (const std::string& file : Files(snapshot)) {
      const fs::path link = fs::path(snapshot) / file;
      if (Behind(link) != blob) continue;
      if (!fs::remove(link, error)) TRY_OK(Cannot("remove " + link.string(), error));
      RemoveEmptyFolders(link.parent_path(), base / "snapshots");
    }
  }
  if (!ours) return 0;
  if (fs::exists(blob, error) && !fs::remove(blob, error)) {
    TRY_OK(Cannot("remove " + blob.string(), error));
  }
  return size;
}

Result<uint64_t> HubCache::Remove(std::span<const CachedModel> models) const {
  uint64_t freed = 0;
  std::error_code error;
  for (const CachedModel& model : models) {
    const fs::path base = RepoFolder(model.repo);
    for (const std::string& path : model.paths) {
      TRY(const uint64_t bytes, RemoveFile(model.repo, path));
      freed += bytes;
    }
    RemoveEmptyRevisions(base);
    if (!fs::is_empty(base / "snapshots", error) || error) continue;
    const fs::path locks = fs::path(LockPath(model.repo, "")).parent_path();
    bool busy = false;
    for (const auto& lock : fs::directory_iterator(locks, error)) {
      busy = busy || IsLocked(lock.path().string());
    }
    if (busy) continue;
    // Nothing is left but what was cut short.
    fs::remove_all(base, error);
    fs::remove_all(locks, error);
  }
  return freed;
}

}  // namespace lockstep
