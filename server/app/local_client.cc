// The router is asked in JSON and its events are read again, which costs microseconds a token and
// spares a second way from messages to answers.
#include "server/app/local_client.h"

#include <utility>
#include <vector>

#include "server/app/progress.h"

namespace lockstep {
namespace {

using Clock = std::chrono::steady_clock;

size_t CountOf(const Json& json, const char* name) {
  const Json* const value = FindField(json, name);
  return value != nullptr && value->is_number_unsigned() ? value->get<size_t>() : 0;
}

void TakeError(const Json& body, AskOutcome* outcome) {
  const Json* const error = FindField(body, "error");
  if (error == nullptr) return;
  outcome->error = TextField(*error, "message");
  outcome->code = TextField(*error, "code");
}

// What stands in both forms' events beside the text.
void TakeFacts(const Json& event, AskOutcome* outcome) {
  TakeError(event, outcome);
  if (const Json* const usage = FindField(event, "usage")) {
    outcome->prompt_tokens = CountOf(*usage, "prompt_tokens");
    outcome->completion_tokens = CountOf(*usage, "completion_tokens");
  }
  const std::string finish = TextField(event, "finish_reason");
  if (!finish.empty()) outcome->finish = finish;
  if (FindField(event, "seed") != nullptr) outcome->seed = CountOf(event, "seed");
}

// Cuts server-sent events out of the parts of a body.
class EventReader {
 public:
  std::vector<Json> Read(std::string_view data) {
    rest_ += data;
    std::vector<Json> events;
    for (size_t end; (end = rest_.find("\n\n")) != rest_.npos; rest_.erase(0, end + 2)) {
      const std::string_view event = std::string_view(rest_).substr(0, end);
      const size_t at = event.find("data: ");                    // behind the event's id
      if (event.starts_with(':') || at == event.npos) continue;  // a sign of life
      Json json = Json::parse(event.substr(at + 6), nullptr, false);
      if (json.is_object()) events.push_back(std::move(json));
    }
    return events;
  }

 private:
  std::string rest_;
};

// These give the text of an event to the sink, here one of /generate; false: it had none.
bool TakeNative(const Json& event, const LocalClient::Sink& sink, std::string* sent) {
  const std::string text = TextField(event, "text");
  const Json* const done = FindField(event, "done");
  if (done == nullptr || *done == false) {
    *sent += text;
    sink(text, false);
    return !text.empty();
  }
  // The last one has the whole text, and so what was held back.
  if (text.size() > sent->size()) sink(std::string_view(text).substr(sent->size()), false);
  return false;
}

bool TakeChat(const Json& event, const LocalClient::Sink& sink, AskOutcome* outcome) {
  const Json* const choices = FindField(event, "choices");
  if (choices == nullptr || !choices->is_array() || choices->empty()) return false;
  const Json& choice = (*choices)[0];
  TakeFacts(choice, outcome);
  const Json* const delta = FindField(choice, "delta");
  if (delta == nullptr) return false;
  const std::string thought = TextField(*delta, "reasoning_content");
  const std::string text = TextField(*delta, "content");
  if (!thought.empty()) sink(thought, true);
  if (!text.empty()) sink(text, false);
  return !thought.empty() || !text.empty();
}

}  // namespace

LocalClient::LocalClient(const Options& options, const KernelTable& kernels)
    : kernels_(kernels),
      pool_(options.threads),
      memory_(LeastRequestBytes(options)),
      router_(options.api) {}

Result<std::unique_ptr<LocalClient>> LocalClient::Start(const Options& options) {
  TRY(const KernelTable* const kernels, FindKernels(options.isa));
  std::unique_ptr<LocalClient> client(new LocalClient(options, *kernels));
  Options alone = options;
  alone.embedding_model.clear();  // nobody asks it here
  Progress progress("Loading the model");
  TRY(client->engine_, StartEngine(
                           alone, client->kernels_, client->pool_, {},
                           [&progress](size_t done, size_t total) { progress.Update(done, total); },
                           client->memory_));
  if (client->model().encodes) return tl::unexpected(GeneratesNothing(client->model()));
  client->router_.Open(*client->engine_.service);
  return client;
}

HttpReply LocalClient::Post(std::string path, std::string body) {
  HttpRequest request;
  request.method = "POST";
  request.path = std::move(path);
  request.headers = {{"Content-Type", "application/json"}};
  request.body = std::move(body);
  return router_.Handle(request);
}

AskOutcome LocalClient::Ask(std::string_view path, Json body, const std::atomic<bool>& stop,
                            const Sink& sink) {
  body["stream"] = true;
  HttpRequest request;
  request.method = "POST";
  request.path = path;
  request.headers = {{"Content-Type", "application/json"}, {"Accept", "text/event-stream"}};
  request.body = Dump(body);
  request.client_gone = [&stop] { return stop.load(); };

  AskOutcome outcome;
  HttpReply reply = router_.Handle(request);
  if (!reply.next) {
    TakeError(Json::parse(reply.body, nullptr, false), &outcome);
    if (!outcome.error) outcome.error = "the answer has no text";
  }
  EventReader reader;
  std::string sent;
  std::optional<Clock::time_point> first;
  while (reply.next && !stop) {
    const BodyPart part = reply.next();
    for (const Json& event : reader.Read(part.data)) {
      TakeFacts(event, &outcome);
      const bool came =
          path == "/generate" ? TakeNative(event, sink, &sent) : TakeChat(event, sink, &outcome);
      if (came && !first) first = Clock::now();
    }
    if (part.then != BodyPart::Then::kMore) break;
  }
  outcome.stopped = stop;
  if (outcome.stopped) outcome.error.reset();  // that the client has gone is no news
  if (first) outcome.seconds = std::chrono::duration<double>(Clock::now() - *first).count();
  return outcome;
}

}  // namespace lockstep
