// Listpacks: look-up of a field as HGET does it, reading, walking, appending. And intsets.
//
// The collections that a benchmark walks over are many and in random order where it says "cold", so
// that nothing about them is in the branch predictor; a single one is the best case.
#include <benchmark/benchmark.h>

#include <random>
#include <string>
#include <vector>

#include "storage/value/intset.h"
#include "storage/value/listpack.h"
#include "storage/value/packed_block.h"

namespace tidegate {
namespace {

std::string Text(std::mt19937& random, size_t bytes_max) {
  return std::string(1 + random() % bytes_max, static_cast<char>('a' + random() % 26));
}

// A hash of so many fields, "field:0" and on, with values of all kinds.
PackedBlock* MakeHash(size_t fields, std::mt19937& random) {
  PackedBlock* block = nullptr;
  PackedBlockBuffer buffer(block, 1);
  Listpack list(buffer);
  list.Create();
  for (size_t i = 0; i < fields; ++i) {
    const std::string field = "field:" + std::to_string(i);
    const std::string value = random() % 3 == 0 ? std::to_string(random()) : Text(random, 40);
    list.AppendPair(ListpackValue::Of(field), ListpackValue::Of(value));
  }
  return block;
}

class Hashes final {
 public:
  Hashes(size_t count, size_t fields) {
    std::mt19937 random(1);
    for (size_t i = 0; i < count; ++i) blocks_.push_back(MakeHash(fields, random));
  }
  ~Hashes() {
    for (PackedBlock* block : blocks_) PackedBlock::Destroy(block);
  }
  ListpackView operator[](size_t i) const { return ListpackView(blocks_[i]->bytes()); }

 private:
  std::vector<PackedBlock*> blocks_;
};

// Entries passed per second: two per field.
void CountEntries(benchmark::State& state, size_t entries) {
  state.counters["ns_per_entry"] =
      benchmark::Counter(static_cast<double>(entries) * static_cast<double>(state.iterations()),
                         benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}

void BM_FindAbsent(benchmark::State& state) {
  const auto fields = static_cast<size_t>(state.range(0));
  const Hashes hashes(static_cast<size_t>(state.range(1)), fields);
  size_t i = 0;
  for (auto _ : state) {
    benchmark::DoNotOptimize(hashes[i].Find("field:x", 1));
    if (++i == static_cast<size_t>(state.range(1))) i = 0;
  }
  CountEntries(state, 2 * fields);
}

void BM_FindMiddle(benchmark::State& state) {
  const auto fields = static_cast<size_t>(state.range(0));
  const Hashes hashes(static_cast<size_t>(state.range(1)), fields);
  const std::string field = "field:" + std::to_string(fields / 2);
  size_t i = 0;
  for (auto _ : state) {
    benchmark::DoNotOptimize(hashes[i].Find(field, 1));
    if (++i == static_cast<size_t>(state.range(1))) i = 0;
  }
  CountEntries(state, fields + 1);
}

void BM_GetAll(benchmark::State& state) {
  const auto fields = static_cast<size_t>(state.range(0));
  const Hashes hashes(1, fields);
  const ListpackView view = hashes[0];
  char digits[kListpackDigitsBytes];
  for (auto _ : state) {
    for (size_t at = view.First(); at != view.End(); at = view.Next(at)) {
      benchmark::DoNotOptimize(view.Get(at).Render(digits));
    }
  }
  CountEntries(state, 2 * fields);
}

void BM_WalkBackwards(benchmark::State& state) {
  const auto fields = static_cast<size_t>(state.range(0));
  const Hashes hashes(1, fields);
  const ListpackView view = hashes[0];
  for (auto _ : state) {
    for (size_t at = view.Last(); at != view.End(); at = view.Prev(at)) {
      benchmark::DoNotOptimize(at);
    }
  }
  CountEntries(state, 2 * fields);
}

void BM_SeekMiddle(benchmark::State& state) {
  const auto fields = static_cast<size_t>(state.range(0));
  const Hashes hashes(1, fields);
  const ListpackView view = hashes[0];
  for (auto _ : state) benchmark::DoNotOptimize(view.Seek(static_cast<int64_t>(fields)));
  CountEntries(state, fields);
}

// A list that grows by one value at a time, and is then given back.
void BM_Append(benchmark::State& state) {
  const auto entries = static_cast<size_t>(state.range(0));
  const std::string_view text = "a value of 20 bytes.";
  for (auto _ : state) {
    PackedBlock* block = nullptr;
    PackedBlockBuffer buffer(block, 1);
    Listpack list(buffer);
    list.Create();
    for (size_t i = 0; i < entries; ++i) list.Append(text);
    PackedBlock::Destroy(block);
  }
  CountEntries(state, entries);
}

void BM_AppendBatch(benchmark::State& state) {
  const std::vector<std::string_view> texts(static_cast<size_t>(state.range(0)),
                                            "a value of 20 bytes.");
  for (auto _ : state) {
    PackedBlock* block = nullptr;
    PackedBlockBuffer buffer(block, 1);
    Listpack list(buffer);
    list.Create();
    list.AppendTexts(texts);
    PackedBlock::Destroy(block);
  }
  CountEntries(state, texts.size());
}

void BM_ReplaceInPlace(benchmark::State& state) {
  std::mt19937 random(1);
  PackedBlock* block = MakeHash(32, random);
  PackedBlockBuffer buffer(block, 1);
  Listpack list(buffer);
  const size_t at = list.view().Seek(33);
  list.Replace(at, int64_t{1'000'000'000});
  int64_t value = 1'000'000'000;
  for (auto _ : state) list.Replace(at, ++value);
  PackedBlock::Destroy(block);
}

void BM_ValidateDeep(benchmark::State& state) {
  const auto fields = static_cast<size_t>(state.range(0));
  const Hashes hashes(1, fields);
  for (auto _ : state) {
    benchmark::DoNotOptimize(ListpackView::Validate(hashes[0].bytes(), true));
  }
  CountEntries(state, 2 * fields);
}

void BM_IntsetFind(benchmark::State& state) {
  const auto count = state.range(0);
  PackedBlock* block = nullptr;
  PackedBlockBuffer buffer(block, 1);
  Intset set(buffer);
  set.Create();
  for (int64_t i = 0; i < count; ++i) set.Insert(2 * i);
  std::mt19937 random(1);
  std::vector<int64_t> needles(4096);
  for (int64_t& needle : needles)
    needle = static_cast<int64_t>(random() % static_cast<uint64_t>(2 * count));
  size_t i = 0;
  for (auto _ : state) benchmark::DoNotOptimize(set.view().Find(needles[i++ & 4095]));
  PackedBlock::Destroy(block);
}

BENCHMARK(BM_FindAbsent)->ArgNames({"fields", "hashes"})->Args({8, 1})->Args({32, 1});
BENCHMARK(BM_FindAbsent)->ArgNames({"fields", "hashes"})->Args({128, 1})->Args({128, 1000});
BENCHMARK(BM_FindMiddle)->ArgNames({"fields", "hashes"})->Args({8, 1})->Args({8, 1000});
BENCHMARK(BM_FindMiddle)->ArgNames({"fields", "hashes"})->Args({32, 1})->Args({32, 1000});
BENCHMARK(BM_GetAll)->Arg(8)->Arg(128);
BENCHMARK(BM_WalkBackwards)->Arg(128);
BENCHMARK(BM_SeekMiddle)->Arg(128);
BENCHMARK(BM_Append)->Arg(8)->Arg(128)->Arg(600);
BENCHMARK(BM_AppendBatch)->Arg(8)->Arg(128)->Arg(600);
BENCHMARK(BM_ReplaceInPlace);
BENCHMARK(BM_ValidateDeep)->Arg(128);
BENCHMARK(BM_IntsetFind)->Arg(16)->Arg(512)->Arg(30'000);

}  // namespace
}  // namespace tidegate

BENCHMARK_MAIN();
