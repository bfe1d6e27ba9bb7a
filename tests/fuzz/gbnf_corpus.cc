// Writes grammars for gbnf_fuzz to start from: gbnf_corpus FOLDER
#include <cstdio>
#include <fstream>
#include <string>

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: gbnf_corpus FOLDER\n");
    return 2;
  }
  constexpr const char* kGrammars[] = {
      "root ::= \"yes\" | \"no\" # an answer\n",
      ("root ::= \"{\" ws (pair (\",\" ws pair)*)? \"}\"\npair ::= [a-z]+ \":\" ws v\n"
       "v ::= root | [0-9]{1,5} | \"\\\"\" [^\"\\\\]* \"\\\"\"\nws ::= [ \\t\\n]?\n"),
      "root ::= (\"a\" | \"ab\"{2,3} | .{0,9})* [\\u00e9-\\U0001F600]\n",
      "root ::= e\ne ::= t (\"+\" t)*\nt ::= [0-9]{1,} | \"(\" e \")\"\n",
      "root ::= \"(\" a | \"(\" b | \"x\"\na ::= root \")\"\nb ::= root \")\"\n",
  };
  int number = 0;
  for (const char* grammar : kGrammars) {
    std::ofstream(std::string(argv[1]) + "/grammar" + std::to_string(number++), std::ios::binary)
        << "text" << '\0' << grammar;
  }
}
