// The bytes of a prefix block outside of the process, and its name there. Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "core/engine/block_archive.h"

namespace lockstep {

inline constexpr size_t kSealBytes = 136;  // that come before the keys and values

// The key of a text without tokens. `fingerprint` is of all that makes keys and values: the model,
// the arithmetic and the type of the cache; `scope` of who may share them.
BlockKey RootKey(std::string_view fingerprint, std::string_view scope);
// The key of a block which follows the text of `parent` with these tokens.
BlockKey NextKey(const BlockKey& parent, std::span<const int32_t> tokens);

// What an archive keeps of the block. REQUIRES: fingerprint is of at most 48 bytes.
std::vector<uint8_t> SealBlock(std::string_view fingerprint, const BlockKey& key,
                               std::span<const uint8_t> payload);
// The payload, within `bytes`; nothing unless SealBlock made them of these very arguments and of
// that many bytes.
std::optional<std::span<const uint8_t>> OpenBlock(std::string_view fingerprint, const BlockKey& key,
                                                  size_t payload_bytes,
                                                  std::span<const uint8_t> bytes);

}  // namespace lockstep
