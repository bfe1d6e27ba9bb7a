// OpenAI's client libraries ask for base64 unless told otherwise, and decode it themselves: the
// bytes of 32-bit floats, the least significant first.
#include "server/api/openai/embeddings.h"

#include <fmt/format.h>

#include <bit>
#include <string>
#include <utility>

#include "core/base/digest.h"
#include "server/http/error_reply.h"

namespace lockstep {
namespace {

static_assert(std::endian::native == std::endian::little);  // x86 and the Arm that is built for

void AppendBase64(std::span<const float> vector, std::string& text) {
  const std::string_view bytes(reinterpret_cast<const char*>(vector.data()), vector.size_bytes());
  text += '"' + Base64(bytes) + '"';
}

std::string Write(const TextVectors& vectors, const std::string& model, bool base64) {
  std::string text = R"({"object":"list","data":[)";
  for (size_t i = 0; i < vectors.size(); ++i) {
    text +=
        fmt::format(R"({}{{"object":"embedding","index":{},"embedding":)", i == 0 ? "" : ",", i);
    (base64 ? AppendBase64 : AppendVector)(vectors[i], text);
    text += '}';
  }
  text += fmt::format(R"(],"model":{},"usage":{{"prompt_tokens":{},"total_tokens":{}}}}})",
                      DumpString(model), vectors.stats.tokens, vectors.stats.tokens);
  return text;
}

Result<EncodeRequest> Read(const Json& body, ReadContext& context) {
  FieldReader fields(body);
  EncodeRequest request;
  std::string model, format = "float", user;
  ReadEmbeddingModel(fields, context, &model);
  ReadInputs(fields, "input", context, /*ids=*/true, request);
  if (fields.ok() && request.inputs.empty()) fields.Fail("input", "is empty: send a text");
  if (fields.Text("encoding_format", &format) && format != "float" && format != "base64") {
    fields.Fail("encoding_format", "must be float or base64");
  }
  ReadDimensions(fields, context, /*may_be_0=*/false, request);
  ReadTruncation(fields, request);
  fields.Text("user", &user);  // asks for nothing
  TRY_OK(fields.Finish(context.unknown()));
  request.write = [model = std::move(model), base64 = format == "base64"](const TextVectors& made) {
    return Write(made, model, base64);
  };
  return request;
}

}  // namespace

const EncodeDialect kOpenAiEmbeddings = {Read, ErrorReply};

}  // namespace lockstep
