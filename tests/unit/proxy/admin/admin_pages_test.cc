#include "proxy/admin/admin_pages.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "proxy/admin/json_writer.h"
#include "proxy/observe/big_keys.h"
#include "tests/unit/proxy/admin/admin_fixture.h"

namespace tidegate {
namespace {

using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

AdminReply Get(AdminPages& pages, std::string_view path, std::string_view host = "") {
  return pages.Answer({.method = "GET", .path = path, .host = host});
}

TEST(AdminPages, HealthIsAlwaysGoodAndReadinessFollowsTheServer) {
  AdminFixture fixture;
  AdminPages pages(fixture.Sources(), true);
  EXPECT_EQ(Get(pages, "/readyz").status, 200);
  EXPECT_EQ(Get(pages, "/readyz").body, "ready\n");
  fixture.readiness = Readiness::kDraining;
  EXPECT_EQ(Get(pages, "/readyz").status, 503);
  EXPECT_EQ(Get(pages, "/readyz").body, "draining\n");
  fixture.readiness = Readiness::kStarting;
  EXPECT_EQ(Get(pages, "/readyz").status, 503);
  EXPECT_EQ(Get(pages, "/readyz").body, "starting\n");
  EXPECT_EQ(Get(pages, "/healthz").status, 200);
}

TEST(AdminPages, PoliciesHaveTheirRulesAndWhatTheyDid) {
  AdminFixture fixture;
  fixture.GuardRoute("item:*");
  AdminPages pages(fixture.Sources(), true);
  const AdminReply reply = Get(pages, "/policies");
  EXPECT_EQ(reply.status, 200);
  EXPECT_THAT(reply.body, StartsWith("{\"routes\":[{\"route\":\"item:*\",\"rules\":[\""));
  EXPECT_THAT(reply.body, HasSubstr("negative_cache"));
  EXPECT_THAT(reply.body, HasSubstr("\"learned\":[],\"acted\":[]"));
}

TEST(AdminPages, StatusCodes) {
  AdminFixture fixture;
  AdminPages pages(fixture.Sources(), true);
  EXPECT_EQ(Get(pages, "/nosuch").status, 404);
  EXPECT_THAT(std::string(Get(pages, "/nosuch").content_type), StartsWith("text/plain"));
  EXPECT_EQ(Get(pages, "/metrics/").status, 404);
  EXPECT_EQ(pages.Answer({.method = "POST", .path = "/metrics", .host = ""}).status, 405);
  EXPECT_EQ(pages.Answer({.method = "DELETE", .path = "/nosuch", .host = ""}).status, 404);
  EXPECT_EQ(pages.Answer({.method = "HEAD", .path = "/metrics", .host = ""}).status, 200);
  EXPECT_THAT(Get(pages, "/metrics").body,
              HasSubstr("tidegate_admin_requests_total{status=\"404\"} 4"));
}

TEST(AdminPages, ForeignNamesAreRefusedOnTheLoopbackOnly) {
  AdminFixture fixture;
  AdminPages loopback(fixture.Sources(), true);
  for (const char* host : {"localhost", "LOCALHOST:9901", "127.0.0.1", "127.0.0.1:9901", "[::1]",
                           "[::1]:9901", "10.1.2.3:9901", ""}) {
    EXPECT_EQ(Get(loopback, "/config", host).status, 200) << host;
  }
  for (const char* host : {"evil.example", "evil.example:9901", "localhost.evil.example",
                           "127.0.0.1.evil.example", "[evil.example]", "[", ":"}) {
    EXPECT_EQ(Get(loopback, "/config", host).status, 403) << host;
  }
  AdminPages open(fixture.Sources(), false);
  EXPECT_EQ(Get(open, "/config", "tidegate-0.cache.svc:9901").status, 403);
  EXPECT_EQ(Get(open, "/metrics", "tidegate-0.cache.svc:9901").status, 200);
}

TEST(AdminPages, ABackupIsMadeByPostAndNeverForAWebPage) {
  AdminFixture fixture;
  AdminSources sources = fixture.Sources();
  std::vector<std::string> names;
  BackupAnswer answer;
  sources.make_backup = [&](std::string_view name) {
    names.emplace_back(name);
    return answer;
  };
  AdminPages pages(std::move(sources), true);
  const auto post = [&](std::string_view query, std::string_view origin = "") {
    return pages.Answer(
        {.method = "POST", .path = "/backup", .host = "", .query = query, .origin = origin});
  };
  EXPECT_EQ(Get(pages, "/backup").status, 405);
  EXPECT_EQ(Get(pages, "/backup").allow, "POST");
  EXPECT_EQ(post("name=x", "http://127.0.0.1:9901").status, 403);
  EXPECT_EQ(post("name=x", "null").status, 403);
  EXPECT_TRUE(names.empty());

  EXPECT_EQ(post("").status, 503);
  answer.outcome = BackupAnswer::Outcome::kBusy;
  EXPECT_EQ(post("x=y&name=a%2Fb+c%").status, 409);
  answer.outcome = BackupAnswer::Outcome::kBadName;
  answer.error = "no \"name\"";
  EXPECT_EQ(post("names=x").status, 400);
  EXPECT_EQ(post("name=").body, "{\"error\":\"no \\\"name\\\"\"}\n");
  answer.outcome = BackupAnswer::Outcome::kFailed;
  EXPECT_EQ(post("name=n&name=m").status, 500);
  EXPECT_EQ(names, (std::vector<std::string>{"", "a/b c%", "", "", "n"}));
  answer.outcome = BackupAnswer::Outcome::kMade;
  answer.report = {.path = "/p", .sequence = 7, .bytes = 8};
  answer.seconds = 0.5;
  EXPECT_EQ(post("").status, 200);
  EXPECT_EQ(post("").body, "{\"path\":\"/p\",\"sequence\":7,\"bytes\":8,\"seconds\":0.5}\n");
}

TEST(AdminPages, ATokenIsAskedForByEverythingButHealth) {
  AdminFixture fixture;
  AdminPages pages(fixture.Sources(), false, "0123456789abcdef");
  const auto ask = [&](std::string_view method, std::string_view path, std::string_view header) {
    return pages.Answer(
        {.method = method, .path = path, .authorization = header, .is_local = false});
  };
  EXPECT_EQ(ask("GET", "/healthz", "").status, 200);
  EXPECT_EQ(ask("GET", "/readyz", "").status, 200);
  for (const char* path : {"/", "/page/app.js", "/metrics", "/stats", "/config", "/nosuch"}) {
    EXPECT_EQ(ask("GET", path, "").status, 401) << path;
    EXPECT_EQ(ask("GET", path, "Bearer 0123456789abcdeF").status, 401) << path;
    EXPECT_NE(ask("GET", path, "Bearer 0123456789abcdef").status, 401) << path;
  }
  EXPECT_EQ(ask("POST", "/backup", "").status, 401);
  EXPECT_EQ(ask("POST", "/backup", "Bearer 0123456789abcdef").status, 503);
  const std::string drain = "/clusters/cache/nodes/10.0.0.5:6379/drain";
  EXPECT_EQ(ask("POST", drain, "").status, 401);
  EXPECT_EQ(ask("POST", drain, "Bearer 0123456789abcdef").status, 409);
}

TEST(AdminPages, NoPageShowsASecret) {
  Options options;
  options.kept["admin-token"] = "staples of the admin";
  options.requirepass = "correct horse battery staple";
  options.kept["masterauth"] = "staple of the master";
  AdminFixture fixture(options);
  AdminPages pages(fixture.Sources(), true);
  for (const char* path :
       {"/", "/metrics", "/config", "/clusters", "/stats", "/healthz", "/readyz"}) {
    EXPECT_THAT(Get(pages, path).body, Not(HasSubstr("staple"))) << path;
  }
  EXPECT_THAT(Get(pages, "/config").body, HasSubstr(R"x("requirepass":"(redacted)")x"));
  EXPECT_THAT(Get(pages, "/config").body, HasSubstr(R"x("masterauth":"(redacted)")x"));
}

TEST(AdminPages, ConfigTellsSetSecretsFromUnsetOnes) {
  AdminFixture fixture;
  AdminPages pages(fixture.Sources(), true);
  EXPECT_THAT(Get(pages, "/config").body, HasSubstr(R"("requirepass":"")"));
  EXPECT_THAT(Get(pages, "/config").body, HasSubstr(R"("maxclients":"10000")"));
}

TEST(AdminPages, PageNamesOnlyWhatExists) {
  AdminFixture fixture;
  AdminPages pages(fixture.Sources(), true);
  const std::string page = Get(pages, "/").body;
  size_t links = 0;
  for (const std::string_view attribute : {"href=\"", "src=\""}) {
    for (size_t at = page.find(attribute); at != std::string::npos;
         at = page.find(attribute, at + 1)) {
      const size_t begin = at + attribute.size();
      if (page[begin] == '#') continue;
      const std::string path = "/" + page.substr(begin, page.find('"', begin) - begin);
      EXPECT_EQ(Get(pages, path).status, 200) << path;
      ++links;
    }
  }
  EXPECT_GE(links, 9u);
  // The policy allows no script or style inside the page.
  EXPECT_THAT(page, Not(HasSubstr("<style")));
  EXPECT_THAT(page, Not(HasSubstr("onclick")));
  EXPECT_THAT(std::string(AdminPages::SecurityHeaders()), HasSubstr("default-src 'none'"));
}

TEST(AdminPages, StatsHaveTheFigures) {
  AdminFixture fixture;
  fixture.counters(0).commands_processed.Add(7);
  fixture.counters(1).commands_processed.Add(8);
  fixture.command_stats(1).Record(fixture.CommandId("ECHO"), 100, true, true);
  AdminPages pages(fixture.Sources(), true);
  const std::string stats = Get(pages, "/stats").body;
  EXPECT_THAT(stats, HasSubstr(R"("requests":15,)"));
  EXPECT_THAT(stats, HasSubstr(R"("state":"ready")"));
  EXPECT_THAT(stats, HasSubstr(R"({"name":"echo","calls":1,"failed":1,"rejected":0,)"));
  EXPECT_THAT(stats, HasSubstr(R"("databases":[{"db":0,"keys":0,"with_expiry":0}])"));
}

TEST(AdminPages, HotKeysAreThoseOfTheReport) {
  AdminFixture fixture;
  AdminSources sources = fixture.Sources();
  hotkey::HotKeyReport report;
  report.at_ns = 2'000'000;
  report.reads = 1000;
  hotkey::HotKey key;
  key.keyspace = {.cluster = 1, .database = 3};
  key.name = "<b>\"\xff";
  key.classes.Set(hotkey::HotClass::kReads, true);
  key.reads = 900;
  key.since_ns = 1'000'000;
  key.clients.push_back(
      {.rate = 7, .text = {.address = "10.0.0.9:5", .name = "sh\top", .user = "app"}});
  report.keys.push_back(key);
  HotKeyFacts facts;
  facts.enabled = true;
  facts.report = std::make_shared<hotkey::HotKeyReport>(report);
  facts.clusters[1] = "cache";
  sources.hot_keys = [&facts] { return facts; };
  AdminPages pages(std::move(sources), true);
  const AdminReply page = Get(pages, "/hotkeys");
  EXPECT_EQ(page.status, 200);
  EXPECT_THAT(std::string(page.content_type), StartsWith("application/json"));
  EXPECT_THAT(page.body, StartsWith(R"({"at_ms":2,"enabled":true,"reads":1000,)"));
  EXPECT_THAT(page.body, HasSubstr(R"("key":"<b>\"\\xff","key_base64":"PGI+Iv8=",)"));
  EXPECT_THAT(page.body,
              HasSubstr(R"("cluster":"cache","db":3,"classes":["read-hot"],"reads":900)"));
  EXPECT_THAT(page.body, HasSubstr(R"("since_ms":1,)"));
  EXPECT_THAT(page.body, HasSubstr(R"({"address":"10.0.0.9:5","name":"sh\\x09op",)"));
}

TEST(AdminPages, BigKeysAreThoseOfTheTable) {
  AdminFixture fixture;
  AdminSources sources = fixture.Sources();
  BigKeys big_keys(sources.commands(), sources.commands().size());
  sources.big_keys = &big_keys;
  AdminPages pages(std::move(sources), true);
  EXPECT_THAT(Get(pages, "/bigkeys").body, HasSubstr(R"("enabled":false)"));
  big_keys.Follow({});
  big_keys.table().Note({.id = 1,
                         .name = "a\nb",
                         .cluster = "cache",
                         .type = "hash",
                         .bytes = 70'000,
                         .elements = 6000,
                         .exact = true,
                         .source = hotkey::BigKeySource::kProbe},
                        UnixMillis());
  const AdminReply page = Get(pages, "/bigkeys");
  EXPECT_EQ(page.status, 200);
  EXPECT_THAT(std::string(page.content_type), StartsWith("application/json"));
  EXPECT_THAT(page.body, HasSubstr(R"("enabled":true,"big":1,"listed":1,"keys":[)"));
  EXPECT_THAT(page.body,
              HasSubstr(R"({"key":"a\\x0ab","key_base64":"YQpi","cluster":"cache","db":0,)"));
  EXPECT_THAT(page.body, HasSubstr(R"("type":"hash","bytes":70000,"elements":6000,)"));
  EXPECT_THAT(page.body, HasSubstr(R"("source":"probe")"));
}

TEST(AdminPages, StatsHaveLatencyByClassAndRoutes) {
  AdminFixture fixture;
  fixture.counters(0).commands_processed.Add(7);
  fixture.command_stats(1).Record(fixture.CommandId("ECHO"), 100, false, true);
  AdminPages pages(fixture.Sources(), true);
  const std::string stats = Get(pages, "/stats").body;
  EXPECT_THAT(stats, HasSubstr(R"("latency":[{"class":"read","bounds_seconds":[)"));
  EXPECT_THAT(stats, HasSubstr(R"({"class":"other","bounds_seconds":[)"));
  EXPECT_THAT(stats, HasSubstr(R"("counts":[1,0,)"));
  EXPECT_THAT(
      stats,
      HasSubstr(R"("routes":[{"route":"*","cluster":"engine","requests":7,"hits":0,"misses":0}])"));
}

TEST(AdminPages, SlowRequestsAreShownAsText) {
  AdminFixture fixture;
  AdminSources sources = fixture.Sources();
  AdminPages without(sources, true);
  EXPECT_EQ(Get(without, "/slowlog").body, "{\"entries\":[]}\n");
  sources.slowlog = [] {
    return std::vector<SlowlogEntry>{{.id = 4,
                                      .unix_ms = 1700000000123,
                                      .duration_us = 12,
                                      .arguments = {"get", "a\xff\n"},
                                      .client_address = "127.0.0.1:5",
                                      .client_name = "me",
                                      .node = "10.0.0.5:6379"}};
  };
  AdminPages pages(sources, true);
  EXPECT_EQ(Get(pages, "/slowlog").body,
            R"({"entries":[{"id":4,"time_ms":1700000000123,"duration_us":12,)"
            R"("command":["get","a\\xff\\x0a"],"client":"127.0.0.1:5","name":"me",)"
            R"("node":"10.0.0.5:6379"}]})"
            "\n");
}

TEST(JsonWriter, NestsAndSeparates) {
  JsonWriter json;
  json.BeginObject().Key("a").BeginArray().Int(1).Int(-2).BeginObject().EndObject().EndArray();
  json.Key("b").BeginArray().EndArray().Key("c").Bool(true).Key("d").Real(0.5);
  json.Key("e").Real(1.0 / 0.0).EndObject();
  EXPECT_EQ(json.Take(), R"({"a":[1,-2,{}],"b":[],"c":true,"d":0.5,"e":null})");
}

TEST(JsonWriter, EscapesWhatJsonCannotHold) {
  const auto text = [](std::string_view bytes) {
    JsonWriter json;
    json.Text(bytes);
    return json.Take();
  };
  EXPECT_EQ(text("a\"b\\c\n\x01"), R"("a\"b\\c\u000a\u0001")");
  EXPECT_EQ(text("na\xC3\xAFve \xE2\x82\xAC \xF0\x9F\x98\x80"),
            "\"na\xC3\xAFve \xE2\x82\xAC \xF0\x9F\x98\x80\"");
  EXPECT_EQ(text("\xFF\xC3"), R"("\ufffd\ufffd")");
  EXPECT_EQ(text("\xC0\x80"), R"("\ufffd\ufffd")");                      // overlong
  EXPECT_EQ(text("\xED\xA0\x80"), R"("\ufffd\ufffd\ufffd")");            // a surrogate
  EXPECT_EQ(text("\xE0\x9F\xBF"), R"("\ufffd\ufffd\ufffd")");            // overlong
  EXPECT_EQ(text("\xF4\x90\x80\x80"), R"("\ufffd\ufffd\ufffd\ufffd")");  // beyond Unicode
  EXPECT_EQ(text("\xE2\x82"), R"("\ufffd\ufffd")");                      // cut off
  EXPECT_EQ(text("\xEE\x80\x80\xF1\x80\x80\x80"), "\"\xEE\x80\x80\xF1\x80\x80\x80\"");
}

TEST(AdminPages, ClustersAreAddedUpOverTheWorkers) {
  AdminFixture fixture;
  fixture.upstream(0).requests.Add(3);
  fixture.upstream(1).requests.Add(4);
  fixture.upstream(1).timeouts.Add(1);
  AdminPages pages(fixture.Sources(), true);
  const std::string body = Get(pages, "/clusters").body;
  EXPECT_THAT(body,
              HasSubstr(R"("name":"cache","kind":"redis","nodes":[{"node":"10.0.0.5:6379",)"));
  EXPECT_THAT(body, HasSubstr(R"("requests":7)"));
  EXPECT_THAT(body, HasSubstr(R"("timeouts":1)"));
  EXPECT_THAT(body, HasSubstr(R"("topology":{"version":0,)"));
  EXPECT_THAT(
      Get(pages, "/metrics").body,
      HasSubstr(R"(tidegate_upstream_requests_total{cluster="cache",node="10.0.0.5:6379"} 7)"));
}

TEST(AdminPages, LatencyByNode) {
  AdminFixture fixture;
  for (int i = 0; i < 98; ++i) fixture.node(0).latency().Record(1'000'000);
  for (int i = 0; i < 2; ++i) fixture.node(1).latency().Record(1'000'000'000);
  AdminPages pages(fixture.Sources(), true);
  const std::string body = Get(pages, "/clusters").body;
  EXPECT_THAT(body, ContainsRegex(R"("p50_seconds":0\.001)"));
  EXPECT_THAT(body, ContainsRegex(R"("p99_seconds":1\.0)"));
  const std::string metrics = Get(pages, "/metrics").body;
  const std::string labels = R"({cluster="cache",node="10.0.0.5:6379")";
  EXPECT_THAT(metrics,
              HasSubstr("tidegate_upstream_request_duration_seconds_count" + labels + "} 100"));
}

// While the old one of a name leaves, its figures and those of the new one are one series.
TEST(AdminPages, AClusterThatIsReplacedIsOneInMetrics) {
  AdminFixture fixture;
  fixture.upstream(0).requests.Add(3);
  ClusterOptions changed = fixture.plan().clusters[0].options;
  changed.request_timeout = std::chrono::milliseconds(1);
  UpstreamPlan plan = fixture.plan();
  plan.clusters[0] = fixture.Planned(changed);
  fixture.Reload(plan);
  fixture.upstream(0).requests.Add(4);
  AdminPages pages(fixture.Sources(), true);
  const std::string metrics = Get(pages, "/metrics").body;
  const std::string series = "tidegate_upstream_requests_total{cluster=\"cache\"";
  const size_t first = metrics.find(series);
  ASSERT_NE(first, std::string::npos);
  EXPECT_EQ(metrics.find(series, first + 1), std::string::npos);
  EXPECT_THAT(metrics, HasSubstr(series + ",node=\"10.0.0.5:6379\"} 7"));
  const std::string discovery = "tidegate_discovery_nodes{";
  EXPECT_EQ(metrics.find(discovery, metrics.find(discovery) + 1), std::string::npos);
  EXPECT_THAT(Get(pages, "/clusters").body, HasSubstr(R"("kind":"redis","leaving":true)"));
}

TEST(AdminPages, DrainsByPostAlone) {
  AdminFixture fixture;
  AdminPages pages(fixture.Sources(), true);
  const std::string path = "/clusters/cache/nodes/10.0.0.5:6379/drain";
  EXPECT_EQ(Get(pages, path).status, 405);
  const auto post = [&pages](std::string_view where, std::string_view origin = "") {
    return pages.Answer({.method = "POST", .path = where, .host = "localhost", .origin = origin});
  };
  EXPECT_EQ(post(path, "http://evil").status, 403);
  const AdminReply refused = post(path);
  EXPECT_EQ(refused.status, 409);
  EXPECT_THAT(refused.body, HasSubstr("no such node"));  // discovery has not begun
  EXPECT_EQ(post("/clusters/none/nodes/10.0.0.5:6379/drain").status, 404);
  EXPECT_EQ(post("/clusters/cache/nodes/nowhere/drain").status, 404);
  EXPECT_EQ(post("/clusters/cache/nodes/10.0.0.5:6379/undrain").status, 404);
  EXPECT_EQ(post("/clusters/cache/nodes/10.0.0.5:6379/explode").status, 404);
  EXPECT_EQ(post("/clusters/cache/nodes/drain").status, 404);
}

}  // namespace
}  // namespace tidegate
