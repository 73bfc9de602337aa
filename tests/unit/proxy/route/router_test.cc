// Router: which pattern a key and a request belong to.
#include "proxy/route/router.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace tidegate {
namespace {

class Pass final : public Filter {
 public:
  std::string_view name() const override { return "pass"; }
  FilterVerdict OnRequest(RequestContext&) override { return FilterVerdict::kContinue; }
  void OnReply(RequestContext&, const ReplyView&) override {}
  void OnAbandoned(uint64_t) override {}
};

Router Make(const std::vector<std::string>& patterns) {
  std::vector<Route> routes;
  for (const std::string& pattern : patterns)
    routes.push_back({.match = pattern, .cluster = "to " + pattern});
  return Router(std::move(routes));
}

std::string ClusterOf(Router& router, const std::vector<std::string>& keys) {
  std::vector<KeyRef> refs;
  for (const std::string& key : keys) refs.push_back(KeyRef::Of(key));
  Request request;
  request.keys = refs;
  return router.RouteOf(request).cluster;
}

TEST(Router, TheLongestMatchingPatternWins) {
  Router router = Make({"*", "item:*", "item:hot:*", "user:?:name", "item:[ab]*"});
  EXPECT_EQ(router.RouteOfKey("item:1").cluster, "to item:*");
  EXPECT_EQ(router.RouteOfKey("item:hot:1").cluster, "to item:hot:*");
  EXPECT_EQ(router.RouteOfKey("item:a1").cluster, "to item:[ab]*");
  EXPECT_EQ(router.RouteOfKey("user:7:name").cluster, "to user:?:name");
  EXPECT_EQ(router.RouteOfKey("user:77:name").cluster, "to *");
  EXPECT_EQ(router.RouteOfKey("").cluster, "to *");
}

TEST(Router, OfEqualLengthTheFirstWins) {
  Router router = Make({"a?*", "a*c", "*"});
  EXPECT_EQ(router.RouteOfKey("abc").cluster, "to a?*");
}

TEST(Router, AnExactNameIsAPatternToo) {
  Router router = Make({"*", "config"});
  EXPECT_EQ(router.RouteOfKey("config").cluster, "to config");
  EXPECT_EQ(router.RouteOfKey("config2").cluster, "to *");
}

TEST(Router, KeysOfSeveralRoutesTakeTheCatchAll) {
  Router router = Make({"*", "a:*", "b:*"});
  EXPECT_EQ(ClusterOf(router, {"a:1", "a:2"}), "to a:*");
  EXPECT_EQ(ClusterOf(router, {"a:1", "b:2"}), "to *");
  EXPECT_EQ(ClusterOf(router, {}), "to *");
}

TEST(Router, KnowsWhetherThereIsAnyFilter) {
  EXPECT_FALSE(Make({"*"}).looks());
  EXPECT_TRUE(Make({"*", "a:*"}).looks());  // to count them apart
  std::vector<std::unique_ptr<Filter>> filters;
  filters.push_back(std::make_unique<Pass>());
  std::vector<Route> routes;
  routes.push_back({.match = "*", .cluster = "one", .filters = FilterChain(std::move(filters))});
  EXPECT_TRUE(Router(std::move(routes)).looks());
}

TEST(Router, LooksAtRequestsWhenThereIsAnUpstream) {
  char somewhere = 0;  // the router hands the pointer on and looks at nothing behind it
  auto* upstream = reinterpret_cast<UpstreamCluster*>(&somewhere);
  std::vector<Route> routes;
  routes.push_back({.match = "*", .cluster = "local"});
  routes.push_back({.match = "a:*", .cluster = "cache", .upstream = upstream});
  Router router(std::move(routes));
  EXPECT_TRUE(router.looks());
  EXPECT_TRUE(router.any_upstreams());
  EXPECT_EQ(router.RouteOfKey("a:1").upstream, upstream);
  EXPECT_EQ(router.RouteOfKey("b").upstream, nullptr);
}

}  // namespace
}  // namespace tidegate
