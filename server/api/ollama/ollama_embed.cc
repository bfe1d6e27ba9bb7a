// Ollama cuts a text that is too long unless it is told not to, and any model's vectors where it is
// asked for fewer dimensions. Nothing to encode is no error there, but no vectors.
#include "server/api/ollama/ollama_embed.h"

#include <fmt/format.h>

#include <chrono>
#include <string>
#include <utility>

#include "server/api/ollama/ollama_fields.h"
#include "server/http/error_reply.h"

namespace lockstep {
namespace {

using Clock = std::chrono::steady_clock;

// What is about loading and computing changes no vector, and what is about answers has none here.
void ReadForOthers(FieldReader& fields, ReadContext& context) {
  ReadKeepAlive(fields);
  OllamaRequest none;
  ReadOllamaOptions(fields, context, none);
}

std::string WriteAll(const TextVectors& vectors, const std::string& model,
                     Clock::time_point began) {
  std::string text = fmt::format(R"({{"model":{},"embeddings":[)", DumpString(model));
  for (size_t i = 0; i < vectors.size(); ++i) {
    if (i > 0) text += ',';
    AppendVector(vectors[i], text);
  }
  const auto took = std::chrono::duration_cast<std::chrono::nanoseconds>(Clock::now() - began);
  text += fmt::format(R"(],"total_duration":{},"load_duration":0,"prompt_eval_count":{}}})",
                      took.count(), vectors.stats.tokens);
  return text;
}

Result<EncodeRequest> Read(const Json& body, ReadContext& context) {
  const Clock::time_point began = Clock::now();
  FieldReader fields(body);
  EncodeRequest request;
  request.cut = true;
  std::string model;
  ReadEmbeddingModel(fields, context, &model);
  if (fields.Has("input")) ReadInputs(fields, "input", context, /*ids=*/false, request);
  fields.Bool("truncate", &request.cut);
  ReadDimensions(fields, context, /*may_be_0=*/true, request);
  ReadForOthers(fields, context);
  TRY_OK(fields.Finish(context.unknown()));
  if (body.contains("input") && body["input"] == "") request.inputs.clear();
  request.write = [model = std::move(model), began](const TextVectors& made) {
    return WriteAll(made, model, began);
  };
  return request;
}

Result<EncodeRequest> ReadOlder(const Json& body, ReadContext& context) {
  FieldReader fields(body);
  EncodeRequest request;
  request.cut = true;
  std::string model, prompt;
  ReadEmbeddingModel(fields, context, &model);
  fields.Text("prompt", &prompt);
  ReadForOthers(fields, context);
  TRY_OK(fields.Finish(context.unknown()));
  request.inputs_name = "prompt";
  if (!prompt.empty()) request.inputs.emplace_back(std::move(prompt));
  request.write = [](const TextVectors& made) {
    std::string text = R"({"embedding":)";
    AppendVector(made.size() == 0 ? std::span<const float>() : made[0], text);
    return text + '}';
  };
  return request;
}

}  // namespace

const EncodeDialect kOllamaEmbed = {Read, ErrorReply};
const EncodeDialect kOllamaEmbeddings = {ReadOlder, ErrorReply};

}  // namespace lockstep
