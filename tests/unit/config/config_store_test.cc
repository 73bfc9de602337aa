#include "config/config_store.h"

#include <atomic>
#include <fstream>
#include <sstream>
#include <thread>

#include "config/option_table.h"
#include "config/rewrite.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/temporary_folder.h"

namespace tidegate {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;
using ::testing::UnorderedElementsAre;
using NamesAndValues = std::vector<NameAndValue>;

Options Finished() {
  Options options;
  EXPECT_EQ(FinishOptions(options), std::nullopt);
  return options;
}

std::string ErrorOf(const Status& status) { return status.ok() ? "OK" : status.error().message; }

std::vector<std::pair<std::string, std::string>> Get(const ConfigStore& store,
                                                     std::vector<std::string_view> patterns) {
  return store.Get(patterns);
}

std::string Set(ConfigStore& store, NamesAndValues changes, bool local = false) {
  return ErrorOf(store.Set(changes, local));
}

TEST(ConfigStore, GetAnswersUnderTheNameAsked) {
  const ConfigStore store(Finished(), {});
  EXPECT_THAT(Get(store, {"MAXMEMORY"}), ElementsAre(Pair("MAXMEMORY", "0")));
  EXPECT_THAT(Get(store, {"nothing", "port", "port"}), ElementsAre(Pair("port", "6379")));
  EXPECT_THAT(Get(store, {"hash-max-ziplist-value"}),
              ElementsAre(Pair("hash-max-ziplist-value", "64")));
  EXPECT_THAT(Get(store, {"save"}), ElementsAre(Pair("save", "")));
  EXPECT_THAT(Get(store, {}), IsEmpty());
}

TEST(ConfigStore, GetMatchesNamesAndAliases) {
  const ConfigStore store(Finished(), {});
  EXPECT_THAT(Get(store, {"hash-max-*-value", "HASH-MAX-L*"}),
              UnorderedElementsAre(Pair("hash-max-listpack-value", "64"),
                                   Pair("hash-max-ziplist-value", "64"),
                                   Pair("hash-max-listpack-entries", "512")));
  EXPECT_GE(Get(store, {"*"}).size(), 190u);
  EXPECT_THAT(Get(store, {"watchdog*"}), IsEmpty()) << "hidden ones need their whole name";
  EXPECT_THAT(Get(store, {"watchdog-period"}), ElementsAre(Pair("watchdog-period", "0")));
}

TEST(ConfigStore, SetPublishesANewSnapshot) {
  ConfigStore store(Finished(), {});
  const std::shared_ptr<const Options> before = store.Snapshot();
  const uint64_t version = store.version();
  EXPECT_EQ(Set(store, {{"maxmemory", "1gb"}, {"Timeout", "9"}}), "OK");
  EXPECT_GT(store.version(), version);
  EXPECT_EQ(store.Snapshot()->maxmemory, 1_GiB);
  EXPECT_EQ(store.Snapshot()->timeout, std::chrono::seconds(9));
  EXPECT_EQ(before->maxmemory, 0_B) << "a snapshot never changes";
  EXPECT_THAT(Get(store, {"maxmemory"}), ElementsAre(Pair("maxmemory", "1073741824")));
}

// Texts as redis-server 7.0.15 gives them.
TEST(ConfigStore, SetErrorsAreRedissAndChangeNothing) {
  ConfigStore store(Finished(), {});
  const Options before = *store.Snapshot();
  const uint64_t version = store.version();
  const std::string failed = "ERR CONFIG SET failed (possibly related to argument '";
  EXPECT_EQ(Set(store, {{"maxmemory", "5"}, {"bogus", "3"}, {"databases", "3"}}),
            "ERR Unknown option or number of arguments for CONFIG SET - 'bogus'");
  EXPECT_EQ(Set(store, {{"timeout", "5"}, {"MAXMEMORY", "1x"}}),
            failed + "maxmemory') - argument must be a memory value");
  EXPECT_EQ(Set(store, {{"hash-max-ziplist-entries", "x"}}),
            failed + "hash-max-ziplist-entries') - argument couldn't be parsed into an integer");
  EXPECT_EQ(Set(store, {{"DATABASES", "5"}}), failed + "DATABASES') - can't set immutable config");
  EXPECT_EQ(Set(store, {{"dir", "/tmp"}}), failed + "dir') - can't set protected config");
  EXPECT_EQ(Set(store, {{"maxmemory", "1"}, {"MaxMemory", "2"}}),
            failed + "MaxMemory') - duplicate parameter");
  EXPECT_EQ(Set(store, {{"latency-tracking-info-percentiles", "50  99"}}),
            failed +
                "latency-tracking-info-percentiles') - Invalid latency-tracking-info-percentiles "
                "parameters");
  EXPECT_EQ(Set(store, {{"save", "900"}}), failed + "save') - Invalid save parameters");
  EXPECT_EQ(*store.Snapshot(), before);
  EXPECT_EQ(store.version(), version);
}

TEST(ConfigStore, SetTakesAnAliasBesideItsName) {
  ConfigStore store(Finished(), {});
  EXPECT_EQ(Set(store, {{"hash-max-ziplist-entries", "1"}, {"hash-max-listpack-entries", "2"}}),
            "OK");
  EXPECT_EQ(store.Snapshot()->hash_max_listpack_entries, 2);
}

TEST(ConfigStore, SetOfWhatTestSuitesSet) {
  ConfigStore store(Finished(), {});
  EXPECT_EQ(Set(store, {{"save", ""}}), "OK");
  EXPECT_EQ(Set(store, {{"appendonly", "no"}}), "OK");
  EXPECT_EQ(Set(store, {{"active-expire-effort", "10"}}), "OK");
  EXPECT_EQ(Set(store, {{"list-max-listpack-size", "4"}}), "OK");
  EXPECT_EQ(Set(store, {{"notify-keyspace-events", "KEA"}}), "OK");
  EXPECT_EQ(Set(store, {{"client-output-buffer-limit", "normal 1mb 2 3"}}), "OK");
  EXPECT_EQ(Set(store, {{"repl-diskless-sync-delay", "0"}}), "OK");
  EXPECT_THAT(
      Get(store, {"notify-keyspace-events", "repl-diskless-sync-delay"}),
      ElementsAre(Pair("notify-keyspace-events", "AKE"), Pair("repl-diskless-sync-delay", "0")));
}

TEST(ConfigStore, ProtectedSettingsFollowTheirSwitch) {
  Options options = Finished();
  options.enable_protected_configs = ProtectedAction::kLocal;
  ConfigStore store(options, {});
  EXPECT_THAT(Set(store, {{"dir", "/tmp"}}, false), HasSubstr("can't set protected config"));
  EXPECT_EQ(Set(store, {{"dir", "/tmp"}}, true), "OK");
  EXPECT_EQ(store.Snapshot()->dir, "/tmp");
}

TEST(ConfigStore, AHookSeesTheNextSettingsAndMayRefuse) {
  ConfigStore store(Finished(), {});
  std::vector<int64_t> seen;
  store.OnApply("maxclients", [&](const Options& next) -> Status {
    seen.push_back(next.maxclients);
    return {};
  });
  store.OnApply("timeout", [](const Options& next) -> Status {
    if (next.timeout > std::chrono::seconds(60)) return Error{"too patient"};
    return {};
  });
  EXPECT_EQ(Set(store, {{"maxclients", "20"}, {"timeout", "60"}}), "OK");
  EXPECT_EQ(Set(store, {{"maxclients", "30"}, {"timeout", "61"}}),
            "ERR CONFIG SET failed (possibly related to argument 'timeout') - too patient");
  EXPECT_EQ(store.Snapshot()->maxclients, 20);
  EXPECT_EQ(Set(store, {{"maxclients", "20"}}), "OK") << "no change, so no call";
  EXPECT_THAT(seen, ElementsAre(20, 30, 20)) << "the refused change was taken back";
}

TEST(ConfigStore, ReadersSeeAllOfAChangeOrNothing) {
  ConfigStore store(Finished(), {});
  std::atomic<bool> done = false;
  std::atomic<int> torn = 0;
  std::thread reader([&] {
    uint64_t last = 0;
    while (!done) {
      if (store.version() == last) continue;
      last = store.version();
      const std::shared_ptr<const Options> options = store.Snapshot();
      if (options->timeout != options->tcp_keepalive) ++torn;
    }
  });
  for (int i = 0; i < 300; ++i) {
    const std::string value = std::to_string(i);
    EXPECT_EQ(Set(store, {{"timeout", value}, {"tcp-keepalive", value}}), "OK");
    if (i == 0) torn = 0;  // the defaults of the two differ
  }
  done = true;
  reader.join();
  EXPECT_EQ(torn, 0);
}

// -- CONFIG REWRITE

TEST(RewriteRedisConf, LeavesWhatIsTrueAlone) {
  const std::string text =
      "# my settings\n\n  maxmemory   1gb   \nbind 127.0.0.1\nhz 10\n"
      "client-output-buffer-limit normal 1 1 1\n# middle\n"
      "client-output-buffer-limit pubsub 2 2 2\ninclude other.conf\n";
  Options options;
  options.maxmemory = 1_GiB;
  options.bind = {"127.0.0.1"};
  options.client_output_buffer_limits[0] = {1_B, 1_B, std::chrono::seconds(1)};
  options.client_output_buffer_limits[2] = {2_B, 2_B, std::chrono::seconds(2)};
  EXPECT_EQ(RewriteRedisConf(text, options), text);
}

TEST(RewriteRedisConf, ReplacesInPlaceAndAppends) {
  Options options;
  options.maxmemory = 2_MiB;
  options.timeout = std::chrono::seconds(5);
  options.requirepass = "a b";
  options.hash_max_listpack_entries = 7;
  EXPECT_EQ(RewriteRedisConf("# top\n"
                             "maxmemory 1gb\n"
                             "port 7000\n"
                             "hash-max-ziplist-entries 9\n"
                             "maxmemory 3gb # trailing words are not a comment here\n"
                             "# end",
                             options),
            "# top\n"
            "maxmemory 2097152\n"
            "port 6379\n"
            "hash-max-listpack-entries 7\n"
            "# end\n"
            "# Generated by CONFIG REWRITE\n"
            "timeout 5\n"
            "requirepass \"a b\"\n");
}

TEST(RewriteRedisConf, GivesTheSameSettingsWhenReadAgain) {
  Options options;
  options.maxmemory = 123_MiB;
  options.client_output_buffer_limits[1] = {5_MiB, 4_MiB, std::chrono::seconds(3)};
  options.latency_tracking_info_percentiles = {};
  options.requirepass = "#\"quoted\" \xff";
  options.bind = {"127.0.0.1", "-::1"};
  options.notify_keyspace_events = notify::kAll | notify::kKeyspace;
  options.kept["repl-timeout"] = "77";
  ASSERT_EQ(FinishOptions(options), std::nullopt);
  const std::string text = RewriteRedisConf("", options);
  Result<Options> again = ParseRedisConf(text, "rewritten");
  ASSERT_TRUE(again.ok()) << again.error().message;
  EXPECT_EQ(*again, options);
  EXPECT_EQ(RewriteRedisConf(text, options), text) << "a second rewrite changes nothing";
}

class RewriteTest : public ::testing::Test {
 protected:
  void SetUp() override {
    path_ = temporary_.File("conf");
    std::ofstream(path_) << "# kept\ntimeout 1\n";
  }

  testing::TemporaryFolder temporary_;
  std::string path_;
};

TEST_F(RewriteTest, ReplacesTheFileAndKeepsItsMode) {
  namespace fs = std::filesystem;
  fs::permissions(path_, fs::perms::owner_read | fs::perms::owner_write);
  ConfigStore store(Finished(), {{path_, ConfigFormat::kRedisConf}});
  EXPECT_EQ(store.config_file(), path_);
  ASSERT_EQ(Set(store, {{"timeout", "42"}}), "OK");
  ASSERT_EQ(ErrorOf(store.Rewrite()), "OK");
  std::stringstream text;
  text << std::ifstream(path_).rdbuf();
  EXPECT_THAT(text.str(), ::testing::StartsWith("# kept\ntimeout 42\n"));
  EXPECT_EQ(fs::status(path_).permissions(), fs::perms::owner_read | fs::perms::owner_write);
}

TEST_F(RewriteTest, SaysWhyItCannot) {
  ConfigStore without(Finished(), {});
  EXPECT_EQ(ErrorOf(without.Rewrite()), "ERR The server is running without a config file");
  EXPECT_EQ(without.config_file(), "");
  ConfigStore yaml(Finished(), {{"/x/t.yaml", ConfigFormat::kYaml}});
  EXPECT_THAT(ErrorOf(yaml.Rewrite()), ::testing::StartsWith("ERR Rewriting config file: "));
  ConfigStore gone(Finished(), {{path_ + ".gone", ConfigFormat::kRedisConf}});
  EXPECT_THAT(ErrorOf(gone.Rewrite()), HasSubstr("No such file or directory"));
}

}  // namespace
}  // namespace tidegate
