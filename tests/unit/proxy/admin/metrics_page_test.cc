// What a scrape gives, read back as Prometheus reads it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <regex>
#include <set>
#include <sstream>
#include <string>

#include "base/text.h"
#include "proxy/admin/admin_pages.h"
#include "proxy/admin/metrics_reference.h"
#include "proxy/observe/memory_stats.h"
#include "storage/engine_thread.h"
#include "tests/support/source_folder.h"
#include "tests/unit/proxy/admin/admin_fixture.h"

namespace tidegate {
namespace {

// "name{labels}" -> value, and the types by family. Every line must be one of the text format.
struct Exposition {
  std::map<std::string, double> samples;
  std::map<std::string, std::string> types;
  std::set<std::string> helped;
};

Exposition Parse(const std::string& page) {
  static const std::regex kSample(
      R"re(([a-z_][a-z0-9_]*(?:\{[a-z_]+="[^"\\\n]*"(?:,[a-z_]+="[^"\\\n]*")*\})?) (\S+))re");
  static const std::regex kType(R"(# TYPE (\S+) (counter|gauge|histogram))");
  static const std::regex kHelp(R"(# HELP (\S+) \S.*)");
  Exposition result;
  std::istringstream lines(page);
  for (std::string line; std::getline(lines, line);) {
    std::smatch match;
    if (std::regex_match(line, match, kType)) {
      EXPECT_TRUE(result.types.emplace(match[1], match[2]).second) << "twice: " << line;
    } else if (std::regex_match(line, match, kHelp)) {
      result.helped.insert(match[1]);
    } else if (std::regex_match(line, match, kSample)) {
      const std::optional<double> value = ParseDouble(match[2].str());
      EXPECT_TRUE(value.has_value()) << line;
      EXPECT_TRUE(result.samples.emplace(match[1], value.value_or(-1)).second) << "twice: " << line;
    } else {
      ADD_FAILURE() << "not in the text format: " << line;
    }
  }
  return result;
}

Exposition Scrape(AdminPages& pages) {
  const AdminReply reply = pages.Answer({.method = "GET", .path = "/metrics", .host = ""});
  EXPECT_EQ(reply.status, 200);
  EXPECT_EQ(reply.content_type, "text/plain; version=0.0.4; charset=utf-8");
  return Parse(reply.body);
}

TEST(MetricsPage, ExportsTheRowsAndNothingElse) {
  AdminFixture fixture;
  fixture.command_stats(0).Record(fixture.CommandId("PING"), 1000, false, true);
  PolicyFigures& figures = fixture.policy_counters("user:*").of(PolicyKind::kKeyShape);
  for (auto* figure : {&figures.refused, &figures.delayed, &figures.rewritten, &figures.observed,
                       &figures.forgotten})
    ++*figure;
  ++fixture.policy_counters("user:*").flight.leases;
  StaleFigures& stale = fixture.policy_counters("user:*").stale;
  for (auto* figure :
       {&stale.loading, &stale.down, &stale.limited, &stale.missing, &stale.age_ms, &stale.dropped})
    ++*figure;
  fixture.GuardRoute("user:*");
  AdminPages pages(fixture.Sources(), false);
  pages.Answer({.method = "GET", .path = "/", .host = ""});
  const Exposition page = Scrape(pages);
  EXPECT_EQ(page.samples.at(R"(tidegate_policy_refused_total{policy="key_shape",route="user:*"})"),
            1);

  std::set<std::string> rows;
  for (const MetricGroup& group : MetricGroups()) {
    for (const MetricRow& row : group.rows) {
      EXPECT_TRUE(rows.insert(std::string(row.name)).second) << "two rows: " << row.name;
      EXPECT_EQ(MetricFault(row), "") << row.name;
    }
  }
  std::set<std::string> exported;
  for (const auto& [name, type] : page.types) exported.insert(name);
  if (!ReadMemoryStats().allocator) {
    std::erase_if(rows, [](const auto& name) { return name.starts_with("tidegate_allocator_"); });
  }
  EXPECT_EQ(exported, rows);
  EXPECT_EQ(page.helped, rows);
}

TEST(MetricsPage, ShowsCountersByWorker) {
  AdminFixture fixture;
  fixture.counters(0).sessions.Set(3);
  fixture.counters(1).sessions.Set(5);
  fixture.counters(1).net_input_bytes.Add(12'345'678'901);
  fixture.counters(0).output_limit_closings.Add(2);
  fixture.counters(1).output_limit_closings.Add(4);
  fixture.moves(0).keys.Add(7);
  fixture.moves(1).keys.Add(8);
  AdminPages pages(fixture.Sources(), false);
  const Exposition page = Scrape(pages);

  EXPECT_EQ(page.samples.at(R"(tidegate_connections{worker="0"})"), 3);
  EXPECT_EQ(page.samples.at(R"(tidegate_connections{worker="1"})"), 5);
  EXPECT_EQ(page.samples.at(R"(tidegate_network_receive_bytes_total{worker="1"})"), 12'345'678'901);
  EXPECT_EQ(page.samples.at(R"(tidegate_connections_closed_total{reason="output_limit"})"), 6);
  EXPECT_EQ(page.samples.at(R"(tidegate_move_keys_total{route="o:*",cluster="cache"})"), 15);
  EXPECT_EQ(page.samples.at(R"(tidegate_mirror_errors_total{route="m:*",cluster="cache"})"), 0);
  EXPECT_EQ(page.samples.at("tidegate_connections_rejected_total"), 3);
  EXPECT_EQ(page.samples.at("tidegate_error_replies_total"), 4);
  EXPECT_EQ(page.samples.at("tidegate_connections_limit"), 10000);
  EXPECT_EQ(page.samples.at("tidegate_ready"), 1);
  EXPECT_EQ(page.samples.at(R"(tidegate_keys{db="0"})"), 0);
  EXPECT_GE(page.samples.at("tidegate_uptime_seconds"), 5);
  EXPECT_LT(page.samples.at("tidegate_uptime_seconds"), 60);
}

TEST(MetricsPage, AddsUpCommandsOfAllWorkersAndOmitsThoseNeverCalled) {
  AdminFixture fixture;
  const uint32_t get = fixture.CommandId("CONFIG", "GET");
  fixture.command_stats(0).Record(get, 1000, false, false);
  fixture.command_stats(1).Record(get, 1000, true, false);
  fixture.command_stats(1).Reject(get);
  AdminPages pages(fixture.Sources(), false);
  const Exposition page = Scrape(pages);

  EXPECT_EQ(page.samples.at(R"(tidegate_command_calls_total{command="config|get"})"), 2);
  EXPECT_EQ(page.samples.at(R"(tidegate_command_failures_total{command="config|get"})"), 1);
  EXPECT_EQ(page.samples.at(R"(tidegate_command_rejections_total{command="config|get"})"), 1);
  EXPECT_NEAR(page.samples.at(R"(tidegate_command_seconds_total{command="config|get"})"),
              static_cast<double>(TicksToNanos(2000)) / 1e9, 1e-9);
  EXPECT_FALSE(page.samples.contains(R"(tidegate_command_calls_total{command="ping"})"));
  // Not measured: no histogram.
  EXPECT_FALSE(page.types.contains("tidegate_command_duration_seconds"));
}

TEST(MetricsPage, FoldsHistogramsIntoTheExportedBuckets) {
  AdminFixture fixture;
  LatencyHistogram& turns = fixture.counters(0).loop_turns_nanos;
  turns.Record(10);              // under the first bound
  turns.Record(400'000);         // 0.5 ms
  turns.Record(4'000'000);       // 5 ms
  turns.Record(5'300'000);       // just over it
  turns.Record(30'000'000'000);  // beyond the last bound
  AdminPages pages(fixture.Sources(), false);
  const Exposition page = Scrape(pages);

  const auto bucket = [&](const std::string& bound) {
    return page.samples.at("tidegate_loop_turn_duration_seconds_bucket{worker=\"0\",le=\"" + bound +
                           "\"}");
  };
  EXPECT_EQ(bucket("5e-07"), 1);
  EXPECT_EQ(bucket("0.00025"), 1);
  EXPECT_EQ(bucket("0.0005"), 2);
  EXPECT_EQ(bucket("0.005"), 3);
  EXPECT_EQ(bucket("0.01"), 4);
  EXPECT_EQ(bucket("10"), 4);
  EXPECT_EQ(bucket("+Inf"), 5);
  EXPECT_EQ(page.samples.at(R"(tidegate_loop_turn_duration_seconds_count{worker="0"})"), 5);
}

TEST(MetricsPage, SumOfACommandsHistogramIsNearTheTruth) {
  AdminFixture fixture;
  const uint32_t ping = fixture.CommandId("PING");
  double nanos = 0;
  for (uint64_t ticks = 500; ticks < 5'000'000; ticks += ticks / 3) {
    fixture.command_stats(ticks % 2).Record(ping, ticks, false, true);
    nanos += static_cast<double>(TicksToNanos(ticks));
  }
  AdminPages pages(fixture.Sources(), false);
  const Exposition page = Scrape(pages);
  const double sum = page.samples.at(R"(tidegate_command_duration_seconds_sum{command="ping"})");
  EXPECT_NEAR(sum, nanos / 1e9, nanos / 1e9 * 0.033);
  EXPECT_EQ(page.samples.at(R"(tidegate_command_duration_seconds_count{command="ping"})"),
            page.samples.at(R"(tidegate_command_calls_total{command="ping"})"));
}

TEST(MetricsPage, TimesByClassAreThoseOfTheirCommands) {
  AdminFixture fixture;
  fixture.command_stats(0).Record(fixture.CommandId("PING"), 1000, false, true);
  fixture.command_stats(1).Record(fixture.CommandId("ECHO"), 1000, false, true);
  AdminPages pages(fixture.Sources(), false);
  const Exposition page = Scrape(pages);
  EXPECT_EQ(page.samples.at(R"(tidegate_request_duration_seconds_count{class="other"})"), 2);
  EXPECT_EQ(page.samples.at(R"(tidegate_request_duration_seconds_count{class="read"})"), 0);
}

TEST(MetricsPage, SizesHaveBoundsOfTheirOwn) {
  AdminFixture fixture;
  fixture.counters(0).request_bytes.Record(30);
  fixture.counters(1).request_bytes.Record(5000);
  fixture.counters(1).request_bytes.Record(uint64_t{1} << 30);
  AdminPages pages(fixture.Sources(), false);
  const Exposition page = Scrape(pages);
  const auto bucket = [&](const std::string& bound) {
    return page.samples.at("tidegate_request_size_bytes_bucket{le=\"" + bound + "\"}");
  };
  EXPECT_EQ(bucket("64"), 1);
  EXPECT_EQ(bucket("4096"), 1);
  EXPECT_EQ(bucket("16384"), 2);
  EXPECT_EQ(bucket("268435456"), 2);
  EXPECT_EQ(bucket("+Inf"), 3);
}

TEST(MetricsPage, WithoutRoutesEverythingIsTheEngines) {
  AdminFixture fixture;
  fixture.counters(0).commands_processed.Add(5);
  AdminPages pages(fixture.Sources(), false);
  const std::string all = R"(tidegate_route_requests_total{route="*",cluster="engine"})";
  EXPECT_EQ(Scrape(pages).samples.at(all), 5);

  // A reload brings a route on both workers, one after the other: nothing is counted twice.
  const EngineCounters engine;
  fixture.routes(0).BeginCounting(5, fixture.command_stats(0), engine);
  const uint16_t number = fixture.routes(0).NumberOf("a:*", "cache");
  fixture.counters(0).commands_processed.Add(1);
  fixture.routes(0).CountHere(number, 1000, true, engine);
  fixture.counters(1).commands_processed.Add(2);
  const Exposition page = Scrape(pages);
  EXPECT_EQ(page.samples.at(all), 7);
  EXPECT_EQ(page.samples.at(R"(tidegate_route_requests_total{route="a:*",cluster="cache"})"), 1);
  EXPECT_EQ(page.samples.at(
                R"(tidegate_route_request_duration_seconds_count{route="a:*",cluster="cache"})"),
            1);
}

TEST(MetricsReference, CommittedPageIsCurrent) {
  std::ifstream file(testing::SourceFolder() + "/docs/reference/metrics.md");
  std::stringstream committed;
  committed << file.rdbuf();
  EXPECT_EQ(committed.str(), MetricsReference())
      << "build/dev/tidegate --print-metrics-doc > docs/reference/metrics.md";
}

}  // namespace
}  // namespace tidegate
