// Framing alone; when a part of a stream is sent is the business of whoever makes the events.
#include "server/http/sse.h"

#include <algorithm>
#include <cctype>

namespace lockstep {

StreamFormat ChooseStreamFormat(std::string_view accept) {
  constexpr std::string_view kSseType = "text/event-stream";
  const auto found = std::search(
      accept.begin(), accept.end(), kSseType.begin(), kSseType.end(),
      [](unsigned char a, unsigned char b) { return std::tolower(a) == std::tolower(b); });
  return found == accept.end() ? StreamFormat::kNdjson : StreamFormat::kSse;
}

std::string_view ContentType(StreamFormat format) {
  return format == StreamFormat::kSse ? "text/event-stream; charset=utf-8" : "application/x-ndjson";
}

std::string FrameEvent(StreamFormat format, std::string_view json) {
  std::string framed;
  framed.reserve(json.size() + 8);
  if (format == StreamFormat::kSse) framed = "data: ";
  framed += json;
  framed += format == StreamFormat::kSse ? "\n\n" : "\n";
  return framed;
}

std::string FrameNamedEvent(std::string_view name, std::string_view json) {
  std::string framed = "event: ";
  framed += name;
  framed += '\n';
  framed += FrameEvent(StreamFormat::kSse, json);
  return framed;
}

}  // namespace lockstep
