#include "server/http/http_server.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <httplib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <optional>
#include <system_error>
#include <thread>
#include <utility>

#include "core/base/mutex.h"
#include "server/http/connection.h"
#include "server/http/ids.h"
#include "server/http/poller.h"

namespace lockstep {
namespace {

using std::chrono::milliseconds;

constexpr int kBacklog = 1024;  // a fuller one drops connects, which are tried again after 1 s
constexpr size_t kControlThreads = 2;
constexpr size_t kUnbounded = 1'000'000;  // connections are bounded, and each has one request

// What one request passes through on its thread. connection.last is the word on closing it.
struct Exchange {
  Connection& connection;
  const RawRequest& raw;
  const ReadError* refused;  // instead of raw, if not null
  HttpReply reply;
  bool streams = false;
};
// httplib hands no context to its callbacks; a request stays on one thread.
thread_local Exchange* current_exchange = nullptr;

// httplib's view of a connection: it reads a request line that was checked before and nothing
// else, so its own parsing of headers, lengths, chunks, ranges and compressed bodies never sees
// a client's bytes. A stream's parts leave when they are made; any other reply is queued, and the
// poller waits for a slow client.
class ReplayStream : public httplib::Stream {
 public:
  ReplayStream(const Exchange& exchange, std::string head)
      : exchange_(exchange), connection_(exchange.connection), head_(std::move(head)) {}

  bool is_readable() const override { return true; }
  bool is_writable() const override { return !connection_.broken(); }
  ssize_t read(char* data, size_t size) override {
    const size_t n = head_.copy(data, size, used_);
    used_ += n;
    return static_cast<ssize_t>(n);
  }
  ssize_t write(const char* data, size_t size) override {
    if (!exchange_.streams) {
      connection_.Queue({data, size});
    } else if (!connection_.Write({data, size})) {
      return -1;
    }
    return static_cast<ssize_t>(size);
  }
  void get_remote_ip_and_port(std::string&, int&) const override {}
  void get_local_ip_and_port(std::string&, int&) const override {}
  socket_t socket() const override { return INVALID_SOCKET; }  // not for the library's hands

 private:
  const Exchange& exchange_;
  Connection& connection_;
  const std::string head_;
  size_t used_ = 0;
};

// Threads that answer requests, of which a bounded number waits for one.
class Lane {
 public:
  Lane(size_t threads, size_t waiting) : pool_(threads), most_(threads + waiting) {}
  ~Lane() { pool_.shutdown(); }  // after what it still has

  // False if too many wait.
  bool Post(std::function<void()> work) {
    if (jobs_ >= most_) return false;
    pool_.enqueue([counted = std::make_shared<Counted>(jobs_), work = std::move(work)] { work(); });
    return true;
  }

 private:
  std::atomic<size_t> jobs_{0};
  httplib::ThreadPool pool_;
  const size_t most_;
};

}  // namespace

class HttpServer::Impl : private httplib::Server {
 public:
  Impl(HttpServerOptions options, HttpHandler handler)
      : options_(std::move(options)), handler_(std::move(handler)) {
    // SO_REUSEADDR only: with the library's SO_REUSEPORT a second server would share the port.
    set_socket_options([](socket_t sock) {
      const int on = 1;
      setsockopt(sock, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
      fcntl(sock, F_SETFL, O_NONBLOCK);
    });
    set_pre_routing_handler([this](const httplib::Request& request, httplib::Response& response) {
      Answer(request, response);
      return HandlerResponse::Handled;
    });
    // For the header that tells the client.
    set_keep_alive_timeout(std::chrono::ceil<std::chrono::seconds>(options_.idle).count());
    set_keep_alive_max_count(options_.requests_per_connection);
  }
  ~Impl() override { Stop(milliseconds(0)); }

  Status Start() {
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
    control_.emplace(kControlThreads, kUnbounded);
    data_.emplace(options_.threads, options_.waiting);
    auto poller = Poller::Create(
        svr_sock_,
        {options_.limits, options_.idle, options_.write_stall, options_.connections,
         options_.request_bytes},
        [this](Poller::ConnectionPtr connection) { Dispatch(std::move(connection)); });
    if (!poller) return tl::unexpected(poller.error());
    poller_ = *std::move(poller);
    poller_->Start();
    return {};
  }

  bool Stop(milliseconds grace) {
    const auto deadline = std::chrono::steady_clock::now() + grace;
    while (active_ > 0 && std::chrono::steady_clock::now() < deadline) {
      std::this_thread::sleep_for(milliseconds(5));
    }
    const bool none_left = active_ == 0;
    const MutexLock lock(stop_mutex_);
    if (poller_) poller_->Stop();
    data_.reset();
    control_.reset();
    if (const int listener = svr_sock_.exchange(INVALID_SOCKET); listener != INVALID_SOCKET) {
      close(listener);
    }
    return none_left;
  }

  int port() const { return port_; }
  size_t active() const { return active_; }

 private:
  // On the poller's thread.
  void Dispatch(const Poller::ConnectionPtr& connection) {
    connection->counted_active.emplace(active_);
    const auto work = [this, connection]() mutable {
      try {
        Serve(*connection);
        poller_->Return(std::move(connection));
      } catch (const std::exception&) {  // no memory: this connection ends, the others go on
      }
    };
    RequestReader& reader = connection->reader;
    if (reader.state() == RequestReader::State::kWhole && !IsControl(reader.request())) {
      if (data_->Post(work)) return;
      reader.Refuse({503, "too many requests wait to be answered"});
    }
    control_->Post(work);
  }

  bool IsControl(const RawRequest& request) const {
    const auto& paths = options_.control_paths;
    return std::find(paths.begin(), paths.end(), PathOf(request)) != paths.end();
  }

  static std::string PathOf(const RawRequest& request) {
    return request.target.substr(0, request.target.find('?'));
  }

  void Serve(Connection& connection) {
    const auto start = std::chrono::steady_clock::now();
    const RequestReader& reader = connection.reader;
    const bool refused = reader.state() == RequestReader::State::kRefused;
    const RawRequest& raw = reader.request();
    ++connection.requests;
    connection.last =
        refused || !raw.keep_alive || connection.requests == options_.requests_per_connection;

    Exchange exchange{connection, raw, refused ? &reader.error() : nullptr, {}};
    current_exchange = &exchange;
    const std::string line = refused ? "GET /" : raw.method + " " + PathOf(raw);
    ReplayStream stream(exchange, line + " HTTP/1.1\r\n\r\n");
    if (!Process(stream, connection.last, &Impl::process_request)) connection.last = true;
    current_exchange = nullptr;

    exchange.reply.next = nullptr;  // cancels what was not read to its end
    RequestRecord& record = *exchange.reply.record;
    if (record.outcome.empty()) record.outcome = "ok";
    using Ms = std::chrono::duration<double, std::milli>;
    record.total_ms = Ms(std::chrono::steady_clock::now() - start).count();
    options_.log(record);
    connection.Flush();  // the poller sends what the client does not take at once
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
    request.peer = exchange.connection.peer();
    request.client_gone = [&exchange] { return exchange.connection.Gone(); };

    HttpReply& reply = exchange.reply;
    reply = exchange.refused ? options_.refuse(request, *exchange.refused) : CallHandler(request);
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
      return ErrorReply(CaughtError());
    }
  }

  static void SetStream(Exchange& exchange, httplib::Response& response) {
    exchange.streams = true;
    const auto provide = [&exchange](size_t, httplib::DataSink& sink) {
      const BodyPart part = NextPart(exchange.reply);
      if (!part.data.empty() && !sink.write(part.data.data(), part.data.size())) return false;
      if (part.then == BodyPart::Then::kClose) exchange.connection.last = true;
      if (part.then != BodyPart::Then::kMore) sink.done();
      return part.then != BodyPart::Then::kAbort;
    };
    if (exchange.raw.http_1_0) {  // knows no chunks: the end of the connection is the end
      exchange.connection.last = true;
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
  std::atomic<size_t> active_{0};
  std::unique_ptr<Poller> poller_;
  Mutex stop_mutex_;                    // one Stop at a time
  std::optional<Lane> control_, data_;  // they use the poller
};

HttpServer::HttpServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
HttpServer::~HttpServer() = default;

Result<std::unique_ptr<HttpServer>> HttpServer::Start(HttpServerOptions options,
                                                      HttpHandler handler) {
  auto impl = std::make_unique<Impl>(std::move(options), std::move(handler));
  if (Status status = impl->Start(); !status) return tl::unexpected(status.error());
  return std::unique_ptr<HttpServer>(new HttpServer(std::move(impl)));
}

int HttpServer::port() const { return impl_->port(); }
size_t HttpServer::active() const { return impl_->active(); }
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
