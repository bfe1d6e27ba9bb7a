// A row is all that the server knows of a route: the router, the HTTP server, receipts, which are
// made again by its dialect, and telemetry, which has its operation. A new one is a handler, a row
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

// What most routes are: they need the model, and a worker answers. Others' rows say all themselves.
constexpr Route Gets(std::string_view path, HttpReply (*handle)(RouteCall& call)) {
  return {path, "GET", handle, kModel, kWorkers};
}

constexpr Route Posts(std::string_view path, HttpReply (*handle)(RouteCall& call)) {
  return {path, "POST", handle, kModel, kWorkers};
}

constexpr std::string_view kChat = "chat", kCompletion = "text_completion",
                           kEmbeddings = "embeddings";

template <DialectChoice kDialect>
constexpr Route Generates(std::string_view path, std::string_view operation) {
  return {path, "POST", Generate<kDialect>, kModel, kWorkers, operation, kDialect};
}

template <const EncodeDialect& kDialect>
constexpr Route Encodes(std::string_view path) {
  return {path, "POST", Encode<kDialect>, kModel, kWorkers, kEmbeddings};
}

const Dialect* DialectOf(std::string_view path, const Json& body) {
  const Route* const route = FindRoute(path, "POST");
  return route == nullptr || route->dialect == nullptr ? nullptr : &route->dialect(body);
}

constexpr Route kRoutes[] = {
    Generates<NativeOrTgi>("/generate", kCompletion),
    Generates<Always<kTgiStream>>("/generate_stream", kCompletion),
    {"/", "POST", TgiOrTei, kModel, kWorkers, {}, Always<kTgiList>},
    Gets("/info", Info),
    Gets("/props", Props),
    Gets("/slots", Slots),
    Gets("/tokenizer_info", TokenizerInfo),
    Posts("/verify", Verify<DialectOf>),
    Generates<Always<kOpenAiCompletions>>("/v1/completions", kCompletion),
    Generates<Always<kOpenAiChat>>("/v1/chat/completions", kChat),
    Posts("/v1/completions/render", AnswerOfEither<AnswerRenderCompletions>),
    Posts("/v1/chat/completions/render", AnswerAtOnce<AnswerRenderChat>),
    Generates<Always<kAnthropicMessages>>("/v1/messages", kChat),
    Posts("/v1/messages/count_tokens", AnswerAtOnce<AnswerCountTokens>),
    Generates<Always<kOpenAiResponses>>("/v1/responses", kChat),
    Posts("/v1/responses/input_tokens", AnswerAtOnce<AnswerInputTokens>),
    Gets("/v1/responses/*/input_items", ResponseInput),
    Gets("/v1/responses/*", StoredResponse),
    {"/v1/responses/*", "DELETE", DeleteResponse, kModel, kWorkers},
    Generates<Always<kLlamaCompletion>>("/completion", kCompletion),
    Generates<Always<kLlamaInfill>>("/infill", kCompletion),
    Encodes<kLlamaEmbedding>("/embedding"),
    Posts("/apply-template", AnswerAtOnce<AnswerApplyTemplate>),
    Encodes<kOpenAiEmbeddings>("/v1/embeddings"),
    Posts("/v1/rerank", Rerank),
    Posts("/v2/rerank", Encode<kRerank>),
    Posts("/rerank", Rerank),
    Posts("/v1/score", Encode<kScore>),
    Posts("/score", Encode<kScore>),
    Encodes<kTeiEmbed>("/embed"),
    Encodes<kTeiEmbedAll>("/embed_all"),
    Posts("/similarity", Encode<kTeiSimilarity>),
    Posts("/tokenize", AnswerOfEither<AnswerTokenize>),
    Posts("/detokenize", AnswerOfEither<AnswerDetokenize>),
    Generates<Always<kOllamaChat>>("/api/chat", kChat),
    Generates<Always<kOllamaGenerate>>("/api/generate", kCompletion),
    Gets("/api/tags", OllamaTags),
    Gets("/api/ps", OllamaRunning),
    {"/api/version", "GET", OllamaVersion, kKey, kWorkers},
    Posts("/api/show", AnswerAtOnce<AnswerOllamaShow>),
    Posts("/api/pull", Generate<Always<kOllamaPull>>),
    Encodes<kOllamaEmbed>("/api/embed"),
    Encodes<kOllamaEmbeddings>("/api/embeddings"),
    {"/api/create", "POST", OllamaNoLibrary, kKey, kWorkers},
    {"/api/copy", "POST", OllamaNoLibrary, kKey, kWorkers},
    {"/api/push", "POST", OllamaNoLibrary, kKey, kWorkers},
    {"/api/blobs/*", "POST", OllamaNoLibrary, kKey, kWorkers},
    {"/api/delete", "DELETE", OllamaNoLibrary, kKey, kWorkers},
    // Clients come here that were given an address without /v1.
    Generates<OpenAiOrLlama>("/completions", kCompletion),
    Generates<Always<kOpenAiChat>>("/chat/completions", kChat),
    Generates<Always<kAnthropicMessages>>("/messages", kChat),
    Posts("/messages/count_tokens", AnswerAtOnce<AnswerCountTokens>),
    Generates<Always<kOpenAiResponses>>("/responses", kChat),
    Gets("/responses/*/input_items", ResponseInput),
    Gets("/responses/*", StoredResponse),
    {"/responses/*", "DELETE", DeleteResponse, kModel, kWorkers},
    Gets("/models", Models),
    {"/models/load", "POST", OneModelOnly, kKey, kWorkers},
    {"/models/unload", "POST", OneModelOnly, kKey, kWorkers},
    Encodes<kOpenAiEmbeddings>("/embeddings"),
    {"/version", "GET", Version, kKey, kWorkers},
    {"/openapi.json", "GET", OpenApi, kKey, kWorkers},
    Gets("/v1/models", Models),
    Gets("/v1/models/*", OneModel),
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
