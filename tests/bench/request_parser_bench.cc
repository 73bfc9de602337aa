// The request parser: what finding the commands of one read costs, keys hashed.
#include <benchmark/benchmark.h>

#include <memory>
#include <string>

#include "base/limits.h"
#include "proxy/resp/request_batch.h"
#include "proxy/resp/request_parser.h"
#include "storage/command.h"

namespace tidegate {
namespace {

std::string Encode(std::initializer_list<std::string> words) {
  std::string out = "*" + std::to_string(words.size()) + "\r\n";
  for (const std::string& word : words)
    out += "$" + std::to_string(word.size()) + "\r\n" + word + "\r\n";
  return out;
}

void Parse(benchmark::State& state, const std::string& command) {
  const auto table = CommandTable::Create(StorageCommandFamilies());
  const auto commands = static_cast<size_t>(state.range(0));
  std::string input;
  for (size_t i = 0; i < commands; ++i) input += command;
  const ParseLimits limits = {.bulk_bytes_max = kStringBytesMax.count};
  RequestParser parser;
  RequestBatch batch;
  for (auto _ : state) {
    batch.Clear();
    benchmark::DoNotOptimize(parser.Parse(input, limits, *table, batch));
    if (batch.size() != commands) state.SkipWithError("not all commands were found");
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
  state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(input.size()));
}

void BM_ParseGet(benchmark::State& state) { Parse(state, Encode({"GET", "key:00001234"})); }
void BM_ParseSet(benchmark::State& state) {
  Parse(state, Encode({"SET", "key:00001234", std::string(32, 'x')}));
}
void BM_ParseMget10(benchmark::State& state) {
  Parse(state, Encode({"MGET", "key:00000001", "key:00000002", "key:00000003", "key:00000004",
                       "key:00000005", "key:00000006", "key:00000007", "key:00000008",
                       "key:00000009", "key:00000010"}));
}
void BM_ParseInline(benchmark::State& state) { Parse(state, "GET key:00001234\r\n"); }

BENCHMARK(BM_ParseGet)->Arg(1)->Arg(16)->Arg(128);
BENCHMARK(BM_ParseSet)->Arg(1)->Arg(16);
BENCHMARK(BM_ParseMget10)->Arg(1)->Arg(16);
BENCHMARK(BM_ParseInline)->Arg(16);

}  // namespace
}  // namespace tidegate

BENCHMARK_MAIN();
