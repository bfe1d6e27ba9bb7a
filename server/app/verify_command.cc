// Each answer goes through POST /verify, in this process: a file has what such a request has, one
// object, or one a line.
#include "server/app/verify_command.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

#include "server/app/local_client.h"
#include "server/app/logging.h"
#include "server/host/read_file.h"

namespace lockstep {
namespace {

constexpr int kDiffers = 1, kWrong = 2;
constexpr size_t kMaxAnswerBytes = size_t{1} << 30;  // of a file

int Fails(const std::string& why) {
  fmt::print(stderr, "lockstep verify: {}\n", why);
  return kWrong;
}

// One object may have line breaks in it; several are one a line.
std::vector<std::string_view> ObjectsOf(std::string_view text) {
  if (ParseStrictObject(text)) return {text};
  std::vector<std::string_view> objects;
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    if (!TrimSpaces(line).empty()) objects.push_back(line);
  }
  return objects;
}

// What the reply says of one answer: a line, and the exit code.
int Tell(const std::string& where, const HttpReply& reply) {
  const Json json = Json::parse(reply.body, nullptr, false);
  if (reply.status != 200) {
    return Fails(where + ": " + json["error"]["message"].get<std::string>());
  }
  if (json["verified"] == true) {
    fmt::print("{}: verified, {} tokens, {}\n", where, json["tokens"].get<size_t>(),
               json["system_fingerprint"].get<std::string>());
    if (json.contains("unchecked")) {
      fmt::print("{}: not compared: {}\n", where,
                 fmt::join(json["unchecked"].get<std::vector<std::string>>(), ", "));
    }
    return 0;
  }
  fmt::print("{}: differs: {}\n", where, json["message"].get<std::string>());
  return kDiffers;
}

}  // namespace

int RunVerify(const Options& options) {
  const std::string& name = options.verify_file;
  const auto text = ReadSmallFile(name, kMaxAnswerBytes);
  if (!text) return Fails(text.error().message);
  const std::vector<std::string_view> objects = ObjectsOf(*text);
  if (objects.empty()) {
    return Fails(
        fmt::format("{} is empty: it must have an object with route, request and answer, "
                    "or one a line",
                    name));
  }
  SetUpLogging(LogLevel::kWarning, LogFormat::kText);
  auto client = LocalClient::Start(options);
  if (!client) return Fails(client.error().message);
  int code = 0;
  for (size_t i = 0; i < objects.size(); ++i) {
    const std::string where = objects.size() == 1 ? name : fmt::format("{}:{}", name, i + 1);
    code = std::max(code, Tell(where, (*client)->Post("/verify", std::string(objects[i]))));
  }
  return code;
}

}  // namespace lockstep
