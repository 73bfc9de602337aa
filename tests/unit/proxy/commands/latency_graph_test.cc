#include "proxy/commands/latency_graph.h"

#include <gtest/gtest.h>

#include <vector>

namespace tidegate {
namespace {

TEST(LatencyGraph, HeightsAndAges) {
  const std::vector<LatencySample> samples = {{1000, 100}, {1100, 300}, {1195, 500}};
  const std::string graph = DrawLatencyGraph("command", samples, 700, 1200);
  EXPECT_EQ(graph, "command - high 500 ms, low 100 ms (all time high 700 ms)\n" +
                       std::string(80, '-') + "\n" +
                       "  #\n"
                       " _|\n"
                       " ||\n"
                       "_||\n"
                       "\n"
                       "315\n"
                       "mms\n");
}

TEST(LatencyGraph, OneSampleAndManyLines) {
  const std::vector<LatencySample> one = {{1000, 7}};
  EXPECT_NE(DrawLatencyGraph("e", one, 7, 1000).find("\n_\n\n0\ns\n"), std::string::npos);
  const std::vector<LatencySample> many(160, {1000, 5});
  const std::string graph = DrawLatencyGraph("e", many, 5, 1000);
  EXPECT_NE(graph.find(std::string(80, '_') + "\n"), std::string::npos);
  EXPECT_EQ(graph.find(std::string(81, '_')), std::string::npos);
}

}  // namespace
}  // namespace tidegate
