// usage: render_template TEMPLATE < CASES
// CASES is JSON: a list of objects of variables. For each, one line of JSON on standard output:
// {"text": ..., "untrusted": ...} or {"error": ...}; one {"error": ...} if the template is
// malformed.
#include <cstdio>
#include <fstream>
#include <iostream>
#include <iterator>

#include "tests/support/json_value.h"

int main(int argc, char** argv) {
  using namespace lockstep;
  if (argc != 2) return std::fputs("usage: render_template TEMPLATE < CASES\n", stderr), 2;
  std::ifstream file(argv[1], std::ios::binary);
  const auto parsed = ChatTemplate::Parse(std::string(std::istreambuf_iterator<char>(file), {}));
  const auto cases = nlohmann::ordered_json::parse(std::cin);
  for (const auto& variables : cases) {
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
