// A client of bare sockets for tests: sends exact bytes, reads what comes, goes away in any way.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>

namespace lockstep {

// "\n" stands for CR LF.
inline std::string Http(const std::string& text) {
  std::string bytes;
  for (const char c : text) bytes += c == '\n' ? std::string("\r\n") : std::string(1, c);
  return bytes;
}

class RawClient {
 public:
  // Port -1: not yet connected.
  explicit RawClient(int port) : socket_(::socket(AF_INET, SOCK_STREAM, 0)) {
    if (port >= 0) Connect(port);
  }
  void Connect(int port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    connected_ = connect(socket_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
  }
  ~RawClient() { Close(); }
  RawClient(const RawClient&) = delete;
  RawClient& operator=(const RawClient&) = delete;

  bool connected() const { return connected_; }
  bool Send(std::string_view bytes) {
    return send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL) ==
           static_cast<ssize_t>(bytes.size());
  }
  bool SendRequest(const std::string& line, const std::string& headers = "",
                   const std::string& body = "") {
    std::string request = line + " HTTP/1.1\r\nHost: localhost\r\n" + headers;
    if (line.starts_with("POST")) {
      request += "Content-Length: " + std::to_string(body.size()) + "\r\n";
    }
    return Send(request + "\r\n" + body);
  }
  bool Generate(const std::string& body, const std::string& headers = "") {
    return SendRequest("POST /generate", "Content-Type: application/json\r\n" + headers, body);
  }

  // Whether something has come, or the end.
  bool readable() const {
    pollfd fd{socket_, POLLIN, 0};
    return !received_.empty() || poll(&fd, 1, 0) > 0;
  }
  // Everything received so far, once it has `text`; what came by then if it never does.
  std::string ReadUntil(std::string_view text) {
    while (received_.find(text) == std::string::npos && Receive()) {
    }
    return received_;
  }
  // Whatever comes next, at most that much of it; false at the end.
  bool ReadSome(size_t most) { return Receive(most); }
  std::string ReadToEnd() {
    while (Receive()) {
    }
    return received_;
  }
  // One whole reply with a Content-Length; later ones stay for the next call.
  std::string ReadReply() {
    const size_t head = ReadUntil("\r\n\r\n").find("\r\n\r\n");
    const size_t at = received_.find("Content-Length: ");
    if (head == std::string::npos || at > head) return std::exchange(received_, {});
    const size_t size = head + 4 + std::stoul(received_.substr(at + 16));
    while (received_.size() < size && Receive()) {
    }
    const std::string reply = received_.substr(0, size);
    received_.erase(0, reply.size());
    return reply;
  }

  void Close() {
    if (socket_ >= 0) close(std::exchange(socket_, -1));
  }
  // Sends no more, and goes on reading.
  void EndSending() { shutdown(socket_, SHUT_WR); }
  // Closes with RST.
  void Reset() {
    const linger at_once{1, 0};
    setsockopt(socket_, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    Close();
  }

 private:
  bool Receive(size_t most = 4096) {
    pollfd fd{socket_, POLLIN, 0};
    if (poll(&fd, 1, 10'000) <= 0) return false;
    char data[4096];
    const ssize_t n = recv(socket_, data, std::min(most, sizeof data), 0);
    if (n > 0) received_.append(data, static_cast<size_t>(n));
    return n > 0;
  }

  int socket_;
  bool connected_ = false;
  std::string received_;
};

}  // namespace lockstep
