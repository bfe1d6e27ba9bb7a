// Only the first error is kept: what is read after it is read from a file that is refused anyway,
// so that readers need no check between two keys.
#include "core/gguf/metadata_keys.h"

#include <fmt/format.h>

namespace lockstep {

// An error of the file's becomes status_, unless there is one; then the value counts as absent.
template <class T>
std::optional<T> MetadataKeys::Keep(Result<std::optional<T>> value) {
  if (value) return *value;
  if (status_) status_ = tl::unexpected(value.error());
  return std::nullopt;
}

template <class T>
T MetadataKeys::Need(std::string_view key, std::optional<T> value, T otherwise) {
  if (!value && status_) status_ = file_.Fail(fmt::format("{} is missing", Name(key)));
  return value.value_or(otherwise);
}

void MetadataKeys::Fail(std::string_view key, const std::string& value, const std::string& what) {
  if (status_) status_ = file_.Fail(fmt::format("{} is {}, but {}", Name(key), value, what));
}

std::optional<size_t> MetadataKeys::Size(std::string_view key, size_t min, size_t max) {
  const std::optional<uint64_t> value = Keep(file_.GetU64(Name(key)));
  if (value && (*value < min || *value > max)) {
    Fail(key, fmt::to_string(*value), fmt::format("must be {} to {}", min, max));
  }
  return value;
}

size_t MetadataKeys::NeedSize(std::string_view key, size_t min, size_t max) {
  return Need(key, Size(key, min, max), min);
}

std::optional<std::vector<size_t>> MetadataKeys::Sizes(std::string_view key, size_t n, size_t min,
                                                       size_t max) {
  const GgufPair* pair = file_.Find(Name(key));
  if (pair == nullptr || !std::holds_alternative<GgufArray>(pair->value)) {
    const std::optional<size_t> one = Size(key, min, max);
    if (!one) return std::nullopt;
    return std::vector<size_t>(n, *one);
  }
  const auto values = Keep(file_.GetInts(Name(key)));
  if (!values) return std::nullopt;
  std::vector<size_t> sizes(n, min);
  if (values->size() != n) {
    Fail(key, fmt::format("an array of {}", values->size()),
         fmt::format("must be a number, or one for each of {}", n));
    return sizes;
  }
  for (size_t i = 0; i < n; ++i) {
    const int32_t value = (*values)[i];
    if (value < 0 || static_cast<size_t>(value) < min || static_cast<size_t>(value) > max) {
      Fail(key, fmt::format("{} in place {}", value, i), fmt::format("must be {} to {}", min, max));
      break;
    }
    sizes[i] = static_cast<size_t>(value);
  }
  return sizes;
}

std::vector<size_t> MetadataKeys::NeedSizes(std::string_view key, size_t n, size_t min,
                                            size_t max) {
  return Need(key, Sizes(key, n, min, max), std::vector<size_t>(n, min));
}

std::optional<double> MetadataKeys::Number(std::string_view key, double min, double max) {
  const std::optional<double> value = Keep(file_.GetFloat(Name(key)));
  // Written so that NaN fails.
  if (value && !(*value >= min && *value <= max)) {
    Fail(key, fmt::to_string(*value), fmt::format("must be {} to {}", min, max));
  }
  return value;
}

double MetadataKeys::NeedNumber(std::string_view key, double min, double max) {
  return Need(key, Number(key, min, max), min);
}

std::optional<bool> MetadataKeys::Flag(std::string_view key) {
  return Keep(file_.GetBool(Name(key)));
}

bool MetadataKeys::NeedFlag(std::string_view key) { return Need(key, Flag(key), false); }

std::optional<std::string_view> MetadataKeys::Text(std::string_view key) {
  return Keep(file_.GetString(Name(key)));
}

std::string_view ToldText(const GgufFile& file, std::string_view key) {
  const auto text = file.GetString(key);
  return text ? text->value_or("") : "";
}

}  // namespace lockstep
