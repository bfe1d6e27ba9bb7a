// Logs to stderr, one line for each event, as text or JSON. Prompts and generated text are never
// logged, and values are escaped, so that no request can forge a line. Nothing waits for the log:
// while whoever reads it does not, lines are dropped whole, and then their number is logged.
// Thread-safe after SetUpLogging.
#pragma once

#include <concepts>
#include <string>
#include <string_view>
#include <vector>

#include "server/http/http_types.h"

namespace lockstep {

enum class LogLevel { kDebug, kInfo, kWarning, kError, kOff };
enum class LogFormat { kText, kJson };

struct LogField {
  LogField(std::string_view field, std::string_view text) : key(field), value(text), quoted(true) {}
  LogField(std::string_view field, std::integral auto number)
      : key(field), value(std::to_string(number)) {}
  LogField(std::string_view field, double number);  // with one decimal

  std::string key, value;
  bool quoted = false;
};
using LogFields = std::vector<LogField>;

void SetUpLogging(LogLevel level, LogFormat format);
void Log(LogLevel level, std::string_view message, const LogFields& fields = {});
// How many lines have been dropped since the start of the process.
size_t DroppedLogLines();
// One line for a request; health checks and scrapes only at kDebug. `model`: the one that answers,
// where a log has the lines of several; else empty.
void LogRequest(const RequestRecord& record, std::string_view model = {});

// What Log writes behind time and level: `message key=value key="text"`, or members of a JSON
// object. Long values are cut.
std::string FormatLogLine(LogFormat format, std::string_view message, const LogFields& fields);

}  // namespace lockstep
