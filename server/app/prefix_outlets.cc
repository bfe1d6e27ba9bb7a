// Neither is needed to answer: whoever asked for one and cannot have it is told, and is served.
#include "server/app/prefix_outlets.h"

#include <fmt/ranges.h>

#include <memory>
#include <utility>
#include <vector>

#include "core/engine/block_format.h"
#include "server/app/logging.h"
#include "server/host/memory_plan.h"
#include "server/store/folder_archive.h"
#include "server/store/redis_archive.h"
#include "server/store/redis_url.h"

namespace lockstep {
namespace {

constexpr size_t kMib = size_t{1} << 20;
// Blocks that wait to be written to an archive of prefixes, and those that were fetched from it.
constexpr size_t kArchiveQueueBytes = 32 * kMib;

bool HasArchive(const Options& options) {
  return !options.prefix_dir.empty() || !options.prefix_store.empty();
}

// Opens the archive that was asked for.
Result<std::unique_ptr<BlockArchive>> OpenArchive(const Options& options, size_t block_bytes) {
  const size_t sealed = kSealBytes + block_bytes;
  if (!options.prefix_store.empty()) {
    TRY(RedisAddress address, ParseRedisUrl(options.prefix_store));
    Log(LogLevel::kInfo, "prefix archive",
        {{"store", address.Text()}, {"block", BytesText(block_bytes)}});
    return std::make_unique<RedisArchive>(std::move(address), sealed);
  }
  const size_t most = options.prefix_dir_mib * kMib;
  TRY(auto folder, FolderArchive::Open(options.prefix_dir, sealed, most));
  Log(LogLevel::kInfo, "prefix archive",
      {{"folder", options.prefix_dir},
       {"at_most", BytesText(most)},
       {"block", BytesText(block_bytes)},
       {"writable", folder->writable() ? "yes" : "no"}});
  return folder;
}

// What requests call the model.
std::string NameInRequests(const Options& options, const Model& model) {
  for (const std::string& alias : options.api.generate.names.aliases) {
    if (alias != "*") return alias;
  }
  return DescribeModel(model, {}, 0).name;
}

}  // namespace

size_t ArchiveBytes(const Options& options, const ModelConfig& config) {
  if (!HasArchive(options)) return 0;
  // The queues, and of each thread a block, sealed and not; of Redis those that come at once, as
  // bytes and as replies.
  const size_t block_bytes =
      PrefixStore::kBlock * KvCache::BytesPerPosition(config, options.kv_type);
  return 2 * kArchiveQueueBytes + (options.prefix_store.empty() ? 4 : 20) * block_bytes;
}

Result<PrefixArchive> StartArchive(const Options& options, const std::string& fingerprint,
                                   PrefixStore* prefixes) {
  PrefixArchive outlet;
  if (!HasArchive(options)) return outlet;
  if (prefixes == nullptr) {
    Log(LogLevel::kWarning, "no prefixes are kept outside of memory: there is no prefix cache");
    return outlet;
  }
  if (prefixes->keeps_states()) {
    Log(LogLevel::kWarning,
        "no prefixes are kept outside of memory: the model has recurrent layers, whose states stay "
        "in the prefix cache");
    return outlet;
  }
  const size_t block_bytes = prefixes->block_bytes();
  TRY(outlet.archive, OpenArchive(options, block_bytes));
  outlet.archiver = std::make_unique<PrefixArchiver>(
      *outlet.archive,
      PrefixArchiverOptions{
          .fingerprint = fingerprint,
          .payload_bytes = block_bytes,
          .write_bytes = kArchiveQueueBytes,
          .fetch_bytes = kArchiveQueueBytes,
          .warn = [](const std::string& problem) {
            Log(LogLevel::kWarning, problem, {{"effect", "prompts are computed, as without it"}});
          }});
  prefixes->ArchiveBy(*outlet.archiver);
  return outlet;
}

Result<std::unique_ptr<KvEventPublisher>> StartKvEvents(const Options& options,
                                                        const std::string& fingerprint,
                                                        const Model& model, PrefixStore* prefixes) {
  if (!options.kv_events.enabled() || options.command != Command::kServe) return nullptr;
  if (prefixes == nullptr) {
    Log(LogLevel::kWarning, "--kv-events has no effect: there is no prefix cache");
    return nullptr;
  }
  TRY(auto events,
      KvEventPublisher::Start(options.kv_events, NameInRequests(options, model),
                              [](const std::string& trouble, size_t count) {
                                Log(LogLevel::kWarning, trouble, {{"forgotten", count}});
                              }));
  prefixes->TellOf(events->observer(), fingerprint);
  Log(LogLevel::kInfo, "kv events",
      {{"endpoint", events->endpoint()},
       {"socket", IsListenedOn(options.kv_events.endpoint) ? "listens" : "connects"},
       {"replay", events->replay_endpoint()},
       {"topic", events->topic()}});
  return events;
}

std::string VainPrefixFlags(const Options& options) {
  std::vector<const char*> flags;
  if (options.prefix_cache_given && options.prefix_cache_mib > 0) flags.push_back("--prefix-cache");
  if (!options.prefix_dir.empty()) flags.push_back("--prefix-dir");
  if (!options.prefix_store.empty()) flags.push_back("--prefix-store");
  if (options.kv_events.enabled()) flags.push_back("--kv-events");
  return fmt::format("{}", fmt::join(flags, ", "));
}

}  // namespace lockstep
