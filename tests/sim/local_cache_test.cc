// Kept replies are never older than a write that was acknowledged through the same proxy: a model
// of a proxy with two workers, its upstream and other writers, in which every message comes at any
// moment that its connection's order allows. The store and the stripes are the real ones.
//
// A run is a few dozen steps, drawn from its seed. TIDEGATE_LOCAL_CACHE_RUNS says how many runs;
// TIDEGATE_LOCAL_CACHE_SEED where they begin, to replay one that failed.
#include <array>
#include <cstdlib>
#include <deque>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "base/hash.h"
#include "gtest/gtest.h"
#include "policy/local_cache_store.h"

namespace tidegate {
namespace {

constexpr size_t kKeys = 3;
constexpr size_t kWorkers = 2;
constexpr size_t kLanes = 2;
constexpr int kSteps = 80;
constexpr size_t kCluster = 1;
constexpr uint64_t kRunsByDefault = 20'000;
constexpr size_t kRoomBytes = 1 << 20;

uint64_t FromEnvironment(const char* name, uint64_t otherwise) {
  const char* const text = std::getenv(name);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

// Whether the proxy of the model says which keys are being written.
enum class Marks : bool { kNo, kYes };

class Model {
 public:
  Model(uint64_t seed, Marks marks, WriteStripes& stripes)
      : random_(seed), marks_(marks), stripes_(stripes) {
    for (Worker& worker : workers_) {
      worker.store = std::make_unique<LocalCacheStore>(stripes_);
      worker.store->SetLimits(kRoomBytes, kKeys);
      worker.source = worker.store->NextSource();
    }
    acknowledged_.fill(0);
    values_.fill(0);
  }

  // What went wrong; empty: nothing.
  std::string Run() {
    for (int i = 0; i < kSteps && fault_.empty(); ++i) Step();
    const bool sound = fault_.empty();
    Drain();
    if (sound) CheckThatNothingStaysStale();
    return fault_;
  }
  uint64_t hits() const { return hits_; }

 private:
  static constexpr size_t kAllKeys = kKeys;

  struct Write {
    size_t key = 0;  // kAllKeys: such as SWAPDB, of which nobody is told
    uint64_t version = 0;
  };
  struct Lane {
    std::deque<Write> sent;
    std::deque<Write> answered;
  };
  struct Tracked {  // on its way to a worker
    enum class Kind { kReply, kInvalidate } kind;
    size_t key = 0;
    uint64_t version = 0;
    WriteStamp stamp = {};
  };
  struct Fetch {
    size_t key = 0;
    WriteStamp stamp = {};
  };
  struct Worker {
    std::unique_ptr<LocalCacheStore> store;
    uint64_t source = 0;
    std::array<bool, kKeys> fetching{};
    std::array<bool, kKeys> tracked{};  // by the node, for this worker's connection
    std::deque<Fetch> asked;
    std::deque<Tracked> coming;
    std::array<Lane, kLanes> lanes;
  };

  size_t Draw(size_t below) { return std::uniform_int_distribution<size_t>(0, below - 1)(random_); }

  static std::string KeyOf(size_t key) { return "key" + std::to_string(key); }
  CachedRead ReadOf(size_t key) {
    name_ = KeyOf(key);
    args_ = {"GET", name_};
    return {.cluster = kCluster,
            .database = 0,
            .key = name_,
            .hash = KeyHash(name_),
            .command = 1,
            .args = args_};
  }
  StripeIndex StripeOfWrite(const Write& write) {
    return write.key == kAllKeys ? WriteStripes::OfCluster(kCluster)
                                 : WriteStripes::OfKey(KeyHash(KeyOf(write.key)), kCluster);
  }

  void Step() {
    Worker& worker = workers_[Draw(kWorkers)];
    Lane& lane = worker.lanes[Draw(kLanes)];
    switch (Draw(12)) {
      case 0:
        return BeginWrite(lane);
      case 1:
      case 2:
        return NodeTakesWrite(lane);
      case 3:
        return ProxyTakesReply(lane);
      case 4:
        return NodeTakesFetch(worker);
      case 5:
      case 6:
        return WorkerTakes(worker);
      case 7:
        return Draw(8) == 0 ? LoseTracking(worker) : NodeTakesFetch(worker);
      case 8:
        return Draw(8) == 0 ? LoseLane(lane) : ZombieWrites();
      case 9:
        return Draw(4) == 0 ? Apply(Draw(kKeys)) : WorkerTakes(worker);
      default:
        return Read(worker);
    }
  }

  // --- the proxy ---

  void BeginWrite(Lane& lane) {
    const Write write{.key = Draw(10) == 0 ? kAllKeys : Draw(kKeys)};
    if (marks_ == Marks::kYes) stripes_.Begin(StripeOfWrite(write));
    lane.sent.push_back(write);
  }

  void ProxyTakesReply(Lane& lane) {
    if (lane.answered.empty()) return;
    const Write write = lane.answered.front();
    lane.answered.pop_front();
    if (marks_ == Marks::kYes) stripes_.End(StripeOfWrite(write));
    for (size_t key = 0; key < kKeys; ++key) {
      if (write.key == key || write.key == kAllKeys)
        acknowledged_[key] = std::max(acknowledged_[key], write.version);
    }
  }

  // Clients get an error; what the node had already is executed at some time.
  void LoseLane(Lane& lane) {
    for (auto* writes : {&lane.sent, &lane.answered}) {
      for (const Write& write : *writes) {
        if (marks_ == Marks::kYes) stripes_.End(StripeOfWrite(write));
        if (writes == &lane.sent && write.key != kAllKeys && Draw(2) == 0)
          zombies_.push_back(write);
      }
      writes->clear();
    }
  }

  void LoseTracking(Worker& worker) {
    worker.asked.clear();
    worker.coming.clear();
    worker.tracked.fill(false);
    worker.fetching.fill(false);
    worker.store->DropCluster(kCluster);
    worker.source = worker.store->NextSource();
  }

  void Read(Worker& worker) {
    const size_t key = Draw(kKeys);
    const CachedRead read = ReadOf(key);
    if (const CachedReply* const kept = worker.store->Find(read, worker.source, 0)) {
      ++hits_;
      if (std::stoull(kept->resp3) < acknowledged_[key])
        fault_ = "a read of " + KeyOf(key) + " gave " + kept->resp3 + " after " +
                 std::to_string(acknowledged_[key]) + " was acknowledged";
      return;
    }
    const WriteStamp stamp = worker.store->StampOf(read);
    if (worker.fetching[key] || !stamp.quiet()) return;
    worker.fetching[key] = true;
    worker.asked.push_back({key, stamp});
  }

  void WorkerTakes(Worker& worker) {
    if (worker.coming.empty()) return;
    const Tracked message = worker.coming.front();
    worker.coming.pop_front();
    if (message.kind == Tracked::Kind::kInvalidate)
      return worker.store->DropKey(kCluster, KeyOf(message.key));
    worker.fetching[message.key] = false;
    worker.store->Keep(ReadOf(message.key), {.resp3 = std::to_string(message.version),
                                             .resp2 = {},
                                             .stamp = message.stamp,
                                             .source = worker.source,
                                             .expires_ns = 1});
  }

  // --- the node ---

  void Apply(size_t key) {
    values_[key] = ++version_;
    for (Worker& worker : workers_) {
      if (!worker.tracked[key]) continue;
      worker.tracked[key] = false;
      worker.coming.push_back({Tracked::Kind::kInvalidate, key});
    }
  }

  void NodeTakesWrite(Lane& lane) {
    if (lane.sent.empty()) return;
    Write write = lane.sent.front();
    lane.sent.pop_front();
    if (write.key == kAllKeys) {
      values_.fill(++version_);
    } else {
      Apply(write.key);
    }
    write.version = version_;
    lane.answered.push_back(write);
  }

  void ZombieWrites() {
    if (zombies_.empty()) return;
    Apply(zombies_.front().key);
    zombies_.pop_front();
  }

  void NodeTakesFetch(Worker& worker) {
    if (worker.asked.empty()) return;
    const Fetch fetch = worker.asked.front();
    worker.asked.pop_front();
    worker.tracked[fetch.key] = true;
    worker.coming.push_back({Tracked::Kind::kReply, fetch.key, values_[fetch.key], fetch.stamp});
  }

  // --- the end ---

  void Drain() {
    while (!zombies_.empty()) ZombieWrites();
    for (Worker& worker : workers_) {
      for (Lane& lane : worker.lanes) {
        while (!lane.sent.empty()) NodeTakesWrite(lane);
        while (!lane.answered.empty()) ProxyTakesReply(lane);
      }
    }
    for (Worker& worker : workers_) {
      while (!worker.asked.empty()) NodeTakesFetch(worker);
      while (!worker.coming.empty()) WorkerTakes(worker);
    }
  }

  void CheckThatNothingStaysStale() {
    for (Worker& worker : workers_) {
      for (size_t key = 0; key < kKeys; ++key) {
        const CachedReply* const kept = worker.store->Find(ReadOf(key), worker.source, 0);
        if (kept != nullptr && std::stoull(kept->resp3) != values_[key])
          fault_ =
              KeyOf(key) + " stays " + kept->resp3 + ", and is " + std::to_string(values_[key]);
      }
    }
  }

  std::mt19937_64 random_;
  const Marks marks_;
  WriteStripes& stripes_;
  std::array<Worker, kWorkers> workers_;
  std::array<uint64_t, kKeys> values_;
  std::array<uint64_t, kKeys> acknowledged_;
  std::deque<Write> zombies_;
  uint64_t version_ = 0;
  uint64_t hits_ = 0;
  std::string fault_;
  std::string name_;
  std::vector<std::string_view> args_;
};

TEST(LocalCacheSimTest, NoReadIsOlderThanAnAcknowledgedWrite) {
  const auto stripes = std::make_unique<WriteStripes>();
  const uint64_t runs = FromEnvironment("TIDEGATE_LOCAL_CACHE_RUNS", kRunsByDefault);
  const uint64_t first = FromEnvironment("TIDEGATE_LOCAL_CACHE_SEED", 1);
  uint64_t hits = 0;
  for (uint64_t seed = first; seed < first + runs; ++seed) {
    Model model(seed, Marks::kYes, *stripes);
    const std::string fault = model.Run();
    ASSERT_EQ(fault, "") << "seed " << seed;
    hits += model.hits();
  }
  EXPECT_GT(hits, runs / 10);
}

// The model can tell: a proxy that does not say what it writes is found out.
TEST(LocalCacheSimTest, WithoutMarksOfWritesSomeAre) {
  const auto stripes = std::make_unique<WriteStripes>();
  uint64_t faults = 0;
  for (uint64_t seed = 1; seed <= 2000; ++seed)
    faults += Model(seed, Marks::kNo, *stripes).Run().empty() ? 0 : 1;
  EXPECT_GT(faults, 20u);
}

}  // namespace
}  // namespace tidegate
