// What of the prefix cache goes outside of the process: its blocks into an archive, and the news of
// which ones there are to a picker of endpoints.
#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include "core/base/status.h"
#include "core/engine/prefix_archiver.h"
#include "core/engine/prefix_store.h"
#include "core/model/model.h"
#include "server/app/options.h"
#include "server/events/kv_event_publisher.h"

namespace lockstep {

// What an archive, if one was asked for, takes of memory.
size_t ArchiveBytes(const Options& options, const ModelConfig& config);

struct PrefixArchive {
  std::unique_ptr<BlockArchive> archive;
  std::unique_ptr<PrefixArchiver> archiver;
};

// Starts both for the store, which may be null and has nothing yet; without what was not asked for
// or cannot be, which the log says. `fingerprint` is of all that makes an answer.
[[nodiscard]] Result<PrefixArchive> StartArchive(const Options& options,
                                                 const std::string& fingerprint,
                                                 PrefixStore* prefixes);
[[nodiscard]] Result<std::unique_ptr<KvEventPublisher>> StartKvEvents(
    const Options& options, const std::string& fingerprint, const Model& model,
    PrefixStore* prefixes);

// The flags that were given in vain where nothing is generated, with commas; empty: none.
std::string VainPrefixFlags(const Options& options);

}  // namespace lockstep
