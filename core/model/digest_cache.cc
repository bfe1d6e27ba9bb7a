// An entry is a small text file, under the digest of the model's path, so that a model that changes
// has one entry and not many:
//
//   lockstep digest 1
//   INODE SIZE MODIFIED CHANGED     a line for each part, times in nanoseconds
//   SHA-256 of the parts
//   SHA-256 of the lines above
//
// It is read as a whole and compared as a whole: whatever else a file may hold, it is no entry. The
// last line is for a crash of the machine, as nothing is synced to the disk. What is written is
// renamed into its place, so that a reader never meets half of it. Entries of models that are gone
// for good look like any other, so that only the newest stay.
#include "core/model/digest_cache.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "core/base/digest.h"

namespace lockstep {
namespace {

namespace fs = std::filesystem;

constexpr size_t kHexDigits = 64;
constexpr size_t kMaxEntries = 256;

std::string Sha256Of(std::string_view text) {
  Digest digest;
  digest.Add(text);
  return Hex(digest.Bytes());
}

std::string Describe(std::span<const FileState> parts) {
  std::string text = "lockstep digest 1\n";
  for (const FileState& part : parts) {
    fmt::format_to(std::back_inserter(text), "{} {} {} {}\n", part.inode, part.size,
                   part.modified_ns, part.changed_ns);
  }
  return text;
}

// Files of other names are somebody else's.
bool IsEntry(const std::string& name) {
  return name.size() >= kHexDigits && name.find_first_not_of("0123456789abcdef") >= kHexDigits;
}

void RemoveOldest(const std::string& folder) {
  std::vector<std::pair<fs::file_time_type, fs::path>> entries;
  std::error_code error, ignored;
  for (fs::directory_iterator at(folder, error), end; !error && at != end; at.increment(error)) {
    if (!IsEntry(at->path().filename().string())) continue;
    entries.emplace_back(at->last_write_time(ignored), at->path());
  }
  if (entries.size() <= kMaxEntries) return;
  std::ranges::sort(entries);
  entries.resize(entries.size() - kMaxEntries);
  for (const auto& [time, path] : entries) fs::remove(path, ignored);
}

}  // namespace

std::string DigestCache::PathOf(const std::string& name) const {
  std::error_code error;
  const fs::path path = fs::absolute(name, error);
  return fmt::format("{}/{}", folder_, Sha256Of(error ? name : path.string()));
}

std::optional<std::string> DigestCache::Find(const std::string& name,
                                             std::span<const FileState> parts) const {
  if (folder_.empty() || parts.empty()) return std::nullopt;
  const std::string known = Describe(parts);
  const size_t size = known.size() + 2 * (kHexDigits + 1);
  std::ifstream file(PathOf(name), std::ios::binary);
  std::string entry(size + 1, '\0');
  file.read(entry.data(), static_cast<std::streamsize>(entry.size()));
  entry.resize(static_cast<size_t>(file.gcount()));
  if (entry.size() != size || !entry.starts_with(known)) return std::nullopt;
  const std::string_view above = std::string_view(entry).substr(0, known.size() + kHexDigits + 1);
  if (entry.substr(above.size()) != Sha256Of(above) + "\n") return std::nullopt;
  return entry.substr(known.size(), kHexDigits);
}

void DigestCache::Keep(const std::string& name, std::span<const FileState> parts,
                       const std::string& sha256) const {
  if (folder_.empty() || parts.empty()) return;
  using std::chrono::nanoseconds;
  const nanoseconds settled = std::chrono::system_clock::now().time_since_epoch() - clock_step_;
  const auto is_new = [settled](const FileState& part) {
    return nanoseconds(std::max(part.modified_ns, part.changed_ns)) > settled;
  };
  if (std::ranges::any_of(parts, is_new)) return;
  const std::string above = Describe(parts) + sha256 + "\n";
  const std::string path = PathOf(name), unfinished = fmt::format("{}.{}", path, getpid());
  std::error_code error;
  fs::create_directories(folder_, error);
  std::ofstream file(unfinished, std::ios::binary | std::ios::trunc);
  file << above << Sha256Of(above) << "\n";
  file.close();
  if (file) fs::rename(unfinished, path, error);
  if (!file || error) fs::remove(unfinished, error);
  RemoveOldest(folder_);
}

}  // namespace lockstep
