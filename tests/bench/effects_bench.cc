// What recording costs: building the record of a small SET, executing SET with and without a sink,
// and applying records.
#include <benchmark/benchmark.h>

#include <array>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/output_buffer.h"
#include "base/reply_writer.h"
#include "storage/command.h"
#include "storage/engine.h"
#include "storage/engine_thread.h"
#include "storage/journal/effect_log.h"
#include "storage/journal/effect_sink.h"
#include "storage/journal/record_applier.h"

namespace tidegate {
namespace {

constexpr size_t kBatchCommands = 16;
constexpr size_t kKeys = 100'000;

class NoSink final : public EffectSink {
 public:
  Admission Admit(EngineThread&, const Waiter&) override { return Admission::kYes; }
  std::string refusal() const override { return {}; }
  uint64_t Append(EngineThread&, std::string_view record) override {
    benchmark::DoNotOptimize(record.data());
    return ++sequence_;
  }
  uint64_t last_sequence() const override { return sequence_; }
  void SetRest(std::atomic<bool>& /*rest*/) override {}
  void Forget(const Waiter&) override {}

 private:
  uint64_t sequence_ = 0;
};

void BuildRecord(benchmark::State& state) {
  const std::string_view args[] = {"SET", "key:0000012345", "value-of-16-byte"};
  EffectLog log;
  for (auto _ : state) {
    const EffectLog::Outer outer = log.BeginCommand();
    log.NoteChange();
    log.EndCommand(outer, 0, args, true);
    benchmark::DoNotOptimize(log.record().data());
    log.Clear();
  }
}
BENCHMARK(BuildRecord);

void ExecuteSet(benchmark::State& state) {
  const auto engine = Engine::Create({}).value();
  const auto table = CommandTable::Create(StorageCommandFamilies());
  NoSink sink;
  if (state.range(0) != 0) engine->SetEffectSink(&sink);
  EngineThread& thread = engine->AddThread(nullptr, nullptr);
  OutputBlockPool pool;
  OutputBuffer out(pool);
  ReplyWriter reply(out);
  ClientState client;
  std::vector<std::string> names;
  std::vector<std::array<std::string_view, 3>> args(kKeys);
  std::vector<KeyRef> keys(kKeys);
  std::vector<Request> requests;
  names.reserve(kKeys);
  for (size_t i = 0; i < kKeys; ++i) {
    names.push_back("key:" + std::to_string(1'000'000 + i * 7919 % kKeys));
    args[i] = {"SET", names[i], "value-of-16-byte"};
    keys[i] = KeyRef::Of(names[i]);
    requests.push_back({.command = table->Find("SET"), .args = args[i], .keys = {&keys[i], 1}});
  }
  size_t next = 0;
  for (auto _ : state) {
    const std::span<const Request> batch(requests.data() + next, kBatchCommands);
    next = (next + kBatchCommands) % (kKeys - kBatchCommands);
    engine->BeginBatch(thread, UnixMillis());
    engine->Prefetch(thread, batch, 0);
    for (const Request& request : batch) engine->Execute(thread, request, client, reply);
    engine->EndBatch(thread);
    out.Clear();
  }
  state.SetItemsProcessed(state.iterations() * static_cast<int64_t>(kBatchCommands));
}
BENCHMARK(ExecuteSet)->ArgName("recorded")->Arg(0)->Arg(1);

void ApplyRecord(benchmark::State& state) {
  const auto engine = Engine::Create({}).value();
  const auto table = CommandTable::Create(StorageCommandFamilies());
  EngineThread& thread = engine->AddThread(nullptr, nullptr);
  RecordApplier applier(*engine, thread, *table);
  std::vector<std::string> records;
  for (size_t i = 0; i < kKeys; ++i) {
    EffectLog log;
    const std::string name = "key:" + std::to_string(1'000'000 + i * 7919 % kKeys);
    log.Add(0, {"SET", name, "value-of-16-byte"});
    records.emplace_back(log.record());
  }
  size_t next = 0;
  for (auto _ : state) {
    TG_CHECK(applier.Apply(records[next], 1'700'000'000'000).ok());
    next = (next + 1) % kKeys;
  }
}
BENCHMARK(ApplyRecord);

}  // namespace
}  // namespace tidegate

BENCHMARK_MAIN();
