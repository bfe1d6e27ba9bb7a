// Lists in these variables are W3C Baggage: KEY=VALUE pairs with commas, percent-encoded. The
// protocol has to be HTTP with JSON, which every collector takes beside protobuf at one address, so
// that OTEL_EXPORTER_OTLP_PROTOCOL is only looked at where it says gRPC.
#include "server/telemetry/otlp_settings.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <string_view>

#include "core/base/quoted.h"
#include "server/http/http_types.h"
#include "server/http/query.h"

namespace lockstep {
namespace {

// The end of the process waits for a sending that hangs.
constexpr std::chrono::milliseconds kLongestSending{30'000};

using Pairs = std::vector<std::pair<std::string, std::string>>;

tl::unexpected<Error> Fail(std::string_view name, std::string_view value, std::string_view why) {
  return Fail(ErrorKind::kInvalidArgument,
              fmt::format("{} is {}: {}", name, Quoted(value, 80), why));
}

// Adds what stands in the list; a later value of a name holds.
bool AddPairs(std::string_view list, Pairs& pairs) {
  while (!list.empty()) {
    const std::string_view pair = TrimSpaces(list.substr(0, list.find(',')));
    list.remove_prefix(
        std::min(list.size(), list.find(',') == list.npos ? list.size() : list.find(',') + 1));
    if (pair.empty()) continue;
    const size_t equals = pair.find('=');
    if (equals == 0 || equals == pair.npos) return false;
    const std::string name(TrimSpaces(pair.substr(0, equals)));
    std::string value = PercentDecoded(TrimSpaces(pair.substr(equals + 1)));
    const auto known = std::ranges::find(pairs, name, &Pairs::value_type::first);
    known == pairs.end() ? void(pairs.emplace_back(name, std::move(value)))
                         : void(known->second = std::move(value));
  }
  return true;
}

template <typename Number>
std::optional<Number> NumberFrom(std::string_view text, Number least, Number most) {
  Number number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size() ||
      !(number >= least && number <= most)) {
    return std::nullopt;
  }
  return number;
}

// How it is sent.
Status ReadTransport(const std::function<std::pair<std::string, std::string>(const char*)>& get,
                     OtlpSettings& settings) {
  constexpr int64_t kHour = 3'600'000;
  settings.authorities = get("CERTIFICATE").second;
  const auto [coding_name, coding] = get("COMPRESSION");
  if (!coding.empty() && coding != "none" && coding != "gzip") {
    return Fail(coding_name, coding, "it must be gzip or none");
  }
  settings.gzip = coding == "gzip";
  const auto [timeout_name, timeout] = get("TIMEOUT");
  if (timeout.empty()) return {};
  const auto ms = NumberFrom<int64_t>(timeout, 1, kHour);
  if (!ms) {
    return Fail(timeout_name, timeout, "it must be a number of milliseconds from 1 to 3600000");
  }
  settings.timeout = std::min(std::chrono::milliseconds(*ms), kLongestSending);
  return {};
}

// What only one of the signals has.
Status ReadPace(OtlpSignal signal, const std::function<std::string(const std::string&)>& get,
                OtlpSettings& settings) {
  if (signal == OtlpSignal::kMetrics) {
    constexpr int64_t kDay = 86'400'000;
    const std::string interval = get("OTEL_METRIC_EXPORT_INTERVAL");
    if (interval.empty()) return {};
    const auto ms = NumberFrom<int64_t>(interval, 1, kDay);
    if (!ms) {
      return Fail("OTEL_METRIC_EXPORT_INTERVAL", interval,
                  "it must be a number of milliseconds from 1 to 86400000");
    }
    settings.interval = std::chrono::milliseconds(*ms);
    return {};
  }
  const std::string sampler = get("OTEL_TRACES_SAMPLER");
  if (sampler.ends_with("always_off")) settings.ratio = 0;
  if (sampler.ends_with("traceidratio")) {
    const std::string argument = get("OTEL_TRACES_SAMPLER_ARG");
    const auto ratio = NumberFrom<double>(argument, 0, 1);
    if (!ratio) {
      return Fail("OTEL_TRACES_SAMPLER_ARG", argument, "it must be a number from 0 to 1");
    }
    settings.ratio = *ratio;
  }
  return {};
}

}  // namespace

Result<OtlpSettings> ReadOtlpSettings(OtlpSignal signal, const std::string& endpoint,
                                      const std::function<const char*(const char*)>& variable) {
  const auto get = [&variable](const std::string& name) {
    const char* const value = variable(name.c_str());
    return std::string(value == nullptr ? "" : value);
  };
  const std::string word = signal == OtlpSignal::kTraces ? "traces" : "metrics";
  const std::string own = signal == OtlpSignal::kTraces ? "TRACES" : "METRICS";
  const auto with_path = [&word](std::string base) {
    while (base.ends_with('/')) base.pop_back();
    return base + "/v1/" + word;
  };
  OtlpSettings settings;
  if (LowerCase(get("OTEL_" + own + "_EXPORTER")) == "none") return settings;
  std::string source = "--otlp-endpoint";
  if (!endpoint.empty()) {
    settings.url = with_path(endpoint);
  } else if (LowerCase(get("OTEL_SDK_DISABLED")) == "true") {
    return settings;
  } else if (settings.url = get("OTEL_EXPORTER_OTLP_" + own + "_ENDPOINT"); !settings.url.empty()) {
    source = "OTEL_EXPORTER_OTLP_" + own + "_ENDPOINT";
  } else if (const std::string base = get("OTEL_EXPORTER_OTLP_ENDPOINT"); !base.empty()) {
    source = "OTEL_EXPORTER_OTLP_ENDPOINT";
    settings.url = with_path(base);
  }
  if (!settings.enabled()) return settings;
  if (!settings.url.starts_with("http://") && !settings.url.starts_with("https://")) {
    return Fail(source, settings.url, "it must begin with http:// or https://");
  }
  for (const std::string& name :
       {std::string("OTEL_EXPORTER_OTLP_PROTOCOL"), "OTEL_EXPORTER_OTLP_" + own + "_PROTOCOL"}) {
    if (const std::string value = get(name); endpoint.empty() && value == "grpc") {
      return Fail(name, value,
                  word +
                      " are sent by http/json alone, to a collector's port 4318 and not 4317; "
                      "give that address with --otlp-endpoint");
    }
  }
  for (const std::string& name :
       {std::string("OTEL_EXPORTER_OTLP_HEADERS"), "OTEL_EXPORTER_OTLP_" + own + "_HEADERS"}) {
    if (!AddPairs(get(name), settings.headers)) {
      return Fail(name, "...", "it must be NAME=VALUE, and more of them behind commas");
    }
  }
  // A signal's own variable goes before that of all.
  TRY_OK(ReadTransport(
      [&](const std::string& what) {
        std::string name = "OTEL_EXPORTER_OTLP_" + own + "_" + what;
        if (get(name).empty()) name = "OTEL_EXPORTER_OTLP_" + what;
        return std::pair(name, get(name));
      },
      settings));
  // As where models are fetched from.
  if (settings.authorities.empty()) settings.authorities = get("SSL_CERT_FILE");
  settings.resource = {{"service.name", "lockstep"}};
  if (const std::string list = get("OTEL_RESOURCE_ATTRIBUTES");
      !AddPairs(list, settings.resource)) {
    return Fail("OTEL_RESOURCE_ATTRIBUTES", list,
                "it must be NAME=VALUE, and more of them behind commas");
  }
  if (std::string name = get("OTEL_SERVICE_NAME"); !name.empty()) {
    std::ranges::find(settings.resource, "service.name", &Pairs::value_type::first)->second =
        std::move(name);
  }
  TRY_OK(ReadPace(signal, get, settings));
  return settings;
}

}  // namespace lockstep
