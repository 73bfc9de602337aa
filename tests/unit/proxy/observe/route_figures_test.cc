// What is counted of a route, and of replies of upstreams.
#include "proxy/observe/route_figures.h"

#include <gtest/gtest.h>

#include "proxy/observe/request_class.h"
#include "storage/engine_thread.h"

namespace tidegate {
namespace {

TEST(HitsOfReply, NullsAreMisses) {
  const auto hits = [](std::string_view reply, bool per_element = false) {
    const ReplyHits found = HitsOfReply(reply, per_element);
    return std::pair(found.hits, found.misses);
  };
  EXPECT_EQ(hits("$1\r\na\r\n"), std::pair(1ul, 0ul));
  EXPECT_EQ(hits("$-1\r\n"), std::pair(0ul, 1ul));
  EXPECT_EQ(hits("_\r\n"), std::pair(0ul, 1ul));
  EXPECT_EQ(hits("*-1\r\n"), std::pair(0ul, 1ul));
  EXPECT_EQ(hits("*0\r\n"), std::pair(1ul, 0ul));
  EXPECT_EQ(hits(":0\r\n"), std::pair(1ul, 0ul));
  EXPECT_EQ(hits("-WRONGTYPE no\r\n"), std::pair(0ul, 0ul));
}

TEST(HitsOfReply, EachElementOfAnMget) {
  const auto hits = [](std::string_view reply) {
    const ReplyHits found = HitsOfReply(reply, true);
    return std::pair(found.hits, found.misses);
  };
  EXPECT_EQ(hits("*4\r\n$1\r\na\r\n$-1\r\n$0\r\n\r\n_\r\n"), std::pair(2ul, 2ul));
  EXPECT_EQ(hits("*2\r\n$5\r\n$-1\r\n\r\n$-1\r\n"), std::pair(1ul, 1ul))
      << "a value that looks like a null";
  EXPECT_EQ(hits("*0\r\n"), std::pair(0ul, 0ul));
  EXPECT_EQ(hits("*2\r\n$99999999999999999999\r\n"), std::pair(1ul, 0ul)) << "no end of it";
}

TEST(RouteMeter, ARouteIsItsPatternAndItsCluster) {
  RouteMeter meter;
  EXPECT_EQ(meter.NumberOf("*", kEngineClusterName), 0);
  const uint16_t a = meter.NumberOf("a:*", "one");
  EXPECT_EQ(meter.NumberOf("a:*", "one"), a);
  EXPECT_NE(meter.NumberOf("a:*", "two"), a) << "a reload has given it another cluster";
  EXPECT_EQ(meter.Figures().size(), 3u);
}

TEST(RouteMeter, KeepsNoMoreThanItsLimit) {
  RouteMeter meter;
  for (size_t i = 0; i < kRouteFiguresMax + 10; ++i) meter.NumberOf(std::to_string(i), "one");
  EXPECT_EQ(meter.Figures().size(), kRouteFiguresMax);
  EXPECT_EQ(meter.NumberOf("one too many", "one"), 0);
}

TEST(RouteMeter, TakesOverWhatTheWorkerCounted) {
  RouteMeter meter;
  CommandStats commands(2);
  commands.Record(1, 1000, false, true);
  EngineCounters engine;
  engine.keyspace_hits.Add(5);
  engine.keyspace_misses.Add(2);
  EXPECT_FALSE(meter.counts());
  meter.BeginCounting(7, commands, engine);
  meter.BeginCounting(7, commands, engine);
  EXPECT_TRUE(meter.counts());
  engine.keyspace_hits.Add(1);
  meter.CountHere(meter.NumberOf("a:*", kEngineClusterName), 1000, true, engine);
  const RouteMeter::List routes = meter.Figures();
  EXPECT_EQ(routes[0]->requests.Get(), 7u);
  EXPECT_EQ(routes[0]->hits.Get(), 5u);
  EXPECT_EQ(routes[0]->misses.Get(), 2u);
  EXPECT_EQ(routes[1]->requests.Get(), 1u);
  EXPECT_EQ(routes[1]->hits.Get(), 1u);
  EXPECT_EQ(routes[1]->misses.Get(), 0u);
  uint64_t taken = 0;
  for (int i = 0; i < LatencyHistogram::kBuckets; ++i) taken += routes[0]->latency.CountOf(i);
  EXPECT_EQ(taken, 1u);
}

TEST(RequestClass, FollowsTheRow) {
  EXPECT_EQ(ClassOf({.name = "GET", .access = Access::kRead}), RequestClass::kRead);
  EXPECT_EQ(ClassOf({.name = "SET", .access = Access::kWrite}), RequestClass::kWrite);
  EXPECT_EQ(ClassOf({.name = "BLPOP", .access = Access::kWrite, .flags = kBlocking}),
            RequestClass::kBlocking);
  EXPECT_EQ(ClassOf({.name = "EVALSHA", .access = Access::kWrite}), RequestClass::kScript);
  EXPECT_EQ(ClassOf({.name = "PING", .access = Access::kNone}), RequestClass::kOther);
}

}  // namespace
}  // namespace tidegate
