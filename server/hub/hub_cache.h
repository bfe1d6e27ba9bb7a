// The folder in which huggingface_hub keeps what it has fetched, so that what one program has
// fetched the other finds:
//
//   models--USER--REPO/blobs/HASH              a file's bytes
//   models--USER--REPO/refs/REVISION           the commit that a branch had when it was asked for
//   models--USER--REPO/snapshots/COMMIT/FILE   a link to its blob
//   .locks/models--USER--REPO/HASH.lock        held by whoever fetches the blob
//
// Safe from any thread and with other processes: files come into being by renaming.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "core/base/status.h"

namespace lockstep {

// The lock of one blob, or of one file, held until it is destroyed. Movable.
class FileLock {
 public:
  // Makes the file and its folders. Waits for whoever has it, after `waiting`, if that is set, was
  // told once. kUnavailable if the file cannot be made.
  [[nodiscard]] static Result<FileLock> Take(const std::string& path,
                                             const std::function<void()>& waiting);
  FileLock(FileLock&& other) noexcept;
  FileLock& operator=(FileLock&&) = delete;
  ~FileLock();

 private:
  explicit FileLock(int fd) : fd_(fd) {}
  int fd_;
};

// A model that is there whole: a file, or all its parts.
struct CachedModel {
  std::string repo;                // empty: it is from an address
  std::string quant;               // what ParseModelName takes behind the colon, or the address
  std::vector<std::string> paths;  // of the links, in the order of the parts
  uint64_t bytes = 0;
};

class HubCache {
 public:
  explicit HubCache(std::string folder) : folder_(std::move(folder)) {}

  const std::string& folder() const { return folder_; }
  std::string BlobPath(const std::string& repo, const std::string& hash) const;
  std::string LinkPath(const std::string& repo, const std::string& commit,
                       const std::string& file) const;
  std::string LockPath(const std::string& repo, const std::string& hash) const;

  // Has `file` of the commit point to the blob. REQUIRES: IsSafePath(file).
  [[nodiscard]] Status Link(const std::string& repo, const std::string& commit,
                            const std::string& file, const std::string& hash) const;
  // REQUIRES: a name of one part. A commit is its own revision and gets no entry.
  [[nodiscard]] Status SetRevision(const std::string& repo, const std::string& revision,
                                   const std::string& commit) const;

  // The snapshots of a repository, the one of the revision first and then from the newest on: the
  // folders' paths.
  std::vector<std::string> Snapshots(const std::string& repo, const std::string& revision) const;
  // The files of a snapshot that are there whole, sorted, relative to it.
  static std::vector<std::string> Files(const std::string& snapshot);

  // Every model of every repository once, sorted by name.
  std::vector<CachedModel> List() const;
  // What `quant` means in each of a repository's snapshots, or all models there if it is empty.
  std::vector<CachedModel> Versions(const std::string& repo, const std::string& revision,
                                    const std::string& quant) const;
  // Takes away all links to what these link to, the blobs, folders that become empty, and revisions
  // that have no snapshot then. What a link has outside the repository's blobs stays. Returns the
  // bytes that are free now. kUnavailable if that fails, or a blob is just being fetched.
  [[nodiscard]] Result<uint64_t> Remove(std::span<const CachedModel> models) const;

 private:
  std::string RepoFolder(const std::string& repo) const;
  Result<uint64_t> RemoveFile(const std::string& repo, const std::string& path) const;

  const std::string folder_;
};

}  // namespace lockstep
