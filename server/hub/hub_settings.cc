// Variables are looked at in the order of huggingface_hub, Hugging Face's own library, so that both
// find the same models and the same token, and what one has fetched the other does not fetch again.
#include "server/hub/hub_settings.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/base/quoted.h"
#include "server/host/read_file.h"
#include "server/http/http_types.h"
#include "server/hub/url.h"

namespace lockstep {
namespace {

constexpr size_t kMaxTokenFile = 64 * 1024;  // bytes

std::string Value(const Variables& variables, const char* name) {
  const char* const value = variables(name);
  return value == nullptr ? "" : value;
}

std::string Trimmed(std::string_view text) { return std::string(TrimSpaces(text, " \t\r\n")); }

bool IsYes(std::string_view word) {
  return word == "1" || EqualsNoCase(word, "on") || EqualsNoCase(word, "yes") ||
         EqualsNoCase(word, "true");
}

// A header's value: what is no printable ASCII could forge another.
Status CheckToken(const std::string& token, const std::string& source) {
  const bool fine =
      std::all_of(token.begin(), token.end(), [](char c) { return c > 0x20 && c < 0x7f; });
  if (fine) return {};
  return Fail(ErrorKind::kInvalidArgument,
              fmt::format("{}: a token has no spaces and no characters beyond ASCII", source));
}

}  // namespace

Result<HubSettings> ReadHubSettings(const Variables& variables) {
  const auto value = [&variables](const char* name) { return Trimmed(Value(variables, name)); };
  const std::string home = value("HOME");
  const auto folder = [&](const char* name) {
    std::string path = value(name);
    if (path == "~" || path.starts_with("~/")) path.replace(0, 1, home);
    return path;
  };
  HubSettings settings;
  std::string cache = folder("XDG_CACHE_HOME");
  if (cache.empty() && !home.empty()) cache = home + "/.cache";
  std::string hf_home = folder("HF_HOME");
  if (hf_home.empty() && !cache.empty()) hf_home = cache + "/huggingface";
  settings.cache = folder("HF_HUB_CACHE");
  if (settings.cache.empty()) settings.cache = folder("HUGGINGFACE_HUB_CACHE");
  if (settings.cache.empty() && !hf_home.empty()) settings.cache = hf_home + "/hub";
  if (settings.cache.empty()) {
    return Fail(ErrorKind::kInvalidArgument,
                "there is no folder to keep models in: set HF_HUB_CACHE, or HOME");
  }
  // Beside the hub's where there is no home, as for a service.
  settings.own_cache = cache.empty() ? settings.cache + "/.lockstep" : cache + "/lockstep";

  std::string endpoint = value("HF_ENDPOINT");
  if (endpoint.empty()) endpoint = value("MODEL_ENDPOINT");
  while (endpoint.ends_with('/')) endpoint.pop_back();
  if (!endpoint.empty()) {
    const auto url = ParseUrl(endpoint);
    if (!url) {
      return Fail(ErrorKind::kInvalidArgument, "HF_ENDPOINT: " + url.error().message);
    }
    settings.endpoint = std::move(endpoint);
  }
  settings.token = value("HF_TOKEN");
  TRY_OK(CheckToken(settings.token, "HF_TOKEN"));
  if (settings.token.empty()) {
    std::string path = folder("HF_TOKEN_PATH");
    const bool named = !path.empty();
    if (!named) path = hf_home + "/token";  // where `hf auth login` leaves it
    // A folder, for one, is what docker makes of a file that it is to mount and that is not there.
    const auto text = ReadSmallFile(path, kMaxTokenFile);
    if (!text && text.error().kind != ErrorKind::kNotFound) {
      return Fail(ErrorKind::kInvalidArgument,
                  fmt::format("{}: {}", named ? "HF_TOKEN_PATH" : "the token of HF_HOME",
                              text.error().message));
    }
    settings.token = Trimmed(text.value_or(""));
    TRY_OK(CheckToken(settings.token, Escaped(path)));
  }
  settings.authorities = folder("SSL_CERT_FILE");
  settings.offline = IsYes(value("HF_HUB_OFFLINE"));
  return settings;
}

}  // namespace lockstep
