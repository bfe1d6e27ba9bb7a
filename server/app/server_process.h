// What a process that serves sets up before its first thread, and how it ends: the same for the
// server of one model and for the parent of several.
#pragma once

#include <csignal>
#include <cstddef>
#include <memory>
#include <string>

#include "core/base/status.h"
#include "server/app/options.h"
#include "server/http/http_server.h"

namespace lockstep {

// The signals that end the server are waited for by one thread, not handled in whichever runs.
// REQUIRES: called before any other thread starts, as they inherit the mask.
sigset_t BlockSignals();

// Whoever sends a second signal does not want to wait for the drain. From here on the next signal
// ends the process at once.
void ExitAtTheNextSignal(const sigset_t& signals);

// One heap for all threads. With glibc's eight for each processor the largest requests leave their
// mark on one after the other: a server under load grew by 12 MiB an hour, and with one heap stays
// at a lower size. Steps allocate nothing, and each thread has a cache before the heap's lock.
// REQUIRES: called before any other thread starts.
void ShareOneHeap();

// Each connection takes a descriptor, and shells and runtimes often allow 1,024 in all.
void AllowManyDescriptors();

// Logs the error, too. 2 says that the flags or files must change before a start can succeed; what
// 1 stands for may pass by itself.
int ExitCode(const Error& error);

// What follows from the options and from how many requests may be answered at once, each with a
// thread. The caller adds the callbacks.
HttpServerOptions HttpOptionsOf(const Options& options, size_t threads, size_t request_bytes,
                                bool has_keys);
// HttpServer::Start, which takes a while where many threads are to start. One of the signals ends
// the process meanwhile, with the exit code of a server that was told to stop.
Result<std::unique_ptr<HttpServer>> StartUnlessEnded(const HttpServerOptions& options,
                                                     HttpHandler handler, const sigset_t& signals);
// Says so where whoever reaches the address may use the server.
void WarnOfOpenAddress(const HttpServer& server, const std::string& host, bool has_keys);
void LogDrain(int signal);

}  // namespace lockstep
