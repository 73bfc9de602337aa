// Does a second worker bring a second worker's rate? The engine alone, no sockets: batches of 16 as
// a session would hand them over, 9 GET to 1 SET over a million keys. Ends with the ratio of the
// rates of two threads and one; a machine with two idle cores is needed for it to mean something.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/output_buffer.h"
#include "base/reply_writer.h"
#include "storage/command.h"
#include "storage/engine.h"

namespace tidegate {
namespace {

constexpr int kThreadsMax = 2;
constexpr size_t kKeys = 1'000'000;
constexpr size_t kBatchCommands = 16;
constexpr size_t kBatches = 4096;  // made beforehand, so that making them is not measured

std::string KeyName(size_t i) { return "key:" + std::to_string(10'000'000 + i); }

// The engine, filled once for all runs.
struct World {
  World()
      : engine(Engine::Create({}).value()),
        commands(CommandTable::Create(StorageCommandFamilies())) {
    for (EngineThread*& thread : threads) thread = &engine->AddThread(nullptr, nullptr);
    OutputBlockPool pool;
    OutputBuffer out(pool);
    ReplyWriter reply(out);
    ClientState client;
    engine->BeginBatch(*threads[0], UnixMillis());
    for (size_t i = 0; i < kKeys; ++i) {
      const std::string name = KeyName(i);
      const std::array<std::string_view, 3> args = {"SET", name, value};
      const KeyRef key = KeyRef::Of(name);
      const Request request = {.command = commands->Find("SET"), .args = args, .keys = {&key, 1}};
      engine->Execute(*threads[0], request, client, reply);
      out.Clear();
    }
    engine->EndBatch(*threads[0]);
  }

  static World& Get() {
    static World world;
    return world;
  }

  std::unique_ptr<Engine> engine;
  std::unique_ptr<CommandTable> commands;
  EngineThread* threads[kThreadsMax] = {};
  std::string value = std::string(32, 'x');
};

// Requests of one thread, ready to be executed again and again.
class Requests final {
 public:
  Requests(const World& world, unsigned seed) {
    std::mt19937 random(seed);
    const size_t count = kBatches * kBatchCommands;
    names_.reserve(count);
    args_.reserve(count * 3);
    keys_.reserve(count);
    for (size_t i = 0; i < count; ++i) {
      const bool is_set = random() % 10 == 0;
      names_.push_back(KeyName(random() % kKeys));
      keys_.push_back(KeyRef::Of(names_.back()));
      const std::string_view* first = args_.data() + args_.size();
      args_.emplace_back(is_set ? "SET" : "GET");
      args_.push_back(names_.back());
      if (is_set) args_.push_back(world.value);
      requests_.push_back({.command = world.commands->Find(*first),
                           .args = {first, is_set ? 3u : 2u},
                           .keys = {&keys_.back(), 1}});
    }
  }
  std::span<const Request> Batch(size_t i) const {
    return {requests_.data() + (i % kBatches) * kBatchCommands, kBatchCommands};
  }

 private:
  std::vector<std::string> names_;
  std::vector<std::string_view> args_;
  std::vector<KeyRef> keys_;
  std::vector<Request> requests_;
};

void BM_EngineGetSet(benchmark::State& state) {
  World& world = World::Get();
  EngineThread& thread = *world.threads[state.thread_index()];
  const Requests requests(world, 17u + static_cast<unsigned>(state.thread_index()));
  OutputBlockPool pool;
  OutputBuffer out(pool);
  ReplyWriter reply(out);
  ClientState client;
  size_t next = 0;
  for (auto _ : state) {
    const std::span<const Request> batch = requests.Batch(next++);
    world.engine->BeginBatch(thread, UnixMillis());
    world.engine->Prefetch(thread, batch, 0);
    for (const Request& request : batch) {
      // A busy slot: here nobody parks, the next try does it.
      while (world.engine->Execute(thread, request, client, reply) == ExecStatus::kSuspended)
        world.engine->Cancel(thread, client);
    }
    world.engine->EndBatch(thread);
    out.Clear();
  }
  state.SetItemsProcessed(state.iterations() * static_cast<int64_t>(kBatchCommands));
}
BENCHMARK(BM_EngineGetSet)->ThreadRange(1, kThreadsMax)->UseRealTime()->Repetitions(5);

// Prints as usual, and keeps the rates by number of threads.
class RatioReporter final : public benchmark::ConsoleReporter {
 public:
  void ReportRuns(const std::vector<Run>& runs) override {
    ConsoleReporter::ReportRuns(runs);
    for (const Run& run : runs) {
      const auto rate = run.counters.find("items_per_second");
      if (run.run_type == Run::RT_Iteration && rate != run.counters.end())
        rates_[static_cast<int>(run.threads)].push_back(rate->second.value);
    }
  }
  void PrintRatio() {
    if (rates_[1].empty() || rates_[kThreadsMax].empty()) return;
    std::printf("two threads do %.2f times the rate of one (medians)\n",
                Median(rates_[kThreadsMax]) / Median(rates_[1]));
  }

 private:
  static double Median(std::vector<double> values) {
    const auto middle = values.begin() + static_cast<ptrdiff_t>(values.size() / 2);
    std::nth_element(values.begin(), middle, values.end());
    return *middle;
  }
  std::map<int, std::vector<double>> rates_;
};

}  // namespace
}  // namespace tidegate

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  tidegate::RatioReporter reporter;
  benchmark::RunSpecifiedBenchmarks(&reporter);
  reporter.PrintRatio();
  benchmark::Shutdown();
  return 0;
}
