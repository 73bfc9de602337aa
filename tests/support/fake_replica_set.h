// A primary and its replicas in the test's process, each a FakeRedis: SET and GET of texts, a
// stream of what was written that replicas apply by chance and as late as the test lets them, and
// what discovery asks for. One lock for all of it: what a node answers is of one moment.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "config/options.h"
#include "tests/support/fake_redis.h"

namespace tidegate {

class FakeReplicaSet final {
 public:
  FakeReplicaSet(size_t replicas, unsigned seed) : random_(seed), states_(replicas + 1) {
    for (size_t i = 0; i < states_.size(); ++i) {
      nodes_.push_back(std::make_unique<FakeRedis>(
          [this, i](const std::string& command) { return Answer(i, command); }));
    }
  }
  ~FakeReplicaSet() {
    for (const auto& node : nodes_) node->Close();
  }

  size_t size() const { return nodes_.size(); }
  // A server whose only route lets all of these nodes answer reads of all keys.
  std::function<void(Options&)> InFront(const ReplicaFanoutOptions& fanout) const {
    return [this, fanout](Options& options) {
      ClusterOptions cluster{.name = "cache",
                             .kind = ClusterKind::kReplicas,
                             .connect_timeout = std::chrono::seconds(60),
                             .request_timeout = std::chrono::seconds(60),
                             .fans_out = true,
                             .refresh_interval = std::chrono::milliseconds(100),
                             .health_check_interval = std::chrono::milliseconds(0)};
      for (const auto& node : nodes_)
        cluster.nodes.push_back({.address = {"127.0.0.1", node->port()}});
      options.clusters.push_back(cluster);
      options.routes = {{"*", "cache"}};
      options.routes[0].policies.replica_fanout = fanout;
    };
  }
  FakeRedis& node(size_t i) { return *nodes_[i]; }
  // In so many of a hundred commands that it gets a replica applies some of what it lacks.
  void SetApplying(int percent) {
    const std::lock_guard lock(mutex_);
    applying_percent_ = percent;
  }
  void SetLinkUp(size_t replica, bool up) {
    const std::lock_guard lock(mutex_);
    states_[replica].is_link_up = up;
  }
  int64_t reads(size_t i) {
    const std::lock_guard lock(mutex_);
    return states_[i].reads;
  }

 private:
  struct State {
    size_t applied = 0;  // of the stream
    std::map<std::string, std::string> data;
    int64_t reads = 0;
    bool is_link_up = true;
  };

  std::string Answer(size_t i, const std::string& command) {
    const std::lock_guard lock(mutex_);
    if (i > 0) ApplySome(states_[i]);
    if (command == "PING") return "+PONG\r\n";
    if (command.starts_with("INFO")) return Info(i);
    if (command.starts_with("ROLE")) return "-NOPERM no permissions\r\n";
    if (command.starts_with("SET ")) return Set(i, command.substr(4));
    if (command.starts_with("GET ")) return Get(states_[i], command.substr(4));
    return "+OK\r\n";
  }

  void ApplySome(State& state) {
    if (!state.is_link_up || static_cast<int>(random_() % 100) >= applying_percent_) return;
    size_t left = random_() % 4;
    while (left-- > 0 && state.applied < stream_.size()) {
      const auto& [key, value] = stream_[state.applied++];
      state.data[key] = value;
    }
  }

  std::string Set(size_t i, const std::string& rest) {
    if (i > 0) return "-READONLY You can't write against a read only replica.\r\n";
    const size_t space = rest.find(' ');
    stream_.emplace_back(rest.substr(0, space), rest.substr(space + 1));
    states_[0].data[stream_.back().first] = stream_.back().second;
    return "+OK\r\n";
  }

  static std::string Get(State& state, const std::string& key) {
    ++state.reads;
    const auto found = state.data.find(key);
    return found == state.data.end() ? "$-1\r\n" : Bulk(found->second);
  }

  std::string Info(size_t i) const {
    const auto field = [](const std::string& name, const std::string& value) {
      return name + ":" + value + "\r\n";
    };
    if (i == 0) {
      std::string info = field("role", "master") + field("master_replid", kStream) +
                         field("connected_slaves", std::to_string(nodes_.size() - 1));
      for (size_t n = 1; n < nodes_.size(); ++n) {
        info += "slave" + std::to_string(n - 1) +
                ":ip=127.0.0.1,port=" + std::to_string(nodes_[n]->port()) +
                ",state=online,offset=" + std::to_string(states_[n].applied) + ",lag=0\r\n";
      }
      return Bulk(info + field("master_repl_offset", std::to_string(stream_.size())));
    }
    const std::string offset = std::to_string(states_[i].applied);
    return Bulk(field("role", "slave") + field("master_replid", kStream) +
                field("master_host", "127.0.0.1") +
                field("master_port", std::to_string(nodes_[0]->port())) +
                field("master_link_status", states_[i].is_link_up ? "up" : "down") +
                field("master_last_io_seconds_ago", "0") + field("master_sync_in_progress", "0") +
                field("master_link_down_since_seconds", states_[i].is_link_up ? "-1" : "1") +
                field("slave_repl_offset", offset) + field("master_repl_offset", offset));
  }

  static constexpr const char* kStream = "0123456789012345678901234567890123456789";
  std::mutex mutex_;
  std::mt19937 random_;
  int applying_percent_ = 100;
  std::vector<std::pair<std::string, std::string>> stream_;
  std::vector<State> states_;
  std::vector<std::unique_ptr<FakeRedis>> nodes_;
};

}  // namespace tidegate
