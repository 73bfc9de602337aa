// Many workers on one engine at once: what no interleaving may break. Each test says its invariant;
// the seed is printed when it fails (TIDEGATE_SEED=n replays the same commands). Meant to be run
// under the thread sanitizer too.
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "tests/sim/model_client.h"
#include "tests/support/sim_worker.h"

namespace tidegate {
namespace {

using testing::ModelClient;
using testing::Random;
using testing::RespValue;
using testing::SimClient;
using testing::SimWorker;
using testing::SimWorld;
using testing::Words;

#ifdef TIDEGATE_SANITIZE
constexpr int kScale = 1;
#else
constexpr int kScale = 8;
#endif
constexpr int kWorkers = 4;
constexpr int kTags = 6;  // few slots, so that they are often busy

class ConcurrencyTest : public ::testing::Test {
 protected:
  ConcurrencyTest()
      : engine_(Engine::Create({}).value()),
        table_(CommandTable::Create(StorageCommandFamilies())),
        world_(*engine_, *table_),
        seed_(testing::SimSeed()) {
    for (int i = 0; i < kWorkers; ++i)
      workers_.push_back(std::make_unique<SimWorker>(world_, i, kWorkers, seed_));
    // For looking at what is left: a worker of its own, used when the others are done.
    inspector_ = std::make_unique<SimWorker>(world_, kWorkers, kWorkers + 1, seed_);
  }

  template <typename Client, typename... Args>
  Client& Add(int worker, Args&&... args) {
    auto client = std::make_unique<Client>(world_, std::forward<Args>(args)...);
    Client& reference = *client;
    workers_[static_cast<size_t>(worker % kWorkers)]->Add(std::move(client));
    return reference;
  }

  // Runs all clients to their end, while time goes on.
  void Run() {
    for (auto& worker : workers_) worker->Start();
    std::atomic<bool> running{true};
    std::thread clock([&] {
      while (running) {
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
        ++world_.now_ms;
      }
    });
    for (auto& worker : workers_) worker->Join();
    running = false;
    clock.join();
    Check();
  }

  // Commands that are executed alone, after Run().
  std::vector<RespValue> Inspect(std::vector<Words> commands) {
    struct List final : SimClient {
      List(std::vector<Words> list, std::vector<RespValue>& out)
          : commands(std::move(list)), replies(out) {}
      Words Next(Random&) override { return next < commands.size() ? commands[next++] : Words{}; }
      void OnReply(const Words&, const RespValue& reply) override { replies.push_back(reply); }
      bool MayBeCancelled() const override { return false; }
      std::vector<Words> commands;
      std::vector<RespValue>& replies;
      size_t next = 0;
    };
    std::vector<RespValue> replies;
    inspector_->Add(std::make_unique<List>(std::move(commands), replies));
    inspector_->Start();
    inspector_->Join();
    Check();
    return replies;
  }

  void Check() {
    ASSERT_EQ(world_.failure(), "") << "seed " << seed_;
    SCOPED_TRACE("seed " + std::to_string(seed_));
  }

  std::unique_ptr<Engine> engine_;
  std::unique_ptr<CommandTable> table_;
  SimWorld world_;
  uint64_t seed_;
  std::vector<std::unique_ptr<SimWorker>> workers_;
  std::unique_ptr<SimWorker> inspector_;
};

std::string Tagged(int tag, const std::string& name) {
  return "{tag" + std::to_string(tag % kTags) + "}" + name;
}

// Moves amounts between the accounts of one group, all of them in one MSET.
constexpr int64_t kGroupTotal = 1000;

Words GroupKeys(int group) {
  Words keys;
  for (int i = 0; i < 2 + group % 5; ++i)
    keys.push_back(Tagged(group + i, "account:" + std::to_string(group) + ":" + std::to_string(i)));
  return keys;
}

class Banker final : public SimClient {
 public:
  Banker(SimWorld& world, int group, int commands)
      : world_(world), keys_(GroupKeys(group)), left_(commands) {}

  Words Next(Random& random) override {
    if (left_-- == 0) return {};
    Words words = {"MSET"};
    int64_t rest = kGroupTotal;
    for (size_t i = 0; i < keys_.size(); ++i) {
      const auto share = i + 1 == keys_.size()
                             ? rest
                             : static_cast<int64_t>(random() % static_cast<uint64_t>(rest + 1));
      rest -= share;
      words.push_back(keys_[i]);
      words.push_back(std::to_string(share));
    }
    return words;
  }
  void OnReply(const Words&, const RespValue& reply) override {
    if (reply.text != "OK") world_.Fail("MSET: " + reply.text);
  }

 private:
  SimWorld& world_;
  Words keys_;
  int left_;
};

class Auditor final : public SimClient {
 public:
  Auditor(SimWorld& world, int groups, int commands)
      : world_(world), groups_(groups), left_(commands) {}

  Words Next(Random& random) override {
    if (left_-- == 0) return {};
    Words words = GroupKeys(static_cast<int>(random() % static_cast<uint64_t>(groups_)));
    words.insert(words.begin(), "MGET");
    return words;
  }
  void OnReply(const Words& sent, const RespValue& reply) override {
    int64_t sum = 0;
    size_t missing = 0;
    for (const RespValue& item : reply.items)
      item.is_null() ? static_cast<void>(++missing) : static_cast<void>(sum += item.integer());
    const bool before_the_first = missing == reply.items.size();
    if (reply.items.size() + 1 != sent.size() || (!before_the_first && sum != kGroupTotal))
      world_.Fail("half an MSET was seen: sum " + std::to_string(sum) + ", " +
                  std::to_string(missing) + " missing");
  }

 private:
  SimWorld& world_;
  int groups_;
  int left_;
};

TEST_F(ConcurrencyTest, MsetIsSeenWholeOrNotAtAll) {
  constexpr int kGroups = 8;
  for (int group = 0; group < kGroups; ++group) Add<Banker>(group, group, 2000 * kScale);
  for (int i = 0; i < 2 * kWorkers; ++i) Add<Auditor>(i, kGroups, 2000 * kScale);
  Run();
}

// Counts on keys that everybody counts on.
class CountingClient final : public SimClient {
 public:
  CountingClient(SimWorld& world, int keys, int commands)
      : world_(world), keys_(keys), left_(commands) {}

  Words Next(Random& random) override {
    if (left_-- == 0) return {};
    const std::string key = "counter:" + std::to_string(random() % static_cast<uint64_t>(keys_));
    switch (random() % 3) {
      case 0:
        return {"INCR", key};
      case 1:
        return {"DECR", key};
      default:
        return {"INCRBY", key, std::to_string(random() % 100)};
    }
  }
  void OnReply(const Words& sent, const RespValue& reply) override {
    if (reply.type != ':') world_.Fail(sent[0] + ": " + reply.text);
    sums[sent[1]] += sent[0] == "INCR" ? 1 : sent[0] == "DECR" ? -1 : std::stoll(sent[2]);
  }

  std::map<std::string, int64_t> sums;

 private:
  SimWorld& world_;
  int keys_;
  int left_;
};

TEST_F(ConcurrencyTest, NoIncrementIsLost) {
  std::vector<CountingClient*> clients;
  for (int i = 0; i < 2 * kWorkers; ++i)
    clients.push_back(&Add<CountingClient>(i, 5, 5000 * kScale));
  Run();
  std::map<std::string, int64_t> totals;
  for (const CountingClient* client : clients) {
    for (const auto& [key, sum] : client->sums) totals[key] += sum;
  }
  std::vector<Words> gets;
  for (const auto& [key, sum] : totals) gets.push_back({"GET", key});
  const std::vector<RespValue> values = Inspect(gets);
  ASSERT_EQ(values.size(), totals.size());
  size_t i = 0;
  for (const auto& [key, sum] : totals) EXPECT_EQ(values[i++].integer(), sum) << key;
}

// Carries one value back and forth between two names.
class Carrier final : public SimClient {
 public:
  Carrier(SimWorld& world, int pair, int commands) : world_(world), left_(commands) {
    for (int i = 0; i < 2; ++i) names_[i] = Name(pair, i);
  }
  static std::string Name(int pair, int side) {
    return Tagged(pair + 3 * side, "carried:" + std::to_string(pair) + ":" + std::to_string(side));
  }
  Words Next(Random&) override {
    if (!started_) return {"SET", names_[0], "value"};
    if (left_-- == 0) return {};
    return {"RENAME", names_[at_], names_[1 - at_]};
  }
  void OnReply(const Words& sent, const RespValue& reply) override {
    if (reply.text != "OK") world_.Fail(sent[0] + ": " + reply.text);
    if (started_) at_ = 1 - at_;
    started_ = true;
  }

 private:
  SimWorld& world_;
  std::string names_[2];
  int left_;
  int at_ = 0;
  bool started_ = false;
};

class Watcher final : public SimClient {
 public:
  Watcher(SimWorld& world, int pairs, int commands)
      : world_(world), left_(commands), seen_(static_cast<size_t>(pairs)) {}

  Words Next(Random& random) override {
    if (left_-- == 0) return {};
    pair_ = random() % seen_.size();
    const auto pair = static_cast<int>(pair_);
    return {"EXISTS", Carrier::Name(pair, 0), Carrier::Name(pair, 1)};
  }
  void OnReply(const Words&, const RespValue& reply) override {
    const int64_t count = reply.integer();
    if (count > 1 || (count == 0 && seen_[pair_]))
      world_.Fail("a renamed key was seen " + std::to_string(count) + " times");
    if (count == 1) seen_[pair_] = true;
  }

 private:
  SimWorld& world_;
  int left_;
  std::vector<bool> seen_;
  size_t pair_ = 0;
};

TEST_F(ConcurrencyTest, ARenamedKeyIsAlwaysSeenOnce) {
  constexpr int kPairs = 6;
  for (int pair = 0; pair < kPairs; ++pair) Add<Carrier>(pair, pair, 3000 * kScale);
  for (int i = 0; i < kWorkers; ++i) Add<Watcher>(i, kPairs, 4000 * kScale);
  Run();
}

TEST_F(ConcurrencyTest, EveryClientSeesItsOwnKeysAsIfItWereAlone) {
  for (int i = 0; i < 3 * kWorkers; ++i) Add<ModelClient>(i, i, 3000 * kScale, kTags);
  Run();
}

// Makes and removes keys beside those that stay, so that the tables grow and shrink meanwhile.
std::string StableKey(int i) { return Tagged(i, "stable:" + std::to_string(i)); }

class Churner final : public SimClient {
 public:
  Churner(SimWorld& world, int id, int keys, int rounds)
      : world_(world), id_(id), keys_(keys), left_(2 * keys * rounds) {}
  Words Next(Random&) override {
    if (left_-- == 0) return {};
    const int i = next_++ % (2 * keys_);
    const std::string key =
        Tagged(i % keys_, "churn:" + std::to_string(id_) + ":" + std::to_string(i % keys_));
    return i < keys_ ? Words{"SET", key, "v"} : Words{"DEL", key};
  }
  void OnReply(const Words& sent, const RespValue& reply) override {
    if (reply.text != "OK" && reply.text != "1") world_.Fail(sent[0] + ": " + reply.text);
  }
  // Its keys must be gone in the end.
  bool MayBeCancelled() const override { return false; }

 private:
  SimWorld& world_;
  int id_;
  int keys_;
  int left_;
  int next_ = 0;
};

class Scanner final : public SimClient {
 public:
  Scanner(SimWorld& world, int stable, int scans) : world_(world), stable_(stable), left_(scans) {}
  Words Next(Random& random) override {
    if (left_ == 0) return {};
    return {"SCAN", cursor_, "COUNT", std::to_string(1 + random() % 500)};
  }
  void OnReply(const Words&, const RespValue& reply) override {
    if (reply.items.size() != 2) return world_.Fail("SCAN: " + reply.text);
    cursor_ = reply.items[0].text;
    for (const RespValue& key : reply.items[1].items) {
      const size_t brace = key.text.find('}');
      const std::string name = key.text.substr(brace + 1);
      if (name.rfind("stable:", 0) == 0) {
        found_.insert(key.text);
      } else if (name.rfind("churn:", 0) != 0) {
        world_.Fail("SCAN made up the key " + key.text);
      }
    }
    if (cursor_ != "0") return;
    for (int i = 0; i < stable_; ++i) {
      if (found_.count(StableKey(i)) == 0) world_.Fail("SCAN missed " + StableKey(i));
    }
    found_.clear();
    --left_;
  }

 private:
  SimWorld& world_;
  int stable_;
  int left_;
  std::string cursor_ = "0";
  std::set<std::string> found_;
};

TEST_F(ConcurrencyTest, ScanFindsWhatIsThereAllTheTime) {
  constexpr int kStable = 500;
  std::vector<Words> sets;
  for (int i = 0; i < kStable; ++i) sets.push_back({"SET", StableKey(i), "v"});
  Inspect(sets);
  for (int i = 0; i < kWorkers; ++i) Add<Churner>(i, i, 2000, 2 * kScale);
  for (int i = 0; i < kWorkers; ++i) Add<Scanner>(i, kStable, 4 * kScale);
  Run();
  EXPECT_EQ(engine_->StatsOfDb(0).keys, static_cast<uint64_t>(kStable)) << "seed " << seed_;
}

// Keys with a time to live: there until it is over, and not a moment longer.
class ExpiryClient final : public SimClient {
 public:
  ExpiryClient(SimWorld& world, int id, int commands) : world_(world), id_(id), left_(commands) {}
  Words Next(Random& random) override {
    if (left_-- == 0) return {};
    const std::string key =
        Tagged(static_cast<int>(random() % 50),
               "ttl:" + std::to_string(id_) + ":" + std::to_string(random() % 40));
    switch (random() % 4) {
      case 0:
        return {"SET", key, "v", "PX", std::to_string(1 + random() % 30)};
      case 1:
        return {"PEXPIRE", key, std::to_string(1 + random() % 30)};
      case 2:
        return {"PERSIST", key};
      default:
        return {"EXISTS", key};
    }
  }
  void OnReply(const Words& sent, const RespValue& reply) override {
    const auto it = deadlines_.find(sent[1]);
    const bool known = it != deadlines_.end();
    const bool must_be_gone = !known || it->second <= now_ms;
    // Other workers' clocks may be ahead of this batch, and their sweeps with them.
    const bool must_be_there = known && it->second > world_.now_ms;
    if (sent[0] != "SET") {
      const bool there = sent[0] == "PERSIST" ? reply.integer() == 1 : reply.integer() > 0;
      const bool excused = sent[0] == "PERSIST" && known && it->second == kForever;
      if (there && must_be_gone) world_.Fail(sent[0] + " found a key after its time");
      if (!there && must_be_there && !excused) world_.Fail(sent[0] + " lost a key before its time");
      if (!there) return excused ? void() : static_cast<void>(deadlines_.erase(sent[1]));
    }
    if (sent[0] == "SET") deadlines_[sent[1]] = now_ms + std::stoll(sent[4]);
    if (sent[0] == "PEXPIRE") deadlines_[sent[1]] = now_ms + std::stoll(sent[2]);
    if (sent[0] == "PERSIST") deadlines_[sent[1]] = kForever;
  }

 private:
  static constexpr int64_t kForever = INT64_MAX;
  SimWorld& world_;
  int id_;
  int left_;
  std::map<std::string, int64_t> deadlines_;
};

TEST_F(ConcurrencyTest, KeysLiveExactlyTheirTime) {
  for (int i = 0; i < 2 * kWorkers; ++i) Add<ExpiryClient>(i, i, 4000 * kScale);
  Run();
}

// Commands that want the engine for themselves, between those that do not.
class Flusher final : public SimClient {
 public:
  Flusher(SimWorld& world, int commands) : world_(world), left_(commands) {}
  int db() const override { return 2; }
  Words Next(Random& random) override {
    if (left_-- == 0) return {};
    return random() % 2 == 0 ? Words{"FLUSHDB"} : Words{"SWAPDB", "3", "4"};
  }
  void OnReply(const Words& sent, const RespValue& reply) override {
    if (reply.text != "OK") world_.Fail(sent[0] + ": " + reply.text);
  }

 private:
  SimWorld& world_;
  int left_;
};

// Its database may be emptied at any time, but a pair is there whole or not at all.
class FlushedClient final : public SimClient {
 public:
  FlushedClient(SimWorld& world, int id, int commands)
      : world_(world), id_(std::to_string(id)), left_(commands) {}
  int db() const override { return 2; }
  Words Next(Random& random) override {
    if (left_-- == 0) return {};
    const std::string key = std::to_string(random() % 300) + ":" + id_;
    const std::string value = std::to_string(left_);
    if (random() % 2 == 0) return {"MSET", "a" + key, value, "b" + key, value};
    return {"MGET", "a" + key, "b" + key};
  }
  void OnReply(const Words& sent, const RespValue& reply) override {
    if (sent[0] == "MSET") {
      written_[sent[1]] = sent[2];
      return;
    }
    const RespValue& a = reply.items[0];
    const RespValue& b = reply.items[1];
    if (a.type != b.type || a.text != b.text || (!a.is_null() && a.text != written_[sent[1]]))
      world_.Fail("a flushed database showed " + a.text + " and " + b.text);
  }

 private:
  SimWorld& world_;
  std::string id_;
  int left_;
  std::map<std::string, std::string> written_;
};

// Reads a key that is in one of two databases, whichever way they are swapped.
class SwappedReader final : public SimClient {
 public:
  SwappedReader(SimWorld& world, int commands) : world_(world), left_(commands) {}
  int db() const override { return 3; }
  Words Next(Random& random) override {
    if (left_-- == 0) return {};
    return {"GET", Tagged(static_cast<int>(random() % kTags), "swapped")};
  }
  void OnReply(const Words&, const RespValue& reply) override {
    if (reply.text != "three" && reply.text != "four") world_.Fail("swapped: " + reply.text);
  }

 private:
  SimWorld& world_;
  int left_;
};

class Seeder final : public SimClient {
 public:
  Seeder(SimWorld& world, int db, std::string value)
      : world_(world), db_(db), value_(std::move(value)) {}
  int db() const override { return db_; }
  bool MayBeCancelled() const override { return false; }
  Words Next(Random&) override {
    return next_ < kTags ? Words{"SET", Tagged(next_++, "swapped"), value_} : Words{};
  }
  void OnReply(const Words&, const RespValue& reply) override {
    if (reply.text != "OK") world_.Fail("SET: " + reply.text);
  }

 private:
  SimWorld& world_;
  int db_;
  std::string value_;
  int next_ = 0;
};

TEST_F(ConcurrencyTest, WholeKeyspaceCommandsAreAtomicForAllOthers) {
  inspector_->Add(std::make_unique<Seeder>(world_, 3, "three"));
  inspector_->Add(std::make_unique<Seeder>(world_, 4, "four"));
  Inspect({});
  for (int i = 0; i < 2; ++i) Add<Flusher>(i, 300 * kScale);
  for (int i = 0; i < 2 * kWorkers; ++i) Add<FlushedClient>(i, i, 2000 * kScale);
  for (int i = 0; i < kWorkers; ++i) Add<SwappedReader>(i, 2000 * kScale);
  Run();
  EXPECT_GT(engine_->Stats().gate_closings, 0u);
}

}  // namespace
}  // namespace tidegate
