// Router: which route a request takes. Of the patterns that match a key the longest wins; of equal
// length the first in the configuration. A request whose keys belong to several routes, or that has
// no key, takes the route "*" (splitting by cluster begins where there is more than one).
//
// One per worker, immutable once built. With the engine as the only cluster and no filters, the
// default, any_filters() is false and a batch pays one predictable branch. Otherwise patterns of
// the form "prefix*" are compared as prefixes, others as globs, longest first: with tens of routes
// that is cheaper than a tree. Owner: one worker.
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "policy/route.h"
#include "storage/request.h"

namespace tidegate {

class Router final {
 public:
  // `routes` in the order of the configuration, one of them "*".
  explicit Router(std::vector<Route> routes);

  bool any_filters() const { return any_filters_; }
  Route& RouteOfKey(std::string_view key);
  Route& RouteOf(const Request& request);
  std::span<Route> routes() { return routes_; }

 private:
  std::vector<Route> routes_;          // longest pattern first
  std::vector<std::string> prefixes_;  // "item:" of "item:*"; for other globs their literal start
  std::vector<bool> is_prefix_;
  size_t catch_all_ = 0;
  bool any_filters_ = false;
};

}  // namespace tidegate
