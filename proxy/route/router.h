// Router: which route a request takes. Of the patterns that match a key the longest wins; of equal
// length the first in the configuration. A request whose keys belong to several routes, or that has
// no key, takes the route "*". A request with keys of several clusters is refused: nothing is
// split.
//
// One per worker, immutable once built; a reload builds another. With the engine as the only
// cluster, one route and no filters, the default, looks() is false and a batch pays one predictable
// branch.
// Otherwise patterns of the form "prefix*" are compared as prefixes, others as globs, longest
// first: with tens of routes that is cheaper than a tree. Which commands policies have to be asked
// about is worked out beforehand: it costs a look into a row of bits. Owner: one worker.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "policy/route.h"
#include "storage/request.h"

namespace tidegate {

// Who answers a request.
struct Placement {
  // Of an upstream: over a connection that sessions share, over one for this session, or shared and
  // looked at because it is about scripts.
  enum class Handling : uint8_t { kShared, kPrivate, kScript };

  UpstreamCluster* upstream = nullptr;  // null: this process
  std::string refusal = {};             // not empty: nobody does
  Handling handling = Handling::kShared;
  uint16_t figures = 0;  // Route::figures, of the route of its first key; 0: it has none
};

// Whether policies have to be asked about requests of a command: those of the routes of their keys,
// or of all routes, because they may touch more than they name.
enum class Guarded : uint8_t { kNo, kByKey, kAlways };

class Router final {
 public:
  // `routes` in the order of the configuration, one of them "*". `guarded`: for each command's id
  // whether a policy has to be asked about it; empty: none has, of any. `held`: requests wait, see
  // RouteHold.
  explicit Router(std::vector<Route> routes, std::vector<Guarded> guarded = {}, bool held = false);

  // Whether requests have to be looked at: there are filters or upstreams, or several routes, which
  // are counted apart.
  bool looks() const { return any_filters_ || any_upstreams_ || any_guards_ || routes_.size() > 1; }
  // Whether policies have to be asked about requests of this command. Of any route: which one a
  // request takes is not known yet, and to find it out for all of them would cost more than to ask
  // in vain for some.
  bool guards(uint32_t command_id) const {
    return any_guards_ && guarded_[command_id] != Guarded::kNo;
  }
  // Of a command with one key, the policies of that key's route alone.
  bool guards_by_key(uint32_t command_id) const { return guarded_[command_id] == Guarded::kByKey; }
  // There are, be it as a mirror alone.
  bool any_upstreams() const { return any_upstreams_; }
  // Whether a route does more than to name a cluster: one of the three below. Of routes that are
  // held all requests are looked at as if keys were moved.
  bool any_acts() const { return any_prefixes_ || any_mirrors_ || any_moves_; }
  bool any_prefixes() const { return any_prefixes_; }
  bool any_mirrors() const { return any_mirrors_; }
  bool any_moves() const { return any_moves_; }
  bool held() const { return held_; }
  // The upstream of the route "*"; null: the engine.
  UpstreamCluster* everything() const { return routes_[catch_all_].upstream; }
  Placement Place(const Request& request);
  Route& RouteOfKey(std::string_view key);
  Route& RouteOf(const Request& request);
  Route& catch_all() { return routes_[catch_all_]; }
  std::span<Route> routes() { return routes_; }

 private:
  void NoteUses(const Route& route);
  // False: of several.
  bool FindUpstream(const Request& request, Placement& placement);

  std::vector<Route> routes_;          // longest pattern first
  std::vector<std::string> prefixes_;  // "item:" of "item:*"; for other globs their literal start
  std::vector<bool> is_prefix_;
  std::vector<Guarded> guarded_;  // by command; empty without policies
  size_t catch_all_ = 0;
  bool any_guards_ = false;
  bool any_filters_ = false;
  bool any_upstreams_ = false;
  bool any_prefixes_ = false;
  bool any_mirrors_ = false;
  bool any_moves_ = false;
  bool held_ = false;
};

}  // namespace tidegate
