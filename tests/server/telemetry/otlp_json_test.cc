// The parts of OTLP's JSON, and which routes are operations of a model.
#include "server/telemetry/otlp_json.h"

#include <gtest/gtest.h>

namespace lockstep {
namespace {

TEST(OtlpJson, AValueHasItsType) {
  EXPECT_EQ(Dump(OtlpAttribute("a", std::string("b"))),
            R"({"key":"a","value":{"stringValue":"b"}})");
  EXPECT_EQ(Dump(OtlpAttribute("a", size_t{1} << 60)),
            R"({"key":"a","value":{"intValue":"1152921504606846976"}})");
  EXPECT_EQ(Dump(OtlpAttribute("a", 0.5)), R"({"key":"a","value":{"doubleValue":0.5}})");
  EXPECT_EQ(OtlpNanoseconds(std::chrono::system_clock::time_point(std::chrono::seconds(3))),
            "3000000000");
}

TEST(OtlpJson, AResourceHasWhatTheSettingsSay) {
  OtlpSettings settings;
  settings.resource = {{"service.name", "x"}};
  EXPECT_EQ(Dump(OtlpResource(settings, "7")["attributes"]),
            R"([{"key":"service.version","value":{"stringValue":"7"}},)"
            R"({"key":"service.name","value":{"stringValue":"x"}}])");
  EXPECT_EQ(Dump(OtlpScope("7")), R"({"name":"lockstep","version":"7"})");
}

TEST(OtlpJson, AnOutcomeThatIsNoEndIsAnError) {
  RequestRecord record;
  record.status = 200;
  for (const char* const outcome : {"ok", "stop", "length"}) {
    record.outcome = outcome;
    EXPECT_FALSE(IsError(record)) << outcome;
  }
  record.outcome = "cancelled";
  EXPECT_TRUE(IsError(record));
  record.outcome = "ok";
  record.status = 404;
  EXPECT_TRUE(IsError(record));
}

}  // namespace
}  // namespace lockstep
