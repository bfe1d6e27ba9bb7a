// Memory that cannot be had anywhere while requests are served: it ends at most the requests that
// needed it, with an error, and later ones get their answers as ever.
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <new>

#include "core/grammar/token_grammar.h"
#include "tests/support/scheduler_fixture.h"

namespace {

// The allocation that fails, counted down over all threads but those that are exempt.
std::atomic<int64_t> left_to_failure{-1};
thread_local bool exempt = true;

void* Allocate(size_t size) {
  if (!exempt && left_to_failure >= 0 && left_to_failure-- == 0) throw std::bad_alloc();
  void* const p = std::malloc(size == 0 ? 1 : size);
  if (p == nullptr) std::abort();
  return p;
}

}  // namespace

void* operator new(size_t size) { return Allocate(size); }
void* operator new[](size_t size) { return Allocate(size); }
void* operator new(size_t size, const std::nothrow_t&) noexcept {
  try {
    return Allocate(size);
  } catch (const std::bad_alloc&) {
    return nullptr;
  }
}
void operator delete(void* p) noexcept { std::free(p); }
void operator delete(void* p, const std::nothrow_t&) noexcept { std::free(p); }
void operator delete[](void* p) noexcept { std::free(p); }
void operator delete(void* p, size_t) noexcept { std::free(p); }
void operator delete[](void* p, size_t) noexcept { std::free(p); }

namespace lockstep {
namespace {

// Calls of a sink, which are its owner's business, with memory as it needs.
class ExemptSink : public TokenSink {
 public:
  explicit ExemptSink(std::shared_ptr<Recorder> recorder) : recorder_(std::move(recorder)) {}
  void OnPrompt(PromptLogprobs scores) override {
    const Exemption here;
    recorder_->OnPrompt(std::move(scores));
  }
  void OnToken(TokenEvent event) override {
    const Exemption here;
    recorder_->OnToken(std::move(event));
  }
  void OnFinish(FinishReason reason, const JobStats& stats) override {
    const Exemption here;
    recorder_->OnFinish(reason, stats);
  }
  void OnError(const Error& error, const JobStats& stats) override {
    const Exemption here;
    recorder_->OnError(error, stats);
  }

 private:
  struct Exemption {
    Exemption() { exempt = true; }
    ~Exemption() { exempt = false; }
  };
  const std::shared_ptr<Recorder> recorder_;
};

class SchedulerMemoryTest : public SchedulerTest {
 protected:
  SchedulerMemoryTest() { exempt = true; }  // this thread

  std::vector<Job> Requests() {
    std::vector<Job> requests = Mixed(3);
    requests[1].options.grammar = std::make_shared<TokenGrammar>(
        ParseGbnf("root ::= [a-z]{1,40} \"!\"").value(), GrammarVocabulary::Create(tokenizer_));
    return requests;
  }
};

TEST_F(SchedulerMemoryTest, OneFailureEndsOnlyRequestsAndOnlyWithAnError) {
  const std::vector<Job> requests = Requests();
  std::vector<Answer> expected;
  for (const Job& request : requests) expected.push_back(Alone(request));
  size_t failed_requests = 0, failures = 0;
  for (int64_t nth = 0;; ++nth) {
    SCOPED_TRACE(nth);
    // A fresh grammar, whose masks are not made yet, and a store that has to push blocks out.
    const std::vector<Job> fresh = Requests();
    Start(2, {}, size_t{64} << 10);
    std::vector<std::shared_ptr<Recorder>> recorders;
    left_to_failure = nth;
    for (const Job& request : fresh) {
      recorders.push_back(NewRecorder());
      Job copy = request;
      copy.sink = std::make_shared<ExemptSink>(recorders.back());
      ASSERT_TRUE(scheduler_->Submit(std::move(copy)));
    }
    for (size_t i = 0; i < recorders.size(); ++i) {
      const Answer& answer = recorders[i]->Wait();
      if (answer.error) {
        EXPECT_EQ(answer.error->kind, ErrorKind::kUnavailable) << answer.error->message;
        ++failed_requests;
      } else {
        EXPECT_EQ(answer, expected[i]);
      }
    }
    const bool none_failed = left_to_failure >= 0;
    left_to_failure = -1;
    // Nothing of it is left: all sessions are free, and the same requests get their answers.
    for (size_t i = 0; i < fresh.size(); ++i) {
      EXPECT_EQ(MustSubmit(fresh[i])->Wait(), expected[i]);
    }
    EXPECT_EQ(sessions_->available(), sessions_->size());
    if (none_failed) break;
    ++failures;
  }
  EXPECT_GT(failures, 50u);
  EXPECT_GT(failed_requests, 10u);
}

}  // namespace
}  // namespace lockstep
