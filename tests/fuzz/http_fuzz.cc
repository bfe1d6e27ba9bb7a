// Any bytes as what comes in on a connection: the requests that are read do not depend on how the
// bytes were cut, and none of them can be measured in two ways. Built and run like gbnf_fuzz.
#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "server/http/request_reader.h"
#include "tests/fuzz/check.h"

namespace lockstep {
namespace {

RequestLimits SmallLimits() {
  return {.line = 200, .headers = 8, .header_bytes = 600, .body = 500};
}

bool IsLine(std::string_view text) {
  return text.find_first_of(std::string_view("\r\n\0", 3)) == text.npos;
}

void CheckRequest(const RawRequest& request, const RequestLimits& limits) {
  Check(!request.method.empty() && std::ranges::all_of(request.method, IsTokenCharacter),
        "a method that is no word");
  Check(request.target.starts_with('/') || request.target == "*", "a target of another form");
  Check(IsLine(request.target), "a target of several lines");
  Check(IsLine(request.host), "a host of several lines");
  Check(request.headers.size() <= limits.headers, "too many headers");
  Check(request.body.size() <= limits.body, "a body that is too large");
  size_t lengths = 0, codings = 0;
  for (const auto& [name, value] : request.headers) {
    Check(!name.empty() && std::ranges::all_of(name, IsTokenCharacter), "a header without a name");
    Check(IsLine(value), "a header of several lines");
    lengths += EqualsNoCase(name, "Content-Length") ? 1 : 0;
    codings += EqualsNoCase(name, "Transfer-Encoding") ? 1 : 0;
  }
  Check(lengths <= 1 && codings <= 1 && lengths + codings <= 1, "a body of two lengths");
}

// What is read of the bytes in pieces of so many, as text.
std::string Read(std::string_view bytes, size_t piece) {
  using State = RequestReader::State;
  const RequestLimits limits = SmallLimits();
  RequestReader reader(limits);
  std::string out;
  for (size_t requests = 0; requests < 20; ++requests) {
    while (!bytes.empty() && reader.state() != State::kWhole && reader.state() != State::kRefused) {
      reader.Feed(bytes.substr(0, piece));
      bytes.remove_prefix(std::min(piece, bytes.size()));
    }
    if (reader.state() == State::kRefused) {
      const ReadError& error = reader.error();
      Check(error.status >= 400 && error.status < 600 && !error.message.empty(), "no reason");
      return out + std::to_string(error.status) + error.message;
    }
    if (reader.state() != State::kWhole) return out + "incomplete";
    const RawRequest& request = reader.request();
    CheckRequest(request, limits);
    out += request.method + " " + request.target + (request.keep_alive ? " +" : " -");
    for (const auto& [name, value] : request.headers) out += "\n" + name + ":" + value;
    out += "\n" + request.body + "\n";
    reader.Next();
  }
  return out;
}

}  // namespace
}  // namespace lockstep

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace lockstep;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const std::string whole = Read(bytes, std::max<size_t>(size, 1));
  for (const size_t piece : {1, 3, 64}) {
    Check(Read(bytes, piece) == whole, "what is read depends on the pieces");
  }
  return 0;
}
