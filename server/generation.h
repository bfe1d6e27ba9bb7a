// One request under way, seen from the HTTP thread: its tokens as they come, and the answer that
// they add up to. Owned and used by one thread; destroying it before the end cancels the request.
#pragma once

#include <atomic>
#include <functional>
#include <memory>

#include "core/status.h"
#include "server/api_types.h"
#include "server/generation_service.h"
#include "server/token_stream.h"

namespace lockstep {

class Generation {
 public:
  enum class Event { kToken, kDone, kFailed };

  // Hands the request to the service. `record` is told of the outcome.
  [[nodiscard]] static Result<std::shared_ptr<Generation>> Start(
      GenerationService& service, GenerateRequest request, Caller caller,
      std::shared_ptr<RequestRecord> record);
  ~Generation();
  Generation(const Generation&) = delete;
  Generation& operator=(const Generation&) = delete;

  // Blocks. A client that has gone is noticed within 20 ms and at every token; that is kFailed.
  // REQUIRES: neither kDone nor kFailed was returned.
  Event Next();

  const TokenEvent& token() const { return token_; }        // after kToken
  const GenerateAnswer& answer() const { return answer_; }  // complete after kDone
  const Error& error() const { return error_; }             // after kFailed

 private:
  Generation(std::function<bool()> client_gone, std::shared_ptr<RequestRecord> record);
  Event End(StreamEnd end);
  Event FailWith(Error error);

  const std::function<bool()> client_gone_;
  const std::shared_ptr<RequestRecord> record_;
  const std::shared_ptr<std::atomic<bool>> cancelled_ = std::make_shared<std::atomic<bool>>(false);
  const std::shared_ptr<TokenStream> stream_ = std::make_shared<TokenStream>(cancelled_);
  GenerateAnswer answer_;
  TokenEvent token_;
  Error error_;
  bool ended_ = true;  // between Submit and the last event: false
};

}  // namespace lockstep
