// What noting an access costs a worker: keys of a Zipf stream, most of them not watched, and one
// key that is hot. Epochs end as often as at 200,000 accesses a second.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "hotkey/access_recorder.h"
#include "hotkey/hot_key_detector.h"

namespace tidegate::hotkey {
namespace {

constexpr size_t kKeys = 1'000'000;
constexpr size_t kStream = 1 << 20;
constexpr size_t kAccessesOfAnEpoch = 20'000;

KeyId IdOfNumber(uint64_t number) { return (number + 1) * 0x9e3779b97f4a7c15ull; }

std::vector<uint64_t> ZipfStream(double exponent) {
  std::vector<double> cumulated(kKeys);
  double sum = 0;
  for (size_t i = 0; i < kKeys; ++i)
    cumulated[i] = sum += std::pow(static_cast<double>(i + 1), -exponent);
  std::mt19937_64 random(1);
  std::vector<uint64_t> stream(kStream);
  for (uint64_t& key : stream) {
    const double at = std::generate_canonical<double, 53>(random) * sum;
    key = static_cast<uint64_t>(std::lower_bound(cumulated.begin(), cumulated.end(), at) -
                                cumulated.begin());
  }
  return stream;
}

void RunStream(benchmark::State& state, const std::vector<uint64_t>& stream) {
  int64_t now_ns = 0;
  AccessRecorder recorder(now_ns);
  HotKeyDetector detector({}, {&recorder});
  const std::string name = "user:session:1234567";
  size_t at = 0;
  size_t in_epoch = 0;
  for (auto _ : state) {
    const Access access = {.id = IdOfNumber(stream[at]), .keyspace = {}, .name = name, .client = 1};
    recorder.NoteAnswered(access, 100, false);
    at = (at + 1) & (kStream - 1);
    if (++in_epoch < kAccessesOfAnEpoch) continue;
    in_epoch = 0;
    now_ns += kEpochNanos;
    recorder.EndEpoch(now_ns);
    (void)detector.Turn(now_ns);
  }
  state.SetItemsProcessed(state.iterations());
}

void BM_NoteZipf(benchmark::State& state) {
  static const std::vector<uint64_t> kStreams[] = {ZipfStream(0.99), ZipfStream(1.2)};
  RunStream(state, kStreams[state.range(0)]);
}
BENCHMARK(BM_NoteZipf)->Arg(0)->Arg(1)->ArgName("skewed");

void BM_NoteHotKey(benchmark::State& state) { RunStream(state, std::vector<uint64_t>(kStream, 7)); }
BENCHMARK(BM_NoteHotKey);

// Nobody is hot: the worst case, each access takes a counter from another key.
void BM_NoteEvenStream(benchmark::State& state) {
  std::vector<uint64_t> stream(kStream);
  for (size_t i = 0; i < kStream; ++i) stream[i] = i;
  RunStream(state, stream);
}
BENCHMARK(BM_NoteEvenStream);

}  // namespace
}  // namespace tidegate::hotkey

BENCHMARK_MAIN();
