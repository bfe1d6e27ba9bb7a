// The way of every request for vectors, and for scores made of them: from JSON to a reply, in
// whichever dialect. Thread-safe; the service must outlive the replies.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "server/api/request_body.h"
#include "server/api/route.h"
#include "server/generation/embedding.h"

namespace lockstep {

// Texts that one request may have: OpenAI's limit, which clients cut their batches by.
inline constexpr size_t kMaxInputs = 2048;

// A request for vectors, in whichever dialect it came.
struct EncodeRequest {
  using Input = std::variant<std::string, std::vector<int32_t>>;  // text, or token ids
  std::vector<Input> inputs;
  // What the inputs are scored against: one text for all of them, or one for each. Empty: nothing,
  // and vectors are asked for; else scores, vectors of one value each.
  std::vector<std::string> queries;
  // What the request calls both, for an error that is about them.
  std::string_view inputs_name, queries_name;
  bool cut = false;        // texts beyond the limit are cut, and are no error
  bool cut_begin = false;  // at their beginning
  size_t limit = 0;        // tokens of a text or pair, at most; 0: as many as the model takes
  // Of an input that is scored, beyond which it is cut, and to what the model takes. 0: none.
  size_t document_limit = 0;
  size_t dimensions = 0;  // the first ones of each vector; 0: all
  TextForm form = TextForm::kUnit;
  bool raw_scores = false;  // logits stay logits, where scores are of a model that reads pairs
  // The reply's body.
  std::function<std::string(const TextVectors& vectors)> write;
};

// Stateless: one constant for each API, safe from any thread.
struct EncodeDialect {
  // Called only where the context's service has embeddings.
  Result<EncodeRequest> (*read)(const Json& body, ReadContext& context);
  HttpReply (*error)(const Error& error);
};

// Both block until all vectors are made; to the first, the body has been read already.
HttpReply EncodeFrom(Body body, const EncodeDialect& dialect, RouteCall& call);
HttpReply EncodeIn(const EncodeDialect& dialect, RouteCall& call);
template <const EncodeDialect& kDialect>
HttpReply Encode(RouteCall& call) {
  return EncodeIn(kDialect, call);
}

// The most bytes that a request's pairs have together: a query counts with each of its texts, since
// it is read with each anew.
inline constexpr size_t kMaxPairBytes = size_t{64} << 20;

// A text or a list of texts; ids or a list of lists of them where `ids` allows them. `name`, with
// what is around it, must outlive the request.
void ReadInputs(FieldReader& fields, std::string_view name, const ReadContext& context, bool ids,
                EncodeRequest& request);
// "truncate_prompt_tokens", which is vLLM's: -1 is as many tokens as the model takes.
void ReadTruncation(FieldReader& fields, EncodeRequest& request);
// "dimensions", up to those of the model's vectors. Files do not say whether a model was trained
// for fewer, so that it is for who asks to know. 0 is as many as there are, where `may_be_0`.
void ReadDimensions(FieldReader& fields, const ReadContext& context, bool may_be_0,
                    EncodeRequest& request);

// "[0.25,-0.5]": numbers with as many digits as tell each from all others.
void AppendVector(std::span<const float> vector, std::string& text);

}  // namespace lockstep
