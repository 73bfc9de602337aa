// Replication. This version has none: what would make it a replica, or promise one, is refused.
#include "base/text.h"
#include "config/rows.h"

namespace tidegate {
namespace {

using enum OptionType;

constexpr std::string_view kNoReplication = "this version of Tidegate has no replication";

constexpr EnumName kDisklessLoad[] = {{"disabled", 0}, {"on-empty-db", 1}, {"swapdb", 2}};
constexpr EnumName kPropagationErrors[] = {{"ignore", 0}, {"panic", 1}, {"panic-on-replicas", 2}};

OptionFault KeepReplicaof(std::span<const std::string> words, std::string& text) {
  text.clear();
  if (words.size() == 1 && words[0].empty()) return std::nullopt;
  if (words.size() != 2) return "wrong number of arguments";
  if (EqualsIgnoreCase(words[0], "no") && EqualsIgnoreCase(words[1], "one")) return std::nullopt;
  const std::optional<int64_t> port = ParseInt64(words[1]);
  if (!port || *port < 0 || *port > kPortMax) return "Invalid master port";
  text = words[0] + " " + words[1];
  return std::nullopt;
}

constexpr OptionRow kRows[] = {
    {.name = "replicaof",
     .alias = "slaveof",
     .type = kSpecial,
     .initial = "",
     .run_time = false,
     .many_words = true,
     .fixed = kNoReplication,
     .keep = KeepReplicaof,
     .help = "Primary to copy from."},
    {.name = "min-replicas-to-write",
     .alias = "min-slaves-to-write",
     .type = kInteger,
     .initial = "0",
     .max = kInt32Max,
     .fixed = kNoReplication,
     .help = "Replicas without which writes are refused."},
    {.name = "min-replicas-max-lag",
     .alias = "min-slaves-max-lag",
     .type = kInteger,
     .initial = "10",
     .max = kInt32Max,
     .help = "Seconds a replica may lag and still count."},
    {.name = "masterauth",
     .type = kText,
     .initial = "",
     .secret = true,
     .help = "Password at the primary."},
    {.name = "masteruser",
     .type = kText,
     .initial = "",
     .secret = true,
     .help = "User at the primary."},
    {.name = "replica-serve-stale-data",
     .alias = "slave-serve-stale-data",
     .type = kYesNo,
     .initial = "yes",
     .help = "Answer while the primary is away."},
    {.name = "replica-read-only",
     .alias = "slave-read-only",
     .type = kYesNo,
     .initial = "yes",
     .help = "Refuse writes on a replica."},
    {.name = "replica-priority",
     .alias = "slave-priority",
     .type = kInteger,
     .initial = "100",
     .max = kInt32Max,
     .help = "Which replica Sentinel prefers."},
    {.name = "replica-announced",
     .type = kYesNo,
     .initial = "yes",
     .help = "Show this replica to Sentinel."},
    {.name = "replica-announce-ip",
     .alias = "slave-announce-ip",
     .type = kText,
     .initial = "",
     .help = "Address a replica says it has."},
    {.name = "replica-announce-port",
     .alias = "slave-announce-port",
     .type = kInteger,
     .initial = "0",
     .max = kPortMax,
     .help = "Port a replica says it has."},
    {.name = "replica-lazy-flush",
     .alias = "slave-lazy-flush",
     .type = kYesNo,
     .initial = "no",
     .help = "Flush in the background before a full copy."},
    {.name = "replica-ignore-maxmemory",
     .alias = "slave-ignore-maxmemory",
     .type = kYesNo,
     .initial = "yes",
     .help = "Leave eviction to the primary."},
    {.name = "replica-ignore-disk-write-errors",
     .type = kYesNo,
     .initial = "no",
     .help = "Go on when the disk of a replica fails."},
    {.name = "repl-timeout",
     .type = kInteger,
     .initial = "60",
     .min = 1,
     .max = kInt32Max,
     .help = "Seconds of silence that end a replication link."},
    {.name = "repl-ping-replica-period",
     .alias = "repl-ping-slave-period",
     .type = kInteger,
     .initial = "10",
     .min = 1,
     .max = kInt32Max,
     .help = "Seconds between pings to replicas."},
    {.name = "repl-backlog-size",
     .type = kMemory,
     .initial = "1048576",
     .min = 1,
     .help = "Bytes kept for replicas that come back."},
    {.name = "repl-backlog-ttl",
     .type = kInteger,
     .initial = "3600",
     .help = "Seconds they are kept without a replica."},
    {.name = "repl-disable-tcp-nodelay",
     .type = kYesNo,
     .initial = "no",
     .help = "Fewer, larger packets to replicas."},
    {.name = "repl-diskless-sync",
     .type = kYesNo,
     .initial = "yes",
     .help = "Full copies without a file."},
    {.name = "repl-diskless-sync-delay",
     .type = kInteger,
     .initial = "5",
     .max = kInt32Max,
     .help = "Seconds to wait for more replicas."},
    {.name = "repl-diskless-sync-max-replicas",
     .type = kInteger,
     .initial = "0",
     .max = kInt32Max,
     .help = "Replicas after which the wait ends."},
    {.name = "repl-diskless-load",
     .type = kEnum,
     .initial = "disabled",
     .names = kDisklessLoad,
     .help = "Load a full copy from the socket."},
    {.name = "propagation-error-behavior",
     .type = kEnum,
     .initial = "ignore",
     .names = kPropagationErrors,
     .help = "What a replica does with a command that fails."},
};

}  // namespace

const OptionGroup kReplicationOptions = {
    "Replication", "This version has none. What would promise a replica is an error.", kRows};

}  // namespace tidegate
