// How the events of a streamed answer are framed: NDJSON (one object a line) or server-sent events
// ("data: {...}" and an empty line). The objects are the same in both, in this order:
//   {"index": 0, "token": 17, "text": "Once"}    one for each token, "logprobs" too when asked for
//   {"id": ..., "text": ..., ..., "done": true}  the plain answer with "done" added: the last one
//   {"error": {...}}                             instead of it, when the request fails midway
#pragma once

#include <string>
#include <string_view>

namespace lockstep {

enum class StreamFormat { kNdjson, kSse };

// SSE if the Accept header names text/event-stream.
StreamFormat ChooseStreamFormat(std::string_view accept);
std::string_view ContentType(StreamFormat format);
// REQUIRES: json has no line breaks.
std::string FrameEvent(StreamFormat format, std::string_view json);
// A server-sent event with a name, as some APIs have them. REQUIRES: neither has line breaks.
std::string FrameNamedEvent(std::string_view name, std::string_view json);

}  // namespace lockstep
