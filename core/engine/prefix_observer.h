// Who is told which blocks the prefix store has, as they come and go. Called by the store, on the
// scheduler's thread within a step: it must neither wait nor throw.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "core/engine/block_archive.h"

namespace lockstep {

struct StoredBlock {
  const BlockKey& key;              // names its tokens, all before them and the scope
  const BlockKey* parent;           // of the block before it; null: a text begins with it
  std::span<const int32_t> tokens;  // [PrefixStore::kBlock]
  std::string_view scope;
};

class PrefixObserver {
 public:
  virtual ~PrefixObserver() = default;
  // A block comes after its parent, and the blocks of one text come in a row.
  virtual void OnStored(const StoredBlock& block) noexcept = 0;
  // A block goes after all that follow it.
  virtual void OnRemoved(const BlockKey& key) noexcept = 0;
};

}  // namespace lockstep
