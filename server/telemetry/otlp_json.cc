// An operation is told by a part of the route's path, which no dialect shares with another's.
#include "server/telemetry/otlp_json.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace lockstep {

Json OtlpAttribute(std::string_view key, Json value) {
  return {{"key", key}, {"value", std::move(value)}};
}
Json OtlpAttribute(std::string_view key, const std::string& text) {
  return OtlpAttribute(key, Json{{"stringValue", text}});
}
Json OtlpAttribute(std::string_view key, size_t number) {
  return OtlpAttribute(key, Json{{"intValue", std::to_string(number)}});
}
Json OtlpAttribute(std::string_view key, double number) {
  return OtlpAttribute(key, Json{{"doubleValue", number}});
}

std::string OtlpNanoseconds(std::chrono::system_clock::time_point time) {
  return std::to_string(
      std::chrono::duration_cast<std::chrono::nanoseconds>(time.time_since_epoch()).count());
}

Json OtlpResource(const OtlpSettings& settings, const char* version) {
  Json attributes = Json::array({OtlpAttribute("service.version", std::string(version))});
  for (const auto& [key, value] : settings.resource) {
    attributes.push_back(OtlpAttribute(key, value));
  }
  return {{"attributes", std::move(attributes)}};
}

Json OtlpScope(const char* version) { return {{"name", "lockstep"}, {"version", version}}; }

bool IsError(const RequestRecord& record) {
  return record.status >= 400 ||
         (record.outcome != "ok" && record.outcome != "stop" && record.outcome != "length");
}

}  // namespace lockstep
