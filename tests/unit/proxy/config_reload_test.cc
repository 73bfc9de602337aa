// Reload: what changed is set through the same door as CONFIG SET, the rest is left alone.
#include "proxy/config_reload.h"

#include <gtest/gtest.h>

#include <fstream>
#include <sstream>
#include <string>

#include "base/log.h"
#include "tests/support/temporary_folder.h"

namespace tidegate {
namespace {

TEST(ConfigReload, SetsWhatMayChangeAndLeavesTheRest) {
  ConfigStore store(Options{}, {});
  Options fresh = *store.Snapshot();
  fresh.maxclients = 50;
  fresh.slowlog_max_len = 7;
  fresh.port = 7777;
  EXPECT_TRUE(ReloadConfig(store, fresh).ok());
  EXPECT_EQ(store.Snapshot()->maxclients, 50);
  EXPECT_EQ(store.Snapshot()->slowlog_max_len, 7);
  EXPECT_EQ(store.Snapshot()->port, 6379);
}

TEST(ConfigReload, AVetoLeavesEverythingAsItWas) {
  ConfigStore store(Options{}, {});
  store.OnApply("slowlog-max-len", [](const Options&) -> Status { return Error{"no"}; });
  Options fresh = *store.Snapshot();
  fresh.maxclients = 50;
  fresh.slowlog_max_len = 7;
  EXPECT_FALSE(ReloadConfig(store, fresh).ok());
  EXPECT_EQ(store.Snapshot()->maxclients, 10000);
}

// The log lines of a reload.
std::string LogOf(ConfigStore& store, const Options& fresh) {
  const testing::TemporaryFolder folder;
  const std::string path = folder.File("log");
  EXPECT_TRUE(log::OpenFile(path).ok());
  EXPECT_TRUE(ReloadConfig(store, fresh).ok());
  EXPECT_TRUE(log::OpenFile("").ok());
  std::stringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

TEST(ConfigReload, SaysWhatOfTheStructureNeedsARestart) {
  ConfigStore store(Options{}, {});
  Options fresh = *store.Snapshot();
  EXPECT_EQ(LogOf(store, fresh).find("needs a restart"), std::string::npos);
  fresh.extra_listeners.push_back({.name = "more", .port = 1});
  fresh.declared_commands.push_back({.name = "JSON.GET"});
  const std::string lines = LogOf(store, fresh);
  for (const char* what : {"'listeners'", "'commands'"}) {
    EXPECT_NE(lines.find(std::string(what) + " has changed and needs a restart"), std::string::npos)
        << lines;
  }
}

TEST(ConfigReload, ClustersAndRoutesComeWithTheSettingsOrNotAtAll) {
  ConfigStore store(Options{}, {});
  Options fresh = *store.Snapshot();
  fresh.clusters.push_back({.name = "cache", .kind = ClusterKind::kRedis});
  fresh.routes = {{"item:*", "local"}, {"*", "cache"}};
  EXPECT_NE(LogOf(store, fresh).find("changed clusters, routes"), std::string::npos);
  EXPECT_EQ(store.Snapshot()->clusters, fresh.clusters);
  EXPECT_EQ(store.Snapshot()->routes, fresh.routes);

  store.OnApply("slowlog-max-len", [](const Options&) -> Status { return Error{"no"}; });
  Options worse = fresh;
  worse.routes = {{"*", "local"}};
  worse.slowlog_max_len = 7;
  EXPECT_FALSE(ReloadConfig(store, worse).ok());
  EXPECT_EQ(store.Snapshot()->routes, fresh.routes);
}

// A mirror and a move have requests under way and counters that others read.
TEST(ConfigReload, RoutesWithMirrorsAndMovesStayAsTheyAre) {
  Options options;
  options.clusters.push_back({.name = "cache", .kind = ClusterKind::kRedis});
  options.clusters.push_back({.name = "old", .kind = ClusterKind::kRedis});
  options.clusters.push_back({.name = "other", .kind = ClusterKind::kRedis});
  options.routes = {{.match = "m:*", .cluster = "cache", .mirror = {.cluster = "old"}},
                    {.match = "k:*", .cluster = "local", .move_from = "old"},
                    {.match = "*", .cluster = "other"}};
  ConfigStore store(options, {});
  const auto refused = [&store](const Options& fresh) {
    const Status status = ReloadConfig(store, fresh);
    return !status.ok() && status.error().message.find("needs a restart") != std::string::npos;
  };
  Options without = options;
  without.routes.erase(without.routes.begin());
  EXPECT_TRUE(refused(without));
  Options more = options;
  more.routes.back().move_from = "old";
  EXPECT_TRUE(refused(more));
  Options elsewhere = options;
  elsewhere.clusters[options.clusters.size() - 2].request_timeout = std::chrono::seconds(1);
  EXPECT_TRUE(refused(elsewhere));
  EXPECT_EQ(store.Snapshot()->routes, options.routes);

  Options unrelated = options;
  unrelated.clusters.back().request_timeout = std::chrono::seconds(1);
  unrelated.routes.insert(unrelated.routes.begin(), {.match = "new:*", .cluster = "other"});
  EXPECT_TRUE(ReloadConfig(store, unrelated).ok());
  EXPECT_EQ(store.Snapshot()->routes, unrelated.routes);
}

TEST(ConfigReload, TheSameIsNoChange) {
  ConfigStore store(Options{}, {});
  const uint64_t version = store.version();
  EXPECT_TRUE(ReloadConfig(store, *store.Snapshot()).ok());
  EXPECT_EQ(store.version(), version);
}

}  // namespace
}  // namespace tidegate
