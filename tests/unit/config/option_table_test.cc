#include "config/option_table.h"

#include <set>

#include "base/text.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace tidegate {
namespace {

using ::testing::HasSubstr;
using ::testing::Optional;

OptionFault Set(Options& options, std::string_view name, std::vector<std::string> words) {
  const OptionRow* row = FindOption(name);
  if (row == nullptr) return "no such option";
  return SetOption(*row, options, words);
}

std::string Print(const Options& options, std::string_view name) {
  return PrintOption(*FindOption(name), options);
}

TEST(OptionTable, RowsAreWholeAndNamesUnique) {
  std::set<std::string_view> names;
  ForEachOption([&](const OptionRow& row) {
    EXPECT_TRUE(names.insert(row.name).second) << row.name;
    if (!row.alias.empty()) {
      EXPECT_TRUE(names.insert(row.alias).second) << row.alias;
    }
    EXPECT_EQ(row.name, ToLowerAscii(row.name));
    EXPECT_NE(row.type, OptionType::kUnset) << row.name;
    EXPECT_FALSE(row.help.empty()) << row.name;
    EXPECT_LE(row.min, row.max) << row.name;
    EXPECT_EQ(row.type == OptionType::kEnum, !row.names.empty()) << row.name;
    EXPECT_EQ(row.codec.parse == nullptr, row.codec.print == nullptr) << row.name;
    EXPECT_EQ(row.member.get == nullptr, row.member.set == nullptr) << row.name;
    if (row.type == OptionType::kSpecial) {
      EXPECT_TRUE(row.codec.parse != nullptr || row.keep != nullptr) << row.name;
    }
    if (!row.is_kept()) {
      EXPECT_EQ(row.keep, nullptr) << row.name;
    }
  });
  EXPECT_GE(names.size(), 190u);
}

// The default is written twice, in the struct and in the row; both must say the same.
TEST(OptionTable, DefaultsOfRowsAndOptionsAgree) {
  const Options options;
  ForEachOption(
      [&](const OptionRow& row) { EXPECT_EQ(PrintOption(row, options), row.initial) << row.name; });
}

TEST(OptionTable, DefaultsReadBackAsTheyPrint) {
  ForEachOption([&](const OptionRow& row) {
    Options options;
    const std::vector<std::string> words = {std::string(row.initial)};
    EXPECT_EQ(SetOption(row, options, words), std::nullopt) << row.name;
    EXPECT_EQ(options, Options()) << row.name;
  });
}

TEST(OptionTable, FindsByAliasAndInAnyCase) {
  EXPECT_EQ(FindOption("MaxMemory"), FindOption("maxmemory"));
  EXPECT_EQ(FindOption("hash-max-ziplist-entries"), FindOption("hash-max-listpack-entries"));
  EXPECT_EQ(FindOption("slaveof")->name, "replicaof");
  EXPECT_EQ(FindOption("maxmemor"), nullptr);
  EXPECT_EQ(FindOption(""), nullptr);
}

TEST(OptionTable, SecretsAreMarked) {
  for (const char* name : {"requirepass", "REQUIREPASS", "masterauth", "masteruser"}) {
    EXPECT_TRUE(IsSecretOption(name)) << name;
  }
  EXPECT_FALSE(IsSecretOption("maxmemory"));
  EXPECT_FALSE(IsSecretOption("unknown"));
}

TEST(SetOption, LimitsOfBigKeysHaveALeastValue) {
  Options options;
  EXPECT_TRUE(options.big_keys);
  EXPECT_EQ(Set(options, "big-key-bytes", {"4mb"}), std::nullopt);
  EXPECT_EQ(options.big_key_bytes, 4_MiB);
  EXPECT_EQ(Set(options, "big-key-elements", {"1000"}), std::nullopt);
  EXPECT_EQ(options.big_key_elements, 1000);
  EXPECT_EQ(Set(options, "big-key-rate", {"1mb"}), std::nullopt);
  EXPECT_EQ(options.big_key_rate, 1_MiB);
  EXPECT_THAT(Set(options, "big-key-bytes", {"4095"}), Optional(HasSubstr("between 4096 and")));
  EXPECT_THAT(Set(options, "big-key-warn-bytes", {"1kb"}), Optional(HasSubstr("between 4096 and")));
  EXPECT_THAT(Set(options, "big-key-elements", {"999"}), Optional(HasSubstr("between 1000 and")));
}

TEST(SetOption, TypedValuesLandInTheirMembers) {
  Options options;
  EXPECT_EQ(Set(options, "maxmemory", {"2mb"}), std::nullopt);
  EXPECT_EQ(options.maxmemory, 2_MiB);
  EXPECT_EQ(Set(options, "timeout", {"30"}), std::nullopt);
  EXPECT_EQ(options.timeout, std::chrono::seconds(30));
  EXPECT_EQ(Set(options, "maxmemory-policy", {"AllKeys-LFU"}), std::nullopt);
  EXPECT_EQ(options.maxmemory_policy, MaxmemoryPolicy::kAllkeysLfu);
  EXPECT_EQ(Set(options, "unixsocketperm", {"770"}), std::nullopt);
  EXPECT_EQ(options.unixsocketperm, 0770u);
  EXPECT_EQ(Set(options, "slowlog-log-slower-than", {"-1"}), std::nullopt);
  EXPECT_EQ(options.slowlog_log_slower_than, std::chrono::microseconds(-1));
  EXPECT_EQ(Set(options, "slow-request-log-threshold", {"2500"}), std::nullopt);
  EXPECT_EQ(options.slow_request_log_threshold, std::chrono::microseconds(2500));
  EXPECT_EQ(Set(options, "log-format", {"json"}), std::nullopt);
  EXPECT_EQ(options.log_format, LogLineFormat::kJson);
  EXPECT_EQ(Set(options, "access-log-sample", {"0.25"}), std::nullopt);
  EXPECT_EQ(options.access_log_sample, 0.25);
  EXPECT_EQ(Print(options, "access-log-sample"), "0.25");
  for (const char* wrong : {"1.5", "-1", "nan", "much", ""}) {
    EXPECT_EQ(Set(options, "access-log-sample", {wrong}),
              "argument must be a number between 0 and 1");
  }
  EXPECT_EQ(Set(options, "workers", {"4"}), std::nullopt);
  EXPECT_EQ(options.workers, 4);
  EXPECT_EQ(Set(options, "admin-address", {"[::1]:0"}), std::nullopt);
  EXPECT_THAT(options.admin_address, Optional(HostPort{"::1", 0}));
  EXPECT_EQ(Print(options, "admin-address"), "[::1]:0");
  EXPECT_EQ(Set(options, "admin-address", {"off"}), std::nullopt);
  EXPECT_EQ(options.admin_address, std::nullopt);
  EXPECT_EQ(Set(options, "max-connection-age", {"90m"}), std::nullopt);
  EXPECT_EQ(options.max_connection_age, std::chrono::minutes(90));
}

// Texts as redis-server 7.0.15 gives them.
TEST(SetOption, FaultsAreInRedissWords) {
  const struct {
    const char* name;
    std::vector<std::string> words;
    const char* fault;
  } cases[] = {
      {"maxmemory", {"1x"}, "argument must be a memory value"},
      {"timeout", {"x"}, "argument couldn't be parsed into an integer"},
      {"timeout", {"-1"}, "argument must be between 0 and 2147483647 inclusive"},
      {"maxclients", {"0"}, "argument must be between 1 and 4294967295 inclusive"},
      {"protected-mode", {"maybe"}, "argument must be 'yes' or 'no'"},
      {"loglevel",
       {"foo"},
       "argument(s) must be one of the following: debug, verbose, notice, warning"},
      {"unixsocketperm", {"9"}, "argument couldn't be parsed as an octal number"},
      {"unixsocketperm", {"1000"}, "argument must be between 0 and 777 inclusive"},
      {"proto-max-bulk-len",
       {"1"},
       "argument must be between 1048576 and 9223372036854775807 inclusive"},
      {"maxmemory", {"1", "2"}, "wrong number of arguments"},
      {"maxmemory", {}, "wrong number of arguments"},
      {"save", {"1 2 3"}, "Invalid save parameters"},
      {"save", {"0", "1"}, "Invalid save parameters"},
      {"notify-keyspace-events", {"q"}, "Invalid event class character. Use 'Ag$lshzxeKEtmdn'."},
      {"client-output-buffer-limit",
       {"normal", "1"},
       "Wrong number of arguments in buffer limit configuration."},
      {"client-output-buffer-limit",
       {"norml 1 2 3"},
       "Invalid client class specified in buffer limit configuration."},
      {"client-output-buffer-limit",
       {"normal 1 2 -3"},
       "Error in hard, soft or soft_seconds setting in buffer limit configuration."},
      {"maxmemory-clients", {"101%"}, "percentage argument must be less or equal to 100"},
      {"maxmemory-clients", {"x"}, "argument must be a memory or percent value"},
      {"shutdown-on-sigint",
       {"save nosave"},
       "shutdown options SAVE and NOSAVE can't be used simultaneously"},
      {"latency-tracking-info-percentiles",
       {"50", "101"},
       "latency-tracking-info-percentiles parameters should sit between [0.0,100.0]"},
      {"oom-score-adj-values", {"1 2"}, "wrong number of arguments"},
      {"cluster-announce-hostname",
       {"a b"},
       "Hostnames may only contain alphanumeric characters, hyphens or dots"},
  };
  for (const auto& one : cases) {
    Options options;
    EXPECT_THAT(Set(options, one.name, one.words), Optional(std::string(one.fault))) << one.name;
    EXPECT_EQ(options, Options()) << one.name;
  }
}

TEST(SetOption, OwnSettingsSayWhatTheyTake) {
  Options options;
  EXPECT_TRUE(Set(options, "workers", {"0"}).has_value());
  EXPECT_TRUE(Set(options, "workers", {"65"}).has_value());
  EXPECT_TRUE(Set(options, "admin-address", {"example.org:80"}).has_value());
  EXPECT_TRUE(Set(options, "admin-address", {"-::1:80"}).has_value());
  EXPECT_TRUE(Set(options, "max-connection-age", {"10"}).has_value());
  EXPECT_TRUE(Set(options, "max-connection-age-jitter", {"101%"}).has_value());
  EXPECT_TRUE(Set(options, "bind", {"example.org"}).has_value());
  EXPECT_TRUE(Set(options, "bind", std::vector<std::string>(17, "127.0.0.1")).has_value());
  EXPECT_EQ(options, Options());
}

// Promises this version cannot keep are refused by every value but the default.
TEST(SetOption, PromisesThatCannotBeKeptAreRefused) {
  const std::pair<const char*, const char*> promises[] = {
      {"tls-cluster", "yes"},      {"replicaof", "10.0.0.1 6379"}, {"cluster-enabled", "yes"},
      {"tls-port", "6380"},        {"aclfile", "users.acl"},       {"min-replicas-to-write", "1"},
      {"maxmemory-clients", "5%"}, {"syslog-enabled", "yes"},      {"activedefrag", "yes"},
  };
  for (const auto& [name, value] : promises) {
    Options options;
    EXPECT_TRUE(Set(options, name, {value}).has_value()) << name;
    EXPECT_EQ(options, Options()) << name;
  }
  Options options;
  for (const auto& [name, value] :
       {std::pair("appendonly", "yes"), {"save", ""}, {"daemonize", "no"}}) {
    EXPECT_EQ(Set(options, name, {value}), std::nullopt) << name;
  }
}

TEST(SetOption, BufferLimitsChangeOnlyTheNamedClasses) {
  Options options;
  EXPECT_EQ(Set(options, "client-output-buffer-limit", {"replica", "1mb", "2", "3"}), std::nullopt);
  EXPECT_EQ(options.output_buffer_limit(ClientClass::kReplica),
            (OutputBufferLimit{1_MiB, 2_B, std::chrono::seconds(3)}));
  EXPECT_EQ(Print(options, "client-output-buffer-limit"),
            "normal 0 0 0 slave 1048576 2 3 pubsub 33554432 8388608 60");
}

TEST(SetOption, SettingsWithoutMeaningAreKeptInCanonicalForm) {
  Options options;
  EXPECT_EQ(Set(options, "repl-backlog-size", {"2mb"}), std::nullopt);
  EXPECT_EQ(Set(options, "REPL-DISKLESS-LOAD", {"SWAPDB"}), std::nullopt);
  EXPECT_EQ(Print(options, "repl-backlog-size"), "2097152");
  EXPECT_EQ(Print(options, "repl-diskless-load"), "swapdb");
  EXPECT_EQ(options.kept.size(), 2u);
  EXPECT_EQ(Set(options, "repl-backlog-size", {"1mb"}), std::nullopt);  // the default again
  EXPECT_EQ(options.kept.size(), 1u);
}

TEST(SetOption, FlagsOfSignalsPrintInTheOrderOfTheirList) {
  Options options;
  EXPECT_EQ(Set(options, "shutdown-on-sigint", {"NOW nosave"}), std::nullopt);
  EXPECT_EQ(Print(options, "shutdown-on-sigint"), "nosave now");
  EXPECT_EQ(Set(options, "shutdown-on-sigterm", {"force", "save"}), std::nullopt);
  EXPECT_EQ(options.shutdown_on_sigterm, "save force");
}

TEST(SetOption, PercentilesPrintWithoutZeros) {
  Options options;
  EXPECT_EQ(Set(options, "latency-tracking-info-percentiles", {"50 99.990 0.5 100"}), std::nullopt);
  EXPECT_EQ(Print(options, "latency-tracking-info-percentiles"), "50 99.99 0.5 100");
  EXPECT_EQ(Set(options, "latency-tracking-info-percentiles", {""}), std::nullopt);
  EXPECT_EQ(Print(options, "latency-tracking-info-percentiles"), "");
}

TEST(FinishOptions, MakesListenersOfTheClassicSettings) {
  Options options;
  options.unixsocket = "/tmp/x.sock";
  options.unixsocketperm = 0700;
  options.first_listener_cluster = "one";
  options.unix_listener_cluster = "two";
  options.extra_listeners = {{.name = "more", .port = 1, .cluster = "one"}};
  ASSERT_EQ(FinishOptions(options), std::nullopt);
  ASSERT_EQ(options.listeners.size(), 3u);
  EXPECT_EQ(options.listeners[0].cluster, "one");
  EXPECT_EQ(options.listeners[1].cluster, "two");
  EXPECT_EQ(options.listeners[0].port, 6379);
  EXPECT_THAT(options.listeners[0].addresses,
              ::testing::ElementsAre(BindAddress{"0.0.0.0", false}, BindAddress{"::", true}));
  EXPECT_TRUE(options.listeners[1].is_unix());
  EXPECT_EQ(options.listeners[1].unixsocketperm, 0700u);
  const Options once = options;
  ASSERT_EQ(FinishOptions(options), std::nullopt);
  EXPECT_EQ(options, once) << "finishing twice must change nothing";
  Options other;
  TakeListeners(other, options);
  ASSERT_EQ(FinishOptions(other), std::nullopt);
  EXPECT_EQ(other.listeners, options.listeners);
}

TEST(FinishOptions, RefusesAServerThatHearsNobody) {
  Options options;
  options.port = 0;
  EXPECT_TRUE(FinishOptions(options).has_value());
  options.unixsocket = "/tmp/x.sock";
  EXPECT_EQ(FinishOptions(options), std::nullopt);
}

TEST(FinishOptions, KeepsHzInRangeAndDirAbsolute) {
  Options options;
  options.hz = 0;
  options.dir = "a/../b";
  ASSERT_EQ(FinishOptions(options), std::nullopt);
  EXPECT_EQ(options.hz, 1);
  EXPECT_EQ(options.dir.front(), '/');
  EXPECT_TRUE(options.dir.ends_with("/b")) << options.dir;
  options.hz = 100000;
  ASSERT_EQ(FinishOptions(options), std::nullopt);
  EXPECT_EQ(options.hz, 500);
}

TEST(FinishOptions, AddsTheRouteForEverything) {
  Options options;
  options.routes = {{"item:*", "local"}};
  ASSERT_EQ(FinishOptions(options), std::nullopt);
  EXPECT_THAT(options.routes,
              ::testing::ElementsAre(RouteOptions{"item:*", "local"}, RouteOptions{"*", "local"}));
}

}  // namespace
}  // namespace tidegate
