// A cursor over little-endian bytes for the GGUF parser. A read past the end fails, moves nothing
// and is told by the Error; `where` is called only then. Not thread-safe; owns nothing.
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "core/base/status.h"

namespace lockstep {

// Ends the message where the file has fewer bytes than it says, as half a download has.
inline constexpr std::string_view kMayBeCut = "it may be cut short, so fetch it again";

class GgufReader {
 public:
  GgufReader(std::span<const uint8_t> bytes, const std::string& name)
      : bytes_(bytes), name_(name) {}

  size_t position() const { return position_; }
  size_t remaining() const { return bytes_.size() - position_; }

  // A kBadFile error that starts with `name`.
  template <class... Args>
  tl::unexpected<Error> Fail(fmt::format_string<Args...> format, Args&&... args) const {
    return lockstep::Fail(
        ErrorKind::kBadFile,
        fmt::format("{}: {}", name_, fmt::format(format, std::forward<Args>(args)...)));
  }

  // The next sizeof(T) bytes as a number, which memcpy takes wherever they lie: nothing in a header
  // is aligned. `where` names the field for the message, such as "version".
  template <class T, class Where>
  [[nodiscard]] Result<T> Number(const Where& where) {
    if (remaining() < sizeof(T)) return Truncated(sizeof(T), where());
    T value;
    std::memcpy(&value, bytes_.data() + position_, sizeof(T));
    position_ += sizeof(T);
    return value;
  }

  // The next `size` bytes, as a view of the file.
  template <class Where>
  [[nodiscard]] Result<std::span<const uint8_t>> Bytes(size_t size, const Where& where) {
    if (remaining() < size) return Truncated(size, where());
    const auto taken = bytes_.subspan(position_, size);
    position_ += size;
    return taken;
  }

  // A 64-bit length and as many bytes.
  template <class Where>
  [[nodiscard]] Result<std::string_view> String(size_t limit, const Where& where) {
    TRY(const uint64_t length, Number<uint64_t>(where));
    if (length > limit) {
      return Fail("{} has length {}, but the limit is {} bytes", where(), length, limit);
    }
    TRY(const auto text, Bytes(length, where));
    return std::string_view(reinterpret_cast<const char*>(text.data()), text.size());
  }

 private:
  tl::unexpected<Error> Truncated(size_t wanted, const std::string& where) const {
    return Fail("{} needs {} bytes at offset {}, but the file has {} bytes in all; {}", where,
                wanted, position_, bytes_.size(), kMayBeCut);
  }

  std::span<const uint8_t> bytes_;
  const std::string& name_;
  size_t position_ = 0;
};

}  // namespace lockstep
