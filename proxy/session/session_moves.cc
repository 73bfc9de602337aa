// The part of Session that waits until the keys of its next command are where they should be: where
// a route has move-from (RouteMove).
#include <algorithm>
#include <optional>
#include <span>
#include <string>
#include <utility>

#include "proxy/route/forward_rule.h"
#include "proxy/session/route_move.h"
#include "proxy/session/session.h"
#include "proxy/session/session_private.h"
#include "proxy/upstream/key_moves.h"
#include "proxy/worker.h"

namespace tidegate {

// What is about keys that it does not name: those that are still in the old cluster are not known.
std::string Session::RefusalWhileMoving(const Request& request) const {
  if (!router().any_moves() || ForwardRuleOf(request) == ForwardRule::kHere) return "";
  const std::span<Route> routes = router().routes();
  const bool moves = std::any_of(routes.begin(), routes.end(),
                                 [](const Route& route) { return route.move != nullptr; });
  if (!moves) return "";  // routes are held
  const std::string& name = request.command->full_name;
  if (TouchesOtherDatabases(request) || name == "flushdb")
    return "ERR '" + name + "' is refused while a route moves keys from another cluster";
  if (!request.keys.empty() && MeetsUnnamedKeys(request)) {
    return "ERR '" + name +
           "' with patterns of keys is refused while a route moves keys from another cluster";
  }
  return "";
}

std::optional<Session::Step> Session::MoveKeys(const Request& request) {
  // What has begun to execute has its keys.
  if (resuming_) return std::nullopt;
  const bool is_exec = transaction_.open() && request.command->full_name == "exec";
  if (router().held() && (is_exec || ForwardRuleOf(request) != ForwardRule::kHere)) {
    worker_.HoldForRoutes(*this);
    StopFor(kStopUpstream);
    return Step::kStay;
  }
  if (router().held()) return std::nullopt;
  if (!move_error_.empty()) {
    if (WaitsForUpstream(0)) return Step::kStay;
    return RefuseMoved(request, std::exchange(move_error_, ""));
  }
  if (is_exec) {
    for (size_t i = 0; i < transaction_.size(); ++i) {
      if (const auto step = MoveKeysOf(request, transaction_.at(i).view().keys)) return step;
    }
    return std::nullopt;
  }
  if (ForwardRuleOf(request) == ForwardRule::kHere) return std::nullopt;
  const std::string refusal = RefusalWhileMoving(request);
  if (refusal.empty()) return MoveKeysOf(request, request.keys);
  if (WaitsForUpstream(0)) return Step::kStay;
  return RefuseMoved(request, refusal);
}

// One after the other: who waits for a key that somebody else moves has none of its own, so nobody
// waits for ever.
std::optional<Session::Step> Session::MoveKeysOf(const Request& request,
                                                 std::span<const KeyRef> keys) {
  for (const KeyRef& key : keys) {
    RouteMove* const move = router().RouteOfKey(key.name).move;
    if (move == nullptr) continue;
    if (move->full()) {
      if (WaitsForUpstream(0)) return Step::kStay;
      return RefuseMoved(request, "ERR too many keys wait to be removed from cluster '" +
                                      move->cluster_name() + "'");
    }
    const KeyMoves::State state = move->keys().Begin(client_.db, key, client_.ticket);
    if (state == KeyMoves::State::kSettled) continue;
    if (state == KeyMoves::State::kMine) move->Begin(client_.db, key, id_);
    StopFor(kStopUpstream);
    return Step::kStay;
  }
  return std::nullopt;
}

Session::Step Session::RefuseMoved(const Request& request, std::string_view error) {
  if (private_ != nullptr && request.command->full_name == "exec") private_->EndWatch();
  RefuseWith(request, error);
  return Step::kNext;
}

void Session::KeysMoved(std::string_view error) {
  move_error_ = error;
  worker_.GoOnAtEndOfTurn(*this);
}

}  // namespace tidegate
