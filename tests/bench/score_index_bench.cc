// The order of a large sorted set: filling, ranks, and what it costs in memory, beside a std::set
// of the same pairs. Members are 12 bytes. The longest single operation of a fill is printed too,
// in CPU time, as other processes may hold the core meanwhile.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <cstdio>
#include <ctime>
#include <functional>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "storage/memory/memory.h"
#include "storage/value/page_tree.h"
#include "storage/value/score_index.h"

namespace tidegate {
namespace {

enum Shape : int64_t { kRandom, kAscending, kEqualScores, kEqualScoresLongPrefix };

struct Pair {
  double score;
  std::string member;
};

std::string Member(Shape shape, uint64_t i) {
  char text[32];
  if (shape == kEqualScoresLongPrefix) {
    std::snprintf(text, sizeof(text), "key:%08u", static_cast<unsigned>(i % 100'000'000));
    return std::string(text, 12);
  }
  // A bijection, so that members differ, and their first bytes too.
  std::snprintf(text, sizeof(text), "%012llx",
                static_cast<unsigned long long>((i * 0x9e3779b97f4b) & 0xffffffffffff));
  return std::string(text, 12);
}

std::vector<Pair> Pairs(Shape shape, size_t count, size_t first = 0) {
  std::mt19937_64 random(first + 1);
  std::vector<Pair> pairs;
  pairs.reserve(count);
  for (size_t i = first; i < first + count; ++i) {
    double score = 0;
    if (shape == kRandom) score = std::uniform_real_distribution<double>(-1e9, 1e9)(random);
    if (shape == kAscending) score = static_cast<double>(i);
    pairs.push_back({score, Member(shape, i)});
  }
  if (shape == kEqualScoresLongPrefix) std::shuffle(pairs.begin(), pairs.end(), random);
  return pairs;
}

ScoreIndex Filled(const std::vector<Pair>& pairs) {
  ScoreIndex index;
  for (const Pair& pair : pairs) index.Insert(pair.score, pair.member);
  return index;
}

// The pairs in an order that has nothing to do with the one they are in, laid out so that reading
// them is not what is measured.
class Queries final {
 public:
  explicit Queries(std::vector<Pair> pairs) : pairs_(std::move(pairs)) {
    std::shuffle(pairs_.begin(), pairs_.end(), std::mt19937_64(7));
  }
  const Pair& Next() {
    if (++at_ == pairs_.size()) at_ = 0;
    return pairs_[at_];
  }

 private:
  std::vector<Pair> pairs_;
  size_t at_ = 0;
};

// A prime stride visits every rank in an order that caches cannot guess.
class Ranks final {
 public:
  explicit Ranks(size_t count) : count_(count) {}
  size_t Next() { return at_ = (at_ + 1'000'003) % count_; }

 private:
  size_t count_;
  size_t at_ = 0;
};

Shape ShapeOf(const benchmark::State& state) { return static_cast<Shape>(state.range(0)); }
size_t CountOf(const benchmark::State& state) { return static_cast<size_t>(state.range(1)); }

void ReportBytes(benchmark::State& state, uint64_t bytes, size_t count) {
  state.counters["bytes_per_element"] = static_cast<double>(bytes) / static_cast<double>(count);
}

void BM_ScoreIndexFill(benchmark::State& state) {
  const std::vector<Pair> pairs = Pairs(ShapeOf(state), CountOf(state));
  const uint64_t before = MemoryUsedBytes();
  for (auto _ : state) {
    const ScoreIndex index = Filled(pairs);
    state.PauseTiming();
    ReportBytes(state, MemoryUsedBytes() - before, pairs.size());
    state.counters["pages"] = static_cast<double>(index.page_count());
    state.ResumeTiming();
  }
  state.SetItemsProcessed(state.iterations() * state.range(1));
}

// Into an index of that size; the benchmark's time per iteration is that of one insert.
void BM_ScoreIndexInsert(benchmark::State& state) {
  ScoreIndex index = Filled(Pairs(ShapeOf(state), CountOf(state)));
  const auto more =
      Pairs(ShapeOf(state), static_cast<size_t>(state.max_iterations), CountOf(state));
  size_t i = 0;
  for (auto _ : state) {
    index.Insert(more[i].score, more[i].member);
    ++i;
  }
}

void BM_ScoreIndexErase(benchmark::State& state) {
  const std::vector<Pair> pairs = Pairs(ShapeOf(state), CountOf(state));
  ScoreIndex index = Filled(pairs);
  Queries queries(pairs);
  for (auto _ : state) {
    const Pair& pair = queries.Next();
    benchmark::DoNotOptimize(index.Erase(pair.score, pair.member));
  }
}

// To a score elsewhere, and back.
void BM_ScoreIndexUpdate(benchmark::State& state) {
  const std::vector<Pair> pairs = Pairs(ShapeOf(state), CountOf(state));
  ScoreIndex index = Filled(pairs);
  Queries queries(pairs);
  double by = 1e6;
  for (auto _ : state) {
    const Pair& pair = queries.Next();
    index.Update(pair.score, pair.member, pair.score + by);
    index.Update(pair.score + by, pair.member, pair.score);
    by = -by;
  }
  state.SetItemsProcessed(2 * state.iterations());
  ReportBytes(state, index.allocated_bytes(), pairs.size());
}

void BM_ScoreIndexRank(benchmark::State& state) {
  const std::vector<Pair> pairs = Pairs(ShapeOf(state), CountOf(state));
  const ScoreIndex index = Filled(pairs);
  Queries queries(pairs);
  for (auto _ : state) {
    const Pair& pair = queries.Next();
    benchmark::DoNotOptimize(index.Rank(pair.score, pair.member));
  }
}

void BM_ScoreIndexAt(benchmark::State& state) {
  const ScoreIndex index = Filled(Pairs(ShapeOf(state), CountOf(state)));
  Ranks ranks(CountOf(state));
  for (auto _ : state) {
    const ScoreIndex::Iterator it = index.At(ranks.Next());
    benchmark::DoNotOptimize(it.score());
    benchmark::DoNotOptimize(it.member().front());
  }
}

// ns per element of a walk.
void BM_ScoreIndexWalk(benchmark::State& state) {
  const ScoreIndex index = Filled(Pairs(ShapeOf(state), CountOf(state)));
  ScoreIndex::Iterator it = index.Begin();
  for (auto _ : state) {
    benchmark::DoNotOptimize(it.member().data());
    it.Next();
    if (it.at_end()) it = index.Begin();
  }
}

// Every operation of a life timed by itself: fill, update, erase half by rank in steps.
void BM_ScoreIndexLongest(benchmark::State& state) {
  const std::vector<Pair> pairs = Pairs(ShapeOf(state), CountOf(state));
  std::vector<uint32_t> times;
  times.reserve(3 * pairs.size());
  const auto timed = [&](const auto& step) {
    timespec begin{};
    timespec end{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &begin);
    step();
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &end);
    times.push_back(static_cast<uint32_t>((end.tv_sec - begin.tv_sec) * 1'000'000'000 +
                                          end.tv_nsec - begin.tv_nsec));
  };
  for (auto _ : state) {
    ScoreIndex index;
    for (const Pair& pair : pairs) timed([&] { index.Insert(pair.score, pair.member); });
    for (const Pair& pair : pairs)
      timed([&] { index.Update(pair.score, pair.member, pair.score / 2); });
    while (index.size() > pairs.size() / 2) {
      timed(
          [&] { index.EraseSomeByRank(index.size() / 4, 1000, [](double, std::string_view) {}); });
    }
    while (index.size() > 0) {
      bool done = false;
      timed([&] { done = index.FreeSome(1); });
      if (done) break;
    }
  }
  std::sort(times.begin(), times.end());
  state.counters["max_us"] = times.back() / 1e3;
  state.counters["p99999_us"] = times[times.size() - 1 - times.size() / 100'000] / 1e3;
  state.counters["over_100us"] =
      static_cast<double>(times.end() - std::upper_bound(times.begin(), times.end(), 100'000u));
}

// Counts what std::set takes.
uint64_t set_bytes = 0;
template <typename T>
struct CountingAllocator {
  using value_type = T;
  CountingAllocator() = default;
  template <typename U>
  CountingAllocator(const CountingAllocator<U>&) {}  // NOLINT(google-explicit-constructor)
  T* allocate(size_t n) {
    set_bytes += (n * sizeof(T) + 15) / 16 * 16;
    return static_cast<T*>(::operator new(n * sizeof(T)));
  }
  void deallocate(T* p, size_t) { ::operator delete(p); }
  bool operator==(const CountingAllocator&) const { return true; }
};
using Set = std::set<std::pair<double, std::string>, std::less<>,
                     CountingAllocator<std::pair<double, std::string>>>;

void BM_StdSetFill(benchmark::State& state) {
  const std::vector<Pair> pairs = Pairs(ShapeOf(state), CountOf(state));
  for (auto _ : state) {
    set_bytes = 0;
    Set set;
    for (const Pair& pair : pairs) set.emplace(pair.score, pair.member);
    state.PauseTiming();
    ReportBytes(state, set_bytes, pairs.size());
    state.ResumeTiming();
  }
  state.SetItemsProcessed(state.iterations() * state.range(1));
}

// It has no ranks: a search.
void BM_StdSetFind(benchmark::State& state) {
  const std::vector<Pair> pairs = Pairs(ShapeOf(state), CountOf(state));
  Set set;
  for (const Pair& pair : pairs) set.emplace(pair.score, pair.member);
  Queries queries(pairs);
  for (auto _ : state) {
    const Pair& pair = queries.Next();
    benchmark::DoNotOptimize(set.find(std::pair(pair.score, pair.member)));
  }
}

// What a list does at its ends, and in the middle, apart from the elements themselves.
void BM_PageTreePushPop(benchmark::State& state) {
  PageTree tree;
  static char page;
  for (int64_t i = 0; i < state.range(0); ++i) tree.Append({&page, 100, {}});
  for (auto _ : state) {
    tree.AddCount(tree.Last(), 1);
    tree.AddCount(tree.First(), -1);
    tree.AddCount(tree.First(), 1);
    tree.AddCount(tree.Last(), -1);
  }
  state.SetItemsProcessed(4 * state.iterations());
  tree.FreeSome(SIZE_MAX, [](void*) {});
}

void BM_PageTreeFindByRank(benchmark::State& state) {
  PageTree tree;
  static char page;
  for (int64_t i = 0; i < state.range(0); ++i) tree.Append({&page, 100, {}});
  Ranks ranks(tree.element_count());
  for (auto _ : state) benchmark::DoNotOptimize(tree.FindByRank(ranks.Next()).path.page());
  tree.FreeSome(SIZE_MAX, [](void*) {});
}

constexpr int64_t kMillion = 1'000'000;

void AllShapes(benchmark::internal::Benchmark* benchmark) {
  for (const Shape shape : {kRandom, kAscending, kEqualScores, kEqualScoresLongPrefix})
    benchmark->Args({shape, 2 * kMillion});
}

BENCHMARK(BM_ScoreIndexFill)->Apply(AllShapes)->Unit(benchmark::kMillisecond)->Iterations(1);
BENCHMARK(BM_StdSetFill)->Apply(AllShapes)->Unit(benchmark::kMillisecond)->Iterations(1);
BENCHMARK(BM_ScoreIndexInsert)->Apply(AllShapes)->Iterations(400'000);
BENCHMARK(BM_ScoreIndexErase)->Apply(AllShapes)->Iterations(1'000'000);
BENCHMARK(BM_ScoreIndexUpdate)->Args({kRandom, 2 * kMillion})->Iterations(500'000);
BENCHMARK(BM_ScoreIndexRank)->Apply(AllShapes)->Args({kRandom, 1000})->Args({kRandom, 100'000});
BENCHMARK(BM_StdSetFind)->Apply(AllShapes);
BENCHMARK(BM_ScoreIndexAt)->Apply(AllShapes);
BENCHMARK(BM_ScoreIndexWalk)->Args({kRandom, 2 * kMillion});
BENCHMARK(BM_ScoreIndexLongest)
    ->Args({kRandom, 5 * kMillion})
    ->Args({kEqualScoresLongPrefix, 5 * kMillion})
    ->Unit(benchmark::kMillisecond)
    ->Iterations(1);
BENCHMARK(BM_PageTreePushPop)->Arg(1)->Arg(20'000);
BENCHMARK(BM_PageTreeFindByRank)->Arg(20'000);

}  // namespace
}  // namespace tidegate

BENCHMARK_MAIN();
