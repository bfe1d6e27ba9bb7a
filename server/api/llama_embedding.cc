// Where llama-server has OpenAI's form under /v1 only, its own is a list in which each text has a
// list of vectors: one, or with a model that does not pool one for each token.
#include "server/api/llama_embedding.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "server/http/error_reply.h"

namespace lockstep {
namespace {

// "embd_normalize" by number, and what a vector is divided by.
enum Norm { kNone = -1, kGreatest = 0, kSum = 1, kLength = 2 };
constexpr double kGreatestValue = 32760;  // of a vector that would be 16-bit integers

std::vector<float> Scaled(std::span<const float> vector, Norm norm) {
  double sum = 0, greatest = 0;
  for (const float value : vector) {
    sum += std::abs(double{value});
    greatest = std::max(greatest, std::abs(double{value}));
  }
  const double by = norm == kGreatest ? greatest / kGreatestValue : norm == kSum ? sum : 1;
  std::vector<float> scaled(vector.begin(), vector.end());
  for (float& value : scaled) value = by > 0 ? static_cast<float>(double{value} / by) : 0;
  return scaled;
}

std::string Write(const TextVectors& vectors, Norm norm) {
  std::string text = "[";
  for (size_t i = 0; i < vectors.size(); ++i) {
    text += fmt::format(R"({}{{"index":{},"embedding":[)", i == 0 ? "" : ",", i);
    AppendVector(Scaled(vectors[i], norm), text);
    text += "]}";
  }
  return text + ']';
}

Result<EncodeRequest> Read(const Json& body, ReadContext& context) {
  FieldReader fields(body);
  EncodeRequest request;
  std::string model;
  ReadEmbeddingModel(fields, context, &model);
  const char* const name = fields.Has("input") ? "input" : "content";
  if (fields.Has("input")) fields.Take("content");  // as llama-server has it
  ReadInputs(fields, name, context, /*ids=*/true, request);
  if (fields.ok() && request.inputs.empty()) fields.Fail(name, "is empty: send a text");
  int64_t norm = kLength;
  if (fields.Integer("embd_normalize", kNone, INT64_MAX, &norm) && norm > kLength) {
    fields.Fail("embd_normalize",
                "must be 2, for vectors of the length 1, 1 for a sum of 1, 0 for 16 bits, or -1");
  }
  // The vectors' own length is divided by where they are made.
  if (norm != kLength) request.form = TextForm::kPooled;
  fields.Take("encoding_format");  // which llama-server has in OpenAI's form alone
  TRY_OK(fields.Finish(context.unknown()));
  request.write = [norm = static_cast<Norm>(norm)](const TextVectors& made) {
    return Write(made, norm);
  };
  return request;
}

}  // namespace

const EncodeDialect kLlamaEmbedding = {Read, ErrorReply};

}  // namespace lockstep
