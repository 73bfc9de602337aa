#include "proxy/topology/replica_set.h"

#include <algorithm>
#include <tuple>

namespace tidegate::topology {
namespace {

// A replica of a replica of …: how far it is followed to its primary.
constexpr int kChainMax = 8;
constexpr size_t kNone = SIZE_MAX;

bool Is(const ServerReport& report, ServerRole role) {
  return report.state && report.state->role == role;
}

class Resolution final {
 public:
  explicit Resolution(std::span<const ServerReport> reports) : reports_(reports) {}

  ReplicaSet Run() {
    const size_t primary = ChoosePrimary();
    ReplicaSet set;
    if (primary != kNone) set.primary = primary;
    for (size_t i = 0; i < reports_.size(); ++i) {
      if (!reports_[i].state) {
        set.silent.push_back(i);
      } else if (Is(reports_[i], ServerRole::kPrimary)) {
        if (i != primary) set.rivals.push_back(i);
      } else if (Is(reports_[i], ServerRole::kReplica)) {
        Add(i, primary, set);
      }
    }
    return set;
  }

 private:
  size_t Find(const NodeAddress& address) const {
    for (size_t i = 0; i < reports_.size(); ++i) {
      if (reports_[i].address == address) return i;
      if (reports_[i].announced.is_known() && reports_[i].announced == address) return i;
    }
    return kNone;
  }

  // The server at the upper end of a replica's chain; kNone when it leaves the reports.
  size_t Above(size_t server) const {
    for (int hop = 0; hop < kChainMax && Is(reports_[server], ServerRole::kReplica); ++hop) {
      server = Find(reports_[server].state->primary);
      if (server == kNone) return kNone;
    }
    return server;
  }

  size_t Followers(size_t primary) const {
    size_t count = 0;
    for (const ServerReport& report : reports_) {
      if (Is(report, ServerRole::kReplica) && report.state->is_link_up) {
        count += Find(report.state->primary) == primary ? 1 : 0;
      }
    }
    return count;
  }

  size_t ChoosePrimary() const {
    size_t best = kNone;
    std::tuple<size_t, int64_t> best_rank;
    for (size_t i = 0; i < reports_.size(); ++i) {
      if (!Is(reports_[i], ServerRole::kPrimary)) continue;
      const std::tuple rank(Followers(i), reports_[i].state->offset);
      if (best != kNone && rank <= best_rank) continue;
      best = i;
      best_rank = rank;
    }
    return best;
  }

  void Add(size_t server, size_t primary, ReplicaSet& set) const {
    const size_t above = Above(server);
    if (primary == kNone || above != primary) {
      // Of a rival it would give the rival's data; of the silent, what nobody can tell the age of.
      set.strangers.push_back(server);
      return;
    }
    const ReplicationState& state = *reports_[server].state;
    const ReplicationState& top = *reports_[primary].state;
    ReplicaReport report{
        .server = server, .is_link_up = state.is_link_up, .is_syncing = state.is_syncing};
    report.bytes_behind = std::max<int64_t>(0, top.offset - std::max<int64_t>(0, state.offset));
    for (const AttachedReplica& attached : top.replicas) {
      if (Find(attached.address) == server) report.seconds_behind = attached.lag_seconds;
    }
    set.replicas.push_back(report);
  }

  const std::span<const ServerReport> reports_;
};

}  // namespace

ReplicaSet ResolveReplicaSet(std::span<const ServerReport> reports) {
  return Resolution(reports).Run();
}

}  // namespace tidegate::topology
