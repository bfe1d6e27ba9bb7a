// A request's texts become tokens on its own thread, which then waits. What all of it takes of
// memory is asked for before it is made.
#include "server/api/encode_api.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <utility>

#include "core/base/quoted.h"
#include "core/kernels/det_math.h"
#include "server/http/error_reply.h"

namespace lockstep {
namespace {

// What a value takes in a reply: 14 digits and signs at most, and mostly fewer.
constexpr size_t kValueBytes = 16;

Error MakesNoVectors(const ServedModel& model) {
  return {ErrorKind::kInvalidArgument,
          fmt::format("{} generates text and makes no vectors: send the name of a model that does, "
                      "which a server has by --embedding-model FILE.gguf beside it, or by "
                      "--models-dir as one of several",
                      Quoted(model.name)),
          "model"};
}

Error MakesScoresOnly(const ServedModel& model) {
  return {
      ErrorKind::kInvalidArgument,
      fmt::format("{} scores a query and a document together and makes no vectors: send them to "
                  "/v1/rerank or /v1/score",
                  Quoted(model.name)),
      "model"};
}

// What is put before and behind a text stays.
void CutTokens(const EmbeddingService& service, size_t limit, bool begin,
               std::vector<int32_t>& tokens) {
  const size_t ends = tokens.size() - limit;  // that go
  const auto at = [&tokens](size_t i) { return tokens.begin() + static_cast<ptrdiff_t>(i); };
  const size_t first = limit > 1 && service.IsControl(tokens.front()) ? 1 : 0;
  const size_t last = limit > first + 1 && service.IsControl(tokens.back()) ? 1 : 0;
  const size_t from = begin ? first : tokens.size() - last - ends;
  tokens.erase(at(from), at(from + ends));
}

size_t LimitOf(const EmbeddingService& service, const EncodeRequest& request) {
  const size_t context = service.model().context;
  return request.limit == 0 ? context : std::min(context, request.limit);
}

tl::unexpected<Error> TooLong(const std::string& where, size_t tokens, size_t limit,
                              std::string_view field) {
  return Fail(ErrorKind::kContextExceeded,
              fmt::format("{} has {} tokens, and a text may have {}: send less of it, or ask for "
                          "it to be cut",
                          where, tokens, limit),
              std::string(field));
}

// "input[3]", or "input" of one alone.
std::string Place(std::string_view field, size_t i, size_t count) {
  return count == 1 ? std::string(field) : fmt::format("{}[{}]", field, i);
}

// A text's tokens, and what becomes of too many of them.
struct Cutting {
  size_t limit;
  bool cut, begin;
};

Result<std::vector<int32_t>> Tokens(const EmbeddingService& service,
                                    const EncodeRequest::Input& input, const Cutting& cutting,
                                    const std::string& where, std::string_view field,
                                    MemoryBudget::Share& memory) {
  const auto* const ids = std::get_if<std::vector<int32_t>>(&input);
  const size_t held = memory.bytes(), limit = cutting.limit;
  std::vector<int32_t> tokens;
  if (ids != nullptr) {
    tokens = *ids;
  } else {
    const std::string& text = std::get<std::string>(input);
    TRY_OK(memory.Grow(text.size() * Tokenizer::kEncodeBytes));
    tokens = service.Encode(text);
  }
  if (tokens.empty()) {
    return Fail(ErrorKind::kInvalidArgument, where + " has no tokens", std::string(field));
  }
  if (tokens.size() > limit && !cutting.cut) return TooLong(where, tokens.size(), limit, field);
  if (tokens.size() > limit) CutTokens(service, limit, cutting.begin, tokens);
  tokens.shrink_to_fit();
  memory.Force(held + tokens.size() * sizeof(int32_t));
  return tokens;
}

// Puts the cosine of each text with its query in the place of all vectors, which are those of the
// queries and of the texts behind them: their lengths are 1, so that it is their dot product.
void MakeScores(size_t queries, TextVectors& vectors) {
  std::vector<float> scores;
  for (size_t i = queries; i < vectors.size(); ++i) {
    const auto query = vectors[queries == 1 ? 0 : i - queries], text = vectors[i];
    double sum = 0;
    for (size_t d = 0; d < vectors.dim; ++d) sum += double{query[d]} * double{text[d]};
    scores.push_back(static_cast<float>(sum));
  }
  vectors.values = std::move(scores);
  vectors.dim = 1;
}

// A small request could else be hours of reading.
Status CheckPairBytes(const EncodeRequest& request) {
  size_t bytes = 0;
  for (const auto& input : request.inputs) bytes += std::get<std::string>(input).size();
  const bool one = request.queries.size() == 1;
  for (const std::string& query : request.queries) {
    bytes += query.size() * (one ? request.inputs.size() : 1);
  }
  if (bytes <= kMaxPairBytes) return {};
  return Fail(ErrorKind::kInvalidArgument,
              fmt::format("{0} is read anew with each of {1}, {2} bytes in all, of which a request "
                          "may have {3}: send fewer of {1}, or less of {0}",
                          request.queries_name, request.inputs_name, bytes, kMaxPairBytes),
              std::string(request.queries_name));
}

// The pair of the input `i` has so many tokens. Which text is too long is known by what the query
// takes without any other.
Error PairTooLong(const EmbeddingService& service, const EncodeRequest& request, size_t i,
                  size_t tokens, size_t limit) {
  const size_t count = request.queries.size(), at = count == 1 ? 0 : i;
  if (request.cut) {
    const std::string field(request.limit != 0 ? "truncate_prompt_tokens" : request.queries_name);
    const size_t around = service.EncodePair("", "", {}).ids.size();
    return {ErrorKind::kInvalidArgument,
            fmt::format("{}: around a query and a text the model has {} tokens, and both together "
                        "may have {}",
                        field, around, limit),
            field};
  }
  const size_t of_query = service.EncodePair(request.queries[at], "", {}).ids.size();
  const bool query = of_query > limit;
  const std::string_view field = query ? request.queries_name : request.inputs_name;
  const std::string place =
      query ? Place(field, at, count) : Place(field, i, request.inputs.size());
  return TooLong(place + " with what is around it", query ? of_query : tokens, limit, field)
      .value();
}

PairLimits LimitsOf(const EncodeRequest& request, size_t limit) {
  PairLimits limits;
  // A document that may have so many tokens, and is cut beyond, is also cut to what there is.
  if (request.cut || request.document_limit != 0) limits.all = limit;
  if (request.document_limit != 0) limits.document = request.document_limit;
  limits.query = request.cut;
  limits.begin = request.cut_begin;
  return limits;
}

// The scores of pairs, [inputs]: the model reads a query and a text as one text.
Result<TextVectors> PairScores(EmbeddingService& service, const EncodeRequest& request,
                               const Caller& caller, RequestRecord& record,
                               MemoryBudget::Share& memory) {
  if (request.queries.empty()) return tl::unexpected(MakesScoresOnly(service.model()));
  TRY_OK(CheckPairBytes(request));
  const size_t limit = LimitOf(service, request);
  const PairLimits limits = LimitsOf(request, limit);
  std::vector<std::vector<int32_t>> texts;
  std::vector<size_t> seconds;
  for (size_t i = 0; i < request.inputs.size(); ++i) {
    TRY_OK(StillWanted(caller));
    const std::string& query = request.queries[request.queries.size() == 1 ? 0 : i];
    const std::string& document = std::get<std::string>(request.inputs[i]);
    const size_t held = memory.bytes();
    TRY_OK(memory.Grow((query.size() + document.size()) * Tokenizer::kEncodeBytes));
    TokenizedPair pair = service.EncodePair(query, document, limits);
    if (pair.ids.size() > limit) {
      return tl::unexpected(PairTooLong(service, request, i, pair.ids.size(), limit));
    }
    pair.ids.shrink_to_fit();
    memory.Force(held + pair.ids.size() * sizeof(int32_t));
    record.prompt_tokens += pair.ids.size();
    texts.push_back(std::move(pair.ids));
    seconds.push_back(pair.second);
  }
  TRY_OK(memory.Grow(texts.size() * service.dim() * (sizeof(float) + 2 * kValueBytes)));
  TRY(TextVectors made, EncodeTexts(service, std::move(texts), caller, std::move(seconds)));
  const bool logistic = service.scores_are_logits() && !request.raw_scores;
  TextVectors scores;
  scores.dim = 1, scores.stats = made.stats;
  for (size_t i = 0; i < made.size(); ++i) {
    const double score = made[i][0];
    scores.values.push_back(static_cast<float>(logistic ? DetSigmoid(score) : score));
  }
  return scores;
}

Status CheckFinite(const TextVectors& made) {
  // A file that was damaged, or made wrong, may have any value in it.
  if (std::ranges::all_of(made.values, [](float v) { return std::isfinite(v); })) return {};
  return Fail(ErrorKind::kInternal, "the model made values that are no numbers");
}

Result<TextVectors> Vectors(EmbeddingService& service, const EncodeRequest& request,
                            const Caller& caller, RequestRecord& record,
                            MemoryBudget::Share& memory) {
  if (request.inputs.empty()) return TextVectors{};
  if (service.scores_pairs()) {
    TRY(TextVectors scores, PairScores(service, request, caller, record, memory));
    TRY_OK(CheckFinite(scores));
    return scores;
  }
  std::vector<std::vector<int32_t>> texts;
  const auto add = [&](const EncodeRequest::Input& input, const Cutting& cutting,
                       std::string_view field, size_t i, size_t count) -> Status {
    TRY_OK(StillWanted(caller));
    TRY(texts.emplace_back(),
        Tokens(service, input, cutting, Place(field, i, count), field, memory));
    record.prompt_tokens += texts.back().size();
    return {};
  };
  const size_t limit = LimitOf(service, request), queries = request.queries.size();
  const Cutting cutting = {limit, request.cut, request.cut_begin};
  for (size_t i = 0; i < queries; ++i) {
    TRY_OK(add(request.queries[i], cutting, request.queries_name, i, queries));
  }
  Cutting of_inputs = cutting;
  if (request.document_limit != 0) {
    of_inputs.limit = std::min(limit, request.document_limit), of_inputs.cut = true;
  }
  for (size_t i = 0; i < request.inputs.size(); ++i) {
    TRY_OK(add(request.inputs[i], of_inputs, request.inputs_name, i, request.inputs.size()));
  }
  const bool each_token = request.form == TextForm::kTokens;
  const size_t values =
      each_token ? record.prompt_tokens * service.token_dim() : texts.size() * service.dim();
  TRY_OK(memory.Grow(values * (sizeof(float) + 2 * kValueBytes)));
  TRY(TextVectors vectors, EncodeTexts(service, std::move(texts), caller, {}, request.form));
  TRY_OK(CheckFinite(vectors));
  vectors.Cut(request.dimensions, request.form == TextForm::kUnit);
  if (!request.queries.empty()) MakeScores(request.queries.size(), vectors);
  return vectors;
}

}  // namespace

HttpReply EncodeFrom(Body body, const EncodeDialect& dialect, RouteCall& call) {
  EmbeddingService* const service = call.service->embeddings();
  if (service == nullptr) return dialect.error(MakesNoVectors(call.service->model()));
  ReadContext context = ContextOf(call, /*strict_dialect=*/false, std::move(body.memory));
  auto request = dialect.read(body.json, context);
  if (!request) return dialect.error(request.error());
  body.json = nullptr;
  context.memory.Force(kReadingCopies * call.request.body.size());
  auto record = std::make_shared<RequestRecord>();
  record->model = service->model().name;
  auto vectors = Vectors(*service, *request, call.caller, *record, context.memory);
  HttpReply reply;
  if (!vectors) {
    reply = dialect.error(vectors.error());
    record->outcome = reply.record->outcome;
  } else {
    reply.headers = {{"Server-Timing",
                      fmt::format("queue;dur={:.3f}, encode;dur={:.3f}",
                                  vectors->stats.queue_s * 1000, vectors->stats.encode_s * 1000)}};
    reply.body = request->write(*vectors);
  }
  reply.record = std::move(record);
  return WithHeaders(std::move(reply), context);
}

HttpReply EncodeIn(const EncodeDialect& dialect, RouteCall& call) {
  auto body = ReadBody(call.request, call.caller, call.settings.memory);
  if (!body) return body.error();
  return EncodeFrom(*std::move(body), dialect, call);
}

void ReadInputs(FieldReader& fields, std::string_view name, const ReadContext& context, bool ids,
                EncodeRequest& request) {
  const Json* const value = fields.Take(name);
  request.inputs_name = name;
  if (!fields.ok()) return;
  const std::string_view form = ids ? "must be a text, or a list of texts, or token ids, or a list "
                                      "of lists of them"
                                    : "must be a text, or a list of texts";
  if (value == nullptr) return fields.Fail(name, "is missing: a text, or a list of texts");
  const auto add_ids = [&](const Json& list, const std::string& where) {
    auto read = ReadTokenIds(list, context.service.embeddings()->model().vocab, where, name);
    if (!read) return fields.Fail(std::move(read.error()));
    request.inputs.emplace_back(*std::move(read));
  };
  std::string_view item_form;  // what an item of a list must be
  const auto add = [&](const Json& item, const std::string& where) {
    if (item.is_string()) {
      request.inputs.emplace_back(item.get<std::string>());
    } else if (ids && item.is_array()) {
      add_ids(item, where);
    } else if (item_form.empty()) {
      fields.Fail(name, form);
    } else {
      fields.Fail(
          {ErrorKind::kInvalidArgument, fmt::format("{} {}", where, item_form), fields.Full(name)});
    }
  };
  if (!value->is_array()) return add(*value, std::string(name));
  if (ids && !value->empty() && value->front().is_number()) {
    return add_ids(*value, std::string(name));
  }
  if (value->size() > kMaxInputs) {
    return fields.Fail(
        name, fmt::format("has {} texts, and a request may have {}", value->size(), kMaxInputs));
  }
  item_form = ids ? "must be a text, or a list of token ids" : "must be a text";
  for (const Json& item : *value) {
    add(item, fmt::format("{}[{}]", fields.Full(name), request.inputs.size()));
    if (!fields.ok()) return;
  }
}

void ReadTruncation(FieldReader& fields, EncodeRequest& request) {
  constexpr std::string_view kName = "truncate_prompt_tokens";
  int64_t tokens = 0;
  if (!fields.Integer(kName, -1, INT32_MAX, &tokens)) return;
  if (tokens == 0) return fields.Fail(kName, "must be a number of tokens, or -1");
  request.cut = true;
  request.limit = tokens < 0 ? 0 : static_cast<size_t>(tokens);
}

void ReadDimensions(FieldReader& fields, const ReadContext& context, bool may_be_0,
                    EncodeRequest& request) {
  const EmbeddingService& service = *context.service.embeddings();
  size_t dimensions = 0;
  if (!fields.Integer("dimensions", 0, INT32_MAX, &dimensions)) return;
  if (dimensions == 0 && !may_be_0) return fields.Fail("dimensions", "must be at least 1");
  if (dimensions > service.dim()) {
    return fields.Fail("dimensions", fmt::format("is {}, and the model's vectors have {} values",
                                                 dimensions, service.dim()));
  }
  request.dimensions = dimensions;
}

void AppendVector(std::span<const float> vector, std::string& text) {
  text += '[';
  for (const float value : vector) fmt::format_to(std::back_inserter(text), "{},", value);
  if (vector.empty()) {
    text += ']';
  } else {
    text.back() = ']';
  }
}

}  // namespace lockstep
