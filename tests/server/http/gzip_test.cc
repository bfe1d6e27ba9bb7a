#include "server/http/gzip.h"

#include <gtest/gtest.h>
#include <zlib.h>

#include <string>

namespace lockstep {
namespace {

std::string Inflate(const std::string& bytes, size_t size) {
  z_stream stream{};
  EXPECT_EQ(inflateInit2(&stream, 15 + 16), Z_OK);  // gzip's frame, and no other
  std::string in = bytes, out(size + 1, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(in.data());
  stream.avail_in = static_cast<uInt>(in.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  EXPECT_EQ(inflate(&stream, Z_FINISH), Z_STREAM_END);
  EXPECT_EQ(stream.avail_in, 0u);
  out.resize(stream.total_out);
  inflateEnd(&stream);
  return out;
}

TEST(Gzip, ComesOutAsItWentIn) {
  std::string text;
  for (size_t i = 0; i < 20'000; ++i) text += static_cast<char>(i * i >> 3);
  for (const size_t size : {size_t{0}, size_t{1}, size_t{100}, text.size()}) {
    EXPECT_EQ(Inflate(Gzip(text.substr(0, size)), size), text.substr(0, size));
  }
  const std::string repeated(50'000, 'x');
  EXPECT_LT(Gzip(repeated).size(), 1000u);
  EXPECT_EQ(Inflate(Gzip(repeated), repeated.size()), repeated);
}

TEST(Gzip, ForThoseWhoTakeIt) {
  const std::pair<const char*, bool> cases[] = {
      {"gzip", true},
      {"GZip", true},
      {"br, gzip;q=0.5", true},
      {" deflate , gzip ", true},
      {"gzip; q=0", false},
      {"gzip;q=0.000", false},
      {"", false},
      {"x-gzip-ish", false},
      {"deflate", false},
      {"identity;q=1, *;q=0", false},
  };
  for (const auto& [accepted, taken] : cases) {
    const HttpHeaders headers = {{"Accept-Encoding", accepted}};
    EXPECT_EQ(AcceptsGzip(headers), taken) << accepted;
    HttpReply reply;
    reply.body = "body";
    reply = Compressed(std::move(reply), headers);
    EXPECT_EQ(FindHeader(reply.headers, "Content-Encoding"), taken ? "gzip" : "");
    EXPECT_EQ(FindHeader(reply.headers, "Vary"), "Accept-Encoding");
    EXPECT_EQ(taken ? Inflate(reply.body, 4) : reply.body, "body");
  }
  EXPECT_FALSE(AcceptsGzip({}));
}

}  // namespace
}  // namespace lockstep
