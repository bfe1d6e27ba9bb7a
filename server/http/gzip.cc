// Only what is large, is asked for often and repeats itself is worth compressing: a scrape of
// metrics shrinks to a tenth. The HTTP library could compress by itself, but would do so to every
// body, which costs tokens the time that their few bytes do not save.
#include "server/http/gzip.h"

#include <zlib.h>

#include <algorithm>
#include <new>
#include <utility>

namespace lockstep {
namespace {

// "gzip;q=0" says that it is not taken.
bool IsRefused(std::string_view parameters) {
  const size_t q = parameters.find("q=");
  if (q == parameters.npos) return false;
  const std::string_view weight = parameters.substr(q + 2);
  return weight.find_first_of("123456789") == weight.npos;
}

}  // namespace

bool AcceptsGzip(const HttpHeaders& headers) {
  std::string_view rest = FindHeader(headers, "Accept-Encoding");
  while (!rest.empty()) {
    const std::string_view item = rest.substr(0, rest.find(','));
    rest.remove_prefix(std::min(rest.size(), item.size() + 1));
    const size_t semicolon = item.find(';');
    const std::string_view coding = TrimSpaces(item.substr(0, semicolon));
    if (!EqualsNoCase(coding, "gzip")) continue;
    return semicolon == item.npos || !IsRefused(item.substr(semicolon));
  }
  return false;
}

std::string Gzip(std::string_view bytes) {
  constexpr int kWindow = 15 + 16;  // the largest, and gzip's frame in place of zlib's
  constexpr int kMemory = 8;        // zlib's default
  z_stream stream{};
  if (deflateInit2(&stream, Z_BEST_SPEED, Z_DEFLATED, kWindow, kMemory, Z_DEFAULT_STRATEGY) !=
      Z_OK) {
    throw std::bad_alloc();  // the one thing that can be wrong here
  }
  std::string out(deflateBound(&stream, bytes.size()), '\0');
  // zlib writes nothing to its input; older versions of its header do not say so.
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  stream.avail_in = static_cast<uInt>(bytes.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  deflate(&stream, Z_FINISH);  // there is room for all of it
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

HttpReply Compressed(HttpReply reply, const HttpHeaders& request_headers) {
  reply.headers.emplace_back("Vary", "Accept-Encoding");
  if (!AcceptsGzip(request_headers)) return reply;
  reply.body = Gzip(reply.body);
  reply.headers.emplace_back("Content-Encoding", "gzip");
  return reply;
}

}  // namespace lockstep
