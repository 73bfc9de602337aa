#include "proxy/route/router.h"

#include <algorithm>

#include "base/check.h"
#include "base/text.h"
#include "proxy/route/forward_rule.h"

namespace tidegate {
namespace {

constexpr std::string_view kGlobCharacters = "*?[\\";

Placement::Handling HandlingOf(ForwardRule rule) {
  switch (rule) {
    case ForwardRule::kPrivateByKey:
    case ForwardRule::kPrivateByCatchAll:
      return Placement::Handling::kPrivate;
    case ForwardRule::kScriptByKey:
    case ForwardRule::kScriptByCatchAll:
      return Placement::Handling::kScript;
    default:
      return Placement::Handling::kShared;
  }
}

bool MeansCatchAll(ForwardRule rule) {
  return rule == ForwardRule::kByCatchAll || rule == ForwardRule::kPrivateByCatchAll ||
         rule == ForwardRule::kScriptByCatchAll;
}

}  // namespace

Router::Router(std::vector<Route> routes, std::vector<Guarded> guarded, bool held)
    : routes_(std::move(routes)),
      guarded_(std::move(guarded)),
      any_guards_(std::any_of(guarded_.begin(), guarded_.end(),
                              [](Guarded one) { return one != Guarded::kNo; })),
      any_upstreams_(held),
      any_moves_(held),
      held_(held) {
  std::stable_sort(routes_.begin(), routes_.end(),
                   [](const Route& a, const Route& b) { return a.match.size() > b.match.size(); });
  bool has_catch_all = false;
  for (size_t i = 0; i < routes_.size(); ++i) {
    const std::string& match = routes_[i].match;
    const size_t literal = std::min(match.find_first_of(kGlobCharacters), match.size());
    prefixes_.push_back(match.substr(0, literal));
    is_prefix_.push_back(literal + 1 == match.size() && match[literal] == '*');
    if (match == "*") {
      catch_all_ = i;
      has_catch_all = true;
    }
    NoteUses(routes_[i]);
  }
  TG_CHECK(has_catch_all);
}

void Router::NoteUses(const Route& route) {
  any_filters_ = any_filters_ || !route.filters.empty();
  any_prefixes_ = any_prefixes_ || route.prefixes.any();
  any_mirrors_ = any_mirrors_ || route.mirror != nullptr;
  any_moves_ = any_moves_ || route.move != nullptr;
  any_upstreams_ = any_upstreams_ || route.upstream != nullptr || any_mirrors_ || any_moves_;
}

Route& Router::RouteOfKey(std::string_view key) {
  for (size_t i = 0; i < routes_.size(); ++i) {
    if (!key.starts_with(prefixes_[i])) continue;
    if (is_prefix_[i] || GlobMatch(routes_[i].match, key)) return routes_[i];
  }
  return routes_[catch_all_];
}

Route& Router::RouteOf(const Request& request) {
  if (request.keys.empty()) return routes_[catch_all_];
  Route& first = RouteOfKey(request.keys[0].name);
  for (const KeyRef& key : request.keys.subspan(1)) {
    if (&RouteOfKey(key.name) != &first) return routes_[catch_all_];
  }
  return first;
}

bool Router::FindUpstream(const Request& request, Placement& placement) {
  const Route& first =
      request.keys.empty() ? routes_[catch_all_] : RouteOfKey(request.keys[0].name);
  placement.upstream = first.upstream;
  placement.figures = first.figures;
  if (request.keys.empty()) return true;
  for (const KeyRef& key : request.keys.subspan(1)) {
    if (RouteOfKey(key.name).upstream != first.upstream) return false;
  }
  return true;
}

Placement Router::Place(const Request& request) {
  const ForwardRule rule = ForwardRuleOf(request);
  Placement placement;
  if (rule == ForwardRule::kHere) return placement;
  placement.handling = HandlingOf(rule);
  if (MeansCatchAll(rule)) {
    placement.upstream = routes_[catch_all_].upstream;
    placement.figures = routes_[catch_all_].figures;
  } else if (!FindUpstream(request, placement)) {
    placement.refusal = "ERR keys of one command belong to different clusters";
    return placement;
  }
  return placement;
}

}  // namespace tidegate
