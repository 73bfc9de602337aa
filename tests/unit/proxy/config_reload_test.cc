// Reload: what changed is set through the same door as CONFIG SET, the rest is left alone.
#include "proxy/config_reload.h"

#include <gtest/gtest.h>

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

TEST(ConfigReload, TheSameIsNoChange) {
  ConfigStore store(Options{}, {});
  const uint64_t version = store.version();
  EXPECT_TRUE(ReloadConfig(store, *store.Snapshot()).ok());
  EXPECT_EQ(store.version(), version);
}

}  // namespace
}  // namespace tidegate
