// The folder's name is a hash, since an address can be longer than a name of a file may be, and a
// query can have anything in it.
#include "server/hub/address_cache.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <system_error>

#include "server/host/read_file.h"
#include "server/http/query.h"
#include "server/hub/file_digest.h"
#include "server/hub/model_name.h"
#include "server/hub/url.h"

namespace lockstep {
namespace {

namespace fs = std::filesystem;

constexpr size_t kHashDigits = 16;

// "https://host/folder/" and "FILE.gguf" and "?query"
struct Split {
  std::string folder, file, query;
};

Split SplitAddress(const std::string& address) {
  const size_t query = std::min(address.size(), address.find('?'));
  const size_t slash = address.rfind('/', query);
  return {address.substr(0, slash + 1), address.substr(slash + 1, query - slash - 1),
          address.substr(query)};
}

std::string HashOf(const Split& split) {
  FileDigest digest({}, 0);
  digest.Add(split.folder + split.query);
  return digest.Hex().substr(0, kHashDigits);
}

Status Cannot(const std::string& what, const std::error_code& error) {
  return Fail(ErrorKind::kUnavailable, fmt::format("cannot {}: {}", what, error.message()));
}

}  // namespace

std::string AddressCache::PathOf(const std::string& address) const {
  const Split split = SplitAddress(address);
  return fmt::format("{}/urls/{}/{}", folder_, HashOf(split), PercentDecoded(split.file));
}

Status AddressCache::Note(const std::string& address) const {
  const fs::path folder = fs::path(PathOf(address)).parent_path();
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) return Cannot("make the folder " + folder.string(), error);
  const Split split = SplitAddress(address);
  std::ofstream file(folder / "address");
  file << split.folder << "\n" << split.query << "\n";
  file.close();
  if (!file) return Cannot("write " + folder.string(), std::make_error_code(std::errc::io_error));
  return {};
}

std::vector<CachedModel> AddressCache::List() const {
  std::vector<CachedModel> models;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder_ + "/urls", error)) {
    std::istringstream noted(ReadSmallFile((entry.path() / "address").string()).value_or(""));
    std::string address, query;
    if (!std::getline(noted, address) || !std::getline(noted, query)) continue;
    const std::vector<std::string> files = HubCache::Files(entry.path().string());
    for (const std::string& file : files) {
      if (!IsModelFile(file) || ReadPartName(file).index != 1) continue;
      const auto parts = ChooseModel(files, file);
      if (!parts) continue;
      CachedModel model{{}, fmt::format("{}{}{}", address, EncodePath(file), query), {}, 0};
      for (const std::string& part : *parts) {
        model.paths.push_back((entry.path() / part).string());
        std::error_code gone;
        const uintmax_t size = fs::file_size(model.paths.back(), gone);
        if (!gone) model.bytes += size;
      }
      models.push_back(std::move(model));
    }
  }
  return models;
}

Result<uint64_t> AddressCache::Remove(const CachedModel& model) {
  std::error_code error;
  for (const std::string& path : model.paths) {
    if (!fs::remove(path, error)) TRY_OK(Cannot("remove " + path, error));
    fs::remove(path + ".etag", error);
    fs::remove(path + ".lock", error);
  }
  const fs::path folder = fs::path(model.paths.front()).parent_path();
  const auto left = HubCache::Files(folder.string());
  if (left.size() == 1 && left.front() == "address") fs::remove_all(folder, error);
  return model.bytes;
}

std::vector<std::string> PartAddresses(const std::string& address) {
  const Split split = SplitAddress(address);
  const PartName part = ReadPartName(PercentDecoded(split.file));
  if (part.count == 1) return {address};
  std::vector<std::string> addresses;
  for (size_t i = 1; i <= part.count; ++i) {
    addresses.push_back(split.folder + EncodePath(NameOfPart(part, i)) + split.query);
  }
  return addresses;
}

}  // namespace lockstep
