// spdlog gives levels, times and the lock; the sink is ours, because every sink of spdlog waits for
// its file: with a pipe that nobody reads each request, each health check and the end of the
// process would hang on their line in the log. A queue and a thread of its own would only put off
// the end.
#include "server/app/logging.h"

#include <fmt/format.h>
#include <poll.h>
#include <spdlog/sinks/base_sink.h>
#include <spdlog/spdlog.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <climits>
#include <memory>
#include <mutex>
#include <string_view>

#include "core/base/quoted.h"
#include "core/base/utf8.h"

namespace lockstep {
namespace {

// A value is cut after so many bytes, so that one long path does not fill the log.
constexpr size_t kMaxValue = 512;

std::atomic<LogFormat> log_format{LogFormat::kText};
std::atomic<size_t> dropped_lines{0};

spdlog::level::level_enum ToSpdlog(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return spdlog::level::debug;
    case LogLevel::kInfo:
      return spdlog::level::info;
    case LogLevel::kWarning:
      return spdlog::level::warn;
    case LogLevel::kError:
      return spdlog::level::err;
    case LogLevel::kOff:
      break;
  }
  return spdlog::level::off;
}

// What would act on a terminal, or is taken for a line's end by some readers.
bool IsKeptFromLogs(std::string_view character) {
  if (IsControlCharacter(character)) return true;
  const uint32_t code = FirstCodePoint(character);
  return (code >= 0x2028 && code <= 0x202E) || (code >= 0x2066 && code <= 0x2069);
}

// A JSON string. Bytes that are no UTF-8 appear one by one, as \u00xx.
std::string QuotedValue(std::string_view text) {
  std::string quoted = "\"";
  std::string_view rest = text.substr(0, kMaxValue);
  while (!rest.empty()) {
    const Utf8Scan scan = ScanUtf8(rest);
    // A character that the limit cuts is left out whole.
    if (scan.kind == Utf8Scan::Kind::kUnfinished && text.size() > kMaxValue) break;
    const std::string_view character = rest.substr(0, scan.length);
    rest.remove_prefix(scan.length);
    if (scan.kind != Utf8Scan::Kind::kCharacter) {
      for (const char c : character) quoted += fmt::format("\\u{:04x}", static_cast<uint8_t>(c));
    } else if (IsKeptFromLogs(character)) {
      quoted += fmt::format("\\u{:04x}", FirstCodePoint(character));
    } else {
      if (character == "\"" || character == "\\") quoted += '\\';
      quoted += character;
    }
  }
  if (text.size() > kMaxValue) quoted += "...";
  return quoted + '"';
}

// Writes what stderr takes at once. Its file may be shared with other processes, so it is not made
// nonblocking for all of them. Instead each write is of a size that a pipe which polls as writable
// takes whole (PIPE_BUF, POSIX), and a socket, which journald gives, is told not to wait. A line of
// which stderr took a beginning is not dropped any more: its rest goes before whatever comes next,
// so that every line in the log is whole.
class NonblockingSink : public spdlog::sinks::base_sink<std::mutex> {
 protected:
  void sink_it_(const spdlog::details::log_msg& message) override {
    spdlog::memory_buf_t line;
    formatter_->format(message, line);
    // The number goes first, so that a gap in the log stands where it was.
    if ((untold_ > 0 && !TellDropped()) || !WriteLine({line.data(), line.size()})) {
      ++untold_;
      dropped_lines.fetch_add(1, std::memory_order_relaxed);
    }
  }
  void flush_() override {}

 private:
  // Tells it in a line of its own, in the log's format, before the next line that gets through.
  bool TellDropped() {
    const std::string text =
        FormatLogLine(log_format, "the log was not read; lines were dropped", {{"lines", untold_}});
    spdlog::memory_buf_t line;
    formatter_->format(spdlog::details::log_msg("", spdlog::level::warn, text), line);
    if (!WriteLine({line.data(), line.size()})) return false;
    untold_ = 0;
    return true;
  }

  // False if nothing of the line has been written, and nothing of it will be.
  bool WriteLine(std::string_view line) {
    rest_.erase(0, Write(rest_));
    if (!rest_.empty()) return false;
    const size_t written = Write(line);
    if (written > 0) rest_ = line.substr(written);
    return written > 0;
  }

  // How many bytes of the text stderr took.
  static size_t Write(std::string_view text) {
    size_t written = 0;
    while (written < text.size()) {
      const std::string_view piece = text.substr(written, PIPE_BUF);
      // A send on what is no socket fails with ENOTSOCK and writes nothing.
      ssize_t n = send(STDERR_FILENO, piece.data(), piece.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
      if (n < 0 && errno == ENOTSOCK) {
        pollfd fd{STDERR_FILENO, POLLOUT, 0};
        if (poll(&fd, 1, 0) != 1 || (fd.revents & POLLOUT) == 0) break;
        n = write(STDERR_FILENO, piece.data(), piece.size());
      }
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) break;  // a full disk or a closed pipe loses lines and nothing else
      written += static_cast<size_t>(n);
    }
    return written;
  }

  std::string rest_;  // of a line whose beginning has been written
  size_t untold_ = 0;
};

}  // namespace

LogField::LogField(std::string_view field, double number)
    : key(field), value(fmt::format("{:.1f}", number)) {}

void SetUpLogging(LogLevel level, LogFormat format) {
  auto logger = std::make_shared<spdlog::logger>("", std::make_shared<NonblockingSink>());
  logger->set_level(ToSpdlog(level));
  logger->set_pattern(format == LogFormat::kJson
                          ? R"({"time":"%Y-%m-%dT%H:%M:%S.%e%z","level":"%l",%v})"
                          : "%Y-%m-%dT%H:%M:%S.%e%z %l %v");
  // spdlog would otherwise write its errors to stderr, and wait there.
  logger->set_error_handler([](const std::string&) {});
  log_format = format;
  spdlog::set_default_logger(std::move(logger));
}

void Log(LogLevel level, std::string_view message, const LogFields& fields) {
  const auto logger = spdlog::default_logger();
  if (!logger->should_log(ToSpdlog(level))) return;
  logger->log(ToSpdlog(level), spdlog::string_view_t(FormatLogLine(log_format, message, fields)));
}

size_t DroppedLogLines() { return dropped_lines.load(std::memory_order_relaxed); }

void LogRequest(const RequestRecord& record, std::string_view model) {
  // A health check every second would bury everything else.
  const LogLevel level = record.control         ? LogLevel::kDebug
                         : record.status >= 500 ? LogLevel::kError
                                                : LogLevel::kInfo;
  LogFields fields = {{"request_id", record.request_id}};
  if (!record.trace_id.empty()) {
    fields.emplace_back("trace_id", record.trace_id);
    fields.emplace_back("span_id", record.span_id);
  }
  if (!record.id.empty()) fields.emplace_back("id", record.id);
  if (!model.empty()) fields.emplace_back("model", model);
  fields.emplace_back("method", record.method);
  fields.emplace_back("route", record.path);
  fields.emplace_back("status", record.status);
  fields.emplace_back("outcome", record.outcome);
  if (!record.id.empty()) {
    fields.emplace_back("prompt_tokens", record.prompt_tokens);
    fields.emplace_back("tokens", record.completion_tokens);
    fields.emplace_back("first_token_ms", record.first_token_ms);
    fields.emplace_back("tokens_per_second", record.tokens_per_second);
  }
  if (record.id.empty() && record.prompt_tokens > 0) {
    fields.emplace_back("prompt_tokens", record.prompt_tokens);
  }
  if (record.resumed) fields.emplace_back("resumed", 1);
  fields.emplace_back("total_ms", record.total_ms);
  Log(level, "request", fields);
}

std::string FormatLogLine(LogFormat format, std::string_view message, const LogFields& fields) {
  const bool json = format == LogFormat::kJson;
  std::string line = json ? "\"message\":" + QuotedValue(message) : std::string(message);
  for (const LogField& field : fields) {
    line += json ? "," + QuotedValue(field.key) + ":" : " " + field.key + "=";
    line += field.quoted ? QuotedValue(field.value) : field.value;
  }
  return line;
}

}  // namespace lockstep
