// A row is all that the router and the HTTP server know of a route. A new one is a handler, a row
// here, and its place in openapi.json.
#include "server/api/routes.h"

#include <fmt/format.h>

#include <vector>

#include "core/base/nearest.h"
#include "core/base/quoted.h"
#include "server/api/anthropic/message_api.h"
#include "server/api/generate.h"
#include "server/api/llama_api.h"
#include "server/api/llama_embedding.h"
#include "server/api/ollama/ollama_chat.h"
#include "server/api/ollama/ollama_embed.h"
#include "server/api/ollama/ollama_generate.h"
#include "server/api/ollama/ollama_models.h"
#include "server/api/openai/chat.h"
#include "server/api/openai/completions.h"
#include "server/api/openai/embeddings.h"
#include "server/api/openai/responses.h"
#include "server/api/openai/stored_responses.h"
#include "server/api/render_api.h"
#include "server/api/rerank_api.h"
#include "server/api/server_info.h"
#include "server/api/tei_api.h"
#include "server/api/tgi_api.h"
#include "server/api/tokenize_api.h"
#include "server/api/verify_api.h"

namespace lockstep {
namespace {

// Guessing takes time for each byte of the path, and no route is so long.
constexpr size_t kMaxGuessedPath = 64;

using enum Needs;
using enum AnsweredBy;

constexpr Route kRoutes[] = {
    {"/generate", "POST", GenerateNativeOrTgi, kModel, kWorkers},
    {"/generate_stream", "POST", Generate<kTgiStream>, kModel, kWorkers},
    {"/", "POST", TgiOrTei, kModel, kWorkers},
    {"/info", "GET", Info, kModel, kWorkers},
    {"/props", "GET", Props, kModel, kWorkers},
    {"/slots", "GET", Slots, kModel, kWorkers},
    {"/tokenizer_info", "GET", TokenizerInfo, kModel, kWorkers},
    {"/verify", "POST", Verify, kModel, kWorkers},
    {"/v1/completions", "POST", Generate<kOpenAiCompletions>, kModel, kWorkers},
    {"/v1/chat/completions", "POST", Generate<kOpenAiChat>, kModel, kWorkers},
    {"/v1/completions/render", "POST", AnswerAtOnce<AnswerRenderCompletions>, kModel, kWorkers},
    {"/v1/chat/completions/render", "POST", AnswerAtOnce<AnswerRenderChat>, kModel, kWorkers},
    {"/v1/messages", "POST", Generate<kAnthropicMessages>, kModel, kWorkers},
    {"/v1/messages/count_tokens", "POST", AnswerAtOnce<AnswerCountTokens>, kModel, kWorkers},
    {"/v1/responses", "POST", Generate<kOpenAiResponses>, kModel, kWorkers},
    {"/v1/responses/input_tokens", "POST", AnswerAtOnce<AnswerInputTokens>, kModel, kWorkers},
    {"/v1/responses/*/input_items", "GET", ResponseInput, kModel, kWorkers},
    {"/v1/responses/*", "GET", StoredResponse, kModel, kWorkers},
    {"/v1/responses/*", "DELETE", DeleteResponse, kModel, kWorkers},
    {"/completion", "POST", Generate<kLlamaCompletion>, kModel, kWorkers},
    {"/infill", "POST", Generate<kLlamaInfill>, kModel, kWorkers},
    {"/embedding", "POST", Encode<kLlamaEmbedding>, kModel, kWorkers},
    {"/apply-template", "POST", AnswerAtOnce<AnswerApplyTemplate>, kModel, kWorkers},
    {"/v1/embeddings", "POST", Encode<kOpenAiEmbeddings>, kModel, kWorkers},
    {"/v1/rerank", "POST", Rerank, kModel, kWorkers},
    {"/v2/rerank", "POST", Encode<kRerank>, kModel, kWorkers},
    {"/rerank", "POST", Rerank, kModel, kWorkers},
    {"/v1/score", "POST", Encode<kScore>, kModel, kWorkers},
    {"/score", "POST", Encode<kScore>, kModel, kWorkers},
    {"/embed", "POST", Encode<kTeiEmbed>, kModel, kWorkers},
    {"/embed_all", "POST", Encode<kTeiEmbedAll>, kModel, kWorkers},
    {"/similarity", "POST", Encode<kTeiSimilarity>, kModel, kWorkers},
    {"/tokenize", "POST", AnswerAtOnce<AnswerTokenize>, kModel, kWorkers},
    {"/detokenize", "POST", AnswerAtOnce<AnswerDetokenize>, kModel, kWorkers},
    {"/api/chat", "POST", Generate<kOllamaChat>, kModel, kWorkers},
    {"/api/generate", "POST", Generate<kOllamaGenerate>, kModel, kWorkers},
    {"/api/tags", "GET", OllamaTags, kModel, kWorkers},
    {"/api/ps", "GET", OllamaRunning, kModel, kWorkers},
    {"/api/version", "GET", OllamaVersion, kKey, kWorkers},
    {"/api/show", "POST", AnswerAtOnce<AnswerOllamaShow>, kModel, kWorkers},
    {"/api/pull", "POST", Generate<kOllamaPull>, kModel, kWorkers},
    {"/api/embed", "POST", Encode<kOllamaEmbed>, kModel, kWorkers},
    {"/api/embeddings", "POST", Encode<kOllamaEmbeddings>, kModel, kWorkers},
    {"/api/create", "POST", OllamaNoLibrary, kKey, kWorkers},
    {"/api/copy", "POST", OllamaNoLibrary, kKey, kWorkers},
    {"/api/push", "POST", OllamaNoLibrary, kKey, kWorkers},
    {"/api/blobs/*", "POST", OllamaNoLibrary, kKey, kWorkers},
    {"/api/delete", "DELETE", OllamaNoLibrary, kKey, kWorkers},
    // Where clients come to that were given an address without /v1.
    {"/completions", "POST", GenerateOpenAiOrLlama, kModel, kWorkers},
    {"/chat/completions", "POST", Generate<kOpenAiChat>, kModel, kWorkers},
    {"/messages", "POST", Generate<kAnthropicMessages>, kModel, kWorkers},
    {"/messages/count_tokens", "POST", AnswerAtOnce<AnswerCountTokens>, kModel, kWorkers},
    {"/responses", "POST", Generate<kOpenAiResponses>, kModel, kWorkers},
    {"/responses/*/input_items", "GET", ResponseInput, kModel, kWorkers},
    {"/responses/*", "GET", StoredResponse, kModel, kWorkers},
    {"/responses/*", "DELETE", DeleteResponse, kModel, kWorkers},
    {"/models", "GET", Models, kModel, kWorkers},
    {"/models/load", "POST", OneModelOnly, kKey, kWorkers},
    {"/models/unload", "POST", OneModelOnly, kKey, kWorkers},
    {"/embeddings", "POST", Encode<kOpenAiEmbeddings>, kModel, kWorkers},
    {"/version", "GET", Version, kKey, kWorkers},
    {"/openapi.json", "GET", OpenApi, kKey, kWorkers},
    {"/v1/models", "GET", Models, kModel, kWorkers},
    {"/v1/models/*", "GET", OneModel, kModel, kWorkers},
    {"/livez", "GET", Live, kNothing, kControl},
    {"/readyz", "GET", Ready, kNothing, kControl},
    {"/health", "GET", Ready, kNothing, kControl},
    {"/v1/health", "GET", Ready, kNothing, kControl},
    {"/ping", "GET", Ready, kNothing, kControl},
    {"/metrics", "GET", RenderMetrics, kNothing, kControl},
};

}  // namespace

std::span<const Route> AllRoutes() { return kRoutes; }

std::optional<std::string_view> PlaceIn(std::string_view path, std::string_view route) {
  const size_t star = route.find('*');
  if (star == route.npos) return path == route ? std::optional(path.substr(0, 0)) : std::nullopt;
  const std::string_view before = route.substr(0, star), after = route.substr(star + 1);
  if (path.size() < before.size() + after.size() || !path.starts_with(before) ||
      !path.ends_with(after)) {
    return std::nullopt;
  }
  return path.substr(star, path.size() - before.size() - after.size());
}

const Route* FindRoute(std::string_view path) {
  for (const Route& route : kRoutes) {
    if (PlaceIn(path, route.path)) return &route;
  }
  return nullptr;
}

const Route* FindRoute(std::string_view path, std::string_view method) {
  const Route* const any = FindRoute(path);
  if (any == nullptr) return nullptr;
  // HEAD is answered wherever GET is (RFC 9110, 9.3.2).
  if (method == "HEAD") method = "GET";
  for (const Route& route : kRoutes) {
    if (route.path == any->path && route.method == method) return &route;
  }
  return any;
}

std::string AllowedMethods(std::string_view route) {
  // / has the page, which the router answers with.
  std::string allowed = route == "/" ? "GET, HEAD" : "";
  for (const Route& row : kRoutes) {
    if (row.path != route) continue;
    allowed += fmt::format("{}{}", allowed.empty() ? "" : ", ",
                           row.method == "GET" ? "GET, HEAD" : row.method);
  }
  return allowed;
}

std::string NoSuchRoute(std::string_view path) {
  std::vector<std::string> paths;
  for (const Route& route : kRoutes) paths.emplace_back(route.path);
  const std::string nearest = Nearest(path.substr(0, kMaxGuessedPath), paths);
  const Route* const route = nearest.empty() ? nullptr : FindRoute(nearest);
  return fmt::format("there is no {}; {} GET /openapi.json lists all routes", Quoted(path),
                     route == nullptr
                         ? "chats go to POST /v1/chat/completions, prompts to POST /v1/completions "
                           "or /generate;"
                         : fmt::format("did you mean {} {}?", route->method, route->path));
}

bool IsControlPath(std::string_view path) {
  const Route* const route = FindRoute(path);
  return route != nullptr && route->answered_by == kControl;
}

bool IsScrapePath(std::string_view path) {
  const Route* const route = FindRoute(path);
  return route != nullptr && route->handle == RenderMetrics;
}

}  // namespace lockstep
