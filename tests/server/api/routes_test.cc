#include "server/api/routes.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

#include "server/api/openai/chat.h"
#include "server/api/tgi_api.h"
#include "server/json/json_text.h"

namespace lockstep {
namespace {

std::string_view OperationOf(const char* path) { return FindRoute(path, "POST")->operation; }

TEST(RoutesTest, TheOperationIsTheConventions) {
  for (const char* path : {"/v1/chat/completions", "/chat/completions", "/v1/messages", "/messages",
                           "/v1/responses", "/responses", "/api/chat"}) {
    EXPECT_EQ(OperationOf(path), "chat") << path;
  }
  for (const char* path : {"/generate", "/generate_stream", "/v1/completions", "/completions",
                           "/completion", "/infill", "/api/generate"}) {
    EXPECT_EQ(OperationOf(path), "text_completion") << path;
  }
  for (const char* path : {"/v1/embeddings", "/embeddings", "/embedding", "/embed", "/embed_all",
                           "/api/embed", "/api/embeddings"}) {
    EXPECT_EQ(OperationOf(path), "embeddings") << path;
  }
}

// Counting tokens and rendering a prompt ask no model, though their paths begin as those that do.
TEST(RoutesTest, WhatAsksNoModelHasNoOperation) {
  for (const char* path :
       {"/v1/completions/render", "/v1/chat/completions/render", "/v1/messages/count_tokens",
        "/v1/responses/input_tokens", "/tokenize", "/verify", "/api/show", "/api/pull"}) {
    EXPECT_EQ(OperationOf(path), "") << path;
    EXPECT_EQ(FindRoute(path, "POST")->dialect, nullptr) << path;
  }
}

TEST(RoutesTest, ThePathOrTheBodySaysTheDialect) {
  const auto dialect = [](const char* path, const char* body) {
    return &FindRoute(path, "POST")->dialect(Json::parse(body));
  };
  EXPECT_EQ(dialect("/v1/chat/completions", "{}"), &kOpenAiChat);
  EXPECT_EQ(dialect("/generate", R"({"inputs": "a"})"), &kTgi);
  EXPECT_NE(dialect("/generate", R"({"prompt": "a"})"), &kTgi);
  EXPECT_EQ(dialect("/", R"({"inputs": "a"})"), &kTgiList);
}

TEST(RoutesTest, NoPathHasAMethodTwice) {
  std::set<std::string> seen;
  for (const Route& route : AllRoutes()) {
    EXPECT_TRUE(seen.insert(std::string(route.method) + " " + std::string(route.path)).second)
        << route.path;
  }
}

}  // namespace
}  // namespace lockstep
