// A block is a header and its payload, numbers with their lowest byte first, on every machine:
//
//   0    "lsprefix"
//   8    version of this layout, 4 bytes
//   12   bytes of the header, 4 bytes
//   16   bytes of the payload, 8 bytes
//   24   fingerprint, 48 bytes, filled up by zeros
//   72   key, 32 bytes
//   104  SHA-256 of the 104 bytes before and the payload, 32 bytes
//   136  payload: KvCache::ReadGroup
//
// Keys chain as those of a Merkle list: each is the SHA-256 of the one before and its own tokens,
// the first one that of fingerprint and scope, with lengths in front, so that no two texts run
// together. Whoever does not know a scope cannot name its blocks.
//
// A sum of 32 or 64 bits would find most damage. But answers are promised to the bit, an archive is
// read a billion times, and others write into it, perhaps by a program with a fault; SHA-256 leaves
// no chance, and takes a hundredth of what computing the block does. It does not prove who wrote a
// block: whoever may write into an archive is trusted as whoever may write the model's file is.
#include "core/engine/block_format.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <cstring>
#include <string>

#include "core/base/digest.h"

namespace lockstep {
namespace {

constexpr char kMagic[] = "lsprefix";
constexpr uint32_t kVersion = 1;
constexpr size_t kFingerprintAt = 24, kFingerprintBytes = 48, kKeyAt = 72, kSumAt = 104;
static_assert(kSumAt + sizeof(BlockKey) == kSealBytes);

template <class Number>
void PutNumber(uint8_t* to, Number number) {
  for (size_t i = 0; i < sizeof number; ++i) to[i] = static_cast<uint8_t>(number >> (8 * i));
}

using Header = std::array<uint8_t, kSumAt>;

Header MakeHeader(std::string_view fingerprint, const BlockKey& key, size_t payload_bytes) {
  assert(fingerprint.size() <= kFingerprintBytes);
  Header header{};
  std::memcpy(header.data(), kMagic, 8);
  PutNumber(&header[8], kVersion);
  PutNumber(&header[12], static_cast<uint32_t>(kSealBytes));
  PutNumber(&header[16], uint64_t{payload_bytes});
  std::ranges::copy(fingerprint, &header[kFingerprintAt]);
  std::ranges::copy(key, &header[kKeyAt]);
  return header;
}

std::string_view TextOf(std::span<const uint8_t> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

BlockKey Sha256Of(std::span<const uint8_t> a, std::span<const uint8_t> b) {
  Digest digest;
  digest.Add(TextOf(a));
  digest.Add(TextOf(b));
  BlockKey sum;
  std::ranges::copy(digest.Bytes(), sum.begin());
  return sum;
}

std::span<const uint8_t> BytesOf(std::string_view text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

}  // namespace

BlockKey RootKey(std::string_view fingerprint, std::string_view scope) {
  std::vector<uint8_t> named(8 + fingerprint.size());
  PutNumber(named.data(), uint64_t{fingerprint.size()});
  std::ranges::copy(fingerprint, named.begin() + 8);
  return Sha256Of(named, BytesOf(scope));
}

BlockKey NextKey(const BlockKey& parent, std::span<const int32_t> tokens) {
  std::vector<uint8_t> bytes(4 * tokens.size());
  for (size_t i = 0; i < tokens.size(); ++i) {
    PutNumber(&bytes[4 * i], static_cast<uint32_t>(tokens[i]));
  }
  return Sha256Of(parent, bytes);
}

std::vector<uint8_t> SealBlock(std::string_view fingerprint, const BlockKey& key,
                               std::span<const uint8_t> payload) {
  const Header header = MakeHeader(fingerprint, key, payload.size());
  const BlockKey sum = Sha256Of(header, payload);
  std::vector<uint8_t> bytes(kSealBytes + payload.size());
  std::ranges::copy(header, bytes.begin());
  std::ranges::copy(sum, bytes.begin() + kSumAt);
  std::ranges::copy(payload, bytes.begin() + kSealBytes);
  return bytes;
}

std::optional<std::span<const uint8_t>> OpenBlock(std::string_view fingerprint, const BlockKey& key,
                                                  size_t payload_bytes,
                                                  std::span<const uint8_t> bytes) {
  if (bytes.size() != kSealBytes + payload_bytes) return std::nullopt;
  const Header header = MakeHeader(fingerprint, key, payload_bytes);
  if (!std::ranges::equal(header, bytes.first(kSumAt))) return std::nullopt;
  const auto payload = bytes.subspan(kSealBytes);
  const BlockKey sum = Sha256Of(header, payload);
  if (!std::ranges::equal(sum, bytes.subspan(kSumAt, sum.size()))) return std::nullopt;
  return payload;
}

}  // namespace lockstep
