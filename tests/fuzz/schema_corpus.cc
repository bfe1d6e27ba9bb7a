// Writes schemas for schema_fuzz to start from: schema_corpus FOLDER
#include <cstdio>
#include <fstream>
#include <string>

#include "server/json/json_text.h"
#include "tests/support/vocabulary_files.h"

int main(int argc, char** argv) {
  using namespace lockstep;
  if (argc != 2) {
    std::fprintf(stderr, "usage: schema_corpus FOLDER\n");
    return 2;
  }
  const auto schemas = ParseStrictObject("{\"all\":" + ReadFile(TestData("schemas.json")) + "}");
  int number = 0;
  for (const Json& schema : schemas.value()["all"]) {
    std::ofstream(std::string(argv[1]) + "/schema" + std::to_string(number++), std::ios::binary)
        << Dump(schema);
  }
}
