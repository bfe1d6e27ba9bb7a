// One reply serves the clients of Jina, Cohere and vLLM, which look for their own fields in it. The
// best document is first; of equal ones, the one that came first.
#include "server/api/rerank_api.h"

#include <fmt/format.h>

#include <algorithm>
#include <ctime>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include "server/api/tei_api.h"
#include "server/http/error_reply.h"
#include "server/http/ids.h"

namespace lockstep {
namespace {

std::vector<size_t> BestFirst(const std::vector<float>& scores) {
  std::vector<size_t> order(scores.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::ranges::stable_sort(order, std::greater(), [&](size_t i) { return scores[i]; });
  return order;
}

// What is written back with the scores.
struct Form {
  std::string model;
  size_t most = SIZE_MAX;          // results
  std::vector<std::string> texts;  // empty: they are not written
};

std::string WriteRerank(const Form& form, const TextVectors& scores) {
  std::string text = fmt::format(R"({{"id":"{}","object":"list","model":{},"results":[)",
                                 NewId("rerank"), DumpString(form.model));
  const std::vector<size_t> order = BestFirst(scores.values);
  for (size_t i = 0; i < std::min(order.size(), form.most); ++i) {
    const size_t at = order[i];
    text += fmt::format(R"({}{{"index":{},"relevance_score":{})", i == 0 ? "" : ",", at,
                        scores.values[at]);
    if (!form.texts.empty()) {
      text += fmt::format(R"(,"document":{{"text":{}}})", DumpString(form.texts[at]));
    }
    text += '}';
  }
  text += fmt::format(R"(],"usage":{{"prompt_tokens":{0},"total_tokens":{0}}},)"
                      R"("meta":{{"api_version":{{"version":"2"}},)"
                      R"("billed_units":{{"search_units":1}}}}}})",
                      scores.stats.tokens);
  return text;
}

std::string WriteTei(const Form& form, const TextVectors& scores) {
  std::string text = "[";
  for (const size_t at : BestFirst(scores.values)) {
    text += fmt::format(R"({}{{"index":{},"score":{})", text.size() == 1 ? "" : ",", at,
                        scores.values[at]);
    if (!form.texts.empty()) text += ",\"text\":" + DumpString(form.texts[at]);
    text += '}';
  }
  return text + ']';
}

std::string WriteScores(const Form& form, const TextVectors& scores) {
  std::string text = fmt::format(R"({{"id":"{}","object":"list","created":{},"model":{},"data":[)",
                                 NewId("score"), std::time(nullptr), DumpString(form.model));
  for (size_t i = 0; i < scores.values.size(); ++i) {
    text += fmt::format(R"({}{{"index":{},"object":"score","score":{}}})", i == 0 ? "" : ",", i,
                        scores.values[i]);
  }
  text +=
      fmt::format(R"(],"usage":{{"prompt_tokens":{0},"total_tokens":{0}}}}})", scores.stats.tokens);
  return text;
}

// Each document is a text, or {"text": a text}.
void ReadDocuments(FieldReader& fields, ReadContext& context, EncodeRequest& request) {
  constexpr std::string_view kName = "documents";
  const Json* const value = fields.Take(kName);
  request.inputs_name = kName;
  if (!fields.ok()) return;
  if (value == nullptr || !value->is_array() || value->empty() || value->size() > kMaxInputs) {
    return fields.Fail(kName, fmt::format("must be a list of 1 to {} texts", kMaxInputs));
  }
  for (const Json& item : *value) {
    std::string text;
    if (item.is_string()) {
      text = item.get<std::string>();
    } else {
      const std::string name = fmt::format("{}[{}]", kName, request.inputs.size());
      fields.Nested(item, name, "must be a text, or an object with one", context.unknown(),
                    [&](FieldReader& inner) {
                      if (!inner.Text("text", &text)) inner.Fail("text", "is missing");
                    });
      if (!fields.ok()) return;
    }
    request.inputs.emplace_back(std::move(text));
  }
}

void ReadQuery(FieldReader& fields, EncodeRequest& request) {
  std::string query;
  if (!fields.Text("query", &query) && fields.ok()) fields.Fail("query", "is missing: a text");
  request.queries.push_back(std::move(query));
  request.queries_name = "query";
}

std::vector<std::string> TextsOf(const EncodeRequest& request, bool wanted) {
  std::vector<std::string> texts;
  for (const auto& input : request.inputs) {
    if (wanted) texts.push_back(std::get<std::string>(input));
  }
  return texts;
}

// A query and documents, which `read_own` takes with all that is the form's own;
// `texts_flag` asks for the documents with the scores.
template <class ReadOwn>
Result<EncodeRequest> ReadRanking(const Json& body, ReadContext& context, const char* texts_flag,
                                  std::string (*write)(const Form&, const TextVectors&),
                                  const ReadOwn& read_own) {
  FieldReader fields(body);
  EncodeRequest request;
  Form form;
  bool with_texts = false;
  ReadEmbeddingModel(fields, context, &form.model);
  ReadQuery(fields, request);
  read_own(fields, form, request);
  fields.Bool(texts_flag, &with_texts);
  TRY_OK(fields.Finish(context.unknown()));
  form.texts = TextsOf(request, with_texts);
  request.write = [form = std::move(form), write](const TextVectors& made) {
    return write(form, made);
  };
  return request;
}

Result<EncodeRequest> ReadRerank(const Json& body, ReadContext& context) {
  return ReadRanking(body, context, "return_documents", WriteRerank,
                     [&](FieldReader& fields, Form& form, EncodeRequest& request) {
                       ReadDocuments(fields, context, request);
                       // 0, which is vLLM's default, is all.
                       if (fields.Integer("top_n", 0, INT32_MAX, &form.most) && form.most == 0) {
                         form.most = SIZE_MAX;
                       }
                       ReadTruncation(fields, request);
                       // Cohere's, which never refuses a document for its length.
                       fields.Integer("max_tokens_per_doc", 1, INT32_MAX, &request.document_limit);
                     });
}

Result<EncodeRequest> ReadTei(const Json& body, ReadContext& context) {
  return ReadRanking(body, context, "return_text", WriteTei,
                     [&](FieldReader& fields, Form&, EncodeRequest& request) {
                       ReadTeiInputs(fields, "texts", context, /*ids=*/false, request);
                       fields.Bool("raw_scores", &request.raw_scores);
                       ReadTeiReading(fields, request);
                     });
}

// The field that is there of the names that the route has had for it.
std::string_view NameOf(const Json& body, std::initializer_list<std::string_view> names) {
  for (const std::string_view name : names) {
    if (FindField(body, name) != nullptr) return name;
  }
  return *names.begin();
}

Result<EncodeRequest> ReadScore(const Json& body, ReadContext& context) {
  FieldReader fields(body);
  EncodeRequest request;
  Form form;
  ReadEmbeddingModel(fields, context, &form.model);
  const std::string_view first = NameOf(body, {"text_1", "queries", "data_1"});
  const std::string_view second = NameOf(body, {"text_2", "documents", "items", "data_2"});
  EncodeRequest queries;
  ReadInputs(fields, first, context, /*ids=*/false, queries);
  ReadInputs(fields, second, context, /*ids=*/false, request);
  request.queries = TextsOf(queries, true);
  request.queries_name = first;
  ReadTruncation(fields, request);
  if (fields.ok() && request.inputs.empty()) fields.Fail(second, "is empty");
  if (fields.ok() && request.queries.size() != 1 &&
      request.queries.size() != request.inputs.size()) {
    fields.Fail(first, fmt::format("has {} texts and {} has {}: it must be one text, or as many",
                                   request.queries.size(), second, request.inputs.size()));
  }
  TRY_OK(fields.Finish(context.unknown()));
  request.write = [form = std::move(form)](const TextVectors& made) {
    return WriteScores(form, made);
  };
  return request;
}

}  // namespace

const EncodeDialect kRerank = {ReadRerank, ErrorReply};
const EncodeDialect kTeiRerank = {ReadTei, TeiErrorReply};
const EncodeDialect kScore = {ReadScore, ErrorReply};

HttpReply Rerank(RouteCall& call) {
  auto body = ReadBody(call.request, call.caller, call.settings.memory);
  if (!body) return body.error();
  const bool tei = IsTeiRequest(call.request.path, body->json);
  const EncodeDialect& dialect = tei ? kTeiRerank : kRerank;
  return EncodeFrom(*std::move(body), dialect, call);
}

}  // namespace lockstep
