// usage: render_template TEMPLATE < CASES
// CASES is JSON: a list of objects of variables. For each, one line of JSON on standard output:
// {"text": ..., "untrusted": ...} or {"error": ...}; one {"error": ...} if the template is
// malformed. The JSON is read as the server reads it, integers of any length included.
#include <cstdio>
#include <fstream>
#include <iostream>
#include <iterator>

#include "server/json/json_text.h"
#include "tests/support/json_value.h"

int main(int argc, char** argv) {
  using namespace lockstep;
  if (argc != 2) return std::fputs("usage: render_template TEMPLATE < CASES\n", stderr), 2;
  std::ifstream file(argv[1], std::ios::binary);
  const auto parsed = ChatTemplate::Parse(std::string(std::istreambuf_iterator<char>(file), {}));
  const std::string input(std::istreambuf_iterator<char>(std::cin), {});
  const auto cases = ParseStrictObject("{\"cases\":" + input + '}');
  if (!cases) return std::fprintf(stderr, "%s\n", cases.error().message.c_str()), 2;
  for (const auto& variables : (*cases)["cases"]) {
    nlohmann::ordered_json line;
    const auto prompt = parsed ? parsed->Render(VariablesFromJson(variables))
                               : tl::unexpected<Error>(parsed.error());
    if (prompt) {
      std::string untrusted;
      size_t begin = 0;
      for (const TrustedText::Run& run : prompt->runs()) {
        if (!run.trusted) untrusted += prompt->bytes().substr(begin, run.end - begin);
        begin = run.end;
      }
      line = {{"text", prompt->bytes()}, {"untrusted", untrusted}};
    } else {
      line = {{"error", prompt.error().message}};
    }
    std::puts(line.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace).c_str());
  }
}
