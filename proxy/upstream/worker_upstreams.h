// WorkerUpstreams: what one worker has of upstreams: its side of every cluster, in the order of the
// configuration, and what their sessions share.
//
// A reload gives it a new plan. Clusters that stay are not touched; those that are gone leave: no
// route leads to them any more, what is in flight there is answered, and the worker removes them
// when nothing and nobody needs them. Owner: the worker; Figures() is for any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "base/thread_annotations.h"
#include "proxy/upstream/early_replies.h"
#include "proxy/upstream/upstream_cluster.h"
#include "proxy/upstream/upstream_environment.h"
#include "proxy/upstream/upstream_plan.h"

namespace tidegate {

// How long a cluster that a reload has removed may go on answering what it was asked; then it is
// ended, and whoever still waits has an error.
inline constexpr int64_t kClusterLeavesNanosMax = 30'000'000'000;

class WorkerUpstreams final {
 public:
  using ClusterList = std::vector<std::shared_ptr<const ClusterFigures>>;
  struct Leaving {
    std::unique_ptr<UpstreamCluster> cluster;
    int64_t deadline_ns = 0;
  };

  // At the end of a turn. Routes to what has been before have to be made anew.
  void Take(const UpstreamPlan& plan, const UpstreamEnvironment& environment);
  // Null: there is none of that name, or number.
  UpstreamCluster* Find(std::string_view name) const;
  UpstreamCluster* FindNumber(size_t number) const;
  // Destroys those that leave of which it holds.
  template <typename Predicate>
  void RemoveLeaving(Predicate is_through) {
    if (std::erase_if(leaving_, is_through) > 0) PublishFigures();
  }

  std::span<const std::unique_ptr<UpstreamCluster>> clusters() const { return clusters_; }
  std::span<const Leaving> leaving() const { return leaving_; }
  bool empty() const { return clusters_.empty() && leaving_.empty(); }

  // At the end of a turn: sends what the turn placed. False: nothing was to be sent.
  bool Flush();

  // Any thread: every cluster, those that leave behind the others.
  ClusterList Figures() const TG_EXCLUDES(figures_mutex_);

  uint64_t placement_epoch = 0;  // see UpstreamEnvironment
  EarlyReplyPool early_replies;

 private:
  void PublishFigures() TG_EXCLUDES(figures_mutex_);

  std::vector<std::unique_ptr<UpstreamCluster>> clusters_;
  std::vector<Leaving> leaving_;
  mutable Mutex figures_mutex_;
  ClusterList figures_ TG_GUARDED_BY(figures_mutex_);
};

}  // namespace tidegate
