// Schemas with texts of values that their grammars must match, and with those that they must not.
#pragma once

#include <gtest/gtest.h>

#include <span>
#include <vector>

#include "server/schema/json_schema.h"
#include "tests/support/grammar_match.h"

namespace lockstep {

struct SchemaCase {
  const char* schema;
  std::vector<const char*> accepted, refused;
};

// Each read strictly, so that no keyword is left out.
inline void CheckSchemas(std::span<const SchemaCase> cases) {
  for (const SchemaCase& test : cases) {
    const auto schema = ParseStrictObject(test.schema);
    ASSERT_TRUE(schema) << test.schema << schema.error().message;
    const auto grammar = CompileJsonSchema(*schema, "schema");
    EXPECT_TRUE(grammar) << test.schema << grammar.error().message;
    if (!grammar) continue;
    for (const char* text : test.accepted) {
      EXPECT_TRUE(Matches(**grammar, text)) << test.schema << " " << text;
    }
    for (const char* text : test.refused) {
      EXPECT_FALSE(Matches(**grammar, text)) << test.schema << " " << text;
    }
  }
}

}  // namespace lockstep
