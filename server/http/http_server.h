// HTTP/1.1. Connections wait and are read in the poller; whole requests are answered by threads,
// and those to the control paths by threads of their own, which no other request can hold up.
// cpp-httplib writes the replies; this is the only file that knows it. Serves from Start until Stop
// or destruction; all methods may be called from any thread.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/memory_budget.h"
#include "core/base/status.h"
#include "server/http/error_reply.h"
#include "server/http/http_types.h"
#include "server/http/request_reader.h"

namespace lockstep {

struct HttpServerOptions {
  std::string host = "127.0.0.1";
  int port = 8080;      // 0: any free one
  int listener = -1;    // a socket that listens already, instead of both; the server closes it
  bool kept = false;    // another process holds the listener, too, for the next server
  bool held = false;    // accepts nobody before Accept()
  size_t threads = 16;  // each answers one request at a time
  size_t waiting = 64;  // requests that may wait for a thread; more get a 503
  // Open at once. One more takes the place of one that idles, drips or reads slowly, so that health
  // checks get in; only where all are being answered it gets a 503.
  size_t connections = 1'024;
  size_t requests_per_connection = 100;
  // About how much memory requests and replies may take. Where it is used up the slowest of the
  // requests with more than 64 KiB that still come in get a 503, and replies that are larger than
  // that a 429. REQUIRES: not null, at least limits.body.
  std::shared_ptr<MemoryBudget> memory = std::make_shared<MemoryBudget>(64 * 1024 * 1024);
  // Whether a path's answers are made at once, and must be: health and metrics.
  std::function<bool(std::string_view path)> is_control = [](std::string_view) { return false; };
  // Which of these take longer than a health check may wait, as metrics do: other threads make
  // them, and where too many wait they get a 503.
  std::function<bool(std::string_view path)> is_scrape = [](std::string_view) { return false; };
  // Whether the answer to a request follows from its head, whatever its body is. Such a body is not
  // read, and the connection closed after the answer. Must not block.
  std::function<bool(const HttpRequest& head)> decides = [](const HttpRequest&) { return false; };
  // Where only this machine can reach the server, other names for it in Host than those of loopback
  // and `allowed_hosts` get a 403: see allowed_hosts.h.
  bool guard_loopback = false;
  std::vector<std::string> allowed_hosts;
  RequestLimits limits;
  // Wait for a connection's next request. Longer than the proxies in front wait (60 s and less), so
  // that it is they who close, and no request comes on a connection that is just being closed.
  std::chrono::milliseconds idle{75'000};
  std::chrono::milliseconds write_stall{10'000};  // for each 64 KiB that a client does not take
  std::function<void(const RequestRecord&)> log = [](const RequestRecord&) {};
  // The answer to a request that could not be read. The request has what headers came of it.
  std::function<HttpReply(const HttpRequest&, const ReadError&)> refuse =
      [](const HttpRequest&, const ReadError& error) {
        return ErrorReply(error.status, error.message);
      };
};

class HttpServer {
 public:
  // Errors are kUnavailable: the address or the threads cannot be had. `handler` is called on many
  // threads.
  [[nodiscard]] static Result<std::unique_ptr<HttpServer>> Start(HttpServerOptions options,
                                                                 HttpHandler handler);
  ~HttpServer();

  // Where the options say `held`: begins to accept those who have come and all who come. Throws
  // std::system_error without a thread for it. REQUIRES: called once.
  void Accept();
  int port() const;
  bool loopback() const;  // only this machine can reach it
  // Requests that were read and are not yet wholly answered.
  size_t active() const;
  // From here on each reply says that it is the last of its connection, so that whoever keeps
  // connections open comes on new ones, or to another server. A listener that is kept is left: who
  // comes from here on waits in it for the next server.
  void Leave();
  // Leaves, accepts no more, waits up to `grace` until none is active, then ends all connections.
  // Where there are some, it first waits until none has brought a request for a while: one that is
  // on its way gets an answer. True if none was cut off.
  bool Stop(std::chrono::milliseconds grace);

 private:
  class Impl;
  explicit HttpServer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// The status of GET `path`, for health checks. kUnavailable if there is no answer in time.
[[nodiscard]] Result<int> HttpGetStatus(const std::string& host, int port, const std::string& path,
                                        std::chrono::seconds timeout);

}  // namespace lockstep
