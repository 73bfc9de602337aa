// What the configuration says about clusters: who serves requests, and how they are reached.
//
// The engine is one of them; its own settings are members of Options. All others are Redis (or
// Valkey) servers of somebody else's, in one of the five ways in which people run them. A kind says
// how nodes are found and chosen, so that a route need not know; what only one kind has is a struct
// of its own. Plain values, compared when a reload asks whether anything changed;
// config/yaml_clusters.cc reads them, docs/upstreams.md explains them.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tidegate {

// A TCP address; port 0 of one of our own lets the system pick a free one.
struct HostPort {
  std::string host;  // IPv4 or IPv6 literal, without brackets; of a node also a name
  uint16_t port = 0;

  friend bool operator==(const HostPort&, const HostPort&) = default;
};

enum class ClusterKind : uint8_t {
  kEngine,        // of which there is exactly one
  kRedis,         // one node
  kReplicas,      // a primary and its replicas; who is which, is found out
  kSentinel,      // the same, followed through failovers by asking sentinels
  kRedisCluster,  // 16384 slots; `nodes` are where to begin asking
  kRing,          // consistent hashing over independent nodes
};

inline constexpr std::array<std::string_view, 6> kClusterKindNames = {
    "engine", "redis", "replicas", "sentinel", "redis_cluster", "ring"};
constexpr std::string_view KindName(ClusterKind kind) {
  return kClusterKindNames[static_cast<size_t>(kind)];
}

// Which nodes answer reads, where a primary has replicas.
enum class ReadFrom : uint8_t {
  kPrimary,
  kPreferReplica,  // the primary when no replica may be read
  kAny,
};
inline constexpr std::array<std::string_view, 3> kReadFromNames = {"primary", "prefer-replica",
                                                                   "any"};

// Of a ring, by twemproxy's names; proxy/topology/ has what they mean.
inline constexpr std::array<std::string_view, 12> kRingHashNames = {
    "one_at_a_time", "md5",     "crc16",    "crc32", "crc32a", "fnv1_64",
    "fnv1a_64",      "fnv1_32", "fnv1a_32", "hsieh", "murmur", "jenkins"};
inline constexpr std::array<std::string_view, 3> kRingDistributionNames = {"ketama", "modula",
                                                                           "random"};

// A node that the configuration names.
struct UpstreamNodeOptions {
  HostPort address;
  // Of kRing: what places it on the ring; empty: as twemproxy names it, by its address.
  std::string name = {};
  uint32_t weight = 1;  // of kRing

  friend bool operator==(const UpstreamNodeOptions&, const UpstreamNodeOptions&) = default;
};

enum class TlsVersion : uint8_t { k12, k13 };
inline constexpr std::array<std::string_view, 2> kTlsVersionNames = {"1.2", "1.3"};

// How a cluster's nodes and sentinels are spoken to. Of files only the paths.
struct TlsOptions {
  bool enabled = false;
  // Who is trusted: both empty: whom the system trusts.
  std::string ca_file = {};
  std::string ca_directory = {};
  // What we show of ourselves; both or none.
  std::string cert_file = {};
  std::string key_file = {};
  std::string server_name = {};  // that certificates must have; empty: the host of each node
  bool verify = true;
  TlsVersion version_min = TlsVersion::k12;
  std::string ciphers = {};       // of 1.2, as OpenSSL writes them; empty: its default
  std::string ciphersuites = {};  // of 1.3

  friend bool operator==(const TlsOptions&, const TlsOptions&) = default;
};

struct SentinelOptions {
  std::string primary_name = {};  // "mymaster"
  std::string username = {};
  std::string password = {};
  std::optional<TlsOptions> tls = {};  // none: as the nodes

  friend bool operator==(const SentinelOptions&, const SentinelOptions&) = default;
};

struct RingClusterOptions {
  std::string hash = "fnv1a_64";
  std::string distribution = "ketama";
  std::string hash_tag = {};  // two characters; empty: the whole key
  // A node that failed so often in a row leaves the ring, until it answers again. 0: never, then
  // its keys have errors; a cache may prefer the other nodes, data may not.
  int eject_after_failures = 0;
  std::chrono::milliseconds eject_time{30'000};

  friend bool operator==(const RingClusterOptions&, const RingClusterOptions&) = default;
};

struct ClusterOptions {
  std::string name;
  ClusterKind kind = ClusterKind::kEngine;
  // One for kRedis; of kSentinel the sentinels.
  std::vector<UpstreamNodeOptions> nodes = {};
  std::string username = {};         // empty: "default"
  std::string password = {};         // empty: none is said
  std::optional<int> database = {};  // what clients have as 0, and their only one; none: the same
  int protocol = 3;                  // 2: the nodes have no HELLO 3
  std::chrono::milliseconds connect_timeout{1000};  // to the end of the handshake
  std::chrono::milliseconds request_timeout{5000};
  int connections = 1;  // of each worker to each node, for each database and protocol
  // Of each worker to each node, for sessions that need one to themselves: they watch keys, wait in
  // a blocking command, or subscribe. And sessions that may wait for one.
  int private_connections = 256;
  int private_queue = 1024;
  // Of each worker at each node: requests without a reply before further ones are refused. A client
  // has 256 at most, so it is 256 clients with full pipelines; and what a node that answers 100,000
  // requests a second has done long before request-timeout.
  int max_in_flight = 65536;
  // What opens the circuit breaker of a node: failures in a row, and their share of the recent
  // requests. 0: not.
  int breaker_failures = 5;
  int breaker_error_percent = 50;
  // Of kReplicas, kSentinel and kRedisCluster.
  ReadFrom read_from = ReadFrom::kPrimary;
  // A route's replica_fanout reads replicas: what they have is asked for. The routes say so, at the
  // end of the reading.
  bool fans_out = false;
  int retry_percent = 20;  // reads sent once more, of all requests of the node that failed
  std::chrono::milliseconds replica_lag_max{10'000};      // replicas that are further behind
                                                          // are not read
  std::chrono::milliseconds refresh_interval{5000};       // how often the topology is asked for
  std::chrono::milliseconds health_check_interval{1000};  // 0: nodes are not asked by PING
  int probe_big_keys = 0;  // keys a second that are asked for their size; 0: none
  SentinelOptions sentinel = {};
  RingClusterOptions ring = {};
  TlsOptions tls = {};

  const TlsOptions& sentinel_tls() const { return sentinel.tls ? *sentinel.tls : tls; }
  bool is_upstream() const { return kind != ClusterKind::kEngine; }

  friend bool operator==(const ClusterOptions&, const ClusterOptions&) = default;
};

// Where a declared command's keys stand among its arguments; the command itself is number 0.
struct KeyRuleOptions {
  enum class Kind : uint8_t {
    kNone,             // it goes to the cluster of the route "*"
    kRange,            // first .. last (negative: from the end), every `step`
    kCounted,          // behind argument `first`, which says how many
    kTargetAndCounted  // argument 1, and as kCounted
  };
  Kind kind = Kind::kRange;
  int first = 1;
  int last = 1;
  int step = 1;

  friend bool operator==(const KeyRuleOptions&, const KeyRuleOptions&) = default;
};

// A command that Tidegate does not know, of a module for example, and that upstreams execute.
struct DeclaredCommandOptions {
  std::string name;  // upper case; "JSON.*" is all that begin so
  KeyRuleOptions keys = {};
  bool is_read = false;  // it changes nothing, so a replica may answer it

  friend bool operator==(const DeclaredCommandOptions&, const DeclaredCommandOptions&) = default;
};
inline constexpr size_t kDeclaredCommandsMax = 256;
inline constexpr size_t kDeclaredNameBytesMax = 31;
// Argument number of a count of keys.
inline constexpr int kKeyCountArgumentMax = 3;

}  // namespace tidegate
