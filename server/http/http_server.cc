// The way of a request: the poller reads it whole and hands its connection to Dispatch, which picks
// the threads that answer it; Serve runs there, has httplib write what the handler says, and gives
// the connection back. httplib is kept at arm's length. It makes headers, chunks and content
// providers into bytes, which it does well, but never sees a socket or a client's bytes: its own
// accepting holds a thread for each connection, and its own reading trusts too much.
#include "server/http/http_server.h"

#include <fmt/format.h>
#include <httplib.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <ctime>
#include <optional>
#include <system_error>
#include <thread>
#include <utility>

#include "core/base/mutex.h"
#include "core/base/quoted.h"
#include "server/http/allowed_hosts.h"
#include "server/http/connection.h"
#include "server/http/ids.h"
#include "server/http/listener.h"
#include "server/http/poller.h"
#include "server/http/query.h"
#include "server/http/workers.h"

namespace lockstep {
namespace {

using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

constexpr size_t kProbeThreads = 1, kScrapeThreads = 2, kScrapesWaiting = 64;
// What each connection may have to send, however short memory is: errors, health, most answers.
constexpr size_t kSmallReply = 64 * 1024;
constexpr size_t kUnbounded = 1'000'000;  // connections are bounded, and each has one request
constexpr int kClientGone = 499;          // as nginx logs it
// So long no request may have come before connections are closed: by then whoever has been told
// that they will be has heard of it, on any network.
constexpr milliseconds kQuiet{250};

// What one request passes through on its thread. connection.last is the word on closing it.
struct Exchange {
  Connection& connection;
  const RawRequest& raw;
  const ReadError* refused;  // instead of raw, if not null
  HttpReply reply;
  bool streams = false;
  bool silent = false;  // nobody waits for the reply
};
// httplib hands no context to its callbacks; a request stays on one thread.
thread_local Exchange* current_exchange = nullptr;

// RFC 9110's form of a time, such as "Sun, 06 Nov 1994 08:49:37 GMT"; the process keeps the C
// locale, in which the names are English.
std::string HttpDate(std::time_t time) {
  std::tm parts{};
  gmtime_r(&time, &parts);
  char text[32];
  const size_t size = std::strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", &parts);
  return {text, size};
}

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
    if (exchange_.silent) return static_cast<ssize_t>(size);
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

}  // namespace

class HttpServer::Impl : private httplib::Server {
 public:
  Impl(HttpServerOptions options, HttpHandler handler)
      : options_(std::move(options)), handler_(std::move(handler)) {
    set_pre_routing_handler([this](const httplib::Request&, httplib::Response& response) {
      Answer(response);
      return HandlerResponse::Handled;
    });
    // httplib tells them to the client, in the header Keep-Alive; the poller keeps them, and waits
    // a little longer than it says, since a client's next request takes a while to arrive.
    set_keep_alive_timeout(std::chrono::ceil<std::chrono::seconds>(options_.idle).count());
    set_keep_alive_max_count(options_.requests_per_connection);
  }
  ~Impl() override { Stop(milliseconds(0)); }

  Status Start() {
    TRY(listener_, options_.listener < 0 ? Listen(options_.host, options_.port)
                                         : TakeListener(options_.listener));
    svr_sock_ = listener_.socket;  // httplib ends the streams of a server that has none
    TRY(poller_,
        Poller::Create(listener_.socket,
                       {options_.limits, options_.idle + options_.idle / 16, options_.write_stall,
                        options_.connections, options_.memory.get(), options_.kept,
                        [this](RequestReader& reader) { LookAtHead(reader); }},
                       [this](const Poller::ConnectionPtr& connection) { Dispatch(connection); }));
    try {
      probes_.emplace(kProbeThreads, kUnbounded);
      scrapes_.emplace(kScrapeThreads, kScrapesWaiting);
      data_.emplace(options_.threads, options_.waiting);
      if (!options_.held) Accept();
    } catch (const std::system_error& error) {
      return Fail(ErrorKind::kUnavailable,
                  fmt::format("cannot start {} threads to answer requests: {}; raise the limit of "
                              "threads or of memory (ulimit -u and -v, TasksMax), or lower --queue",
                              kProbeThreads + kScrapeThreads + options_.threads + 1,
                              error.code().message()));
    }
    return {};
  }

  void Accept() { poller_->Start(); }
  void Leave() {
    leaving_ = true;
    if (options_.kept && poller_) poller_->StopAccepting();
  }
  bool Stop(milliseconds grace) {
    Leave();
    const auto begin = Clock::now();
    if (poller_) poller_->StopAccepting();
    const auto on_its_way = [&] {
      if (!poller_) return false;
      const auto quiet = std::max(begin, poller_->last_arrival()) + kQuiet;
      return poller_->accepting() || (poller_->open() > 0 && Clock::now() < quiet);
    };
    while ((active_ > 0 || on_its_way()) && Clock::now() < begin + grace) {
      std::this_thread::sleep_for(milliseconds(5));
    }
    const bool none_left = active_ == 0;
    const MutexLock lock(stop_mutex_);
    if (poller_) poller_->Stop();
    data_.reset();
    scrapes_.reset();
    probes_.reset();
    svr_sock_ = INVALID_SOCKET;
    if (listener_.socket >= 0) close(std::exchange(listener_.socket, -1));
    return none_left;
  }

  int port() const { return listener_.port; }
  bool loopback() const { return listener_.loopback; }
  size_t active() const { return active_; }

 private:
  // Called on the poller's thread.
  void Dispatch(const Poller::ConnectionPtr& connection) {
    connection->counted_active.emplace(active_);
    const auto work = [this, connection] {
      try {
        Serve(*connection);
        poller_->Return(connection);
      } catch (const std::exception&) {  // no memory: this connection ends, the others go on
      }
    };
    RequestReader& reader = connection->reader;
    if (reader.state() == RequestReader::State::kWhole) CheckHost(reader);
    if (reader.state() == RequestReader::State::kWhole) {
      if (WorkersOf(PathOf(reader.request())).Post(work)) return;
      reader.Refuse({503, "too many requests wait to be answered"});
    }
    probes_->Post(work);
  }

  Workers& WorkersOf(std::string_view path) {
    if (!options_.is_control(path)) return *data_;
    return options_.is_scrape(path) ? *scrapes_ : *probes_;
  }

  // Called on the poller's thread. Who may not send a body, or sends it where nobody reads it, must
  // not take the memory of those whose bodies are read.
  void LookAtHead(RequestReader& reader) const {
    CheckHost(reader);
    if (reader.state() != RequestReader::State::kBody) return;
    if (options_.decides(HeadOf(reader.request()))) reader.LeaveBody();
  }

  // No browser sends a request without a Host, which HTTP/1.0 allows.
  void CheckHost(RequestReader& reader) const {
    if (!options_.guard_loopback || !listener_.loopback) return;
    const std::string& host = reader.request().host;
    if (host.empty() && reader.request().http_1_0) return;
    if (IsAllowedHost(host, options_.allowed_hosts)) return;
    reader.Refuse({403, "this server answers to localhost only, not to " + Quoted(host) +
                            "; --allowed-host names others, --api-key lets them in"});
  }

  static HttpRequest HeadOf(const RawRequest& raw) {
    HttpRequest head;
    head.method = raw.method;
    head.path = PercentDecoded(PathOf(raw));
    const size_t query = raw.target.find('?');
    if (query != std::string::npos) head.query = raw.target.substr(query + 1);
    head.headers = raw.headers;
    return head;
  }

  // A client whose base URL ends in a slash asks for /v1//models, and some end all paths in one.
  static std::string PathOf(const RawRequest& request) {
    std::string path;
    for (const char c : std::string_view(request.target).substr(0, request.target.find('?'))) {
      if (c != '/' || !path.ends_with('/')) path += c;
    }
    if (path.size() > 1 && path.ends_with('/')) path.pop_back();
    return path;
  }

  void Serve(Connection& connection) {
    const auto start = std::chrono::steady_clock::now();
    const RequestReader& reader = connection.reader;
    const bool refused = reader.state() == RequestReader::State::kRefused;
    const RawRequest& raw = reader.request();
    ++connection.requests;
    connection.last = refused || !raw.keep_alive || leaving_ ||
                      connection.requests == options_.requests_per_connection;

    connection.BeginReply(!raw.http_1_0);
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
    connection.reply_memory.Force(connection.queued());
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

  // Turns the exchange into httplib's response, on the thread of the connection.
  void Answer(httplib::Response& response) {
    Exchange& exchange = *current_exchange;
    // A request that was refused has a head, too: its path says whose words the refusal is to have.
    HttpRequest request = HeadOf(exchange.raw);
    if (exchange.refused == nullptr) request.body = exchange.connection.reader.TakeBody();
    request.request_id = FindHeader(request.headers, "X-Request-Id");
    if (!IsValidRequestId(request.request_id)) request.request_id = NewId("req");
    request.peer = exchange.connection.peer();
    request.client_gone = [&exchange] { return exchange.connection.Gone(); };

    HttpReply& reply = exchange.reply;
    reply = exchange.refused ? options_.refuse(request, *exchange.refused) : CallHandler(request);
    // A status of our own for the log: the client has closed its side, and is not told so.
    exchange.silent = reply.status == kClientGone;
    if (exchange.silent) exchange.connection.last = true;
    CountReply(exchange.connection, reply);
    RequestRecord& record = *reply.record;
    record.request_id = request.request_id;
    record.method = request.method;
    record.path = exchange.refused ? "" : request.path;
    record.status = reply.status;

    response.status = reply.status;
    response.set_header("Date", HttpDate(std::time(nullptr)));
    response.set_header("X-Request-Id", request.request_id);
    // The library would say for itself that it sends parts, but it never sees a Range.
    if (request.method == "HEAD") response.set_header("Accept-Ranges", "none");
    for (const auto& [name, value] : reply.headers)
      response.set_header(name.c_str(), value.c_str());
    if (reply.next) {
      SetStream(exchange, response);
    } else {
      response.set_header("Content-Type", reply.content_type.c_str());
      response.body = std::move(reply.body);
    }
  }

  HttpReply CallHandler(const HttpRequest& request) const {
    try {
      return handler_(request);
    } catch (const std::exception&) {  // a bug of ours, or no memory: this request's alone
      return ErrorReply(CaughtError());
    }
  }

  // Until it is sent it is here, and from the library to the connection it is copied.
  static void CountReply(Connection& connection, HttpReply& reply) {
    const size_t bytes = 2 * reply.body.size();
    if (bytes <= kSmallReply) return connection.reply_memory.Force(bytes);
    if (const Status counted = connection.reply_memory.Resize(bytes); !counted) {
      reply = ErrorReply(counted.error());
    }
  }

  static void SetStream(Exchange& exchange, httplib::Response& response) {
    exchange.streams = true;
    const auto provide = [&exchange](size_t, httplib::DataSink& sink) {
      const BodyPart part = NextPart(exchange.reply);
      if (!part.data.empty() && !sink.write(part.data.data(), part.data.size())) return false;
      if (part.then == BodyPart::Then::kClose) exchange.connection.last = true;
      if (part.then == BodyPart::Then::kAbort) return false;  // done() would write the body's end
      if (part.then != BodyPart::Then::kMore) sink.done();
      return true;
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
  Listener listener_{-1, 0, false};
  std::atomic<size_t> active_{0};
  std::atomic<bool> leaving_{false};
  std::unique_ptr<Poller> poller_;
  Mutex stop_mutex_;                                // one Stop at a time
  std::optional<Workers> probes_, scrapes_, data_;  // they use the poller
};

HttpServer::HttpServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
HttpServer::~HttpServer() = default;

Result<std::unique_ptr<HttpServer>> HttpServer::Start(HttpServerOptions options,
                                                      HttpHandler handler) {
  auto impl = std::make_unique<Impl>(std::move(options), std::move(handler));
  TRY_OK(impl->Start());
  return std::unique_ptr<HttpServer>(new HttpServer(std::move(impl)));
}

void HttpServer::Accept() { impl_->Accept(); }
void HttpServer::Leave() { impl_->Leave(); }
int HttpServer::port() const { return impl_->port(); }
bool HttpServer::loopback() const { return impl_->loopback(); }
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
                fmt::format("no answer from http://{}{}: {}", HostAndPort(host, port), path,
                            result.error() == httplib::Error::Connection
                                ? WhyNoConnection(host, port)
                                : "it breaks off, or takes too long"));
  }
  return result->status;
}

}  // namespace lockstep
