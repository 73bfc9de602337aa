// Finding a command by its name: part of every request.
#include <benchmark/benchmark.h>

#include <memory>
#include <string>
#include <vector>

#include "storage/command.h"

namespace tidegate {
namespace {

void Find(benchmark::State& state, const std::vector<std::string>& names) {
  const auto table = CommandTable::Create(StorageCommandFamilies());
  size_t i = 0;
  for (auto _ : state) {
    benchmark::DoNotOptimize(table->Find(names[i]));
    if (++i == names.size()) i = 0;
  }
  state.SetItemsProcessed(state.iterations());
}

void BM_FindUpperCase(benchmark::State& state) { Find(state, {"GET", "SET", "MGET", "INCRBY"}); }
void BM_FindLowerCase(benchmark::State& state) { Find(state, {"get", "set", "mget", "incrby"}); }
void BM_FindEvery(benchmark::State& state) {
  std::vector<std::string> names;
  const auto table = CommandTable::Create(StorageCommandFamilies());
  for (const Command* command : table->top_level()) names.push_back(command->full_name);
  Find(state, names);
}
void BM_FindUnknown(benchmark::State& state) { Find(state, {"NOSUCH", "GETT", "X"}); }

BENCHMARK(BM_FindUpperCase);
BENCHMARK(BM_FindLowerCase);
BENCHMARK(BM_FindEvery);
BENCHMARK(BM_FindUnknown);

}  // namespace
}  // namespace tidegate

BENCHMARK_MAIN();
