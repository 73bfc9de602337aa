// Copies of values under any order of reads, writes, deletes, flushes and expiries, in virtual
// time: clients of this process over several connections, and somebody who writes past it. One seed
// is one interleaving; TIDEGATE_SEED replays one.
//
// What holds: a copy is a value that the node had within `keep`, so none is older than its end plus
// `keep`; and none is given once a client of this process has begun to write or delete its key,
// until what was written after that has been read.
#include <gtest/gtest.h>

#include <array>
#include <cstdlib>
#include <deque>
#include <memory>
#include <optional>
#include <random>
#include <string>

#include "base/hash.h"
#include "policy/stale/stale_copies.h"
#include "tests/support/sim_worker.h"

namespace tidegate {
namespace {

constexpr int64_t kMs = 1'000'000;
constexpr std::chrono::milliseconds kKeep{200};
constexpr int64_t kKeepNanos = kKeep.count() * kMs;
constexpr size_t kKeys = 3;
constexpr int kSteps = 3000;
constexpr int kInterleavings = 60;

class World final {
 public:
  explicit World(uint64_t seed) : random_(seed) {}

  std::string Run() {
    for (int i = 0; i < kSteps && fault_.empty(); ++i) Step();
    return fault_;
  }
  int given() const { return given_; }
  int refused() const { return refused_; }

 private:
  // Values are numbers, none twice.
  struct Value {
    int64_t born = 0;  // the step of the node at which it was written
    int64_t expires_ns = INT64_MAX;
    std::optional<int64_t> gone_ns;  // it was overwritten or deleted
  };
  struct Key {
    std::optional<size_t> value;
    int64_t written = -1;  // the step of the last write of a client of ours
    int begun = 0;         // of these writes, those that the node has not executed
  };
  struct Read {
    size_t key = 0;
    StaleCopies::Ask ask;
    std::optional<std::string> reply;  // when the node has executed it
  };
  struct Write {
    std::optional<size_t> key;  // none: FLUSHALL
    bool deletes = false;
    bool is_executed = false;
    StaleCopies::Write copying;
  };

  size_t Draw(size_t below) { return std::uniform_int_distribution<size_t>(0, below - 1)(random_); }
  CopiedKey NameOf(size_t key) {
    name_ = "item:" + std::to_string(key);
    return {.name = name_, .hash = KeyHash(name_), .keyspace = {.cluster = 1}};
  }
  static std::string ReplyOf(size_t value) {
    const std::string text = std::to_string(value);
    return "$" + std::to_string(text.size()) + "\r\n" + text + "\r\n";
  }

  void Step() {
    switch (Draw(10)) {
      case 0:
        now_ns_ += static_cast<int64_t>(Draw(30)) * kMs;
        return;
      case 1:
        return BeginRead();
      case 2:
        return ExecuteRead();
      case 3:
        return TakeReply();
      case 4:
        return Draw(3) == 0 ? BeginWrite() : BeginRead();
      case 5:
        return ExecuteWrite();
      case 6:
        return EndWrite();
      case 7:
        if (Draw(4) == 0) Change(Draw(kKeys), Draw(2) == 0);
        return;
      default:
        return Find(Draw(kKeys));
    }
  }

  // --- the node ---
  void End(Key& key) {
    if (key.value && !values_[*key.value].gone_ns) values_[*key.value].gone_ns = now_ns_;
    key.value.reset();
  }
  void Change(size_t place, bool deletes) {
    Key& key = keys_[place];
    End(key);
    ++step_;
    if (deletes) return;
    key.value = values_.size();
    values_.push_back({.born = step_});
    if (Draw(2) == 0) values_.back().expires_ns = now_ns_ + static_cast<int64_t>(Draw(100)) * kMs;
  }
  void ExecuteRead() {
    if (reads_.empty()) return;
    Read& read = reads_[Draw(reads_.size())];
    if (read.reply) return;
    const Key& key = keys_[read.key];
    const bool is_there = key.value && values_[*key.value].expires_ns > now_ns_;
    read.reply = is_there ? ReplyOf(*key.value) : "$-1\r\n";
  }
  void ExecuteWrite() {
    if (writes_.empty()) return;
    Write& write = writes_[Draw(writes_.size())];
    if (write.is_executed) return;
    write.is_executed = true;
    for (size_t i = 0; i < kKeys; ++i) {
      if (write.key && *write.key != i) continue;
      Change(i, write.deletes);
      keys_[i].written = step_;
      --keys_[i].begun;
    }
  }

  // --- this process ---
  void BeginRead() {
    const size_t key = Draw(kKeys);
    reads_.push_back({.key = key, .ask = copies_.Begin(NameOf(key), now_ns_), .reply = {}});
  }
  void TakeReply() {
    if (reads_.empty()) return;
    const auto read = reads_.begin() + static_cast<ptrdiff_t>(Draw(reads_.size()));
    if (!read->reply) return;
    if (*read->reply != "$-1\r\n") copies_.Found(NameOf(read->key), read->ask, *read->reply);
    reads_.erase(read);
  }
  void BeginWrite() {
    Write write;
    write.deletes = Draw(2) == 0;
    if (Draw(8) == 0) {
      write.deletes = true;
      write.copying = copies_.BeginWriteOfAny(1);
    } else {
      write.key = Draw(kKeys);
      write.copying = copies_.BeginWrite(NameOf(*write.key), write.deletes);
    }
    for (size_t i = 0; i < kKeys; ++i) keys_[i].begun += !write.key || *write.key == i ? 1 : 0;
    writes_.push_back(std::move(write));
  }
  void EndWrite() {
    if (writes_.empty()) return;
    const auto write = writes_.begin() + static_cast<ptrdiff_t>(Draw(writes_.size()));
    if (write->is_executed) writes_.erase(write);
  }

  void Find(size_t place) {
    const auto copy = copies_.Find(NameOf(place), now_ns_);
    if (!copy) {
      ++refused_;
      return;
    }
    ++given_;
    const std::string& text = copy->reply;
    const size_t begin = text.find('\n') + 1;
    const Value& value = values_[std::stoul(text.substr(begin))];
    const Key& key = keys_[place];
    if (key.begun > 0) fault_ = "a copy was given of a key that is being written";
    if (value.born < key.written) fault_ = "a copy was given that a client had written over";
    const int64_t end_ns = std::min(value.expires_ns, value.gone_ns.value_or(now_ns_));
    if (now_ns_ >= end_ns + kKeepNanos) fault_ = "a copy was given that is too old";
    if (now_ns_ - copy->age_ns > end_ns) fault_ = "a copy is said to be younger than it is";
  }

  std::mt19937_64 random_;
  StaleCopies copies_{{.any = true, .mode = PolicyMode::kEnforce, .keys = {"*"}, .keep = kKeep},
                      std::make_shared<PolicyCounters>()};
  std::string name_;
  std::array<Key, kKeys> keys_;
  std::vector<Value> values_;
  std::deque<Read> reads_;
  std::deque<Write> writes_;
  int64_t now_ns_ = 0;
  int64_t step_ = 0;
  int given_ = 0;
  int refused_ = 0;
  std::string fault_;
};

TEST(StaleSim, NoCopyIsTooOldOrWasWrittenOver) {
  const bool replays = std::getenv("TIDEGATE_SEED") != nullptr;
  const uint64_t first = testing::SimSeed();
  int given = 0;
  int refused = 0;
  for (int i = 0; i < (replays ? 1 : kInterleavings); ++i) {
    World world(first + static_cast<uint64_t>(i));
    ASSERT_EQ(world.Run(), "") << "TIDEGATE_SEED=" << first + static_cast<uint64_t>(i);
    given += world.given();
    refused += world.refused();
  }
  EXPECT_GT(given, 0);
  EXPECT_GT(refused, 0);
}

}  // namespace
}  // namespace tidegate
