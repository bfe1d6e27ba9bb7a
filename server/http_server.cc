#include "server/http_server.h"

#include <fmt/format.h>
#include <httplib.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <system_error>
#include <thread>
#include <type_traits>
#include <utility>

#include "server/api_errors.h"
#include "server/connection.h"
#include "server/ids.h"

namespace lockstep {
namespace {

using std::chrono::milliseconds;

constexpr int kBacklog = 128;

// What one request passes through on its thread.
struct Exchange {
  Connection& connection;
  const RawRequest& raw;
  const ReadError* refused;  // instead of raw, if not null
  HttpReply reply;
  bool close;
};
// httplib hands no context to its callbacks; a connection stays on one thread.
thread_local Exchange* current_exchange = nullptr;

// One more for as long as it lives.
class Counted {
 public:
  explicit Counted(std::atomic<size_t>& count) : count_(count) { count_.fetch_add(1); }
  ~Counted() { count_.fetch_sub(1); }
  Counted(const Counted&) = delete;
  Counted& operator=(const Counted&) = delete;

 private:
  std::atomic<size_t>& count_;
};

// httplib's view of a connection: it reads a request line that was checked before and nothing
// else, so its own parsing of headers, lengths, chunks, ranges and compressed bodies never sees
// a client's bytes.
class ReplayStream : public httplib::Stream {
 public:
  ReplayStream(Connection& connection, std::string head)
      : connection_(connection), head_(std::move(head)) {}

  bool is_readable() const override { return true; }
  bool is_writable() const override { return !broken_; }
  ssize_t read(char* data, size_t size) override {
    const size_t n = head_.copy(data, size, used_);
    used_ += n;
    return static_cast<ssize_t>(n);
  }
  ssize_t write(const char* data, size_t size) override {
    broken_ = broken_ || !connection_.Write(data, size);
    return broken_ ? -1 : static_cast<ssize_t>(size);
  }
  void get_remote_ip_and_port(std::string&, int&) const override {}
  void get_local_ip_and_port(std::string&, int&) const override {}
  socket_t socket() const override { return INVALID_SOCKET; }  // not for the library's hands

  bool broken() const { return broken_; }

 private:
  Connection& connection_;
  const std::string head_;
  size_t used_ = 0;
  bool broken_ = false;
};

// The library's threads, and how many connections wait for one.
class WorkQueue : public httplib::TaskQueue {
 public:
  using Enqueued = decltype(std::declval<httplib::TaskQueue&>().enqueue({}));  // void, later bool

  WorkQueue(size_t threads, std::atomic<size_t>& waiting) : pool_(threads), waiting_(waiting) {}
  Enqueued enqueue(std::function<void()> work) override {
    waiting_.fetch_add(1);
    pool_.enqueue([this, work = std::move(work)] {
      waiting_.fetch_sub(1);
      work();
    });
    return static_cast<Enqueued>(true);
  }
  void shutdown() override { pool_.shutdown(); }

 private:
  httplib::ThreadPool pool_;
  std::atomic<size_t>& waiting_;
};

}  // namespace

class HttpServer::Impl : private httplib::Server {
 public:
  Impl(HttpServerOptions options, HttpHandler handler)
      : options_(std::move(options)), handler_(std::move(handler)) {
    // The library owns it then.
    new_task_queue = [this] { return new WorkQueue(options_.threads, waiting_); };
    // SO_REUSEADDR only: with the library's SO_REUSEPORT a second server would share the port.
    set_socket_options([](socket_t sock) {
      const int on = 1;
      setsockopt(sock, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    });
    set_pre_routing_handler([this](const httplib::Request& request, httplib::Response& response) {
      Answer(request, response);
      return HandlerResponse::Handled;
    });
    set_keep_alive_timeout(std::chrono::ceil<std::chrono::seconds>(options_.idle).count());
    set_keep_alive_max_count(options_.requests_per_connection);
  }

  Status Listen() {
    errno = 0;
    port_ = options_.port == 0                           ? bind_to_any_port(options_.host)
            : bind_to_port(options_.host, options_.port) ? options_.port
                                                         : -1;
    if (port_ <= 0) {
      const bool telling = errno == EADDRINUSE || errno == EACCES || errno == EADDRNOTAVAIL;
      const std::string why = telling ? std::generic_category().message(errno)
                                      : "the host is not an address of this machine";
      return Fail(ErrorKind::kUnavailable,
                  fmt::format("cannot listen on {}:{}: {}", options_.host, options_.port, why));
    }
    ::listen(svr_sock_, kBacklog);  // the library's own backlog is 5
    thread_ = std::thread([this] {
      listen_after_bind();
      ended_ = true;
    });
    // Before it runs, stop() would do nothing.
    while (!is_running() && !ended_) std::this_thread::sleep_for(milliseconds(1));
    return {};
  }

  bool Stop(milliseconds grace) {
    const auto deadline = std::chrono::steady_clock::now() + grace;
    while (active_ > 0 && std::chrono::steady_clock::now() < deadline) {
      std::this_thread::sleep_for(milliseconds(5));
    }
    const bool none_left = active_ == 0;
    std::lock_guard lock(stop_mutex_);
    stopping_ = true;
    if (thread_.joinable()) {
      stop();
      thread_.join();
    }
    return none_left;
  }

  int port() const { return port_; }
  size_t active() const { return active_; }
  bool running() const { return !ended_; }

 private:
  bool process_and_close_socket(socket_t sock) override {
    Connection connection(sock, options_.write_stall, stopping_);
    try {
      ServeConnection(connection);
    } catch (const std::exception&) {  // no memory: this connection ends, the others go on
    }
    return true;
  }

  void ServeConnection(Connection& connection) {
    RequestReader reader(connection, options_.limits);
    const auto wanted_by_others = [this] { return waiting_ > 0; };
    const auto never = [] { return false; };
    bool more = true;
    for (size_t served = 0; more && served < options_.requests_per_connection; ++served) {
      // A connection that idles between requests makes way for one that waits for a thread.
      const std::function<bool()> give_up =
          served > 0 ? std::function<bool()>(wanted_by_others) : never;
      if (!reader.HasBuffered() && !connection.WaitForRequest(options_.idle, give_up)) break;
      const auto request = reader.Next();
      if (!request && request.error().status == 0) break;
      const bool last = served + 1 == options_.requests_per_connection;
      more = request ? Serve(connection, *request, nullptr, last)
                     : Serve(connection, {}, &request.error(), true);
      if (!request) connection.CloseGently();
    }
  }

  // False when the connection is over.
  bool Serve(Connection& connection, const RawRequest& raw, const ReadError* refused, bool last) {
    const auto start = std::chrono::steady_clock::now();
    const Counted counted(active_);
    Exchange exchange{connection, raw, refused, {}, last || !raw.keep_alive};
    current_exchange = &exchange;
    const std::string line =
        refused ? "GET /" : raw.method + " " + raw.target.substr(0, raw.target.find('?'));
    ReplayStream stream(connection, line + " HTTP/1.1\r\n\r\n");
    const bool written = Process(stream, exchange.close, &Impl::process_request);
    current_exchange = nullptr;

    exchange.reply.next = nullptr;  // cancels what was not read to its end
    RequestRecord& record = *exchange.reply.record;
    if (record.outcome.empty()) record.outcome = "ok";
    using Ms = std::chrono::duration<double, std::milli>;
    record.total_ms = Ms(std::chrono::steady_clock::now() - start).count();
    options_.log(record);
    return written && !stream.broken() && !exchange.close;
  }

  // Later versions of the library want the addresses as well; this takes either.
  using SetUp = std::function<void(httplib::Request&)>;
  bool Process(httplib::Stream& stream, bool close,
               bool (Impl::*entry)(httplib::Stream&, bool, bool&, const SetUp&)) {
    bool closed = false;
    return (this->*entry)(stream, close, closed, nullptr);
  }
  bool Process(httplib::Stream& stream, bool close,
               bool (Impl::*entry)(httplib::Stream&, const std::string&, int, const std::string&,
                                   int, bool, bool&, const SetUp&)) {
    bool closed = false;
    return (this->*entry)(stream, {}, 0, {}, 0, close, closed, nullptr);
  }

  // From the exchange to httplib's response, on the thread of the connection.
  void Answer(const httplib::Request& parsed, httplib::Response& response) {
    Exchange& exchange = *current_exchange;
    HttpRequest request;
    request.method = exchange.raw.method;
    request.path = parsed.path;
    request.headers = exchange.raw.headers;
    request.body = exchange.raw.body;
    request.request_id = FindHeader(request.headers, "X-Request-Id");
    if (!IsValidRequestId(request.request_id)) request.request_id = NewId("req");
    request.client_gone = [&exchange] { return exchange.connection.Gone(); };

    HttpReply& reply = exchange.reply;
    reply = exchange.refused ? ErrorReply(exchange.refused->status, exchange.refused->message)
                             : CallHandler(request);
    RequestRecord& record = *reply.record;
    record.request_id = request.request_id;
    record.method = request.method;
    record.path = exchange.refused ? "" : request.path;
    record.status = reply.status;

    response.status = reply.status;
    response.set_header("X-Request-Id", request.request_id);
    for (const auto& [name, value] : reply.headers)
      response.set_header(name.c_str(), value.c_str());
    if (reply.next) {
      SetStream(exchange, response);
    } else {
      response.set_content(reply.body, reply.content_type.c_str());
    }
  }

  HttpReply CallHandler(const HttpRequest& request) const {
    try {
      return handler_(request);
    } catch (const std::exception&) {  // a bug of ours, or no memory: this request's alone
      return ErrorReply(500, "the server failed to answer this request");
    }
  }

  static void SetStream(Exchange& exchange, httplib::Response& response) {
    const auto provide = [&exchange](size_t, httplib::DataSink& sink) {
      const BodyPart part = NextPart(exchange.reply);
      if (!part.data.empty() && !sink.write(part.data.data(), part.data.size())) return false;
      exchange.close = exchange.close || part.then == BodyPart::Then::kClose;
      if (part.then != BodyPart::Then::kMore) sink.done();
      return part.then != BodyPart::Then::kAbort;
    };
    if (exchange.raw.http_1_0) {  // knows no chunks: the end of the connection is the end
      exchange.close = true;
      response.set_content_provider(exchange.reply.content_type, provide);
    } else {
      response.set_chunked_content_provider(exchange.reply.content_type, provide);
    }
  }

  static BodyPart NextPart(HttpReply& reply) {
    try {
      return reply.next();
    } catch (const std::exception&) {
      return {{}, BodyPart::Then::kAbort};
    }
  }

  const HttpServerOptions options_;
  const HttpHandler handler_;
  int port_ = -1;
  std::atomic<bool> stopping_{false};
  std::atomic<bool> ended_{false};  // no more connections are accepted
  std::atomic<size_t> active_{0};
  std::atomic<size_t> waiting_{0};  // connections without a thread
  std::mutex stop_mutex_;
  std::thread thread_;
};

HttpServer::HttpServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
HttpServer::~HttpServer() { impl_->Stop(milliseconds(0)); }

Result<std::unique_ptr<HttpServer>> HttpServer::Start(HttpServerOptions options,
                                                      HttpHandler handler) {
  auto impl = std::make_unique<Impl>(std::move(options), std::move(handler));
  if (Status status = impl->Listen(); !status) return tl::unexpected(status.error());
  return std::unique_ptr<HttpServer>(new HttpServer(std::move(impl)));
}

int HttpServer::port() const { return impl_->port(); }
size_t HttpServer::active() const { return impl_->active(); }
bool HttpServer::running() const { return impl_->running(); }
bool HttpServer::Stop(milliseconds grace) { return impl_->Stop(grace); }

Result<int> HttpGetStatus(const std::string& host, int port, const std::string& path,
                          std::chrono::seconds timeout) {
  httplib::Client client(host, port);
  client.set_connection_timeout(timeout.count());
  client.set_read_timeout(timeout.count());
  const httplib::Result result = client.Get(path);
  if (!result) {
    return Fail(ErrorKind::kUnavailable,
                fmt::format("no answer from http://{}:{}{}: {}", host, port, path,
                            httplib::to_string(result.error())));
  }
  return result->status;
}

}  // namespace lockstep
