#include "config/yaml_clusters.h"

#include <string>
#include <utility>
#include <vector>

#include "config/loader.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "proxy/topology/ketama.h"
#include "proxy/topology/ring_hash.h"

namespace tidegate {
namespace {

using std::chrono::milliseconds;
using testing::ElementsAre;
using testing::StartsWith;

std::string ErrorOf(const Result<Options>& options) {
  return options.ok() ? "" : options.error().message;
}

// The first cluster of a file with the given lines in it.
ClusterOptions ClusterOf(const std::string& text) {
  Result<Options> options = ParseYaml("clusters:\n  - " + text + "\n", "f");
  EXPECT_TRUE(options.ok()) << text << ": " << ErrorOf(options);
  return options.ok() ? options->clusters[0] : ClusterOptions{};
}

TEST(YamlClusters, OneNode) {
  Result<Options> options = ParseYaml(R"(
clusters:
  - name: cache
    kind: redis
    nodes: ["redis.internal:6390"]
    username: app
    password: secret
    database: 3
    protocol: 2
    connect-timeout: 250ms
    request-timeout: 2s
    connections: 4
    private-connections: 7
    private-queue: 9
    max-in-flight: 100
    breaker-failures: 0
    breaker-error-percent: 75
    probe-big-keys: 200
  - {name: local, kind: redis, nodes: ["[::1]:1"], max-in-flight: auto}
routes:
  - {match: "a:*", cluster: local}
)",
                                      "f");
  ASSERT_TRUE(options.ok()) << options.error().message;
  ASSERT_EQ(options->clusters.size(), 3u);
  EXPECT_EQ(options->clusters[0], (ClusterOptions{.name = "cache",
                                                  .kind = ClusterKind::kRedis,
                                                  .nodes = {{.address = {"redis.internal", 6390}}},
                                                  .username = "app",
                                                  .password = "secret",
                                                  .database = 3,
                                                  .protocol = 2,
                                                  .connect_timeout = std::chrono::milliseconds(250),
                                                  .request_timeout = std::chrono::seconds(2),
                                                  .connections = 4,
                                                  .private_connections = 7,
                                                  .private_queue = 9,
                                                  .max_in_flight = 100,
                                                  .breaker_failures = 0,
                                                  .breaker_error_percent = 75,
                                                  .probe_big_keys = 200}));
  EXPECT_EQ(options->clusters[1].nodes[0].address, (HostPort{"::1", 1}));
  EXPECT_EQ(options->clusters[1].database, std::nullopt);
  EXPECT_EQ(options->clusters[1].max_in_flight, 0);
  // The engine is there also when the file does not name it, under a name that is free.
  EXPECT_EQ(options->clusters[2], (ClusterOptions{"engine-local", ClusterKind::kEngine}));
  EXPECT_THAT(options->routes,
              ElementsAre(RouteOptions{"a:*", "local"}, RouteOptions{"*", "cache"}));
}

TEST(YamlClusters, RefusesWhatMakesNoSense) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"}", "f:2: a cluster of kind redis needs nodes: [\"host:port\"]"},
      {", nodes: a:1}", "f:2: nodes: a cluster of kind redis has exactly one"},
      {", nodes: [\"a:1\", \"b:2\"]}", "f:2: nodes: a cluster of kind redis has exactly one"},
      {", nodes: [a]}", "f:2: a node must be host:port, not 'a'"},
      {", nodes: [\"a:0\"]}", "f:2: a node must be host:port, not 'a:0'"},
      {", nodes: [\"a:1\"], maxmemory: 1gb}", "f:2: unknown key 'maxmemory' in a cluster of kind"},
      {", nodes: [\"a:1\"], pasword: x}",
       "f:2: unknown key 'pasword' in a cluster of kind redis (did you mean 'password'?)"},
      {", nodes: [\"a:1\"], username: x}", "f:2: a cluster with a username needs a password"},
      {", nodes: [\"a:1\"], protocol: 4}", "f:2: 'protocol' must be a number from 2 to 3"},
      {", nodes: [\"a:1\"], database: -1}", "f:2: 'database' must be a number from 0 to"},
      {", nodes: [\"a:1\"], connections: 0}", "f:2: 'connections' must be a number from 1 to 64"},
      {", nodes: [\"a:1\"], max-in-flight: 0}", "f:2: 'max-in-flight' must be a number from 1 to"},
      {", nodes: [\"a:1\"], probe-big-keys: 10001}",
       "f:2: 'probe-big-keys' must be a number from 0 to 10000"},
      {", nodes: [\"a:1\"], breaker-error-percent: 101}",
       "f:2: 'breaker-error-percent' must be a number from 0 to 100"},
      {", nodes: [\"a:1\"], retry-percent: 20}",
       "f:2: a cluster of kind redis has no 'retry-percent'"},
      {", nodes: [\"a:1\"], request-timeout: 5}", "f:2: 'request-timeout' must be a time with a"},
      {", nodes: [\"a:1\"], connect-timeout: 0ms}", "f:2: 'connect-timeout' must be a time with a"},
  };
  for (const auto& [rest, error] : cases) {
    EXPECT_THAT(ErrorOf(ParseYaml("clusters:\n  - {name: a, kind: redis" + rest + "\n", "f")),
                StartsWith(error))
        << rest;
  }
  EXPECT_THAT(
      ErrorOf(ParseYaml("clusters:\n  - {name: a, kind: engine}\n  - {name: a, kind: redis, "
                        "nodes: [\"b:1\"]}\n",
                        "f")),
      StartsWith("f:3: two clusters have the name 'a'"));
}

TEST(YamlClusters, Tls) {
  const std::string begin = "{name: a, kind: redis, nodes: [\"a:1\"], tls: ";
  EXPECT_EQ(ClusterOf(begin + "true}").tls, TlsOptions{.enabled = true});
  EXPECT_EQ(ClusterOf(begin + "false}").tls, TlsOptions{});
  EXPECT_EQ(ClusterOf(begin + "{}}").tls, TlsOptions{.enabled = true});
  EXPECT_EQ(ClusterOf(begin + "{ca-file: c, ca-dir: d, cert-file: e, key-file: k, server-name: n, "
                              "min-version: 1.3, ciphers: x, ciphersuites: y}}")
                .tls,
            (TlsOptions{.enabled = true,
                        .ca_file = "c",
                        .ca_directory = "d",
                        .cert_file = "e",
                        .key_file = "k",
                        .server_name = "n",
                        .version_min = TlsVersion::k13,
                        .ciphers = "x",
                        .ciphersuites = "y"}));
  EXPECT_FALSE(ClusterOf(begin + "{verify: false}}").tls.verify);
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"maybe}", "f:2: 'tls' must be true or false, not 'maybe'"},
      {"[a]}", "f:2: 'tls' needs a single value"},
      {"{verify: 1}}", "f:2: 'verify' must be true or false, not '1'"},
      {"{min-version: 1.1}}", "f:2: 'min-version' must be 1.2 or 1.3, not '1.1'"},
      {"{ca-flie: x}}", "f:2: unknown key 'ca-flie' in tls (did you mean 'ca-file'?)"},
      {"{cert-file: x}}", "f:2: tls needs both of cert-file and key-file, or none"},
      {"{ca-file: \"\"}}", "f:2: 'ca-file' is empty; leave it away instead"},
      {"{verify: false, ca-file: x}}",
       "f:2: tls with verify: false looks at no ca-file and no ca-dir"},
  };
  for (const auto& [rest, error] : cases) {
    EXPECT_EQ(ErrorOf(ParseYaml("clusters:\n  - " + begin + rest + "\n", "f")), error) << rest;
  }
  const std::string sentinel =
      "{name: a, kind: sentinel, nodes: [\"a:1\"], primary-name: m, tls: true, ";
  EXPECT_EQ(ClusterOf(sentinel + "sentinel-username: u, sentinel-password: p}").sentinel_tls(),
            TlsOptions{.enabled = true});
  EXPECT_EQ(ClusterOf(sentinel + "sentinel-tls: false}").sentinel_tls(), TlsOptions{});
  EXPECT_EQ(ClusterOf(sentinel + "sentinel-tls: {ca-file: c}}").sentinel_tls(),
            (TlsOptions{.enabled = true, .ca_file = "c"}));
  EXPECT_EQ(ErrorOf(ParseYaml("clusters:\n  - " + sentinel + "sentinel-tls: {cert-file: x}}", "f")),
            "f:2: sentinel-tls needs both of cert-file and key-file, or none");
  EXPECT_EQ(ErrorOf(ParseYaml("clusters:\n  - " + sentinel + "sentinel-tls: {ca: x}}", "f")),
            "f:2: unknown key 'ca' in sentinel-tls");
  EXPECT_EQ(ErrorOf(ParseYaml("clusters:\n  - " + begin + "true, sentinel-tls: true}", "f")),
            "f:2: a cluster of kind redis has no 'sentinel-tls'; it is of kind sentinel");
  EXPECT_THAT(ErrorOf(ParseYaml("clusters:\n  - {name: a, kind: engine, tls: true}\n", "f")),
              StartsWith("f:2: "));
}

TEST(YamlClusters, EveryKind) {
  EXPECT_EQ(
      ClusterOf(
          "{name: a, kind: replicas, nodes: [\"a:1\", {address: \"b:2\"}], "
          "read-from: prefer-replica, retry-percent: 5, replica-lag-max: 3s, refresh-interval: 2s, "
          "health-check-interval: 0}"),
      (ClusterOptions{.name = "a",
                      .kind = ClusterKind::kReplicas,
                      .nodes = {{.address = {"a", 1}}, {.address = {"b", 2}}},
                      .read_from = ReadFrom::kPreferReplica,
                      .retry_percent = 5,
                      .replica_lag_max = milliseconds(3000),
                      .refresh_interval = milliseconds(2000),
                      .health_check_interval = milliseconds(0)}));
  EXPECT_EQ(ClusterOf("{name: a, kind: sentinel, nodes: [\"s:26379\"], primary-name: m, "
                      "sentinel-username: u, sentinel-password: p, database: 2, password: q}"),
            (ClusterOptions{.name = "a",
                            .kind = ClusterKind::kSentinel,
                            .nodes = {{.address = {"s", 26379}}},
                            .password = "q",
                            .database = 2,
                            .sentinel = {"m", "u", "p"}}));
  EXPECT_EQ(
      ClusterOf("{name: a, kind: redis_cluster, nodes: [\"[::1]:7000\", \"c:1\"], read-from: any}"),
      (ClusterOptions{.name = "a",
                      .kind = ClusterKind::kRedisCluster,
                      .nodes = {{.address = {"::1", 7000}}, {.address = {"c", 1}}},
                      .read_from = ReadFrom::kAny}));
}

TEST(YamlClusters, RingAsTwemproxyWritesIt) {
  const ClusterOptions ring = ClusterOf(
      "{name: a, kind: ring, hash: crc32a, distribution: modula, hash-tag: \"{}\", "
      "eject-after-failures: 3, eject-time: 2s, nodes: [\"a:1\", \"b:2:5\", \"127.0.0.1:3:7 n "
      "one\", "
      "\"[::1]:4:2 six\", \"c:5 five\", {address: \"d:6\", weight: 9, name: x}]}");
  EXPECT_THAT(
      ring.nodes,
      ElementsAre(UpstreamNodeOptions{{"a", 1}}, UpstreamNodeOptions{{"b", 2}, "", 5},
                  UpstreamNodeOptions{{"127.0.0.1", 3}, "n one", 7},
                  UpstreamNodeOptions{{"::1", 4}, "six", 2},
                  UpstreamNodeOptions{{"c", 5}, "five", 1}, UpstreamNodeOptions{{"d", 6}, "x", 9}));
  EXPECT_EQ(ring.ring, (RingClusterOptions{.hash = "crc32a",
                                           .distribution = "modula",
                                           .hash_tag = "{}",
                                           .eject_after_failures = 3,
                                           .eject_time = milliseconds(2000)}));
}

// The names that are accepted are those that the ring has.
TEST(YamlClusters, NamesOfTheRing) {
  EXPECT_EQ(kRingHashNames.size(), static_cast<size_t>(topology::kRingHashCount));
  for (const std::string_view name : kRingHashNames)
    EXPECT_TRUE(topology::ParseRingHash(name).has_value()) << name;
  for (const std::string_view name : kRingDistributionNames)
    EXPECT_TRUE(topology::ParseDistribution(name).has_value()) << name;
}

TEST(YamlClusters, MistakesOfEveryKind) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"replicas}", "f:2: a cluster of kind replicas needs nodes: [\"host:port\"]"},
      {"replicas, nodes: []}", "f:2: nodes: a cluster of kind replicas has a list of them"},
      {"replicas, nodes: [\"a:1\", \"A:1\"]}", "f:2: two nodes have the address 'A:1'"},
      {"replicas, nodes: [\"a:1:3 x\"]}", "f:2: a node must be host:port, not 'a:1:3 x'"},
      {"replicas, nodes: [\"redis://a:1\"]}", "f:2: a node must be host:port, not 'redis://a:1'"},
      {"replicas, nodes: [\"a:1, b:2\"]}", "f:2: a node must be host:port, not 'a:1, b:2'"},
      {"replicas, nodes: [{address: \"a:1\", weight: 2}]}",
       "f:2: only the nodes of a ring have a weight"},
      {"replicas, nodes: [{adress: \"a:1\"}]}",
       "f:2: unknown key 'adress' in a node (did you mean 'address'?)"},
      {"replicas, nodes: [{name: x}]}", "f:2: only the nodes of a ring have a name"},
      {"replicas, nodes: [\"a:1\"], hash: md5}",
       "f:2: a cluster of kind replicas has no 'hash'; it is of kind ring"},
      {"replicas, nodes: [\"a:1\"], primary-name: m}",
       "f:2: a cluster of kind replicas has no 'primary-name'; it is of kind sentinel"},
      {"redis, nodes: [\"a:1\"], read-from: any}",
       "f:2: a cluster of kind redis has no 'read-from'; it is of kind replicas, sentinel, "
       "redis_cluster"},
      {"redis_cluster, nodes: [\"a:1\"], database: 1}",
       "f:2: a cluster of kind redis_cluster has no 'database'; it is of kind redis, replicas, "
       "sentinel, ring"},
      {"replicas, nodes: [\"a:1\"], read-from: replica}",
       "f:2: unknown read-from 'replica'; there are: primary, prefer-replica, any"},
      {"replicas, nodes: [\"a:1\"], refresh-interval: 10ms}",
       "f:2: 'refresh-interval' must be a time with a unit, as 250ms or 5s, at least 100ms and at "
       "most 1h"},
      {"replicas, nodes: [\"a:1\"], health-check-interval: 5}",
       "f:2: 'health-check-interval' must be a time with a unit"},
      {"sentinel, nodes: [\"a:1\"]}", "f:2: a cluster of kind sentinel needs a primary-name"},
      {"sentinel, nodes: [\"a:1\"], primary-name: m, sentinel-username: u}",
       "f:2: a cluster with a sentinel-username needs a sentinel-password"},
      {"ring, nodes: [\"a:1\"], hash: fnv1a_46}",
       "f:2: unknown hash 'fnv1a_46' (did you mean 'fnv1a_64'?); there are: one_at_a_time, "},
      {"ring, nodes: [\"a:1\"], distribution: maglev}",
       "f:2: unknown distribution 'maglev'; there are: ketama, modula, random"},
      {"ring, nodes: [\"a:1\"], hash-tag: \"{\"}", "f:2: 'hash-tag' must be two characters"},
      {"ring, nodes: [\"a:1:0 x\"]}",
       "f:2: the weight of a node must be a number from 1 to 100000, not '0'"},
      {"ring, nodes: [{address: \"a:1\", weight: -1}]}",
       "f:2: the weight of a node must be a number from 1 to 100000, not '-1'"},
      {"ring, nodes: [\"a:1:1 x\", \"a:2:1 x\"]}", "f:2: two nodes have the name 'x'"},
      {"ring, nodes: [\"/run/redis.sock:1\"]}",
       "f:2: a node must be host:port or host:port:weight name, not '/run/redis.sock:1'"},
      {"ring, nodes: [\"a:1\"], eject-after-failures: -1}",
       "f:2: 'eject-after-failures' must be a number from 0 to"},
  };
  for (const auto& [rest, error] : cases) {
    EXPECT_THAT(ErrorOf(ParseYaml("clusters:\n  - {name: a, kind: " + rest + "\n", "f")),
                StartsWith(error))
        << rest;
  }
}

TEST(YamlClusters, ShipsWhatItDocuments) {
  for (const UpstreamKey& key : UpstreamKeys()) {
    EXPECT_FALSE(key.help.empty() || key.initial.empty() || key.values.empty()) << key.name;
    EXPECT_NE(key.kinds, 0) << key.name;
  }
}

}  // namespace
}  // namespace tidegate
