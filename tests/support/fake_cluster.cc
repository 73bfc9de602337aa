#include "tests/support/fake_cluster.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "base/hash.h"
#include "base/text.h"
#include "proxy/topology/slot_map_builder.h"

namespace tidegate {
namespace {

std::string Bulk(const std::string& text) {
  return "$" + std::to_string(text.size()) + "\r\n" + text + "\r\n";
}

// Cuts one command off the front; false: none is whole.
bool TakeCommand(std::string& in, std::vector<std::string>& args) {
  args.clear();
  size_t at = 0;
  const auto number = [&](char type) -> std::optional<int64_t> {
    const size_t end = in.find("\r\n", at);
    if (end == std::string::npos || in[at] != type) return std::nullopt;
    const auto value = ParseInt64(std::string_view(in).substr(at + 1, end - at - 1));
    at = end + 2;
    return value;
  };
  const auto count = number('*');
  if (!count) return false;
  for (int64_t i = 0; i < *count; ++i) {
    const auto size = number('$');
    if (!size || in.size() < at + static_cast<size_t>(*size) + 2) return false;
    args.push_back(in.substr(at, static_cast<size_t>(*size)));
    at += static_cast<size_t>(*size) + 2;
  }
  in.erase(0, at);
  return true;
}

}  // namespace

FakeCluster::FakeCluster(int nodes, unsigned seed)
    : owner_(kSlotCount), owners_(kSlotCount), random_(seed) {
  for (int i = 0; i < nodes; ++i) {
    Node node;
    node.listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(bind(node.listener, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    EXPECT_EQ(listen(node.listener, 64), 0);
    socklen_t size = sizeof address;
    getsockname(node.listener, reinterpret_cast<sockaddr*>(&address), &size);
    node.port = ntohs(address.sin_port);
    nodes_.push_back(node);
  }
  for (uint32_t slot = 0; slot < kSlotCount; ++slot)
    owner_[slot] = static_cast<int>(slot * static_cast<uint32_t>(nodes) / kSlotCount);
  thread_ = std::thread([this] { Run(); });
}

FakeCluster::~FakeCluster() {
  {
    const std::lock_guard lock(mutex_);
    ends_ = true;
  }
  thread_.join();
  for (const Node& node : nodes_) close(node.listener);
  for (const Connection& connection : connections_) close(connection.fd);
}

std::string FakeCluster::Address(int node) const {
  return "127.0.0.1:" + std::to_string(port(node));
}

std::shared_ptr<const UpstreamTopology> FakeCluster::Topology(uint64_t version) {
  const std::lock_guard lock(mutex_);
  auto topology = std::make_shared<UpstreamTopology>();
  topology->version = version;
  topology::SlotMapBuilder builder;
  std::vector<uint16_t> shards;
  for (const Node& node : nodes_) {
    topology::ClusterNode described;
    described.address = {"127.0.0.1", node.port};
    described.is_primary = true;
    topology->node_of_slot_map.push_back(topology->nodes.size());
    topology->nodes.push_back({.address = described.address});
    Result<topology::NodeIndex> index = builder.AddNode(described);
    Result<uint16_t> shard = builder.ShardOfPrimary(*index);
    shards.push_back(*shard);
  }
  for (uint32_t slot = 0; slot < kSlotCount; ++slot)
    EXPECT_TRUE(builder.Assign(shards[static_cast<size_t>(owner_[slot])], slot, slot).ok());
  topology->slots = std::make_shared<const topology::SlotMap>(std::move(builder).Build());
  return topology;
}

int FakeCluster::OwnerOf(uint16_t slot) {
  const std::lock_guard lock(mutex_);
  return owner_[slot];
}

bool FakeCluster::MayTake(uint16_t slot, int node) const {
  const uint32_t all = owners_[slot] | 1U << owner_[slot];
  return !moving_.contains(slot) && (all >> node & 1) == 0;
}

void FakeCluster::Give(uint16_t slot, int node) {
  const std::lock_guard lock(mutex_);
  if (!MayTake(slot, node)) return;
  owners_[slot] |= 1U << owner_[slot];
  owner_[slot] = node;
}

void FakeCluster::BeginMove(uint16_t slot, int to) {
  const std::lock_guard lock(mutex_);
  if (MayTake(slot, to)) moving_[slot] = to;
}

void FakeCluster::MoveKey(const std::string& key) {
  const std::lock_guard lock(mutex_);
  if (moving_.contains(KeySlot(key))) moved_.insert(key);
}

void FakeCluster::EndMove(uint16_t slot) {
  const std::lock_guard lock(mutex_);
  const auto moving = moving_.find(slot);
  if (moving == moving_.end()) return;
  owners_[slot] |= 1U << owner_[slot];
  owner_[slot] = moving->second;
  moving_.erase(moving);
  std::erase_if(moved_, [slot](const std::string& key) { return KeySlot(key) == slot; });
}

void FakeCluster::Break(int node) {
  const std::lock_guard lock(mutex_);
  nodes_[static_cast<size_t>(node)].breaks = true;
}

void FakeCluster::MisleadTo(int node, int to) {
  const std::lock_guard lock(mutex_);
  nodes_[static_cast<size_t>(node)].mislead_to = to;
}

void FakeCluster::TryAgain(int times) {
  const std::lock_guard lock(mutex_);
  try_again_ = times;
}

int FakeCluster::redirects() {
  const std::lock_guard lock(mutex_);
  return redirects_;
}

int FakeCluster::commands() {
  const std::lock_guard lock(mutex_);
  return commands_;
}

void FakeCluster::Run() {
  constexpr int kWaitMillis = 2;
  while (true) {
    std::vector<pollfd> polled;
    for (const Node& node : nodes_) polled.push_back({node.listener, POLLIN, 0});
    for (const Connection& connection : connections_) {
      const auto events = static_cast<short>(connection.out.empty() ? POLLIN : POLLIN | POLLOUT);
      polled.push_back({connection.fd, events, 0});
    }
    poll(polled.data(), polled.size(), kWaitMillis);
    const std::lock_guard lock(mutex_);
    if (ends_) return;
    for (size_t i = 0; i < connections_.size(); ++i) {
      Connection& connection = connections_[i];
      const bool breaks = nodes_[static_cast<size_t>(connection.node)].breaks;
      if (!breaks && Serve(connection, polled[nodes_.size() + i].revents)) continue;
      close(std::exchange(connection.fd, -1));
    }
    std::erase_if(connections_, [](const Connection& connection) { return connection.fd < 0; });
    for (size_t i = 0; i < nodes_.size(); ++i) {
      nodes_[i].breaks = false;
      if ((polled[i].revents & POLLIN) != 0) Accept(i);
    }
  }
}

void FakeCluster::Accept(size_t node) {
  const int fd = accept4(nodes_[node].listener, nullptr, nullptr, SOCK_NONBLOCK);
  if (fd >= 0) connections_.push_back({fd, static_cast<int>(node), false, "", "", {}});
}

bool FakeCluster::Serve(Connection& connection, short events) {
  if ((events & (POLLERR | POLLHUP)) != 0) return false;
  const auto now = std::chrono::steady_clock::now();
  if (now < connection.stalled_until) return true;
  if (random_() % 16 == 0)
    connection.stalled_until = now + std::chrono::microseconds(random_() % 3000);
  if ((events & POLLIN) != 0) {
    char buffer[4096];
    const ssize_t got = recv(connection.fd, buffer, sizeof buffer, 0);
    if (got == 0) return false;
    if (got > 0) connection.in.append(buffer, static_cast<size_t>(got));
    std::vector<std::string> args;
    while (TakeCommand(connection.in, args)) Execute(connection, args);
  }
  if (connection.out.empty()) return true;
  const size_t piece = 1 + random_() % connection.out.size();
  const ssize_t sent = send(connection.fd, connection.out.data(), piece, MSG_NOSIGNAL);
  if (sent > 0) connection.out.erase(0, static_cast<size_t>(sent));
  return true;
}

void FakeCluster::Execute(Connection& connection, const std::vector<std::string>& args) {
  const std::string name = ToLowerAscii(args[0]);
  if (name == "hello") {
    connection.out += "%1\r\n+server\r\n+redis\r\n";
  } else if (name == "asking") {
    connection.out += "+OK\r\n";
    connection.asking = true;
    return;
  } else if (name == "dbsize" || name == "scan") {
    connection.out += ExecuteOnNode(connection.node, args);
  } else if (args.size() < 2 || name == "client" || name == "select") {
    connection.out += "+OK\r\n";
  } else {
    ++commands_;
    connection.out += ExecuteOnKey(connection, args);
  }
  connection.asking = false;
}

std::string FakeCluster::RedirectionFor(const Connection& connection, const std::string& key,
                                        bool asking) {
  const uint16_t slot = KeySlot(key);
  const int misled = nodes_[static_cast<size_t>(connection.node)].mislead_to;
  const std::string number = std::to_string(slot);
  if (misled >= 0) return "-MOVED " + number + " " + Address(misled) + "\r\n";
  const auto moving = moving_.find(slot);
  if (owner_[slot] != connection.node) {
    if (asking && moving != moving_.end() && moving->second == connection.node) return "";
    return "-MOVED " + number + " " + Address(owner_[slot]) + "\r\n";
  }
  if (moving == moving_.end() || (store_.contains(key) && !moved_.contains(key))) return "";
  return "-ASK " + number + " " + Address(moving->second) + "\r\n";
}

// SCAN's cursor is the place of the next of the node's keys; pages have ten.
std::string FakeCluster::ExecuteOnNode(int node, const std::vector<std::string>& args) {
  constexpr size_t kPage = 10;
  std::vector<std::string> keys;
  for (const auto& [key, value] : store_) {
    if (owner_[KeySlot(key)] == node) keys.push_back(key);
  }
  if (args.size() < 2) return ":" + std::to_string(keys.size()) + "\r\n";
  const size_t begin = std::min(std::stoul(args[1]), keys.size());
  const size_t end = std::min(begin + kPage, keys.size());
  const std::string next = std::to_string(end < keys.size() ? end : 0);
  std::string page = "*2\r\n" + Bulk(next) + "*" + std::to_string(end - begin) + "\r\n";
  for (size_t i = begin; i < end; ++i) page += Bulk(keys[i]);
  return page;
}

std::string FakeCluster::ExecuteOnKey(Connection& connection,
                                      const std::vector<std::string>& args) {
  const std::string& key = args[1];
  if (try_again_ > 0) {
    --try_again_;
    ++redirects_;
    return "-TRYAGAIN Multiple keys request during rehashing of slot\r\n";
  }
  std::string redirection = RedirectionFor(connection, key, connection.asking);
  if (!redirection.empty()) {
    ++redirects_;
    return redirection;
  }
  if (moving_.contains(KeySlot(key)) && owner_[KeySlot(key)] != connection.node) moved_.insert(key);
  const std::string name = ToLowerAscii(args[0]);
  if (name == "set" || name == "mset") {
    for (size_t i = 1; i + 1 < args.size(); i += 2) store_[args[i]] = args[i + 1];
    return "+OK\r\n";
  }
  if (name == "del") {
    size_t erased = 0;
    for (size_t i = 1; i < args.size(); ++i) erased += store_.erase(args[i]);
    return ":" + std::to_string(erased) + "\r\n";
  }
  if (name == "mget") {
    std::string values = "*" + std::to_string(args.size() - 1) + "\r\n";
    for (size_t i = 1; i < args.size(); ++i) values += Value(args[i]);
    return values;
  }
  return Value(key);
}

std::string FakeCluster::Value(const std::string& key) const {
  const auto found = store_.find(key);
  if (found == store_.end()) return "$-1\r\n";
  return Bulk(found->second);
}

}  // namespace tidegate
