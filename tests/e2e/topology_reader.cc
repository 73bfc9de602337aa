// Asks real servers about their topology, reads the answers with proxy/topology and prints what
// they mean, for topology.py to compare with what it has set up. Servers are on 127.0.0.1.
//
//   map slots|shards|nodes PROTOCOL PORT    "0-5460 7000 < 7003" for each shard; moves
//   agree PORT…                             the same of several nodes' CLUSTER NODES together
//   error PORT WORD…                        the topology's meaning of the error of a command
//   replicas PORT…                          "primary 7000" and "replica 7001 up behind 0"
//   sentinel PROTOCOL NAME PORT…            what each sentinel says, and what follows
//   events PORT                             published events, up to +switch-master
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "proxy/topology/cluster_agreement.h"
#include "proxy/topology/cluster_replies.h"
#include "proxy/topology/redirect.h"
#include "proxy/topology/replica_set.h"
#include "proxy/topology/reply.h"
#include "proxy/topology/sentinel_event.h"
#include "proxy/topology/sentinel_view.h"

namespace tidegate::topology {
namespace {

constexpr int kReadSecondsMax = 30;

using Words = std::vector<std::string>;

[[noreturn]] void Fail(const std::string& message) {
  std::printf("FAIL %s\n", message.c_str());
  std::exit(1);
}

template <typename T>
T Must(Result<T> result) {
  if (!result.ok()) Fail(result.error().message);
  return std::move(*result);
}

class Connection final {
 public:
  explicit Connection(const std::string& port) : socket_(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<uint16_t>(std::atoi(port.c_str())));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (::connect(socket_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
      Fail("connect to " + port);
    }
    const timeval limit{.tv_sec = kReadSecondsMax, .tv_usec = 0};
    ::setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  }
  ~Connection() { ::close(socket_); }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  Reply Call(const Words& words) {
    std::string request = "*" + std::to_string(words.size()) + "\r\n";
    for (const std::string& word : words) {
      request += "$" + std::to_string(word.size()) + "\r\n" + word + "\r\n";
    }
    if (::send(socket_, request.data(), request.size(), 0) < 0) Fail("send");
    return Read();
  }

  Reply Read() {
    while (true) {
      std::optional<Reply> reply = Must(reader_.Next());
      if (reply) return std::move(*reply);
      char bytes[1000];
      const ssize_t count = ::recv(socket_, bytes, sizeof bytes, 0);
      if (count <= 0) Fail("no reply");
      reader_.Feed({bytes, static_cast<size_t>(count)});
    }
  }

 private:
  int socket_;
  ReplyReader reader_;
};

AskedNode Asked(const std::string& port) {
  return {.address = {.host = "127.0.0.1", .port = *ParsePort(port)}};
}

// Hosts are shown only where they are not the usual one.
std::string Show(const NodeAddress& address) {
  return address.host == "127.0.0.1" ? std::to_string(address.port) : address.ToText();
}

std::string ShowNode(const SlotMap& map, NodeIndex node) {
  return node == kNoNode ? "nobody" : Show(map.nodes()[node].address);
}

void ShowMap(const SlotMap& map) {
  Words lines;
  for (size_t shard = 1; shard < map.shards().size(); ++shard) {
    std::string line;
    for (const SlotRange& range : map.RangesOf(static_cast<uint16_t>(shard))) {
      line += std::to_string(range.first) + "-" + std::to_string(range.last) + " ";
    }
    if (line.empty()) continue;
    line += ShowNode(map, map.shards()[shard].primary);
    Words replicas;
    for (const NodeIndex replica : map.shards()[shard].replicas) {
      replicas.push_back(ShowNode(map, replica));
    }
    std::sort(replicas.begin(), replicas.end());
    for (const std::string& replica : replicas) line += " < " + replica;
    lines.push_back(line);
  }
  std::sort(lines.begin(), lines.end());
  for (const std::string& line : lines) std::printf("%s\n", line.c_str());
  for (const SlotMove& move : map.moves()) {
    std::printf("slot %d from %s to %s\n", move.slot, ShowNode(map, move.from).c_str(),
                ShowNode(map, move.to).c_str());
  }
}

void Map(const Words& words) {
  Connection connection(words[2]);
  connection.Call({"HELLO", words[1]});
  const Reply reply = connection.Call({"CLUSTER", words[0]});
  const AskedNode asked = Asked(words[2]);
  if (words[0] == "slots") return ShowMap(Must(ParseClusterSlots(reply, asked)));
  if (words[0] == "shards") return ShowMap(Must(ParseClusterShards(reply, asked)));
  ShowMap(Must(ParseClusterNodes(reply, asked)));
}

void Agree(const Words& words) {
  std::vector<ClusterView> views;
  for (const std::string& port : words) {
    Connection connection(port);
    const ClusterInfo info = Must(ParseClusterInfo(connection.Call({"CLUSTER", "INFO"})));
    views.push_back(
        {.map = Must(ParseClusterNodes(connection.Call({"CLUSTER", "NODES"}), Asked(port))),
         .current_epoch = info.current_epoch});
  }
  const ClusterAgreement agreement = Must(AgreeOnCluster(views));
  ShowMap(agreement.map);
  std::printf("disputed %u\n", agreement.disputed_slots);
}

void ShowError(const Words& words) {
  Connection connection(words[0]);
  const Reply reply = connection.Call(Words(words.begin() + 1, words.end()));
  if (!reply.is_error()) Fail("no error");
  const TopologyError error = ParseTopologyError(reply.text);
  constexpr const char* kNames[] = {"none",        "moved",   "ask",        "redirect", "tryagain",
                                    "clusterdown", "loading", "masterdown", "readonly", "broken"};
  std::printf("%s", kNames[static_cast<size_t>(error.kind)]);
  if (error.has_address()) {
    const NodeAddress address = error.AddressFrom(Asked(words[0]).address);
    std::printf(" %d %s", error.slot, Show(address).c_str());
  }
  std::printf("\n");
}

void Replicas(const Words& words) {
  std::vector<ServerReport> reports;
  for (const std::string& port : words) {
    Connection connection(port);
    const ReplicationState state =
        Must(ParseInfoReplication(connection.Call({"INFO", "replication"})));
    const ReplicationState role = Must(ParseRole(connection.Call({"ROLE"})));
    if (role.role != state.role || role.is_link_up != state.is_link_up ||
        role.primary != state.primary) {
      Fail("ROLE and INFO of " + port + " differ");
    }
    reports.push_back({.address = Asked(port).address, .announced = {}, .state = state});
  }
  const ReplicaSet set = ResolveReplicaSet(reports);
  std::printf("primary %s\n", set.primary ? words[*set.primary].c_str() : "none");
  for (const ReplicaReport& replica : set.replicas) {
    std::printf("replica %s %s behind %lld\n", words[replica.server].c_str(),
                replica.is_link_up ? "up" : "down", static_cast<long long>(replica.bytes_behind));
  }
  std::printf("rivals %zu strangers %zu\n", set.rivals.size(), set.strangers.size());
}

void Sentinel(const Words& words) {
  std::vector<PrimaryOpinion> opinions;
  for (size_t i = 2; i < words.size(); ++i) {
    Connection connection(words[i]);
    connection.Call({"HELLO", words[0]});
    const auto ask = [&](const char* what) {
      return connection.Call({"SENTINEL", what, words[1]});
    };
    const auto address = Must(ParsePrimaryAddress(ask("GET-MASTER-ADDR-BY-NAME")));
    if (!address) {
      std::printf("unknown\n");
      continue;
    }
    const WatchedServer primary = Must(ParseWatchedServer(ask("MASTER")));
    const auto primaries = Must(ParseWatchedServers(connection.Call({"SENTINEL", "MASTERS"}), ""));
    const auto sentinels = Must(ParseWatchedServers(ask("SENTINELS"), ""));
    if (primaries.size() != 1 || primaries[0].address != *address) Fail("MASTERS");
    opinions.push_back({.address = *address, .config_epoch = primary.config_epoch});
    std::printf("primary %s %s, sentinels %zu, quorum %lld\n", Show(primary.address).c_str(),
                primary.is_usable() ? "usable" : "down", sentinels.size() + 1,
                static_cast<long long>(primary.quorum));
    for (const WatchedServer& replica : Must(ParseWatchedServers(ask("REPLICAS"), ""))) {
      std::printf("replica %s of %s %s\n", Show(replica.address).c_str(),
                  Show(replica.primary).c_str(), replica.is_primary_link_up ? "up" : "down");
    }
  }
  const auto agreed = AgreeOnPrimary(opinions);
  std::printf("agreed %s\n", agreed ? Show(agreed->address).c_str() : "none");
}

void Events(const Words& words) {
  Connection connection(words[0]);
  connection.Call({"PSUBSCRIBE", "*"});
  std::printf("subscribed\n");
  while (true) {
    std::fflush(stdout);
    const Reply message = connection.Read();
    if (message.items.size() != 4) Fail("a message of another form");
    const auto event = ParseSentinelEvent(message.items[2].text, message.items[3].text);
    if (!event) Fail(message.items[2].text + " " + message.items[3].text);
    using Kind = SentinelEvent::Kind;
    if (event->kind == Kind::kObjectivelyDown) {
      std::printf("down %s\n", Show(event->address).c_str());
    } else if (event->kind == Kind::kSwitchPrimary) {
      std::printf("%s from %s to %s\n", std::string(event->primary_name).c_str(),
                  Show(event->address).c_str(), Show(event->new_address).c_str());
      return;
    }
  }
}

}  // namespace
}  // namespace tidegate::topology

int main(int argc, char** argv) {
  using tidegate::topology::Words;
  const std::map<std::string, std::function<void(const Words&)>> modes = {
      {"map", tidegate::topology::Map},           {"agree", tidegate::topology::Agree},
      {"error", tidegate::topology::ShowError},   {"replicas", tidegate::topology::Replicas},
      {"sentinel", tidegate::topology::Sentinel}, {"events", tidegate::topology::Events},
  };
  const auto mode = argc > 2 ? modes.find(argv[1]) : modes.end();
  if (mode == modes.end()) {
    std::printf("FAIL usage\n");
    return 2;
  }
  mode->second(Words(argv + 2, argv + argc));
  return 0;
}
