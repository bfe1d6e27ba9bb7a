// The routes that generate text, in all dialects: from a body to a reply. Thread-safe; the service
// must outlive the replies.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "server/generation/generate_types.h"
#include "server/generation/generation_service.h"
#include "server/http/http_types.h"

namespace lockstep {

struct GenerateSettings {
  // Between the comments of a stream that waits. Proxies give up after 30 s and more.
  std::chrono::milliseconds keep_alive{10'000};
  std::vector<std::string> model_aliases;  // names that the model has beside its own; * is any
  bool lenient = false;                    // unknown fields are ignored, and named in a header
};

// Blocks for as long as a generation takes, or until its stream begins.
using GenerateRoute = HttpReply (*)(GenerationService& service, const GenerateSettings& settings,
                                    const HttpRequest& request, Caller caller);

// POST /generate: the server's own dialect, or TGI's if there are "inputs".
HttpReply NativeOrTgiRoute(GenerationService& service, const GenerateSettings& settings,
                           const HttpRequest& request, Caller caller);
// POST /generate_stream: TGI's, streamed whatever "stream" says.
HttpReply TgiStreamRoute(GenerationService& service, const GenerateSettings& settings,
                         const HttpRequest& request, Caller caller);
// POST /: TGI's, where clients that know nothing but an address send it.
HttpReply TgiRootRoute(GenerationService& service, const GenerateSettings& settings,
                       const HttpRequest& request, Caller caller);
HttpReply CompletionsRoute(GenerationService& service, const GenerateSettings& settings,
                           const HttpRequest& request, Caller caller);

HttpReply ChatRoute(GenerationService& service, const GenerateSettings& settings,
                    const HttpRequest& request, Caller caller);
// POST /apply-template: the prompt that a conversation becomes, as a text. Generates nothing.
HttpReply ApplyTemplateRoute(GenerationService& service, const GenerateSettings& settings,
                             const HttpRequest& request, Caller caller);
// POST /tokenize and /detokenize.
HttpReply TokenizeRoute(GenerationService& service, const GenerateSettings& settings,
                        const HttpRequest& request, Caller caller);
HttpReply DetokenizeRoute(GenerationService& service, const GenerateSettings& settings,
                          const HttpRequest& request, Caller caller);

}  // namespace lockstep
