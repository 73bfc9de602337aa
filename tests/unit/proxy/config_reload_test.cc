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
  fresh.databases = 3;
  EXPECT_TRUE(ReloadConfig(store, fresh).ok());
  EXPECT_EQ(store.Snapshot()->maxclients, 50);
  EXPECT_EQ(store.Snapshot()->slowlog_max_len, 7);
  EXPECT_EQ(store.Snapshot()->databases, kDatabasesDefault);
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

TEST(ConfigReload, ListenersFollow) {
  ConfigStore store(Options{}, {});
  Options fresh = *store.Snapshot();
  EXPECT_EQ(LogOf(store, fresh).find("changed"), std::string::npos);
  fresh.port = 7777;
  fresh.extra_listeners.push_back({.name = "more", .addresses = {{"127.0.0.1"}}, .port = 1});
  const std::string lines = LogOf(store, fresh);
  EXPECT_NE(lines.find("changed listeners"), std::string::npos) << lines;
  EXPECT_EQ(lines.find("needs a restart"), std::string::npos) << lines;
  ASSERT_EQ(store.Snapshot()->listeners.size(), 2u);
  EXPECT_EQ(store.Snapshot()->listeners[0].port, 7777);
  EXPECT_EQ(store.Snapshot()->listeners[1].name, "more");
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

TEST(ConfigReload, TheSameIsNoChange) {
  ConfigStore store(Options{}, {});
  const uint64_t version = store.version();
  EXPECT_TRUE(ReloadConfig(store, *store.Snapshot()).ok());
  EXPECT_EQ(store.version(), version);
}

}  // namespace
}  // namespace tidegate
