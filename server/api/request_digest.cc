// Values are fed to the digest one by one, each with its kind and its length before it, so that no
// two different bodies are the same bytes and none is written out a second time.
#include "server/api/request_digest.h"

#include <algorithm>
#include <cmath>

#include "core/base/digest.h"

namespace lockstep {
namespace {

constexpr double kExactIntegers = 9007199254740992;  // 2^53: up to here doubles hold them all

void AddText(char kind, std::string_view text, Digest& digest) {
  digest.Add({&kind, 1});
  digest.AddNumber(text.size());
  digest.Add(text);
}

void AddObject(const Json& object, std::string_view left_out, Digest& digest);

// Nesting is bounded by kMaxJsonDepth.
void AddValue(const Json& value, Digest& digest) {  // NOLINT(misc-no-recursion)
  if (value.is_object()) return AddObject(value, {}, digest);
  if (value.is_string()) return AddText('s', value.get_ref<const std::string&>(), digest);
  if (value.is_array()) {
    AddText('[', {}, digest);
    for (const Json& item : value) AddValue(item, digest);
    return AddText(']', {}, digest);
  }
  if (value.is_number_float()) {
    const auto number = value.get<double>();
    if (std::trunc(number) == number && std::abs(number) <= kExactIntegers) {
      return AddText('v', Dump(static_cast<int64_t>(number)), digest);
    }
  }
  AddText('v', Dump(value), digest);
}

void AddObject(const Json& object, std::string_view left_out,  // NOLINT(misc-no-recursion)
               Digest& digest) {
  std::vector<const Json::object_t::value_type*> fields;
  for (const auto& field : object.get_ref<const Json::object_t&>()) {
    if (!field.second.is_null() && field.first != left_out) fields.push_back(&field);
  }
  std::ranges::sort(fields, {}, [](const auto* field) { return std::string_view(field->first); });
  AddText('{', {}, digest);
  for (const auto* field : fields) {
    AddText('k', field->first, digest);
    AddValue(field->second, digest);
  }
  AddText('}', {}, digest);
}

}  // namespace

std::string RequestDigest(std::string_view path, const Json& body) {
  Digest digest;
  AddText('p', path, digest);
  AddObject(body, "prediction", digest);
  return digest.Bytes();
}

std::string TokensDigest(std::span<const std::vector<int32_t>> lists) {
  Digest digest;
  for (const std::vector<int32_t>& list : lists) {
    digest.AddNumber(list.size());
    for (const int32_t token : list) digest.AddNumber(static_cast<uint64_t>(token));
  }
  return digest.Bytes();
}

}  // namespace lockstep
