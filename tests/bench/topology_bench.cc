// What topologies cost: on the request path the node of a key, off it a refresh.
#include <benchmark/benchmark.h>

#include <cstdint>
#include <string>
#include <vector>

#include "base/text.h"
#include "proxy/topology/cluster_agreement.h"
#include "proxy/topology/cluster_replies.h"
#include "proxy/topology/ketama.h"

namespace tidegate::topology {
namespace {

constexpr size_t kKeys = 4096;
constexpr int64_t kRingNodes = 10;

std::vector<std::string> Keys() {
  std::vector<std::string> keys;
  for (size_t i = 0; i < kKeys; ++i) {
    keys.push_back("user:profile:" + ToText(static_cast<int64_t>(i)));
  }
  return keys;
}

KetamaRing Ring(RingHash hash) {
  std::vector<RingNode> nodes;
  for (int64_t i = 0; i < kRingNodes; ++i) {
    nodes.push_back({.name = "10.0.0." + ToText(i) + ":6379", .weight = 1});
  }
  RingOptions options;
  options.hash = hash;
  return std::move(*KetamaRing::Create(std::move(options), std::move(nodes)));
}

void RingNodeOfKey(benchmark::State& state) {
  const KetamaRing ring = Ring(static_cast<RingHash>(state.range(0)));
  const std::vector<std::string> keys = Keys();
  size_t i = 0;
  for (auto _ : state) benchmark::DoNotOptimize(ring.NodeOf(keys[++i % kKeys]));
  state.SetLabel(std::string(NameOf(static_cast<RingHash>(state.range(0)))));
}
BENCHMARK(RingNodeOfKey)->DenseRange(0, kRingHashCount - 1);

void RingEjectOne(benchmark::State& state) {
  const KetamaRing ring = Ring(RingHash::kFnv1aBits64);
  std::vector<bool> is_live(kRingNodes, true);
  is_live[3] = false;
  for (auto _ : state) benchmark::DoNotOptimize(ring.WithLive(is_live));
}
BENCHMARK(RingEjectOne);

// CLUSTER NODES of so many primaries with a replica each.
Reply ClusterNodes(int64_t primaries) {
  Reply reply;
  reply.kind = Reply::Kind::kText;
  for (int64_t i = 0; i < primaries; ++i) {
    const std::string number = ToText(i);
    const std::string slots =
        ToText(kSlotCount * i / primaries) + "-" + ToText(kSlotCount * (i + 1) / primaries - 1);
    reply.text += "primary" + number + " 10.0.0.1:" + ToText(1000 + i) + "@1 master - 0 0 ";
    reply.text += ToText(i + 1) + " connected " + slots + "\n";
    reply.text += "replica" + number + " 10.0.0.2:" + ToText(1000 + i) + "@1 slave primary";
    reply.text += number + " 0 0 " + ToText(i + 1) + " connected\n";
  }
  return reply;
}

void SlotMapOfSlot(benchmark::State& state) {
  const SlotMap map = std::move(*ParseClusterNodes(ClusterNodes(state.range(0)), AskedNode()));
  uint32_t i = 0;
  for (auto _ : state) {
    i += 7919;
    benchmark::DoNotOptimize(map.OfSlot(static_cast<uint16_t>(i % kSlotCount)).primary);
  }
}
BENCHMARK(SlotMapOfSlot)->Arg(3)->Arg(1000);

void SlotMapParseNodes(benchmark::State& state) {
  const Reply reply = ClusterNodes(state.range(0));
  for (auto _ : state) benchmark::DoNotOptimize(ParseClusterNodes(reply, AskedNode()));
}
BENCHMARK(SlotMapParseNodes)->Arg(3)->Arg(1000)->Unit(benchmark::kMicrosecond);

void SlotMapAgree(benchmark::State& state) {
  const SlotMap map = std::move(*ParseClusterNodes(ClusterNodes(state.range(0)), AskedNode()));
  const std::vector<ClusterView> views(5, ClusterView{.map = map});
  for (auto _ : state) benchmark::DoNotOptimize(AgreeOnCluster(views));
}
BENCHMARK(SlotMapAgree)->Arg(3)->Arg(1000)->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace tidegate::topology

BENCHMARK_MAIN();
