// The table of one slot: look-ups, misses, insertion with growth. The sizes are keys of one table;
// 120 is what a slot holds when 2 million keys are spread over all.
#include <benchmark/benchmark.h>

#include <string>
#include <vector>

#include "base/hash.h"
#include "storage/keyspace/lazy_freer.h"
#include "storage/keyspace/table.h"
#include "storage/memory/memory.h"

namespace tidegate {
namespace {

class Keys final {
 public:
  explicit Keys(size_t count) {
    for (size_t i = 0; i < count; ++i) {
      names.push_back("key:" + std::to_string(10'000'000 + i));
      hashes.push_back(KeyHash(names.back()));
      const size_t bytes = Entry::BytesFor(names.back().size(), 0, false, false);
      entries.push_back(Entry::Format(MemoryAllocate(bytes), names.back(), ValueType::kString,
                                      Encoding::kEmbedded, 0, false));
    }
  }
  ~Keys() {
    for (Entry* entry : entries) DestroyEntry(entry);
  }
  void InsertAll(Table& table) const {
    for (size_t i = 0; i < entries.size(); ++i) table.Insert(hashes[i], entries[i]);
  }

  std::vector<std::string> names;
  std::vector<uint64_t> hashes;
  std::vector<Entry*> entries;
};

void BM_TableFind(benchmark::State& state) {
  const Keys keys(static_cast<size_t>(state.range(0)));
  Table table;
  keys.InsertAll(table);
  size_t i = 0;
  for (auto _ : state) {
    benchmark::DoNotOptimize(table.Find(keys.hashes[i], keys.names[i]));
    if (++i == keys.names.size()) i = 0;
  }
  state.SetItemsProcessed(state.iterations());
  table.Release();
}

void BM_TableMiss(benchmark::State& state) {
  const Keys keys(static_cast<size_t>(state.range(0)));
  Table table;
  keys.InsertAll(table);
  std::vector<uint64_t> absent;
  for (int i = 0; i < 4096; ++i) absent.push_back(KeyHash("absent:" + std::to_string(i)));
  size_t i = 0;
  for (auto _ : state) benchmark::DoNotOptimize(table.Find(absent[i++ & 4095], "absent"));
  state.SetItemsProcessed(state.iterations());
  table.Release();
}

void BM_TableFill(benchmark::State& state) {
  const Keys keys(static_cast<size_t>(state.range(0)));
  size_t bytes = 0;
  for (auto _ : state) {
    Table table;
    keys.InsertAll(table);
    bytes = table.memory_bytes();
    table.Release();
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
  state.counters["table_bytes_per_key"] =
      static_cast<double>(bytes) / static_cast<double>(state.range(0));
}

BENCHMARK(BM_TableFind)->Arg(120)->Arg(10'000)->Arg(1'000'000);
BENCHMARK(BM_TableMiss)->Arg(120)->Arg(1'000'000);
BENCHMARK(BM_TableFill)->Arg(80)->Arg(120)->Arg(180)->Arg(100'000);

}  // namespace
}  // namespace tidegate

BENCHMARK_MAIN();
