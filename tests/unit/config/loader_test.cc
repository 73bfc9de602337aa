#include "config/loader.h"

#include <filesystem>
#include <fstream>

#include "config/option_value.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/source_folder.h"
#include "tests/support/temporary_folder.h"

namespace tidegate {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;

// A folder of files for one test.
class LoaderTest : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = temporary_.File("data");
    std::filesystem::create_directories(folder_);
  }

  std::string Write(const std::string& name, std::string_view text) {
    std::string path = folder_ + "/" + name;
    std::ofstream(path) << text;
    return path;
  }

  static Result<LoadedConfig> Load(std::vector<std::string> arguments) {
    return LoadConfig(arguments);
  }

  testing::TemporaryFolder temporary_;
  std::string folder_;
};

std::string ErrorOf(const auto& result) {
  return result.ok() ? "no error" : result.error().message;
}

// -- redis.conf

TEST(ParseRedisConf, ReadsDirectivesCommentsAndQuotes) {
  Result<Options> options = ParseRedisConf(
      "# a comment\r\n"
      "\n"
      "  Port 7000\r\n"
      "requirepass \"s p \\x41\"\n"
      "client-output-buffer-limit normal 1mb 512kb 10\n"
      "client-output-buffer-limit pubsub 0 0 0\n"
      "save \"\"\n"
      "bind 127.0.0.1 -::1",
      "redis.conf");
  ASSERT_TRUE(options.ok()) << ErrorOf(options);
  EXPECT_EQ(options->port, 7000);
  EXPECT_EQ(options->requirepass, "s p A");
  EXPECT_EQ(options->output_buffer_limit(ClientClass::kNormal).hard, 1_MiB);
  EXPECT_EQ(options->output_buffer_limit(ClientClass::kPubsub), OutputBufferLimit());
  EXPECT_THAT(options->listeners.at(0).addresses,
              ElementsAre(BindAddress{"127.0.0.1", false}, BindAddress{"::1", true}));
}

TEST(ParseRedisConf, ReportsEveryMistakeWithItsLine) {
  Result<Options> options = ParseRedisConf(
      "maxmemry 1gb\n"
      "maxmemory 1gbb\n"
      "# fine\n"
      "port \"7000\n"
      "zzzzzzzz 1\n",
      "conf/redis.conf");
  EXPECT_EQ(ErrorOf(options),
            "conf/redis.conf:1: unknown option 'maxmemry' (did you mean 'maxmemory'?)\n"
            "conf/redis.conf:2: maxmemory '1gbb': argument must be a memory value\n"
            "conf/redis.conf:4: Unbalanced quotes in configuration line\n"
            "conf/redis.conf:5: unknown option 'zzzzzzzz'");
}

TEST(ParseRedisConf, ListsOnlySoManyMistakes) {
  std::string text;
  for (int i = 0; i < 100; ++i) text += "nonsense 1\n";
  EXPECT_THAT(ErrorOf(ParseRedisConf(text, "f")), ::testing::EndsWith("\nand 80 more"));
}

TEST(ParseRedisConf, NeverShowsASecret) {
  const std::string error = ErrorOf(ParseRedisConf("requirepass hunter2 hunter3\n", "f"));
  EXPECT_EQ(error, "f:1: requirepass: wrong number of arguments");
}

TEST(ParseRedisConf, RefusesDirectivesItCannotHonour) {
  for (const char* line : {"rename-command FLUSHALL \"\"", "user alice on nopass ~* +@all",
                           "loadmodule /x.so", "sentinel monitor a b 1 2", "include other.conf",
                           "appendonly maybe", "save 900", "syslog-enabled yes"}) {
    EXPECT_THAT(ErrorOf(ParseRedisConf(line, "f")), StartsWith("f:1: ")) << line;
  }
}

TEST(ParseRedisConf, SaveLinesAddUpUntilAnEmptyOne) {
  const auto points = [](const char* text) {
    std::string out;
    const Options options = ParseRedisConf(text, "f").value();
    for (const SavePoint& point : options.save_points)
      out += std::to_string(point.seconds) + ":" + std::to_string(point.changes) + " ";
    return out;
  };
  EXPECT_EQ(points("save 900 1\nsave 300 10 60 10000\n"), "900:1 300:10 60:10000 ");
  EXPECT_EQ(points("save 900 1\nsave \"\"\nsave 60 5\n"), "60:5 ");
  EXPECT_EQ(points("save 900 1\nsave \"\"\n"), "");
  EXPECT_EQ(points(""), "");
}

TEST(ParseRedisConf, QuotesNoBinaryAndNothingWithoutEnd) {
  EXPECT_EQ(ErrorOf(ParseRedisConf("port \"7\\x000\"\n", "f")),
            "f:1: port '7\\x000': argument couldn't be parsed into an integer");
  const std::string digits(100'000, '9');
  EXPECT_LT(ErrorOf(ParseRedisConf("maxmemory " + digits, "f")).size(), 200u);
  EXPECT_LT(ErrorOf(ParseRedisConf(digits + " 1", "f")).size(), 200u);
  EXPECT_LT(ErrorOf(ParseYaml(digits + ": 1", "f")).size(), 200u);
  EXPECT_EQ(ErrorOf(ParseYaml("\"a\\e[2J\": 1", "f")), "f:1: unknown key 'a\\x1b[2J'");
}

TEST(ParseRedisConf, ReadsOverAByteOrderMark) {
  Result<Options> options = ParseRedisConf("\xef\xbb\xbfport 7000\n", "f");
  ASSERT_TRUE(options.ok()) << ErrorOf(options);
  EXPECT_EQ(options->port, 7000);
}

// The directives that are not comments in the redis.conf of Redis 7.0 and 7.2 and of Debian 12.
constexpr const char* kShippedByRedis = R"(
bind 127.0.0.1 -::1
protected-mode yes
port 6379
tcp-backlog 511
timeout 0
tcp-keepalive 300
daemonize yes
supervised systemd
pidfile /run/redis/redis-server.pid
loglevel notice
logfile /var/log/redis/redis-server.log
databases 16
always-show-logo no
set-proc-title yes
proc-title-template "{title} {listen-addr} {server-mode}"
locale-collate ""
stop-writes-on-bgsave-error yes
rdbcompression yes
rdbchecksum yes
dbfilename dump.rdb
rdb-del-sync-files no
dir /var/lib/redis
replica-serve-stale-data yes
replica-read-only yes
repl-diskless-sync yes
repl-diskless-sync-delay 5
repl-diskless-sync-max-replicas 0
repl-diskless-load disabled
repl-disable-tcp-nodelay no
replica-priority 100
acllog-max-len 128
lazyfree-lazy-eviction no
lazyfree-lazy-expire no
lazyfree-lazy-server-del no
replica-lazy-flush no
lazyfree-lazy-user-del no
lazyfree-lazy-user-flush no
oom-score-adj no
oom-score-adj-values 0 200 800
disable-thp yes
appendonly no
appendfilename "appendonly.aof"
appenddirname "appendonlydir"
appendfsync everysec
no-appendfsync-on-rewrite no
auto-aof-rewrite-percentage 100
auto-aof-rewrite-min-size 64mb
aof-load-truncated yes
aof-use-rdb-preamble yes
aof-timestamp-enabled no
slowlog-log-slower-than 10000
slowlog-max-len 128
latency-monitor-threshold 0
notify-keyspace-events ""
hash-max-listpack-entries 512
hash-max-listpack-value 64
list-max-listpack-size -2
list-compress-depth 0
set-max-intset-entries 512
set-max-listpack-entries 128
set-max-listpack-value 64
zset-max-listpack-entries 128
zset-max-listpack-value 64
hll-sparse-max-bytes 3000
stream-node-max-bytes 4096
stream-node-max-entries 100
activerehashing yes
client-output-buffer-limit normal 0 0 0
client-output-buffer-limit replica 256mb 64mb 60
client-output-buffer-limit pubsub 32mb 8mb 60
hz 10
dynamic-hz yes
aof-rewrite-incremental-fsync yes
rdb-save-incremental-fsync yes
jemalloc-bg-thread yes
)";

TEST(ParseRedisConf, ReadsWhatRedisShips) {
  Result<Options> options = ParseRedisConf(kShippedByRedis, "redis.conf");
  EXPECT_TRUE(options.ok()) << ErrorOf(options);
}

TEST(ParseRedisConf, ReadsOverDirectivesOfLongAgo) {
  EXPECT_TRUE(ParseRedisConf("lua-replicate-commands yes\n", "f").ok());
}

// -- YAML

TEST(ParseYaml, EmptyIsAllDefaults) {
  Result<Options> nothing = ParseYaml("", "f");
  Result<Options> comment = ParseYaml("# nothing\n", "f");
  ASSERT_TRUE(nothing.ok() && comment.ok());
  EXPECT_EQ(*nothing, *comment);
  EXPECT_THAT(nothing->routes, ElementsAre(RouteOptions{"*", "local"}));
}

TEST(ParseYaml, ReadsTheWholeStructure) {
  Result<Options> options = ParseYaml(R"(
profile: strict
workers: 3
maxclients: 500
latency-tracking: true
client-output-buffer-limit: [normal 1mb 0 0, pubsub 2mb 1mb 5]
listeners:
  - {name: apps, address: "10.0.0.1:7000", proxy_protocol: yes}
  - {name: more, address: ["127.0.0.1:7001", "-[::1]:7001"], cluster: main}
  - {name: sock, unixsocket: /tmp/t.sock, unixsocketperm: 770}
admin: {address: "127.0.0.1:0"}
routes:
  - {match: "item:*", cluster: main}
clusters:
  - {name: main, kind: engine, dir: /srv/t, maxmemory: 4gb,
     maxmemory-policy: allkeys-lfu, appendonly: "no"}
)",
                                      "t.yaml");
  ASSERT_TRUE(options.ok()) << ErrorOf(options);
  EXPECT_EQ(options->profile, Profile::kStrict);
  EXPECT_EQ(options->workers, 3);
  EXPECT_EQ(options->maxclients, 500);
  EXPECT_EQ(options->output_buffer_limit(ClientClass::kPubsub).soft, 1_MiB);
  EXPECT_EQ(options->maxmemory, 4_GiB);
  EXPECT_EQ(options->maxmemory_policy, MaxmemoryPolicy::kAllkeysLfu);
  EXPECT_EQ(options->dir, "/srv/t");
  EXPECT_THAT(options->routes,
              ElementsAre(RouteOptions{"item:*", "main"}, RouteOptions{"*", "main"}));
  EXPECT_THAT(
      options->listeners,
      ElementsAre(ListenerOptions{"apps", {{"10.0.0.1", false}}, 7000, "", 0, true},
                  ListenerOptions{"sock", {}, 0, "/tmp/t.sock", 0770, false},
                  ListenerOptions{
                      "more", {{"127.0.0.1", false}, {"::1", true}}, 7001, "", 0, false, "main"}));
}

TEST(ParseYaml, AdminCanBeOff) {
  for (const char* text : {"admin: off", "admin: {address: off}", "admin: {address: \"off\"}"}) {
    Result<Options> options = ParseYaml(text, "f");
    ASSERT_TRUE(options.ok()) << ErrorOf(options);
    EXPECT_FALSE(options->admin_address.has_value()) << text;
  }
}

TEST(ParseYaml, AdminHasATokenOrAFileOfOne) {
  Result<Options> token = ParseYaml("admin: {address: off, token: 0123456789abcdef}", "f");
  ASSERT_TRUE(token.ok()) << ErrorOf(token);
  EXPECT_EQ(KeptText(*token, kAdminTokenOption), "0123456789abcdef");
  Result<Options> file = ParseYaml("admin: {token_file: /run/token}", "f");
  ASSERT_TRUE(file.ok()) << ErrorOf(file);
  EXPECT_EQ(KeptText(*file, kAdminTokenFileOption), "/run/token");
  EXPECT_EQ(KeptText(*file, kAdminTokenOption), "");
  Result<Options> both = ParseYaml("admin: {token_file: /run/token, token: 0123456789abcdef}", "f");
  EXPECT_EQ(ErrorOf(both), "admin-token and admin-token-file: only one of them can be given");
}

TEST(ParseYaml, MistakesNameLineAndHint) {
  const std::pair<const char*, const char*> cases[] = {
      {"workers: 2\nlistners: []\n", "f:2: unknown key 'listners' (did you mean 'listeners'?)"},
      {"maxclient: 2\n", "f:1: unknown key 'maxclient' (did you mean 'maxclients'?)"},
      {"maxclients: 0\n",
       "f:1: maxclients '0': argument must be between 1 and 4294967295 inclusive"},
      {"maxmemory: 1gb\n",
       "f:1: 'maxmemory' has no meaning here: it belongs into the cluster of kind engine"},
      {"port: 1\n",
       "f:1: 'port' has no meaning here: it is said by 'listeners' (address, unixsocket, "
       "unixsocketperm, proxy_protocol)"},
      {"clusters:\n  - name: a\n    kind: engine\n    maxclients: 1\n",
       "f:4: 'maxclients' has no meaning here: it belongs at the top of the file"},
      {"clusters:\n  - {name: a, kind: engine,\n     maxmemroy: 1}\n",
       "f:3: unknown key 'maxmemroy' (did you mean 'maxmemory'?)"},
      {"clusters:\n  - {name: a, kind: enigne}\n",
       "f:2: unknown kind of cluster 'enigne' (did you mean 'engine'?)"},
      {"listeners:\n  - {name: a, address: \"127.0.0.1:1\", cluster: locla}\n",
       "f:2: no cluster has the name 'locla' (did you mean 'local'?)"},
      {"clusters:\n  - {name: a}\n",
       "f:2: a cluster needs a kind: engine, redis, replicas, sentinel, redis_cluster or ring"},
      {"clusters:\n  - {kind: engine}\n", "f:2: a cluster needs a name"},
      {"clusters:\n  - {name: a, kind: engine}\n  - {name: b, kind: engine}\n",
       "f:1: there is one engine, so only one cluster of kind engine"},
      {"routes:\n  - {match: a, cluster: lcoal}\n",
       "f:2: no cluster has the name 'lcoal' (did you mean 'local'?)"},
      {"routes:\n  - {cluster: local}\n", "f:2: a route needs a match: a pattern of keys"},
      {"routes:\n  - {match: a, cluster: local}\n  - {match: a, cluster: local}\n",
       "f:3: two routes match 'a'"},
      {"routes:\n  - {math: a, match: b, cluster: local}\n",
       "f:2: unknown key 'math' in a route (did you mean 'match'?)"},
      {"listeners:\n  - {name: a, address: \"example.org:1\"}\n",
       "f:2: address must be host:port with an IP address, * or [::]"},
      {"listeners:\n  - {name: a, address: \"*:1\", unixsocket: /x}\n",
       "f:2: a listener has an address or a unixsocket, not both; make it two listeners"},
      {"listeners:\n  - {name: a, address: [\"127.0.0.1:1\", \"[::1]:2\"]}\n",
       "f:2: the addresses of one listener have one port; make it two listeners"},
      {"listeners:\n  - {name: a, address: \"*:1\"}\n  - {name: a, address: \"*:2\"}\n",
       "f:3: two listeners have the name 'a'"},
      {"admin: {adress: off}\n", "f:1: unknown key 'adress' in admin (did you mean 'address'?)"},
      {"admin: {token: short}\n",
       "f:1: admin-token: a token is 16 to 1024 visible ASCII characters without spaces"},
      {"admin-token: 0123456789abcdef\n",
       "f:1: 'admin-token' has no meaning here: it is said by 'admin: {address: ..., token: ..., "
       "token_file: ...}'"},
      {"timeout: 1\ntimeout: 2\n", "f:2: 'timeout' stands here twice"},
      {"requirepass:\n", "f:1: 'requirepass' needs a value; \"\" for an empty one"},
      {"timeout: [1]\n", "f:1: 'timeout' needs a value; \"\" for an empty one"},
      {"- a\n", "f:1: the file must be a map of keys and values"},
  };
  for (const auto& [text, error] : cases) {
    EXPECT_THAT(ErrorOf(ParseYaml(text, "f")), StartsWith(error)) << text;
  }
}

TEST(ParseYaml, RefusesWhatThisVersionDoesNotHave) {
  EXPECT_EQ(ErrorOf(ParseYaml(
                "listeners:\n  - {name: a, address: \"*:1\", tls: {cert: x, key: y}}\n", "f")),
            "f:2: tls: this version of Tidegate has no TLS");
  EXPECT_EQ(
      ErrorOf(ParseYaml(
          "routes:\n  - {match: a, cluster: local, policies: {key_copies: {copies: 4}}}\n", "f")),
      "f:2: unknown key 'key_copies' in policies");
}

TEST(ParseYaml, ListsThatAreNone) {
  for (const char* text :
       {"listeners: 5", "listeners: []", "clusters: {a: b}", "clusters: []", "routes: x",
        "listeners: [5]", "clusters: [5]", "routes: [5]", "admin: [1]",
        "listeners: [{address: \"*:1\"}]", "listeners: [{name: x}]", "? [a]\n: b"}) {
    EXPECT_FALSE(ParseYaml(text, "f").ok()) << text;
  }
}

TEST(ParseYaml, BrokenYamlIsAnErrorWithItsLine) {
  EXPECT_THAT(ErrorOf(ParseYaml("workers: 1\nbind: [\n", "f")), StartsWith("f:"));
  EXPECT_THAT(ErrorOf(ParseYaml("a: b: c\n", "f")), StartsWith("f:1: not valid YAML: "));
  EXPECT_FALSE(ParseYaml("workers: 1\n---\nworkers: 2\n", "f").ok());
  EXPECT_FALSE(ParseYaml(std::string(100'000, '['), "f").ok());
  EXPECT_FALSE(ParseYaml("*nowhere", "f").ok());
}

// yaml-cpp sees document after document in this text, without end.
TEST(ParseYaml, EndsWhereTheLibraryWouldNot) {
  EXPECT_EQ(ErrorOf(ParseYaml(", a\nb: c\n", "f")), "f: more than one YAML document in the file");
}

TEST(ParseYaml, AliasesStandForWhatTheyName) {
  Result<Options> options = ParseYaml("timeout: &seconds 5\ntcp-keepalive: *seconds\n", "f");
  ASSERT_TRUE(options.ok()) << ErrorOf(options);
  EXPECT_EQ(options->tcp_keepalive, std::chrono::seconds(5));
  EXPECT_FALSE(ParseYaml("listeners: &self [*self]\n", "f").ok());
}

TEST(ParseYaml, AliasesCannotBlowItUp) {
  std::string text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n";
  for (int i = 1; i < 12; ++i) {
    const std::string before = "*a" + std::to_string(i - 1);
    text += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [";
    for (int j = 0; j < 10; ++j) text += (j > 0 ? ", " : "") + before;
    text += "]\n";
  }
  EXPECT_THAT(ErrorOf(ParseYaml(text, "f")), HasSubstr("too many nodes"));
}

// Every anchor keeps a copy of what it names: 400 of them inside each other took gigabytes.
TEST(ParseYaml, AnchorsInsideEachOtherCannotBlowItUp) {
  std::string text = "a: ";
  for (int i = 0; i < 400; ++i) text += "&a" + std::to_string(i) + " [";
  for (int i = 0; i < 1000; ++i) text += "x,";
  text += std::string(400, ']');
  EXPECT_THAT(ErrorOf(ParseYaml(text, "f")), HasSubstr("too many nodes"));
}

TEST(ParseYaml, SaysWhenItIsNestedTooDeeply) {
  EXPECT_EQ(ErrorOf(ParseYaml("a: " + std::string(100'000, '['), "f")),
            "f:1: not valid YAML: nested too deeply");
}

// -- the command line and the merge

TEST_F(LoaderTest, NoArgumentsServeOnTheDefaultPort) {
  Result<LoadedConfig> loaded = Load({});
  ASSERT_TRUE(loaded.ok());
  EXPECT_EQ(loaded.value().mode, RunMode::kRun);
  EXPECT_EQ(loaded.value().options.listeners.at(0).port, 6379);
  EXPECT_TRUE(loaded.value().files.empty());
}

TEST_F(LoaderTest, FlagsAreTakenApartAsRedisDoes) {
  Result<LoadedConfig> loaded =
      Load({"--port", "7000", "--bind", "127.0.0.1", "-::1", "--maxmemory=2gb", "--timeout 5",
            "--save", "--appendonly", "no", "--list-max-listpack-size", "-3", "--requirepass",
            "--dashes", "--logfile", ""});
  ASSERT_TRUE(loaded.ok()) << ErrorOf(loaded);
  const Options& options = loaded.value().options;
  EXPECT_EQ(options.port, 7000);
  EXPECT_THAT(options.bind, ElementsAre("127.0.0.1", "-::1"));
  EXPECT_EQ(options.maxmemory, 2_GiB);
  EXPECT_EQ(options.timeout, std::chrono::seconds(5));
  EXPECT_EQ(options.list_max_listpack_size, -3);
  EXPECT_EQ(options.requirepass, "--dashes");
}

TEST_F(LoaderTest, FlagMistakesNameTheCommandLine) {
  EXPECT_EQ(ErrorOf(Load({"--prot", "1"})),
            "command line: unknown option 'prot' (did you mean 'port'?)");
  EXPECT_EQ(ErrorOf(Load({"--port"})), "command line: port '': wrong number of arguments");
  EXPECT_EQ(ErrorOf(Load({"--maxmemory", "1", "2"})),
            "command line: maxmemory '1 2': wrong number of arguments");
  EXPECT_THAT(ErrorOf(Load({"-x"})), HasSubstr("unknown flag '-x'"));
  EXPECT_THAT(ErrorOf(Load({"--=1"})), HasSubstr("has no name"));
  EXPECT_EQ(ErrorOf(Load({"--port", "0"})), "nothing to listen on: no port and no unix socket");
}

TEST_F(LoaderTest, DataLargerThanMemoryNeedsADiskAndAPolicy) {
  EXPECT_THAT(ErrorOf(Load({"--tiered", "yes", "--maxmemory-policy", "allkeys-lru"})),
              HasSubstr("tiered yes needs appendonly yes"));
  EXPECT_THAT(ErrorOf(Load({"--tiered", "yes", "--appendonly", "yes"})),
              HasSubstr("tiered yes needs a maxmemory-policy that evicts"));
  EXPECT_TRUE(
      Load({"--tiered", "yes", "--appendonly", "yes", "--maxmemory-policy", "volatile-ttl"}).ok());
}

TEST_F(LoaderTest, MergesYamlThenRedisConfThenFlags) {
  const std::string yaml = Write("t.yaml",
                                 "timeout: 1\nmaxclients: 1\ntcp-keepalive: 1\n"
                                 "listeners: [{name: a, address: \"127.0.0.1:1\"}]\n");
  const std::string conf = Write("redis.conf", "timeout 2\nmaxclients 2\n");
  // The YAML file wins nothing by standing behind.
  Result<LoadedConfig> loaded = Load({conf, yaml, "--timeout", "3", "--port", "9"});
  ASSERT_TRUE(loaded.ok()) << ErrorOf(loaded);
  const Options& options = loaded.value().options;
  EXPECT_EQ(options.timeout, std::chrono::seconds(3));
  EXPECT_EQ(options.maxclients, 2);
  EXPECT_EQ(options.tcp_keepalive, std::chrono::seconds(1));
  EXPECT_THAT(options.listeners,
              ElementsAre(ListenerOptions{"a", {{"127.0.0.1", false}}, 9, "", 0, false}));
  ASSERT_EQ(loaded.value().files.size(), 2u);
  EXPECT_EQ(loaded.value().files[0].path, conf);
  EXPECT_EQ(loaded.value().files[1].format, ConfigFormat::kYaml);
}

// What is shipped works, without a warning.
TEST_F(LoaderTest, LoadsEveryExample) {
  int examples = 0;
  for (const auto& file :
       std::filesystem::directory_iterator(testing::SourceFolder() + "/config/examples")) {
    Result<LoadedConfig> loaded = Load({file.path().string()});
    EXPECT_TRUE(loaded.ok()) << ErrorOf(loaded);
    if (loaded.ok()) {
      EXPECT_THAT(loaded.value().warnings, ElementsAre()) << file.path();
    }
    ++examples;
  }
  EXPECT_GT(examples, 0);
  EXPECT_TRUE(Load({testing::SourceFolder() + "/config/tidegate.yaml"}).ok());
}

TEST_F(LoaderTest, WarnsOfWhatIsHardlyMeant) {
  EXPECT_THAT(Load({"--maxmemory", "4"}).value().warnings,
              ElementsAre("maxmemory is 4 bytes, less than 1mb; is a unit missing?"));
  EXPECT_THAT(Load({"--maxmemory", "1mb"}).value().warnings, ElementsAre());
  EXPECT_THAT(Load({"--daemonize", "yes"}).value().warnings,
              ElementsAre(HasSubstr("stays in the foreground")));
}

TEST_F(LoaderTest, CheckConfigReportsInsteadOfServing) {
  const std::string good = Write("good.conf", "repl-backlog-size 5mb\n");
  Result<LoadedConfig> loaded = Load({"--check-config", good});
  ASSERT_TRUE(loaded.ok()) << ErrorOf(loaded);
  EXPECT_EQ(loaded.value().mode, RunMode::kCheckConfig);
  EXPECT_EQ(loaded.value().text,
            "warning: " + good +
                ":1: repl-backlog-size is accepted and has no effect in Tidegate\n"
                "configuration is valid\n");
  const std::string bad = Write("bad.yaml", "wrokers: 1\n");
  EXPECT_EQ(ErrorOf(Load({bad, "--check-config"})),
            bad + ":1: unknown key 'wrokers' (did you mean 'workers'?)");
  EXPECT_FALSE(loaded.value().ping_nodes);
  EXPECT_TRUE(Load({"--check-config", good, "--ping"}).value().ping_nodes);
  EXPECT_EQ(ErrorOf(Load({good, "--ping"})), "command line: --ping is a part of --check-config");
}

TEST_F(LoaderTest, PrintsVersionHelpAndGeneratedTexts) {
  for (const char* flag :
       {"--version", "-v", "--help", "-h", "--print-options-doc", "--print-default-config"}) {
    Result<LoadedConfig> loaded = Load({flag});
    ASSERT_TRUE(loaded.ok()) << flag;
    EXPECT_EQ(loaded.value().mode, RunMode::kPrint) << flag;
    EXPECT_FALSE(loaded.value().text.empty()) << flag;
  }
  const char* argv[] = {"tidegate", "--version"};
  EXPECT_THAT(LoadConfig(2, argv)->text, StartsWith("Tidegate v="));
  EXPECT_TRUE(LoadConfig(0, nullptr).ok());
}

TEST_F(LoaderTest, MissingFilesAndDirectoriesAreErrors) {
  EXPECT_THAT(ErrorOf(Load({folder_ + "/none.conf"})), HasSubstr("No such file or directory"));
  EXPECT_THAT(ErrorOf(Load({folder_})), HasSubstr("Is a directory"));
}

TEST_F(LoaderTest, IncludesReadFilesAndPatterns) {
  Write("a1.conf", "timeout 11\nmaxclients 11\n");
  Write("a2.conf", "timeout 12\n");
  const std::string main = Write("main.conf", "include \"" + folder_ + "/a*.conf\"\ninclude " +
                                                  folder_ + "/none*.conf\ntcp-keepalive 7\n");
  Result<LoadedConfig> loaded = Load({main});
  ASSERT_TRUE(loaded.ok()) << ErrorOf(loaded);
  EXPECT_EQ(loaded.value().options.timeout, std::chrono::seconds(12));
  EXPECT_EQ(loaded.value().options.maxclients, 11);
  EXPECT_EQ(loaded.value().options.tcp_keepalive, std::chrono::seconds(7));
  const std::string missing = Write("missing.conf", "include " + folder_ + "/none.conf\n");
  EXPECT_THAT(ErrorOf(Load({missing})), StartsWith(missing + ":1: include: "));
}

TEST_F(LoaderTest, MistakesInIncludesNameTheIncludedFile) {
  const std::string inner = Write("inner.conf", "\nprot 1\n");
  const std::string outer = Write("outer.conf", "include " + inner + "\n");
  EXPECT_THAT(ErrorOf(Load({outer})), StartsWith(inner + ":2: unknown option 'prot'"));
}

TEST_F(LoaderTest, AFileThatIncludesItselfEnds) {
  const std::string path = folder_ + "/self.conf";
  Write("self.conf", "include " + path + "\n");
  EXPECT_THAT(ErrorOf(Load({path})), HasSubstr("include each other too deeply"));
}

TEST_F(LoaderTest, ExamplesAndShippedConfigAreValid) {
  int checked = 0;
  const std::filesystem::path folder(testing::SourceFolder() + "/config");
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
    const std::string extension = entry.path().extension();
    if (extension != ".yaml" && extension != ".conf") continue;
    Result<LoadedConfig> loaded = Load({"--check-config", entry.path().string()});
    EXPECT_TRUE(loaded.ok()) << ErrorOf(loaded);
    ++checked;
  }
  EXPECT_GE(checked, 3);
}

}  // namespace
}  // namespace tidegate
