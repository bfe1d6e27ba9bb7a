// Models by name for every command, and the commands that deal with them: pull, list, rm.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <vector>

#include "core/base/status.h"

namespace lockstep {

struct Options;

// How it is told what is fetched: where stderr is no terminal, which has a line that is drawn over
// and over, a line every ten seconds, as a sentence or as the server's log has it.
enum class FetchVoice { kSentences, kLog };

// Has each model of the options that is a name be the path of its file, which is looked for in the
// cache folder and else fetched. `fetching` is true while something is. Paths stay as they are, and
// where all are paths nothing is read or asked at all.
[[nodiscard]] Status FetchModels(Options& options, FetchVoice voice, std::atomic<bool>& fetching);

// Does what FetchModels does, for a command that a person waits for. Returns the exit code: 0, or 1
// or 2 with a line on stderr.
int FetchModelsFor(const char* command, Options& options);

// Where files are kept that are on no hub; empty where the variables that say so make no sense.
std::string OwnCacheFolder();

// A model that is there whole.
struct FetchedModel {
  std::string name, path;  // the path of its first part
  uint64_t bytes = 0;
  int64_t modified = 0;  // Unix time
};
// Every model that was fetched; none where the variables that say where they are make no sense.
std::vector<FetchedModel> ListFetched(bool offline);

// Exit codes: 0, or with a line "lockstep COMMAND: ..." on stderr 2 if what was asked for must
// change, or 1 if it may succeed another time.
int RunPull(const std::vector<std::string>& names, bool offline);
int RunList();
int RunRemove(const std::vector<std::string>& names);

}  // namespace lockstep
