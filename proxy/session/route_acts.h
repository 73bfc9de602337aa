// RouteActs: what the routes of one worker do beside naming a cluster: their mirrors and moves, and
// what those have counted; and who finds the keys for their filters.
//
// A reload asks for each route's again. One that does what the route wants is found again, with
// what it has under way; another is made. What no route asks for any more ends: a mirror at once,
// whose requests are answered to nobody; a move when its keys have arrived and are removed from the
// old cluster. A counter goes on as long as route and cluster are called the same.
// Owner: the worker; Figures() is for any thread.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "base/thread_annotations.h"
#include "config/options.h"
#include "policy/route.h"
#include "proxy/session/route_key_scan.h"
#include "proxy/session/route_move.h"
#include "proxy/upstream/route_mirror.h"

namespace tidegate {

struct PlannedMove;

// Any thread may read the counters.
struct RouteActFigures {
  std::vector<std::shared_ptr<const MirrorFigures>> mirrors;
  std::vector<std::shared_ptr<const MoveFigures>> moves;
};

class RouteActs final {
 public:
  explicit RouteActs(Worker& worker) : worker_(worker) {}

  // Not from a callback of a connection: all routes ask between the two.
  void BeginPlan();
  RouteMirror* MirrorFor(const RouteOptions& route, UpstreamCluster& to);
  void FindKeysFor(const Route& route);
  RouteMove* MoveFor(const PlannedMove& planned, UpstreamCluster& from, UpstreamCluster* to);
  void EndPlan();

  std::span<const std::unique_ptr<RouteMirror>> mirrors() const { return mirrors_; }
  std::span<const std::unique_ptr<RouteMove>> moves() const { return moves_; }

  // At the end of a turn.
  void Step();
  // Moves that no route has any more, and that are not through. GiveUp ends them.
  bool finishes() const { return !finishing_.empty(); }
  void GiveUp();
  // One of these needs it.
  bool FinishesWith(const UpstreamCluster& cluster) const;

  RouteActFigures Figures() const TG_EXCLUDES(figures_mutex_);

 private:
  std::shared_ptr<MirrorFigures> MirrorFiguresFor(const RouteOptions& route) const;
  std::shared_ptr<MoveFigures> MoveFiguresFor(const std::string& route,
                                              const std::string& cluster) const;
  void RemoveFinished();
  void PublishFigures() TG_EXCLUDES(figures_mutex_);

  Worker& worker_;
  std::vector<std::unique_ptr<RouteMirror>> mirrors_;
  std::vector<std::unique_ptr<RouteMove>> moves_;
  std::vector<std::unique_ptr<RouteMove>> finishing_;
  std::vector<std::unique_ptr<RouteKeyScan>> key_scans_;
  // Those that no route of the plan at hand has asked for.
  std::vector<std::unique_ptr<RouteMirror>> mirrors_before_;
  std::vector<std::unique_ptr<RouteMove>> moves_before_;
  std::vector<std::unique_ptr<RouteKeyScan>> key_scans_before_;
  mutable Mutex figures_mutex_;
  RouteActFigures figures_ TG_GUARDED_BY(figures_mutex_);
};

}  // namespace tidegate
