// FieldTable beside std::unordered_map: look-up, overwriting, insertion with growth, removal, and
// the longest single operation. Each prints what an item costs beyond its own bytes.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <unordered_map>
#include <vector>

#include "storage/memory/memory.h"
#include "storage/value/field_table.h"

namespace tidegate {
namespace {

struct Destroyer {
  void operator()(FieldTable* table) const { FieldTable::Destroy(table); }
};
using Owned = std::unique_ptr<FieldTable, Destroyer>;
using Map = std::unordered_map<std::string, std::string>;

constexpr std::string_view kValue = "0123456789ab";

// Fields are made in place, so that reading them is no cache miss.
class Name final {
 public:
  explicit Name(uint64_t i) {
    const auto mixed = static_cast<uint32_t>(i * 0x9e3779b1u);
    for (int digit = 0; digit < 8; ++digit)
      text_[6 + digit] = "0123456789abcdef"[mixed >> 4 * digit & 15];
  }
  std::string_view view() const { return {text_, sizeof text_}; }

 private:
  char text_[14] = {'f', 'i', 'e', 'l', 'd', ':'};
};

std::vector<std::string> SomeNames(size_t fields) {
  std::mt19937_64 random(7);
  std::vector<std::string> names;
  for (int i = 0; i < 1 << 16; ++i) names.emplace_back(Name(random() % fields).view());
  return names;
}

size_t RawBytes(size_t fields, size_t value) { return fields * (Name(0).view().size() + value); }

void Fill(FieldTable& table, size_t fields, size_t value) {
  const std::string bytes(value, 'v');
  for (size_t i = 0; i < fields; ++i) table.Set(Name(i).view(), bytes);
}
void Fill(Map& map, size_t fields) {
  for (size_t i = 0; i < fields; ++i) map[std::string(Name(i).view())] = kValue;
}

// Filling takes longer than what is measured then: once per size.
FieldTable* Filled(size_t fields) {
  static std::map<size_t, Owned> tables;
  Owned& table = tables[fields];
  if (table == nullptr) {
    table.reset(FieldTable::Create(FieldValues::kBytes));
    Fill(*table, fields, kValue.size());
  }
  return table.get();
}
Map& FilledMap(size_t fields) {
  static std::map<size_t, Map> maps;
  Map& map = maps[fields];
  if (map.empty()) Fill(map, fields);
  return map;
}

void BM_Find(benchmark::State& state) {
  const auto fields = static_cast<size_t>(state.range(0));
  FieldTable* table = Filled(fields);
  const auto names = SomeNames(fields);
  size_t i = 0;
  for (auto _ : state) benchmark::DoNotOptimize(table->Find(names[i++ & 0xffff]));
  state.counters["overhead_per_item"] =
      static_cast<double>(table->allocated_bytes() - RawBytes(fields, kValue.size())) /
      static_cast<double>(fields);
}

void BM_FindBatched(benchmark::State& state) {
  const auto fields = static_cast<size_t>(state.range(0));
  FieldTable* table = Filled(fields);
  const auto names = SomeNames(fields);
  constexpr size_t kBatch = 16;
  uint64_t hashes[kBatch];
  size_t i = 0;
  while (state.KeepRunningBatch(kBatch)) {
    for (size_t j = 0; j < kBatch; ++j) {
      hashes[j] = table->Hash(names[(i + j) & 0xffff]);
      table->Prefetch(hashes[j]);
    }
    for (size_t j = 0; j < kBatch; ++j) table->PrefetchItem(hashes[j]);
    for (size_t j = 0; j < kBatch; ++j)
      benchmark::DoNotOptimize(table->Find(hashes[j], names[(i + j) & 0xffff]));
    i += kBatch;
  }
}

void BM_MapFind(benchmark::State& state) {
  const auto fields = static_cast<size_t>(state.range(0));
  Map& map = FilledMap(fields);
  const auto names = SomeNames(fields);
  size_t i = 0;
  for (auto _ : state) benchmark::DoNotOptimize(map.find(names[i++ & 0xffff]));
}

void BM_Miss(benchmark::State& state) {
  const auto fields = static_cast<size_t>(state.range(0));
  FieldTable* table = Filled(fields);
  auto names = SomeNames(fields);
  for (auto& name : names) name += '!';
  size_t i = 0;
  for (auto _ : state) benchmark::DoNotOptimize(table->Find(names[i++ & 0xffff]));
}

void BM_SetExisting(benchmark::State& state) {
  const auto fields = static_cast<size_t>(state.range(0));
  FieldTable* table = Filled(fields);
  const auto names = SomeNames(fields);
  size_t i = 0;
  for (auto _ : state) benchmark::DoNotOptimize(table->Set(names[i++ & 0xffff], kValue));
}

void BM_MapSetExisting(benchmark::State& state) {
  const auto fields = static_cast<size_t>(state.range(0));
  Map& map = FilledMap(fields);
  const auto names = SomeNames(fields);
  size_t i = 0;
  for (auto _ : state) map[names[i++ & 0xffff]] = kValue;
}

void BM_Insert(benchmark::State& state) {
  const auto fields = static_cast<size_t>(state.range(0));
  for (auto _ : state) {
    const Owned table(FieldTable::Create(FieldValues::kBytes));
    Fill(*table, fields, kValue.size());
    benchmark::DoNotOptimize(table.get());
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
}

void BM_MapInsert(benchmark::State& state) {
  const auto fields = static_cast<size_t>(state.range(0));
  for (auto _ : state) {
    Map map;
    Fill(map, fields);
    benchmark::DoNotOptimize(map);
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
}

void BM_Random(benchmark::State& state) {
  const auto fields = static_cast<size_t>(state.range(0));
  FieldTable* table = Filled(fields);
  std::mt19937_64 random(3);
  for (auto _ : state) benchmark::DoNotOptimize(table->Random([&] { return random(); }));
}

void BM_Walk(benchmark::State& state) {
  const auto fields = static_cast<size_t>(state.range(0));
  FieldTable* table = Filled(fields);
  for (auto _ : state) {
    size_t bytes = 0;
    table->ForEach([&](const FieldView& field) { bytes += field.value().size(); });
    benchmark::DoNotOptimize(bytes);
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
}

// What an item costs beyond its bytes, over sizes of tables that differ by an eighth: the average
// and the worst.
void BM_Memory(benchmark::State& state) {
  const auto value = static_cast<size_t>(state.range(1));
  double sum = 0;
  double worst = 0;
  int samples = 0;
  for (auto _ : state) {
    const Owned table(FieldTable::Create(FieldValues::kBytes));
    const std::string bytes(value, 'v');
    const auto fields = static_cast<size_t>(state.range(0));
    size_t next = fields / 4;
    for (size_t i = 0; i < fields; ++i) {
      table->Set(Name(i).view(), bytes);
      if (i + 1 != next && i + 1 != fields) continue;
      const double overhead =
          static_cast<double>(table->allocated_bytes() - RawBytes(i + 1, value)) /
          static_cast<double>(i + 1);
      sum += overhead;
      worst = std::max(worst, overhead);
      ++samples;
      next += next / 8;
    }
  }
  state.counters["average"] = sum / samples;
  state.counters["worst"] = worst;
}

// The longest single operation while a table fills up, is overwritten with longer values and
// empties again. What took long only once was another process or the kernel: the same operations
// run a few times, and each counts with its shortest time.
void BM_LongestOperation(benchmark::State& state) {
  const auto fields = static_cast<size_t>(state.range(0));
  std::vector<float> least(3 * fields, 1e9f);
  for (auto _ : state) {
    const Owned table(FieldTable::Create(FieldValues::kBytes));
    float* at = least.data();
    const auto timed = [&at](auto&& operation) {
      const auto begin = std::chrono::steady_clock::now();
      operation();
      const std::chrono::duration<float, std::micro> took =
          std::chrono::steady_clock::now() - begin;
      *at = std::min(*at, took.count());
      ++at;
    };
    for (size_t i = 0; i < fields; ++i) timed([&] { table->Set(Name(i).view(), kValue); });
    for (size_t i = 0; i < fields; ++i)
      timed([&] { table->Set(Name(i).view(), "longer than it was"); });
    for (size_t i = 0; i < fields; ++i) timed([&] { table->Erase(Name(i).view()); });
  }
  const char* names[] = {"insert_us", "overwrite_us", "erase_us"};
  for (size_t i = 0; i < 3; ++i) {
    const auto* begin = least.data() + i * fields;
    state.counters[names[i]] = *std::max_element(begin, begin + fields);
  }
  state.counters["over_20us"] = static_cast<double>(
      std::count_if(least.begin(), least.end(), [](float us) { return us > 20; }));
}

constexpr int64_t kMany = 2'000'000;
BENCHMARK(BM_Find)->Arg(1000)->Arg(100'000)->Arg(kMany);
BENCHMARK(BM_FindBatched)->Arg(kMany);
BENCHMARK(BM_MapFind)->Arg(kMany);
BENCHMARK(BM_Miss)->Arg(kMany);
BENCHMARK(BM_SetExisting)->Arg(1000)->Arg(kMany);
BENCHMARK(BM_MapSetExisting)->Arg(kMany);
BENCHMARK(BM_Insert)->Arg(1000)->Arg(kMany)->Unit(benchmark::kMillisecond);
BENCHMARK(BM_MapInsert)->Arg(kMany)->Unit(benchmark::kMillisecond);
BENCHMARK(BM_Random)->Arg(kMany);
BENCHMARK(BM_Walk)->Arg(kMany)->Unit(benchmark::kMillisecond);
BENCHMARK(BM_Memory)->Args({kMany, 12})->Args({kMany, 32})->Iterations(1);
BENCHMARK(BM_LongestOperation)->Arg(5'000'000)->Iterations(4)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace tidegate

BENCHMARK_MAIN();
