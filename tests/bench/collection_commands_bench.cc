// What a command on a hash or a set costs in the engine: no sockets, no parsing, batches of 16 as a
// session would hand them over. Small collections live in their entries, and many of them are used
// in turn; a large one is a table of a million fields.
#include <benchmark/benchmark.h>

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

constexpr size_t kBatchCommands = 16;
constexpr size_t kRequests = 1 << 16;

// Many small collections, or one large one.
struct Shape {
  size_t keys;
  size_t fields;
};
constexpr Shape kShapes[] = {{100'000, 10}, {10'000, 100}, {1, 1'000'000}};

class Bench final {
 public:
  Bench()
      : engine_(Engine::Create({}).value()),
        commands_(CommandTable::Create(StorageCommandFamilies())),
        thread_(engine_->AddThread(nullptr, nullptr)),
        out_(pool_),
        reply_(out_) {}

  // Requests "COMMAND key field [value]" of random keys and fields.
  void Prepare(std::string_view command, const Shape& shape, std::string_view value) {
    std::mt19937_64 random(1);
    words_.reserve(kRequests * 2);
    args_.reserve(kRequests * 4);
    keys_.reserve(kRequests);
    requests_.clear();
    for (size_t i = 0; i < kRequests; ++i) {
      words_.push_back("key:" + std::to_string(random() % shape.keys));
      words_.push_back("field:" + std::to_string(random() % shape.fields));
      const std::string& key = words_[words_.size() - 2];
      const std::string_view* first = args_.data() + args_.size();
      args_.insert(args_.end(), {command, key, words_.back()});
      if (!value.empty()) args_.push_back(value);
      keys_.push_back(KeyRef::Of(key));
      requests_.push_back({.command = commands_->Find(command),
                           .args = {first, value.empty() ? 3u : 4u},
                           .keys = {&keys_.back(), 1}});
    }
  }

  void Fill(std::string_view command, const Shape& shape, std::string_view value) {
    engine_->BeginBatch(thread_, UnixMillis());
    for (size_t i = 0; i < shape.keys * shape.fields; ++i) {
      const std::string key = "key:" + std::to_string(i % shape.keys);
      const std::string field = "field:" + std::to_string(i / shape.keys);
      std::vector<std::string_view> args = {command, key, field};
      if (!value.empty()) args.push_back(value);
      const KeyRef ref = KeyRef::Of(key);
      Execute({.command = commands_->Find(command), .args = args, .keys = {&ref, 1}});
    }
    engine_->EndBatch(thread_);
  }

  // The next batch of the prepared requests.
  void RunBatch() {
    const std::span<const Request> batch(requests_.data() + next_, kBatchCommands);
    next_ = (next_ + kBatchCommands) % kRequests;
    engine_->BeginBatch(thread_, UnixMillis());
    engine_->Prefetch(thread_, batch, 0);
    for (const Request& request : batch) engine_->Execute(thread_, request, client_, reply_);
    engine_->EndBatch(thread_);
    out_.Clear();
  }

 private:
  void Execute(const Request& request) {
    engine_->Execute(thread_, request, client_, reply_);
    out_.Clear();
  }

  std::unique_ptr<Engine> engine_;
  std::unique_ptr<CommandTable> commands_;
  EngineThread& thread_;
  OutputBlockPool pool_;
  OutputBuffer out_;
  ReplyWriter reply_;
  ClientState client_;
  std::vector<std::string> words_;
  std::vector<std::string_view> args_;
  std::vector<KeyRef> keys_;
  std::vector<Request> requests_;
  size_t next_ = 0;
};

void Run(benchmark::State& state, std::string_view fill, std::string_view command,
         std::string_view value) {
  const Shape& shape = kShapes[state.range(0)];
  Bench bench;
  bench.Fill(fill, shape, fill == "HSET" ? "12345678" : "");
  bench.Prepare(command, shape, value);
  for (auto _ : state) bench.RunBatch();
  state.SetItemsProcessed(state.iterations() * static_cast<int64_t>(kBatchCommands));
  state.SetLabel(std::to_string(shape.keys) + " keys of " + std::to_string(shape.fields));
}

BENCHMARK_CAPTURE(Run, HGET, "HSET", "HGET", "")->DenseRange(0, 2);
BENCHMARK_CAPTURE(Run, HSET, "HSET", "HSET", "87654321")->DenseRange(0, 2);
BENCHMARK_CAPTURE(Run, HINCRBY, "HSET", "HINCRBY", "1")->DenseRange(0, 2);
BENCHMARK_CAPTURE(Run, SISMEMBER, "SADD", "SISMEMBER", "")->DenseRange(0, 2);
BENCHMARK_CAPTURE(Run, SADD, "SADD", "SADD", "")->DenseRange(0, 2);

}  // namespace
}  // namespace tidegate

BENCHMARK_MAIN();
