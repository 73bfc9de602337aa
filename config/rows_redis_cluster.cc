// Redis Cluster mode. This version does not serve as a node of one.
#include <algorithm>
#include <cctype>

#include "config/rows.h"

namespace tidegate {
namespace {

using enum OptionType;

// As Redis's NET_HOST_STR_LEN.
constexpr size_t kHostnameBytesMax = 256;

constexpr EnumName kEndpointTypes[] = {{"ip", 0}, {"hostname", 1}, {"unknown-endpoint", 2}};

OptionFault KeepHostname(std::span<const std::string> words, std::string& text) {
  const std::string& name = words[0];
  if (name.size() >= kHostnameBytesMax) return "Hostnames must be less than 256 characters";
  const bool valid = std::all_of(name.begin(), name.end(), [](unsigned char c) {
    return c < 0x80 && (std::isalnum(c) || c == '-' || c == '.');
  });
  if (!valid) return "Hostnames may only contain alphanumeric characters, hyphens or dots";
  text = name;
  return std::nullopt;
}

constexpr OptionRow kRows[] = {
    {.name = "cluster-enabled",
     .type = kYesNo,
     .initial = "no",
     .run_time = false,
     .fixed = "this version of Tidegate is not a node of a Redis Cluster",
     .help = "Be a node of a Redis Cluster."},
    {.name = "cluster-config-file",
     .type = kText,
     .initial = "nodes.conf",
     .run_time = false,
     .help = "File of the cluster's state."},
    {.name = "cluster-node-timeout",
     .type = kInteger,
     .initial = "15000",
     .help = "Milliseconds of silence that make a node fail."},
    {.name = "cluster-port",
     .type = kInteger,
     .initial = "0",
     .max = kPortMax,
     .run_time = false,
     .help = "Port of the cluster bus."},
    {.name = "cluster-announce-ip",
     .type = kText,
     .initial = "",
     .member = TextMember(&Options::cluster_announce_ip),
     .help = "Address that CLUSTER SLOTS and its kind tell clients, where the route * leads to a "
             "Redis Cluster. Empty: the one that the client is connected to."},
    {.name = "cluster-announce-hostname",
     .type = kText,
     .initial = "",
     .keep = KeepHostname,
     .help = "Host name a node says it has."},
    {.name = "cluster-announce-human-nodename",
     .type = kText,
     .initial = "",
     .help = "Name of a node in the log."},
    {.name = "cluster-announce-port",
     .type = kInteger,
     .initial = "0",
     .max = kPortMax,
     .member = NumberMember<&Options::cluster_announce_port>(),
     .help = "Port that goes with cluster-announce-ip. 0: the one that the client is connected "
             "to."},
    {.name = "cluster-announce-tls-port",
     .type = kInteger,
     .initial = "0",
     .max = kPortMax,
     .help = "TLS port a node says it has."},
    {.name = "cluster-announce-bus-port",
     .type = kInteger,
     .initial = "0",
     .max = kPortMax,
     .help = "Bus port a node says it has."},
    {.name = "cluster-preferred-endpoint-type",
     .type = kEnum,
     .initial = "ip",
     .names = kEndpointTypes,
     .help = "How nodes are named to clients."},
    {.name = "cluster-require-full-coverage",
     .type = kYesNo,
     .initial = "yes",
     .help = "Serve only while every slot is."},
    {.name = "cluster-allow-reads-when-down",
     .type = kYesNo,
     .initial = "no",
     .help = "Read while the cluster is down."},
    {.name = "cluster-allow-pubsubshard-when-down",
     .type = kYesNo,
     .initial = "yes",
     .help = "Sharded pub/sub while the cluster is down."},
    {.name = "cluster-allow-replica-migration",
     .type = kYesNo,
     .initial = "yes",
     .help = "Replicas may move to primaries without one."},
    {.name = "cluster-migration-barrier",
     .type = kInteger,
     .initial = "1",
     .max = kInt32Max,
     .help = "Replicas that stay with a primary."},
    {.name = "cluster-replica-no-failover",
     .alias = "cluster-slave-no-failover",
     .type = kYesNo,
     .initial = "no",
     .help = "This replica never takes over."},
    {.name = "cluster-replica-validity-factor",
     .alias = "cluster-slave-validity-factor",
     .type = kInteger,
     .initial = "10",
     .max = kInt32Max,
     .help = "How old a replica's data may be to take over."},
    {.name = "cluster-link-sendbuf-limit",
     .type = kMemory,
     .initial = "0",
     .help = "Bytes waiting on a bus link before it is cut."},
};

}  // namespace

const OptionGroup kRedisClusterOptions = {
    "Redis Cluster", "This version does not serve as a node of a Redis Cluster.", kRows};

}  // namespace tidegate
