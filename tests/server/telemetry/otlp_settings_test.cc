// What the variables of OpenTelemetry's SDKs mean.
#include "server/telemetry/otlp_settings.h"

#include <gmock/gmock.h>

#include <map>

namespace lockstep {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Pair;

using Environment = std::map<std::string, std::string>;

Result<OtlpSettings> Read(const std::string& flag, const Environment& environment,
                          OtlpSignal signal = OtlpSignal::kTraces) {
  return ReadOtlpSettings(signal, flag, [&environment](const char* name) -> const char* {
    const auto found = environment.find(name);
    return found == environment.end() ? nullptr : found->second.c_str();
  });
}

TEST(OtlpSettingsTest, NothingIsSentUnlessSomeoneSaysWhere) {
  EXPECT_FALSE(Read("", {})->enabled());
  EXPECT_FALSE(Read("", {{"OTEL_SERVICE_NAME", "x"}})->enabled());
  const Environment endpoint = {{"OTEL_EXPORTER_OTLP_ENDPOINT", "http://a:4318"}};
  Environment off = endpoint;
  off["OTEL_SDK_DISABLED"] = "True";
  EXPECT_FALSE(Read("", off)->enabled());
  EXPECT_TRUE(Read("http://b:4318", off)->enabled());
  off = endpoint;
  off["OTEL_TRACES_EXPORTER"] = "none";
  EXPECT_FALSE(Read("", off)->enabled());
  EXPECT_FALSE(Read("http://b:4318", off)->enabled());
  EXPECT_TRUE(Read("", off, OtlpSignal::kMetrics)->enabled());
  off["OTEL_METRICS_EXPORTER"] = "none";
  EXPECT_FALSE(Read("", off, OtlpSignal::kMetrics)->enabled());
}

TEST(OtlpSettingsTest, TheAddressOfTracesIsMadeAsTheSpecificationSays) {
  EXPECT_EQ(Read("http://a:4318", {})->url, "http://a:4318/v1/traces");
  Environment environment = {{"OTEL_EXPORTER_OTLP_ENDPOINT", "https://a/otlp/"}};
  EXPECT_EQ(Read("", environment)->url, "https://a/otlp/v1/traces");
  EXPECT_EQ(Read("http://b/", environment)->url, "http://b/v1/traces");
  environment["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"] = "http://c/here";
  EXPECT_EQ(Read("", environment)->url, "http://c/here");
}

TEST(OtlpSettingsTest, MetricsHaveVariablesOfTheirOwn) {
  const auto read = [](const std::string& flag, const Environment& environment) {
    return Read(flag, environment, OtlpSignal::kMetrics);
  };
  EXPECT_EQ(read("http://a:4318", {})->url, "http://a:4318/v1/metrics");
  EXPECT_EQ(read("http://a:4318", {})->interval, std::chrono::seconds(60));
  const auto settings = read("", {{"OTEL_EXPORTER_OTLP_ENDPOINT", "http://a"},
                                  {"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "http://b/here"},
                                  {"OTEL_EXPORTER_OTLP_METRICS_HEADERS", "x=1"},
                                  {"OTEL_EXPORTER_OTLP_TRACES_HEADERS", "x=2"},
                                  {"OTEL_METRIC_EXPORT_INTERVAL", "250"}});
  EXPECT_EQ(settings->url, "http://b/here");
  EXPECT_THAT(settings->headers, ElementsAre(Pair("x", "1")));
  EXPECT_EQ(settings->interval, std::chrono::milliseconds(250));
  EXPECT_FALSE(read("", {{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://a"}})->enabled());
  for (const char* interval : {"0", "-1", "x", "1s", "86400001"}) {
    const auto wrong = read("http://a", {{"OTEL_METRIC_EXPORT_INTERVAL", interval}});
    ASSERT_FALSE(wrong) << interval;
    EXPECT_THAT(wrong.error().message, HasSubstr("a number of milliseconds"));
  }
}

TEST(OtlpSettingsTest, ListsAreRead) {
  const auto settings =
      Read("http://a", {{"OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20a+b=, x=1"},
                        {"OTEL_EXPORTER_OTLP_TRACES_HEADERS", "x=2,"},
                        {"OTEL_RESOURCE_ATTRIBUTES", "service.name=a,k8s.pod.name=p"},
                        {"OTEL_SERVICE_NAME", "tales"}});
  EXPECT_THAT(settings->headers, ElementsAre(Pair("authorization", "Bearer a+b="), Pair("x", "2")));
  EXPECT_THAT(settings->resource,
              ElementsAre(Pair("service.name", "tales"), Pair("k8s.pod.name", "p")));
  EXPECT_THAT(Read("http://a", {})->resource, ElementsAre(Pair("service.name", "lockstep")));
}

TEST(OtlpSettingsTest, HowItIsSentIsSaidForAllOrForOneSignal) {
  const auto usual = Read("http://a", {});
  EXPECT_EQ(usual->authorities, "");
  EXPECT_FALSE(usual->gzip);
  EXPECT_EQ(usual->timeout, std::chrono::seconds(5));
  Environment environment = {{"SSL_CERT_FILE", "/ca.pem"},
                             {"OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"},
                             {"OTEL_EXPORTER_OTLP_TIMEOUT", "10000"}};
  const auto all = Read("http://a", environment);
  EXPECT_EQ(all->authorities, "/ca.pem");
  EXPECT_TRUE(all->gzip);
  EXPECT_EQ(all->timeout, std::chrono::seconds(10));
  EXPECT_EQ(Read("http://a", {{"OTEL_EXPORTER_OTLP_TIMEOUT", "3600000"}})->timeout,
            std::chrono::seconds(30));
  environment["OTEL_EXPORTER_OTLP_CERTIFICATE"] = "/all.pem";
  environment["OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE"] = "/traces.pem";
  environment["OTEL_EXPORTER_OTLP_TRACES_COMPRESSION"] = "none";
  environment["OTEL_EXPORTER_OTLP_TRACES_TIMEOUT"] = "250";
  const auto traces = Read("http://a", environment);
  EXPECT_EQ(traces->authorities, "/traces.pem");
  EXPECT_FALSE(traces->gzip);
  EXPECT_EQ(traces->timeout, std::chrono::milliseconds(250));
  const auto metrics = Read("http://a", environment, OtlpSignal::kMetrics);
  EXPECT_EQ(metrics->authorities, "/all.pem");
  EXPECT_TRUE(metrics->gzip);
  EXPECT_EQ(metrics->timeout, std::chrono::seconds(10));
}

TEST(OtlpSettingsTest, TheSamplerIsHeard) {
  const auto ratio = [](const char* sampler, const char* argument) {
    return Read("http://a",
                {{"OTEL_TRACES_SAMPLER", sampler}, {"OTEL_TRACES_SAMPLER_ARG", argument}})
        ->ratio;
  };
  EXPECT_EQ(ratio("parentbased_traceidratio", "0.25"), 0.25);
  EXPECT_EQ(ratio("parentbased_always_off", ""), 0);
  EXPECT_EQ(ratio("parentbased_always_on", "0.25"), 1);
}

TEST(OtlpSettingsTest, WhatCannotBeMeantSoIsNamed) {
  const auto error = [](const std::string& flag, const Environment& environment) {
    const auto settings = Read(flag, environment);
    return settings ? std::string("none") : settings.error().message;
  };
  EXPECT_THAT(error("a:4318", {}),
              HasSubstr("--otlp-endpoint is \"a:4318/v1/traces\": it must begin"));
  const Environment grpc = {{"OTEL_EXPORTER_OTLP_ENDPOINT", "http://a:4317"},
                            {"OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"}};
  EXPECT_THAT(error("", grpc), HasSubstr("port 4318 and not 4317"));
  EXPECT_EQ(error("http://a:4318", grpc), "none");
  EXPECT_THAT(error("http://a", {{"OTEL_EXPORTER_OTLP_HEADERS", "secret"}}),
              HasSubstr("is \"...\": it must be"));
  EXPECT_THAT(error("http://a", {{"OTEL_RESOURCE_ATTRIBUTES", "=1"}}),
              HasSubstr("OTEL_RESOURCE_ATTRIBUTES"));
  EXPECT_THAT(error("http://a", {{"OTEL_EXPORTER_OTLP_COMPRESSION", "zstd"}}),
              HasSubstr("OTEL_EXPORTER_OTLP_COMPRESSION is \"zstd\": it must be gzip or none"));
  for (const char* timeout : {"0", "-1", "10s", "3600001"}) {
    EXPECT_THAT(error("http://a", {{"OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", timeout}}),
                HasSubstr("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT is"))
        << timeout;
  }
  for (const char* ratio : {"", "2", "-1", "nan", "x", "0.5 "}) {
    EXPECT_THAT(error("http://a", {{"OTEL_TRACES_SAMPLER", "traceidratio"},
                                   {"OTEL_TRACES_SAMPLER_ARG", ratio}}),
                HasSubstr("a number from 0 to 1"))
        << ratio;
  }
}

}  // namespace
}  // namespace lockstep
