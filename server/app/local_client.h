// A client of the server's API without a server: the engine and the router in this process, asked
// as HTTP would ask. What a command in the terminal gives is so what the API gives, bit for bit.
// For one thread.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "core/base/memory_budget.h"
#include "core/base/status.h"
#include "core/kernels/thread_pool.h"
#include "server/api/router.h"
#include "server/app/options.h"
#include "server/app/startup.h"
#include "server/json/json_text.h"

namespace lockstep {

// What became of an answer, in whichever of the two forms it came.
struct AskOutcome {
  std::string finish;  // "stop", "length", "tool_calls"; empty where it was stopped or failed
  bool stopped = false;
  std::optional<std::string> error;  // with a sentence
  std::string code;                  // of the error, such as context_length_exceeded
  size_t prompt_tokens = 0, completion_tokens = 0;
  uint64_t seed = 0;
  double seconds = 0;  // from the first token to the last
};

class LocalClient {
 public:
  // Loads the model, with a line of progress on a terminal.
  [[nodiscard]] static Result<std::unique_ptr<LocalClient>> Start(const Options& options);

  const ServedModel& model() const { return engine_.service->model(); }

  // The whole reply to a body that is not streamed.
  HttpReply Post(std::string path, std::string body);
  // A piece of an answer as it comes: of its text, or of the thought before.
  using Sink = std::function<void(std::string_view text, bool thought)>;
  // Asks for an answer of the path, /generate or /v1/chat/completions, and ends early once `stop`
  // is true. The body gets "stream".
  AskOutcome Ask(std::string_view path, Json body, const std::atomic<bool>& stop, const Sink& sink);

 private:
  LocalClient(const Options& options, const KernelTable& kernels);

  const KernelTable& kernels_;
  ThreadPool pool_;
  MemoryBudget memory_;
  Engine engine_;
  Router router_;
};

}  // namespace lockstep
