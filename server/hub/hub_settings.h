// Where models come from and where they are kept, as the variables say that Hugging Face's own
// programs read: HF_TOKEN, HF_TOKEN_PATH, HF_ENDPOINT (MODEL_ENDPOINT), HF_HUB_CACHE, HF_HOME,
// XDG_CACHE_HOME, HF_HUB_OFFLINE and SSL_CERT_FILE. A value.
#pragma once

#include <functional>
#include <string>

#include "core/base/status.h"

namespace lockstep {

struct HubSettings {
  std::string endpoint = "https://huggingface.co";  // without a slash at its end
  std::string cache;                                // the folder of models--USER--REPO
  std::string own_cache;                            // of files that are on no hub
  std::string token;                                // or empty
  std::string authorities;                          // HttpGet's, by SSL_CERT_FILE
  bool offline = false;
};

// A variable's value; null where it is not set, as getenv.
using Variables = std::function<const char*(const char*)>;

// kInvalidArgument if a variable's value is of no use. Makes no folder.
[[nodiscard]] Result<HubSettings> ReadHubSettings(const Variables& variables);

}  // namespace lockstep
