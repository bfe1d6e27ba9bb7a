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
  const auto parsed = ChatTemplate::Parse({std::istreambuf_iterator<char>(file), {}});
  const auto cases = nlohmann::ordered_json::parse(std::cin);
  for (const auto& variables : cases) {
    nlohmann::ordered_json line;
    const auto parts = parsed ? parsed->Render(VariablesFromJson(variables))
                              : tl::unexpected<Error>(parsed.error());
    if (parts) {
      std::string text;
      std::string untrusted;
      for (const PromptPart& part : *parts) {
        text += part.text;
        if (!part.trusted) untrusted += part.text;
      }
      line = {{"text", text}, {"untrusted", untrusted}};
    } else {
      line = {{"error", parts.error().message}};
    }
    std::puts(line.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace).c_str());
  }
}
