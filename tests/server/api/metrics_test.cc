#include "server/api/metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <regex>
#include <set>
#include <sstream>
#include <string>

#include "tests/server/generation/fake_embeddings.h"
#include "tests/server/generation/fake_service.h"

namespace lockstep {
namespace {

// A strict reading of the text format: the samples by name and labels, as written.
std::map<std::string, double> Parse(const std::string& text) {
  static const std::regex kSample(
      R"re(([a-zA-Z_:][a-zA-Z0-9_:]*)(\{([a-zA-Z_]\w*="([^"\\]|\\.)*",?)*\})? (\S+))re");
  std::map<std::string, double> samples;
  std::set<std::string> families;
  std::string family;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string hash, what, name;
    if (line[0] == '#') {
      words >> hash >> what >> name;
      const bool again = what == "HELP" && !families.insert(name).second;
      EXPECT_FALSE(again) << name;
      if (what == "TYPE") family = name;
      continue;
    }
    std::smatch match;
    EXPECT_TRUE(std::regex_match(line, match, kSample)) << line;
    EXPECT_TRUE(match[1].str().starts_with(family)) << line << " is not of " << family;
    EXPECT_TRUE(samples.emplace(match[1].str() + match[2].str(), std::stod(match[5])).second)
        << "twice: " << line;
  }
  return samples;
}

class MetricsTest : public testing::Test {
 protected:
  std::map<std::string, double> Render() { return Parse(metrics_.Render(&service_, 100)); }
  double Value(const std::string& name) {
    const auto samples = Render();
    const auto sample = samples.find(name);
    EXPECT_NE(sample, samples.end()) << "there is no " << name;
    return sample == samples.end() ? -1 : sample->second;
  }
  void ExpectValues(const std::map<std::string, double>& wanted) {
    for (const auto& [name, value] : wanted) EXPECT_EQ(Value(name), value) << name;
  }

  FakeService service_;
  Metrics metrics_;
};

TEST_F(MetricsTest, AnArchiveOfPrefixesIsCountedWhereThereIsOne) {
  for (const auto& sample : Render()) {
    EXPECT_FALSE(sample.first.starts_with("lockstep_prefix_archive_")) << sample.first;
  }
  service_.archive = ArchiveStats{
      .hits = 1, .misses = 2, .read_bytes = 3, .written_bytes = 4, .dropped = 5, .errors = 6};
  ExpectValues({{"lockstep_prefix_archive_hits_total", 1},
                {"lockstep_prefix_archive_misses_total", 2},
                {"lockstep_prefix_archive_read_bytes_total", 3},
                {"lockstep_prefix_archive_written_bytes_total", 4},
                {"lockstep_prefix_archive_dropped_total", 5},
                {"lockstep_prefix_archive_errors_total", 6}});
}

TEST_F(MetricsTest, SaysWhatRequestsHold) {
  MemoryBudget memory(1000);
  MemoryBudget::Share share(&memory);
  share.Force(300);
  const auto samples = Parse(metrics_.Render(&service_, 100, &memory));
  EXPECT_EQ(samples.at("lockstep_request_memory_used_bytes"), 300);
  EXPECT_EQ(samples.at("lockstep_request_memory_capacity_bytes"), 1000);
}

TEST_F(MetricsTest, CountsLinesThatTheLogLost) {
  const Metrics metrics(/*vllm_names=*/false, [] { return size_t{12}; });
  EXPECT_EQ(Parse(metrics.Render(nullptr, 0)).at("lockstep_log_lines_dropped_total"), 12);
  EXPECT_FALSE(Render().contains("lockstep_log_lines_dropped_total"));  // nobody counts them
}

TEST_F(MetricsTest, CountsWhatTheSchedulerTells) {
  metrics_.OnStep({0.02, 3, 40});
  metrics_.OnStep({0.3, 5, 0, 2, 9, 4});
  metrics_.OnFirstToken(0.07);
  metrics_.OnNextToken(0.012);
  metrics_.OnNextToken(3);
  const JobStats stats = {.queue_s = 0.2,
                          .prefill_s = 0.5,
                          .decode_s = 2,
                          .prompt_tokens = 100,
                          .cached_tokens = 64,
                          .generated_tokens = 17};
  metrics_.OnEnd(stats, FinishReason::kLength, nullptr);
  const Error cancelled{ErrorKind::kCancelled, "gone", {}};
  metrics_.OnEnd({}, FinishReason::kNone, &cancelled);

  ExpectValues({{"lockstep_decode_tokens_total", 8},
                {"lockstep_prefill_tokens_total", 40},
                {"lockstep_drafts_total", 2},
                {"lockstep_drafted_tokens_total", 9},
                {"lockstep_kept_draft_tokens_total", 4}});
  EXPECT_EQ(Value("lockstep_step_tokens_sum"), 43 + 14);
  ExpectValues({{"lockstep_step_batch_size_sum", 8},
                {"lockstep_step_seconds_bucket{le=\"0.2\"}", 1},
                {"lockstep_step_seconds_bucket{le=\"+Inf\"}", 2},
                {"lockstep_time_to_first_token_seconds_count", 1},
                {"lockstep_inter_token_seconds_bucket{le=\"0.025\"}", 1},
                {"lockstep_inter_token_seconds_count", 2},
                {"lockstep_generations_total{outcome=\"length\"}", 1},
                {"lockstep_generations_total{outcome=\"cancelled\"}", 1},
                {"lockstep_generations_total{outcome=\"stop\"}", 0},
                {"lockstep_prefix_query_tokens_total", 100},
                {"lockstep_prefix_hit_tokens_total", 64},
                {"lockstep_generated_tokens_total", 17}});
  EXPECT_DOUBLE_EQ(Value("lockstep_generation_seconds_sum"), 2.7);
  EXPECT_EQ(Value("lockstep_queue_seconds_count"), 2);  // of those that never ran, too
}

TEST_F(MetricsTest, ShowsTheStateAndTheProcess) {
  EXPECT_EQ(Value("lockstep_queue_requests"), 1);
  EXPECT_EQ(Value("lockstep_sessions_used"), 2);
  EXPECT_EQ(Value("lockstep_ready"), 1);
  EXPECT_GT(Value("process_resident_memory_bytes"), 1e6);
  EXPECT_GT(Value("process_open_fds"), 2);
  service_.draining = true;
  EXPECT_EQ(Value("lockstep_ready"), 0);
  const auto loading = Parse(metrics_.Render(nullptr, 42));
  EXPECT_EQ(loading.at("lockstep_model_loaded_percent"), 42);
  EXPECT_EQ(loading.at("lockstep_ready"), 0);
}

TEST_F(MetricsTest, TellsLoadingDrainingAndStalledApart) {
  const auto phase = [](const std::map<std::string, double>& samples) {
    std::string found;
    for (const char* state : {"loading", "draining", "stalled", "ok"}) {
      if (samples.at(std::string("lockstep_state{state=\"") + state + "\"}") == 1) found += state;
    }
    return found;
  };
  EXPECT_EQ(phase(Render()), "ok");
  EXPECT_EQ(phase(Parse(metrics_.Render(nullptr, 42))), "loading");
  service_.stalled = true;
  EXPECT_EQ(phase(Render()), "stalled");
  service_.draining = true;
  EXPECT_EQ(phase(Render()), "draining");
  EXPECT_EQ(Value("lockstep_predicted_wait_seconds"), 1.5);
}

TEST_F(MetricsTest, CountsAnswersByRouteStatusAndOutcome) {
  RequestRecord record;
  record.route = std::string("/generate");
  record.status = 429;
  record.outcome = std::string("queue_full");
  metrics_.OnRequest(record);
  metrics_.OnRequest(record);
  RequestRecord unknown;  // whatever path was asked for: the labels stay few
  unknown.path = "/admin.php?x=\"1\"";
  unknown.status = 404;
  metrics_.OnRequest(unknown);
  EXPECT_EQ(Value("lockstep_http_requests_total{outcome=\"queue_full\",route=\"/generate\","
                  "status=\"429\"}"),
            2);
  EXPECT_EQ(Value("lockstep_http_requests_total{outcome=\"ok\",route=\"other\",status=\"404\"}"),
            1);
}

TEST_F(MetricsTest, TextsThatBecomeVectorsHaveTheirOwn) {
  EXPECT_EQ(Render().count("lockstep_embedding_texts_total"), 0u);  // there is no such model
  FakeEmbeddings embeddings;
  service_.SetEmbeddings(embeddings, /*alone=*/false);
  const Error late{ErrorKind::kDeadlineExceeded, "late", {}};
  metrics_.encoder().OnEncodeStep(3, 40, 0.25);
  metrics_.encoder().OnEncodeEnd({.queue_s = 0.5, .encode_s = 1, .texts = 3, .tokens = 40},
                                 nullptr);
  metrics_.encoder().OnEncodeEnd({}, &late);
  ExpectValues({{"lockstep_embedding_texts_total", 3},
                {"lockstep_embedding_tokens_total", 40},
                {"lockstep_embedding_step_seconds_sum", 0.25},
                {"lockstep_embedding_seconds_sum", 1.5},
                {"lockstep_embedding_requests_total{outcome=\"ok\"}", 1},
                {"lockstep_embedding_requests_total{outcome=\"deadline_exceeded\"}", 1},
                {"lockstep_embedding_queue_requests", 3},
                {"lockstep_embedding_queue_tokens", 30},
                {"lockstep_embedding_requests_running", 1}});
}

TEST_F(MetricsTest, GatewaysFindVllmsNames) {
  metrics_.OnFirstToken(0.07);
  metrics_.OnEnd({0, 1, 2, 10, 4, 5}, FinishReason::kStop, nullptr);
  const std::string labels = "{model_name=\"fake\",engine=\"0\"";
  RequestRecord record;
  record.answers = 2;
  record.max_tokens = 100;
  record.longest_answer = 7;
  metrics_.OnRequest(record);
  metrics_.OnRequest({});  // one for no generation
  const auto expect = [&](const std::string& more, const std::map<std::string, double>& wanted) {
    for (const auto& [name, value] : wanted) {
      EXPECT_EQ(Value("vllm:" + name + labels + more + "}"), value) << name;
    }
  };
  expect("", {{"request_params_n_sum", 2},
              {"request_params_max_tokens_sum", 100},
              {"request_params_max_tokens_count", 1},
              {"request_max_num_generation_tokens_sum", 7},
              {"num_requests_waiting", 1},
              {"num_requests_running", 2},
              {"kv_cache_usage_perc", 0.25},
              {"time_to_first_token_seconds_count", 1},
              {"prompt_tokens_total", 10},
              {"prompt_tokens_cached_total", 4},
              {"request_prefill_kv_computed_tokens_sum", 6},
              {"request_time_per_output_token_seconds_sum", 0.5}});
  expect(",source=\"local_compute\"", {{"prompt_tokens_by_source_total", 6}});
  expect(",source=\"local_cache_hit\"", {{"prompt_tokens_by_source_total", 4}});
  expect(",reason=\"capacity\"", {{"num_requests_waiting_by_reason", 1}});
  // Both the sessions' room and that of prefixes: 100 and 155 bytes, in blocks of 10.
  expect(",block_size=\"16\",num_gpu_blocks=\"25\"", {{"cache_config_info", 1}});
  expect(",finished_reason=\"stop\"", {{"request_success_total", 1}});
  const Metrics without(/*vllm_names=*/false);
  EXPECT_EQ(without.Render(&service_, 100).find("vllm:"), std::string::npos);
}

}  // namespace
}  // namespace lockstep
