#include "proxy/session/route_acts.h"

#include <algorithm>
#include <utility>

#include "policy/route_policies.h"
#include "proxy/upstream/upstream_cluster.h"
#include "proxy/upstream/upstream_plan.h"

namespace tidegate {
namespace {

// Moves what `is_it` holds of from one list to the end of the other; null: nothing does.
template <typename Act, typename Predicate>
Act* TakeOver(std::vector<std::unique_ptr<Act>>& from, std::vector<std::unique_ptr<Act>>& to,
              Predicate is_it) {
  const auto found = std::find_if(from.begin(), from.end(), is_it);
  if (found == from.end()) return nullptr;
  Act* const act = to.emplace_back(std::move(*found)).get();
  from.erase(found);
  return act;
}

}  // namespace

void RouteActs::BeginPlan() {
  mirrors_before_ = std::exchange(mirrors_, {});
  moves_before_ = std::exchange(moves_, {});
  key_scans_before_ = std::exchange(key_scans_, {});
}

RouteMirror* RouteActs::MirrorFor(const RouteOptions& route, UpstreamCluster& to) {
  const auto is_it = [&](const std::unique_ptr<RouteMirror>& one) {
    return one->route() == route.match && one->Does(to, route.mirror.percent);
  };
  const auto there = std::find_if(mirrors_.begin(), mirrors_.end(), is_it);
  if (there != mirrors_.end()) return there->get();
  if (RouteMirror* const known = TakeOver(mirrors_before_, mirrors_, is_it)) return known;
  return mirrors_
      .emplace_back(
          std::make_unique<RouteMirror>(MirrorFiguresFor(route), to, route.mirror.percent))
      .get();
}

// Keys that are still to be moved are not where they would be looked for: then nothing is known.
void RouteActs::FindKeysFor(const Route& route) {
  if (route.policies == nullptr || route.move != nullptr) return;
  const std::shared_ptr<AbsentKeys>& keys = route.policies->absent_keys();
  if (keys == nullptr || keys->known_keys() == nullptr) return;
  const auto is_it = [&](const std::unique_ptr<RouteKeyScan>& one) {
    return one->Does(keys.get(), route);
  };
  if (TakeOver(key_scans_before_, key_scans_, is_it) != nullptr) return;
  key_scans_.push_back(std::make_unique<RouteKeyScan>(
      worker_, keys,
      RouteKeyScan::Source{
          .match = route.match, .prefixes = route.prefixes, .cluster = route.upstream}));
}

RouteMove* RouteActs::MoveFor(const PlannedMove& planned, UpstreamCluster& from,
                              UpstreamCluster* to) {
  const auto is_it = [&planned](const std::unique_ptr<RouteMove>& one) {
    return &one->keys() == planned.keys.get();
  };
  const auto there = std::find_if(moves_.begin(), moves_.end(), is_it);
  if (there != moves_.end()) return there->get();
  if (RouteMove* const known = TakeOver(moves_before_, moves_, is_it)) return known;
  return moves_
      .emplace_back(std::make_unique<RouteMove>(worker_, MoveFiguresFor(planned.route, from.name()),
                                                planned.keys, from, to))
      .get();
}

void RouteActs::EndPlan() {
  for (std::unique_ptr<RouteMove>& move : moves_before_) finishing_.push_back(std::move(move));
  moves_before_.clear();
  mirrors_before_.clear();
  key_scans_before_.clear();
  RemoveFinished();
  PublishFigures();
}

std::shared_ptr<MirrorFigures> RouteActs::MirrorFiguresFor(const RouteOptions& route) const {
  for (const auto& before : mirrors_before_) {
    if (before->route() == route.match && before->cluster_name() == route.mirror.cluster)
      return before->figures();
  }
  auto figures = std::make_shared<MirrorFigures>();
  figures->route = route.match;
  figures->cluster = route.mirror.cluster;
  return figures;
}

std::shared_ptr<MoveFigures> RouteActs::MoveFiguresFor(const std::string& route,
                                                       const std::string& cluster) const {
  for (const auto* before : {&moves_before_, &finishing_}) {
    for (const auto& move : *before) {
      if (move->route() == route && move->cluster_name() == cluster) return move->figures();
    }
  }
  auto figures = std::make_shared<MoveFigures>();
  figures->route = route;
  figures->cluster = cluster;
  return figures;
}

void RouteActs::Step() {
  for (const auto& move : moves_) move->Step();
  if (__builtin_expect(finishing_.empty(), 1)) return;
  for (const auto& move : finishing_) move->Step();
  RemoveFinished();
}

void RouteActs::RemoveFinished() {
  std::erase_if(finishing_, [](const auto& move) { return move->idle(); });
}

void RouteActs::GiveUp() {
  for (const auto& move : finishing_) move->GiveUp();
  finishing_.clear();
}

bool RouteActs::FinishesWith(const UpstreamCluster& cluster) const {
  return std::any_of(finishing_.begin(), finishing_.end(),
                     [&cluster](const auto& move) { return move->RefersTo(cluster); });
}

void RouteActs::PublishFigures() {
  RouteActFigures figures;
  for (const auto& mirror : mirrors_) figures.mirrors.push_back(mirror->figures());
  for (const auto& move : moves_) figures.moves.push_back(move->figures());
  const MutexLock lock(figures_mutex_);
  std::swap(figures_, figures);
}

RouteActFigures RouteActs::Figures() const {
  const MutexLock lock(figures_mutex_);
  return figures_;
}

}  // namespace tidegate
