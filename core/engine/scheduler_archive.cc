// What an archive has of a prompt is fetched while its job waits in the queue, and never for longer
// than computing the same would take. A job that is next, and of whose prompt not all is in the
// prefix store, asks once; until the fetch has ended it is passed by, and a session is kept for it:
//
//   queue   a: 4,000 tokens   b: 16 tokens        two sessions are free
//   a asks the archive        b begins
//   blocks of a come, some between each two steps, and go to the prefix store
//   a begins, and takes them from there
//
// So all that holds of the prefix store holds of what came from the archive.
#include <algorithm>
#include <chrono>
#include <memory>
#include <new>
#include <utility>
#include <vector>

#include "core/engine/scheduler.h"

namespace lockstep {

bool Scheduler::StartFetch(ActiveJob& job) {
  if (options_.archiver == nullptr || job.fetched) return false;
  job.fetched = true;
  // All rows of a prompt that is scored are computed.
  if (job.options.prompt_logprobs >= 0 || job.prompt.empty()) return false;
  constexpr size_t kBlock = PrefixStore::kBlock;
  try {
    PrefixStore& store = *options_.prefixes;
    const size_t blocks = std::min((job.prompt.size() - 1) / kBlock, store.max_blocks());
    std::vector<int32_t> tokens(job.prompt.begin(),
                                job.prompt.begin() + static_cast<ptrdiff_t>(blocks * kBlock));
    const size_t known = store.Known(job.prefix_scope, tokens);
    if (known == tokens.size()) return false;
    // Computing takes no less, as long prompts take more for a token than short ones.
    const double measured_s = prefill_token_s_;
    const double token_s = measured_s > 0 ? measured_s : options_.assumed_token_s;
    const std::chrono::duration<double> wait(token_s * static_cast<double>(tokens.size() - known));
    fetches_.reserve(fetches_.size() + 1);
    job.fetch =
        options_.archiver->Fetch(job.prefix_scope, std::move(tokens), known / kBlock,
                                 Clock::now() + std::chrono::duration_cast<Clock::duration>(wait));
  } catch (const std::bad_alloc&) {
  }
  if (job.fetch != nullptr) fetches_.push_back(job.fetch);
  return job.fetch != nullptr;
}

void Scheduler::CollectFetched() {
  std::erase_if(fetches_, [&](const auto& fetch) {
    const bool ended = fetch->ended() || fetch->closed();
    bool goes_on = !ended;
    try {
      const auto [begin, blocks] = fetch->Take();
      if (!blocks.empty() &&
          !options_.prefixes->Restore(fetch->scope(), fetch->tokens(), begin, blocks)) {
        goes_on = false;
      }
    } catch (const std::bad_alloc&) {
      goes_on = false;
    }
    if (!goes_on) fetch->Close();
    return !goes_on;
  });
}

}  // namespace lockstep
