#include "config/yaml_clusters.h"

#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include "base/text.h"
#include "config/near_miss.h"
#include "config/option_value.h"
#include "config/yaml_tls.h"

namespace tidegate {
namespace {

// Connections of one worker to a node, for one database and protocol. More would take the batching
// of requests away, which is what makes a shared connection fast.
constexpr int kUpstreamConnectionsMax = 64;
// As many as a Redis lets in unless it is told otherwise.
constexpr int kUpstreamPrivateConnectionsMax = 10'000;
constexpr int kUpstreamPrivateQueueMax = 100'000;
constexpr int kUpstreamInFlightMax = 1'000'000;
// Above it the probe would be a load of its own for the nodes.
constexpr int kProbedKeysMax = 10'000;
constexpr int kBreakerFailuresMax = 1'000'000;
constexpr int kPercentMax = 100;
// Redis takes no more databases than an int counts; so many nobody has.
constexpr int kUpstreamDatabaseMax = 1'000'000;
// As many as a ring can have.
constexpr size_t kUpstreamNodesMax = 4096;
// With so many nodes of it their sum still fits where twemproxy counts it.
constexpr int kNodeWeightMax = 100'000;
constexpr int kEjectAfterFailuresMax = 1'000'000;
constexpr std::chrono::milliseconds kUpstreamTimeoutMax = std::chrono::hours(1);
// To ask more often costs the nodes more than it tells.
constexpr std::chrono::milliseconds kAskIntervalMin{100};

constexpr ClusterKinds kRedis = KindBit(ClusterKind::kRedis);
constexpr ClusterKinds kReplicas = KindBit(ClusterKind::kReplicas);
constexpr ClusterKinds kSentinel = KindBit(ClusterKind::kSentinel);
constexpr ClusterKinds kRedisCluster = KindBit(ClusterKind::kRedisCluster);
constexpr ClusterKinds kRing = KindBit(ClusterKind::kRing);
constexpr ClusterKinds kWithReplicas = kReplicas | kSentinel | kRedisCluster;
constexpr ClusterKinds kWithDatabases = kRedis | kReplicas | kSentinel | kRing;
constexpr ClusterKinds kEvery = kWithReplicas | kRedis | kRing;

std::string Quoted(std::string_view text) { return "'" + Excerpt(text) + "'"; }

int ReadInteger(YamlContext& context, const ConfigNode& entry, int least, int most) {
  const std::optional<int64_t> value = ParseInt64(context.ScalarOf(entry));
  if (value && *value >= least && *value <= most) return static_cast<int>(*value);
  context.Fail(entry, "'" + entry.key + "' must be a number from " + std::to_string(least) +
                          " to " + std::to_string(most));
  return least;
}

std::chrono::milliseconds ReadTime(YamlContext& context, const ConfigNode& entry,
                                   std::chrono::milliseconds least) {
  const std::optional<std::chrono::milliseconds> time = ParseDuration(context.ScalarOf(entry));
  if (time && *time >= least && *time <= kUpstreamTimeoutMax) return *time;
  const std::string from = least.count() <= 1 ? "above 0" : "at least " + PrintDuration(least);
  context.Fail(entry, "'" + entry.key + "' must be a time with a unit, as 250ms or 5s, " + from +
                          " and at most " + PrintDuration(kUpstreamTimeoutMax));
  return kUpstreamTimeoutMax;
}

std::chrono::milliseconds ReadTimeout(YamlContext& context, const ConfigNode& entry) {
  return ReadTime(context, entry, std::chrono::milliseconds(1));
}

// As above; 0 is never.
std::chrono::milliseconds ReadInterval(YamlContext& context, const ConfigNode& entry) {
  if (entry.is_scalar() && ParseDuration(entry.scalar) == std::chrono::milliseconds(0))
    return std::chrono::milliseconds(0);
  return ReadTime(context, entry, kAskIntervalMin);
}

// Index into `names`; the first after a mistake.
size_t ReadName(YamlContext& context, const ConfigNode& entry,
                std::span<const std::string_view> names) {
  const std::string value = context.ScalarOf(entry);
  const auto found = std::find(names.begin(), names.end(), value);
  if (found != names.end()) return static_cast<size_t>(found - names.begin());
  if (!entry.is_scalar()) return 0;
  std::string all;
  for (const std::string_view name : names) all += (all.empty() ? "" : ", ") + std::string(name);
  context.Fail(entry, "unknown " + entry.key + " " + Quoted(value) +
                          DidYouMean(NearestName(value, names)) + "; there are: " + all);
  return 0;
}

// --- nodes ---

std::optional<HostPort> ParseNodeAddress(std::string_view text) {
  std::optional<HostPort> address = ParseHostPort(text);
  const bool is_place = address && address->port != 0 && address->host != "*";
  // What is no character of a name: somebody forgot a comma, or wrote a URL.
  if (!is_place || address->host.find_first_of(" \t/@,\"'") != std::string::npos)
    return std::nullopt;
  return address;
}

std::optional<uint32_t> ParseWeight(std::string_view text) {
  const std::optional<int64_t> weight = ParseInt64(text);
  if (!weight || *weight < 1 || *weight > kNodeWeightMax) return std::nullopt;
  return static_cast<uint32_t>(*weight);
}

std::string BadWeight(std::string_view text) {
  return "the weight of a node must be a number from 1 to " + std::to_string(kNodeWeightMax) +
         ", not " + Quoted(text);
}

// "host:port", and of a ring "host:port:weight name" with both at will.
std::optional<UpstreamNodeOptions> ReadNodeText(YamlContext& context, const ConfigNode& item,
                                                bool is_ring) {
  std::string_view text = item.scalar;
  UpstreamNodeOptions node;
  const size_t space = is_ring ? text.find(' ') : std::string_view::npos;
  if (space != std::string_view::npos) {
    node.name = text.substr(space + 1);
    text = text.substr(0, space);
  }
  std::optional<HostPort> address = ParseNodeAddress(text);
  const size_t colon = text.rfind(':');
  if (!address && is_ring && colon != std::string_view::npos) {
    address = ParseNodeAddress(text.substr(0, colon));
    const std::optional<uint32_t> weight = ParseWeight(text.substr(colon + 1));
    if (address && !weight) {
      context.Fail(item, BadWeight(text.substr(colon + 1)));
      return std::nullopt;
    }
    node.weight = weight.value_or(1);
  }
  if (!address) {
    const std::string form = is_ring ? "host:port or host:port:weight name" : "host:port";
    context.Fail(item, "a node must be " + form + ", not " + Quoted(item.scalar));
    return std::nullopt;
  }
  node.address = std::move(*address);
  return node;
}

std::optional<UpstreamNodeOptions> ReadNodeMap(YamlContext& context, const ConfigNode& item,
                                               bool is_ring) {
  static constexpr std::array<std::string_view, 3> kNodeKeys = {"address", "name", "weight"};
  std::optional<HostPort> address;
  UpstreamNodeOptions node;
  for (const ConfigNode& entry : item.items) {
    if (entry.key == "address") {
      address = ParseNodeAddress(context.ScalarOf(entry));
    } else if (!is_ring && (entry.key == "name" || entry.key == "weight")) {
      context.Fail(entry, "only the nodes of a ring have a " + entry.key);
    } else if (entry.key == "name") {
      node.name = context.ScalarOf(entry);
    } else if (entry.key == "weight") {
      const std::optional<uint32_t> weight = ParseWeight(context.ScalarOf(entry));
      if (!weight) context.Fail(entry, BadWeight(entry.scalar));
      node.weight = weight.value_or(1);
    } else {
      context.Fail(entry, "unknown key " + Quoted(entry.key) + " in a node" +
                              DidYouMean(NearestName(entry.key, kNodeKeys)));
    }
  }
  if (!address) {
    context.Fail(item, "a node needs an address: \"host:port\"");
    return std::nullopt;
  }
  node.address = std::move(*address);
  return node;
}

std::string TextOf(const HostPort& address) {
  const bool v6 = address.host.find(':') != std::string::npos;
  return (v6 ? "[" + address.host + "]" : address.host) + ":" + std::to_string(address.port);
}

void AddNode(YamlContext& context, const ConfigNode& item, UpstreamNodeOptions node,
             ClusterOptions& cluster) {
  constexpr size_t kNameBytesMax = 261;  // as long as a host name and its port
  for (const UpstreamNodeOptions& other : cluster.nodes) {
    if (other.address.port == node.address.port &&
        EqualsIgnoreCase(other.address.host, node.address.host))
      return context.Fail(item, "two nodes have the address " + Quoted(TextOf(node.address)));
    if (!node.name.empty() && other.name == node.name)
      return context.Fail(item, "two nodes have the name " + Quoted(node.name));
  }
  if (node.name.size() > kNameBytesMax)
    return context.Fail(
        item, "the name of a node is longer than " + std::to_string(kNameBytesMax) + " bytes");
  cluster.nodes.push_back(std::move(node));
}

void ReadNodes(YamlContext& context, const ConfigNode& entry, ClusterOptions& cluster) {
  const std::string kind(KindName(cluster.kind));
  if (cluster.kind == ClusterKind::kRedis && (!entry.is_list() || entry.items.size() != 1)) {
    return context.Fail(
        entry,
        "nodes: a cluster of kind redis has exactly one: [\"host:port\"]; several are "
        "nodes of kind replicas, sentinel, redis_cluster or ring");
  }
  if (!entry.is_list() || entry.items.empty())
    return context.Fail(
        entry, "nodes: a cluster of kind " + kind + " has a list of them: [\"host:port\", …]");
  if (entry.items.size() > kUpstreamNodesMax)
    return context.Fail(entry, "nodes: more than " + std::to_string(kUpstreamNodesMax));
  const bool is_ring = cluster.kind == ClusterKind::kRing;
  for (const ConfigNode& item : entry.items) {
    std::optional<UpstreamNodeOptions> node =
        item.is_map() ? ReadNodeMap(context, item, is_ring) : ReadNodeText(context, item, is_ring);
    if (node) AddNode(context, item, std::move(*node), cluster);
  }
}

void ReadHashTag(YamlContext& context, const ConfigNode& entry, ClusterOptions& cluster) {
  cluster.ring.hash_tag = context.ScalarOf(entry);
  if (!cluster.ring.hash_tag.empty() && cluster.ring.hash_tag.size() != 2)
    context.Fail(entry, "'hash-tag' must be two characters, as \"{}\", not " +
                            Quoted(cluster.ring.hash_tag));
}

// --- the keys ---

constexpr UpstreamKey kUpstreamKeys[] = {
    {"nodes", kEvery, "needed", "list of host:port",
     "Where the nodes are: one of `redis`; all of `replicas` and `ring`; of `sentinel` the "
     "sentinels; of `redis_cluster` some, from which the others are found. A name is looked up "
     "again for each new connection. Of `ring` also `host:port:weight name`, as twemproxy writes "
     "it, or a map of `address`, `weight` and `name`.",
     ReadNodes},
    {"primary-name", kSentinel, "needed", "text", "What the sentinels call the primary.",
     [](YamlContext& context, const ConfigNode& entry, ClusterOptions& cluster) {
       cluster.sentinel.primary_name = context.ScalarOf(entry);
     }},
    {"sentinel-username", kSentinel, "none", "text", "Said to the sentinels by AUTH.",
     [](YamlContext& context, const ConfigNode& entry, ClusterOptions& cluster) {
       cluster.sentinel.username = context.ScalarOf(entry);
     }},
    {"sentinel-password", kSentinel, "none", "text",
     "Said to the sentinels by AUTH; that of the nodes is another one.",
     [](YamlContext& context, const ConfigNode& entry, ClusterOptions& cluster) {
       cluster.sentinel.password = context.ScalarOf(entry);
     }},
    {"username", kEvery, "none", "text", "Said to the nodes by AUTH or HELLO.",
     [](YamlContext& context, const ConfigNode& entry, ClusterOptions& cluster) {
       cluster.username = context.ScalarOf(entry);
     }},
    {"password", kEvery, "none", "text",
     "Said to the nodes by AUTH or HELLO. A password alone is that of `default`.",
     [](YamlContext& context, const ConfigNode& entry, ClusterOptions& cluster) {
       cluster.password = context.ScalarOf(entry);
     }},
    {"database", kWithDatabases, "all", "number",
     "The one database that clients have here, as their database 0. Without it their database N "
     "is N there.",
     [](YamlContext& context, const ConfigNode& entry, ClusterOptions& cluster) {
       cluster.database = ReadInteger(context, entry, 0, kUpstreamDatabaseMax);
     }},
    {"protocol", kEvery, "3", "2, 3",
     "2 for nodes that do not know HELLO 3; clients that speak RESP3 are then refused here.",
     [](YamlContext& context, const ConfigNode& entry, ClusterOptions& cluster) {
       cluster.protocol = ReadInteger(context, entry, 2, 3);
     }},
    {"tls", kEvery, "false", "true, false, or a map",
     "Whether nodes are spoken to over TLS. A map turns it on; its keys, all "
     "optional: "
     "`ca-file` and `ca-dir` (whom to trust; neither: whom the system trusts), `cert-file` and "
     "`key-file` (what we show; PEM), `server-name` (that certificates must have; else the host of "
     "each node), `verify` (`true`), `min-version` (`1.2` or `1.3`), `ciphers` (of 1.2) and "
     "`ciphersuites` (of 1.3).",
     [](YamlContext& context, const ConfigNode& entry, ClusterOptions& cluster) {
       cluster.tls = ReadTlsOptions(context, entry);
     }},
    {"sentinel-tls", kSentinel, "as tls", "true, false, or a map",
     "The same for the sentinels, with the keys of `tls`.",
     [](YamlContext& context, const ConfigNode& entry, ClusterOptions& cluster) {
       cluster.sentinel.tls = ReadTlsOptions(context, entry);
     }},
    {"connect-timeout", kEvery, "1s", "time", "To the end of the handshake.",
     [](YamlContext& context, const ConfigNode& entry, ClusterOptions& cluster) {
       cluster.connect_timeout = ReadTimeout(context, entry);
     }},
    {"request-timeout", kEvery, "5s", "time", "From the request to the whole of its reply.",
     [](YamlContext& context, const ConfigNode& entry, ClusterOptions& cluster) {
       cluster.request_timeout = ReadTimeout(context, entry);
     }},
    {"connections", kEvery, "1", "number, 1 to 64",
     "Of each worker to each node, for each database and protocol that clients use.",
     [](YamlContext& context, const ConfigNode& entry, ClusterOptions& cluster) {
       cluster.connections = ReadInteger(context, entry, 1, kUpstreamConnectionsMax);
     }},
    {"private-connections", kEvery, "256", "number, 1 to 10000",
     "Of each worker to each node, at most, for clients that need one to themselves: they watch "
     "keys, wait in a blocking command, or subscribe.",
     [](YamlContext& context, const ConfigNode& entry, ClusterOptions& cluster) {
       cluster.private_connections = ReadInteger(context, entry, 1, kUpstreamPrivateConnectionsMax);
     }},
    {"private-queue", kEvery, "1024", "number, 0 to 100000",
     "Clients that wait for one of these when all are in use, for connect-timeout at most; further "
     "ones are refused at once.",
     [](YamlContext& context, const ConfigNode& entry, ClusterOptions& cluster) {
       cluster.private_queue = ReadInteger(context, entry, 0, kUpstreamPrivateQueueMax);
     }},
    {"max-in-flight", kEvery, "65536", "number, 1 to 1000000; or auto",
     "Requests without a reply that a worker may have at each node, over all its connections; "
     "further ones are refused at once. auto: each of them finds out how many the node answers in "
     "time, from 16 to 1024.",
     [](YamlContext& context, const ConfigNode& entry, ClusterOptions& cluster) {
       const bool is_auto = entry.is_scalar() && entry.scalar == "auto";
       cluster.max_in_flight = is_auto ? 0 : ReadInteger(context, entry, 1, kUpstreamInFlightMax);
     }},
    {"breaker-failures", kEvery, "5", "number; 0: never",
     "Failures in a row that open a node's circuit breaker: its requests fail at once until it "
     "answers again.",
     [](YamlContext& context, const ConfigNode& entry, ClusterOptions& cluster) {
       cluster.breaker_failures = ReadInteger(context, entry, 0, kBreakerFailuresMax);
     }},
    {"breaker-error-percent", kEvery, "50", "number, 0 to 100; 0: never",
     "The share of a node's requests of the last seconds, 50 at least, that opens it when they "
     "fail.",
     [](YamlContext& context, const ConfigNode& entry, ClusterOptions& cluster) {
       cluster.breaker_error_percent = ReadInteger(context, entry, 0, kPercentMax);
     }},
    {"retry-percent", kWithReplicas, "20", "number, 0 to 100; 0: never",
     "Reads that a replica may answer and that failed are sent once more, to another node: so many "
     "of a hundred requests of the node that failed, and 10 in five seconds in any case.",
     [](YamlContext& context, const ConfigNode& entry, ClusterOptions& cluster) {
       cluster.retry_percent = ReadInteger(context, entry, 0, kPercentMax);
     }},
    {"health-check-interval", kEvery, "1s", "time, 100ms or more; 0: never",
     "How often each node is asked whether it answers. Three failures in a row make it unusable, "
     "one answer usable again.",
     [](YamlContext& context, const ConfigNode& entry, ClusterOptions& cluster) {
       cluster.health_check_interval = ReadInterval(context, entry);
     }},
    {"probe-big-keys", kEvery, "0", "number, 0 to 10000; 0: never",
     "Keys a second, of all nodes together, that are asked for their size by SCAN and MEMORY "
     "USAGE, "
     "so that big keys are found which no client uses. See docs/big-keys.md.",
     [](YamlContext& context, const ConfigNode& entry, ClusterOptions& cluster) {
       cluster.probe_big_keys = ReadInteger(context, entry, 0, kProbedKeysMax);
     }},
    {"refresh-interval", kWithReplicas, "5s", "time, 100ms or more",
     "How often the topology is asked for when nothing seems to happen. Whatever hints at a change "
     "makes us ask at once.",
     [](YamlContext& context, const ConfigNode& entry, ClusterOptions& cluster) {
       cluster.refresh_interval = ReadTime(context, entry, kAskIntervalMin);
     }},
    {"read-from", kWithReplicas, "primary", "primary, prefer-replica, any",
     "Which nodes answer reads: the primary; replicas, and the primary when none of them may be "
     "read; all alike. What a replica answers may be old.",
     [](YamlContext& context, const ConfigNode& entry, ClusterOptions& cluster) {
       cluster.read_from = static_cast<ReadFrom>(ReadName(context, entry, kReadFromNames));
     }},
    {"replica-lag-max", kWithReplicas, "10s", "time",
     "Replicas that are further behind their primary are not read.",
     [](YamlContext& context, const ConfigNode& entry, ClusterOptions& cluster) {
       cluster.replica_lag_max = ReadTimeout(context, entry);
     }},
    {"hash", kRing, "fnv1a_64",
     "one_at_a_time, md5, crc16, crc32, crc32a, fnv1_64, fnv1a_64, fnv1_32, fnv1a_32, hsieh, "
     "murmur, jenkins",
     "How a key's place on the ring is computed, by twemproxy's names and exactly as there.",
     [](YamlContext& context, const ConfigNode& entry, ClusterOptions& cluster) {
       cluster.ring.hash = kRingHashNames[ReadName(context, entry, kRingHashNames)];
     }},
    {"distribution", kRing, "ketama", "ketama, modula, random",
     "How places become nodes, as twemproxy's.",
     [](YamlContext& context, const ConfigNode& entry, ClusterOptions& cluster) {
       cluster.ring.distribution =
           kRingDistributionNames[ReadName(context, entry, kRingDistributionNames)];
     }},
    {"hash-tag", kRing, "empty", "two characters",
     "Of a key with both only what is between them is hashed.", ReadHashTag},
    {"eject-after-failures", kRing, "0", "number; 0: never",
     "A node that failed so often in a row leaves the ring, until it answers again: its keys are "
     "then the next nodes'. With 0 they have errors. A cache may prefer the former, data may not.",
     [](YamlContext& context, const ConfigNode& entry, ClusterOptions& cluster) {
       cluster.ring.eject_after_failures = ReadInteger(context, entry, 0, kEjectAfterFailuresMax);
     }},
    {"eject-time", kRing, "30s", "time", "How long it stays away at least.",
     [](YamlContext& context, const ConfigNode& entry, ClusterOptions& cluster) {
       cluster.ring.eject_time = ReadTimeout(context, entry);
     }},
};

void ReadEntry(YamlContext& context, const ConfigNode& entry, ClusterOptions& cluster) {
  if (entry.key == "kind") return;
  if (entry.key == "name") {
    cluster.name = context.ScalarOf(entry);
    return;
  }
  std::vector<std::string_view> names = {"name", "kind"};
  for (const UpstreamKey& key : kUpstreamKeys) {
    const bool has_it = (key.kinds & KindBit(cluster.kind)) != 0;
    if (has_it) names.push_back(key.name);
    if (entry.key != key.name) continue;
    if (has_it) return key.read(context, entry, cluster);
    return context.Fail(entry, "a cluster of kind " + std::string(KindName(cluster.kind)) +
                                   " has no " + Quoted(key.name) + "; it is of kind " +
                                   KindsOf(key));
  }
  context.Fail(entry, "unknown key " + Quoted(entry.key) + " in a cluster of kind " +
                          std::string(KindName(cluster.kind)) +
                          DidYouMean(NearestName(entry.key, names)));
}

bool HasKey(const ConfigNode& node, std::string_view key) {
  const auto is_it = [key](const ConfigNode& entry) { return entry.key == key; };
  return std::any_of(node.items.begin(), node.items.end(), is_it);
}

}  // namespace

std::span<const UpstreamKey> UpstreamKeys() { return kUpstreamKeys; }

std::string KindsOf(const UpstreamKey& key) {
  if (key.kinds == kEvery) return "all";
  std::string kinds;
  for (size_t kind = 0; kind < kClusterKindNames.size(); ++kind) {
    if ((key.kinds & KindBit(static_cast<ClusterKind>(kind))) == 0) continue;
    kinds += (kinds.empty() ? "" : ", ") + std::string(kClusterKindNames[kind]);
  }
  return kinds;
}

ClusterOptions ReadUpstreamCluster(YamlContext& context, const ConfigNode& node, ClusterKind kind) {
  ClusterOptions cluster;
  cluster.kind = kind;
  for (const ConfigNode& entry : node.items) ReadEntry(context, entry, cluster);
  if (!HasKey(node, "nodes")) {
    context.Fail(
        node, "a cluster of kind " + std::string(KindName(kind)) + " needs nodes: [\"host:port\"]");
  }
  if (kind == ClusterKind::kSentinel && cluster.sentinel.primary_name.empty()) {
    context.Fail(node,
                 "a cluster of kind sentinel needs a primary-name: what the sentinels call "
                 "the primary");
  }
  if (!cluster.username.empty() && cluster.password.empty())
    context.Fail(node, "a cluster with a username needs a password");
  if (!cluster.sentinel.username.empty() && cluster.sentinel.password.empty())
    context.Fail(node, "a cluster with a sentinel-username needs a sentinel-password");
  return cluster;
}

}  // namespace tidegate
