// A bare array is the whole answer in this dialect, and a text that is too long an error unless the
// client asks for it to be cut.
#include "server/api/tei_api.h"

#include <fmt/format.h>

#include <string>
#include <string_view>
#include <utility>

#include "server/api/generate.h"
#include "server/api/tgi_api.h"
#include "server/http/error_reply.h"

namespace lockstep {
namespace {

// Its clients choose what to do by these.
ErrorShape ShapeOf(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::kInvalidArgument:
      return {422, "Validation"};
    case ErrorKind::kContextExceeded:
      return {413, "Validation"};
    case ErrorKind::kNotFound:
      return {404, "Validation"};
    case ErrorKind::kOverloaded:
      return {429, "Overloaded"};
    case ErrorKind::kUnavailable:
      return {503, "Unhealthy"};
    default:
      return {424, "Backend"};
  }
}

constexpr std::string_view kEmpty = "is empty";

// What the model is for; files do not name a score's label.
Json TypeOf(const EmbeddingService& service) {
  if (!service.scores_pairs()) return {{"embedding", {{"pooling", service.pooling()}}}};
  return {{"reranker", {{"id2label", {{"0", "LABEL_0"}}}, {"label2id", {{"LABEL_0", 0}}}}}};
}

}  // namespace

// What a server of vectors is asked that has none is no mistake of a field, and nor is what would
// take too much memory.
HttpReply TeiErrorReply(const Error& error) {
  const bool field = error.kind == ErrorKind::kInvalidArgument;
  if (field && error.message.ends_with(kEmpty)) return ShapedErrorReply(error, {400, "Empty"});
  if (field && error.param.empty()) return ShapedErrorReply(error, {400, "Validation"});
  if (field && error.param == "model") return ShapedErrorReply(error, {400, "Backend"});
  return ShapedErrorReply(error, ShapeOf(error.kind));
}

bool IsTeiPath(std::string_view path) {
  return path == "/embed" || path == "/embed_all" || path == "/similarity";
}

bool IsTeiRequest(std::string_view path, const Json& body) {
  if (path == "/") return true;
  return (path == "/rerank" || path == "/v1/rerank") && FindField(body, "texts") != nullptr;
}

void PutInTeiForm(HttpReply& reply) {
  const auto body = ParseStrictObject(reply.body);
  const Json* const error = body ? FindField(*body, "error") : nullptr;
  const Json* const message = error != nullptr ? FindField(*error, "message") : nullptr;
  if (message == nullptr) return;
  const char* const type = reply.status == 429   ? "Overloaded"
                           : reply.status == 503 ? "Unhealthy"
                           : reply.status >= 500 ? "Backend"
                                                 : "Validation";
  reply.body = Dump(Json{{"error", *message}, {"error_type", type}});
}

void ReadTeiInputs(FieldReader& fields, std::string_view name, const ReadContext& context, bool ids,
                   EncodeRequest& request) {
  const Json* const value = fields.Take(name);
  const bool several =
      value != nullptr && value->is_array() && !value->empty() && !value->front().is_number();
  if (several && value->size() > kMaxInputs) {
    return fields.Fail({ErrorKind::kContextExceeded,
                        fmt::format("{} has {} texts, and a request may have {}", fields.Full(name),
                                    value->size(), kMaxInputs),
                        fields.Full(name)});
  }
  ReadInputs(fields, name, context, ids, request);
  if (fields.ok() && request.inputs.empty()) fields.Fail(name, kEmpty);
}

void ReadTeiReading(FieldReader& fields, EncodeRequest& request) {
  std::string direction;
  fields.Bool("truncate", &request.cut);
  if (fields.Text("truncation_direction", &direction)) {
    request.cut_begin = EqualsNoCase(direction, "left");
    if (!request.cut_begin && !EqualsNoCase(direction, "right")) {
      fields.Fail("truncation_direction", "must be left or right");
    }
  }
  fields.Refuse("prompt_name",
                "names nothing: the model's file has no prompts; put one before each text");
}

namespace {

Result<EncodeRequest> ReadEmbed(const Json& body, ReadContext& context) {
  FieldReader fields(body);
  EncodeRequest request;
  std::string model;
  ReadEmbeddingModel(fields, context, &model);
  ReadTeiInputs(fields, "inputs", context, /*ids=*/true, request);
  ReadTeiReading(fields, request);
  bool normalize = true;
  if (fields.Bool("normalize", &normalize) && !normalize) request.form = TextForm::kPooled;
  ReadDimensions(fields, context, /*may_be_0=*/true, request);
  TRY_OK(fields.Finish(context.unknown()));
  request.write = [](const TextVectors& vectors) {
    std::string text = "[";
    for (size_t i = 0; i < vectors.size(); ++i) {
      if (i > 0) text += ',';
      AppendVector(vectors[i], text);
    }
    return text + ']';
  };
  return request;
}

// Each text becomes a list of vectors, one for each of its tokens, those around the text included.
std::string WriteTokens(const TextVectors& vectors) {
  std::string text = "[";
  size_t next = 0;
  for (const size_t count : vectors.counts) {
    text += next == 0 ? "[" : ",[";
    for (size_t i = 0; i < count; ++i) {
      if (i > 0) text += ',';
      AppendVector(vectors[next++], text);
    }
    text += ']';
  }
  return text + ']';
}

Result<EncodeRequest> ReadEmbedAll(const Json& body, ReadContext& context) {
  FieldReader fields(body);
  EncodeRequest request;
  request.form = TextForm::kTokens;
  std::string model;
  ReadEmbeddingModel(fields, context, &model);
  ReadTeiInputs(fields, "inputs", context, /*ids=*/true, request);
  ReadTeiReading(fields, request);
  TRY_OK(fields.Finish(context.unknown()));
  request.write = WriteTokens;
  return request;
}

Result<EncodeRequest> ReadSimilarity(const Json& body, ReadContext& context) {
  FieldReader fields(body);
  EncodeRequest request;
  std::string model;
  ReadEmbeddingModel(fields, context, &model);
  const bool sent =
      fields.Object("inputs", "must be an object with source_sentence and sentences",
                    context.unknown(), [&](FieldReader& inputs) {
                      std::string source;
                      if (!inputs.Text("source_sentence", &source))
                        inputs.Fail("source_sentence", "is missing");
                      request.queries.push_back(std::move(source));
                      ReadTeiInputs(inputs, "sentences", context, /*ids=*/false, request);
                    });
  request.queries_name = "inputs.source_sentence", request.inputs_name = "inputs.sentences";
  if (!sent && fields.ok()) fields.Fail("inputs", "is missing");
  const auto read = [&request](FieldReader& parameters) { ReadTeiReading(parameters, request); };
  fields.Object("parameters", "must be an object", context.unknown(), read);
  TRY_OK(fields.Finish(context.unknown()));
  request.write = [](const TextVectors& scores) {
    std::string text;
    AppendVector(scores.values, text);
    return text;
  };
  return request;
}

Result<EncodeRequest> ReadEither(const Json& body, ReadContext& context) {
  const Json* const inputs = FindField(body, "inputs");
  const bool pairs = inputs != nullptr && inputs->is_object();
  return (pairs ? ReadSimilarity : ReadEmbed)(body, context);
}

constexpr EncodeDialect kTeiRoot = {ReadEither, TeiErrorReply};

}  // namespace

const EncodeDialect kTeiEmbed = {ReadEmbed, TeiErrorReply};
const EncodeDialect kTeiEmbedAll = {ReadEmbedAll, TeiErrorReply};
const EncodeDialect kTeiSimilarity = {ReadSimilarity, TeiErrorReply};

HttpReply TgiOrTei(RouteCall& call) {
  return call.service->model().encodes ? EncodeIn(kTeiRoot, call)
                                       : GenerateIn(Always<kTgiList>, call);
}

HttpReply TeiInfo(RouteCall& call) {
  const EmbeddingService& service = *call.service->embeddings();
  const ServedModel& model = service.model();
  HttpReply reply;
  reply.body = Dump(Json{{"model_id", model.name},
                         {"model_sha", model.fingerprint},
                         {"model_dtype", model.card.quantization},
                         {"model_type", TypeOf(service)},
                         {"max_input_length", model.context},
                         {"max_client_batch_size", kMaxInputs},
                         {"auto_truncate", false},
                         {"router", "lockstep"},
                         {"version", LOCKSTEP_VERSION}});
  return reply;
}

}  // namespace lockstep
