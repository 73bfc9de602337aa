// Commands of every type on a few keys, from several workers at once: keys change their type under
// everybody's hands, are renamed, copied, moved, expire, are waited for and flushed.
//
// What such a run can be asked: that nothing breaks (assertions, invariants, sanitizers), that
// every reply is whole and no command is told it was malformed, that the counters agree with the
// keys in the end, and that elements that are only moved about are all still there, once each. Run
// it under the thread sanitizer too.
#include <atomic>
#include <chrono>
#include <iterator>
#include <memory>
#include <set>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "storage/engine.h"
#include "tests/support/sim_worker.h"

namespace tidegate {
namespace {

using testing::FailIfMalformed;
using testing::Random;
using testing::RespValue;
using testing::SimClient;
using testing::SimWorker;
using testing::SimWorld;
using testing::Words;

#ifdef TIDEGATE_SANITIZE
constexpr int kScale = 1;
#else
constexpr int kScale = 4;
#endif
constexpr int kWorkers = 3;
constexpr int kClientsPerWorker = 4;

// K a key, F a short element, V a value, N a small number, T milliseconds.
constexpr const char* kCommands[] = {
    "APPEND K V",
    "BITOP OR K K K",
    "DECRBY K N",
    "GET K",
    "GETDEL K",
    "INCR K",
    "MGET K K K",
    "MSET K V K V",
    "SET K V",
    "SET K V PX T",
    "SETBIT K 77 1",
    "SETRANGE K 5 V",
    "BLMOVE K K LEFT RIGHT 0.01",
    "BLMPOP 0.01 2 K K RIGHT",
    "BLPOP K K 0.01",
    "BRPOP K 0.01",
    "LINSERT K BEFORE F V",
    "LMOVE K K LEFT LEFT",
    "LMPOP 2 K K LEFT COUNT 2",
    "LPOP K",
    "LPUSH K F F",
    "LRANGE K 0 -1",
    "LREM K 0 F",
    "LSET K 0 V",
    "LTRIM K 1 9",
    "RPOP K 3",
    "RPOPLPUSH K K",
    "RPUSH K V V V",
    "RPUSH K F",
    "SADD K F F V",
    "SADD K N N",
    "SDIFFSTORE K K K",
    "SINTERCARD 2 K K",
    "SINTERSTORE K K K",
    "SMEMBERS K",
    "SMOVE K K F",
    "SPOP K",
    "SRANDMEMBER K 3",
    "SREM K F",
    "SUNIONSTORE K K K",
    "BZMPOP 0.01 2 K K MAX",
    "BZPOPMIN K K 0.01",
    "ZADD K N F N F N V",
    "ZDIFFSTORE K 2 K K",
    "ZINCRBY K N F",
    "ZINTERSTORE K 2 K K",
    "ZMPOP 2 K K MIN",
    "ZPOPMAX K",
    "ZRANGE K 0 -1 WITHSCORES",
    "ZRANGESTORE K K 0 3",
    "ZREM K F F",
    "ZREMRANGEBYRANK K 0 1",
    "ZUNIONSTORE K 2 K K",
    "GEOADD K 13.3 38.1 F 15 37.5 F",
    "GEOSEARCHSTORE K K FROMLONLAT 14 38 BYRADIUS 300 km",
    "HDEL K F F",
    "HGETALL K",
    "HINCRBY K F N",
    "HPEXPIRE K T FIELDS 1 F",
    "HRANDFIELD K 2",
    "HSCAN K 0",
    "HSET K F V F V",
    "HSET K F N",
    "XACK K g 1-1",
    "XADD K * F V",
    "XADD K MAXLEN 5 * F V F V",
    "XDEL K 1-1",
    "XGROUP CREATE K g 0 MKSTREAM",
    "XRANGE K - +",
    "XREAD BLOCK 10 STREAMS K K $ $",
    "XREADGROUP GROUP g c BLOCK 10 STREAMS K >",
    "XREADGROUP GROUP g c COUNT 2 STREAMS K >",
    "XTRIM K MAXLEN 3",
    "COPY K K REPLACE",
    "DEL K K",
    "DUMP K",
    "EXISTS K K K",
    "EXPIRE K 100",
    "MOVE K 1",
    "OBJECT ENCODING K",
    "PERSIST K",
    "PEXPIRE K T",
    "RENAME K K",
    "RENAMENX K K",
    "SORT K ALPHA",
    "SORT K BY nosort STORE K",
    "SORT K BY {tag*}key ALPHA GET # GET {tag*}key",
    "SORT K BY {tag*}key ALPHA STORE K",
    "TTL K",
    "TYPE K",
    "UNLINK K",
    "DBSIZE",
    "KEYS *",
    "RANDOMKEY",
    "SCAN 0 COUNT 1000",
};
// Now and then only: nothing would be left for the others.
constexpr const char* kWholeCommands[] = {"FLUSHALL", "FLUSHDB", "SWAPDB 0 1"};

constexpr int kKeys = 10;
std::string KeyName(uint64_t i) {
  return "{tag" + std::to_string(i % 6) + "}key" + std::to_string(i);
}

std::string Fill(const std::string& word, Random& random) {
  if (word == "K") return KeyName(random() % kKeys);
  if (word == "F") return "f" + std::to_string(random() % 12);
  if (word == "N") return std::to_string(random() % 20);
  if (word == "T") return std::to_string(1 + random() % 20);
  if (word == "V") return std::string(random() % 8 == 0 ? 3000 : random() % 90, 'v');
  return word;
}

class AnyCommandClient final : public SimClient {
 public:
  AnyCommandClient(SimWorld& world, int db, int commands)
      : world_(world), db_(db), left_(commands) {}

  int db() const override { return db_; }
  Words Next(Random& random) override {
    if (left_-- == 0) return {};
    const bool whole = random() % 500 == 0;
    std::istringstream line(whole ? kWholeCommands[random() % std::size(kWholeCommands)]
                                  : kCommands[random() % std::size(kCommands)]);
    Words words;
    for (std::string word; line >> word;) words.push_back(Fill(word, random));
    return words;
  }
  void OnReply(const Words& sent, const RespValue& reply) override {
    FailIfMalformed(world_, sent, reply);
  }

 private:
  SimWorld& world_;
  int db_;
  int left_;
};

// Only moves elements: from end to end of lists, and from set to set.
constexpr int kTokens = 60;
constexpr int kPlaces = 5;
std::string PlaceName(const char* kind, uint64_t i) {
  return "{place" + std::to_string(i % 4) + "}" + kind + std::to_string(i);
}

class MovingClient final : public SimClient {
 public:
  MovingClient(SimWorld& world, int commands) : world_(world), left_(commands) {}

  Words Next(Random& random) override {
    if (left_-- == 0) return {};
    const auto list = [&] { return PlaceName("list", random() % kPlaces); };
    const auto end = [&] { return std::string(random() % 2 == 0 ? "LEFT" : "RIGHT"); };
    switch (random() % 6) {
      case 0:
        return {"LMOVE", list(), list(), end(), end()};
      case 1:
        return {"RPOPLPUSH", list(), list()};
      case 2:
        return {"BLMOVE", list(), list(), end(), end(), "0.005"};
      case 3:
        return {"RENAMENX", list(), list()};
      default:
        return {"SMOVE", PlaceName("set", random() % kPlaces), PlaceName("set", random() % kPlaces),
                "token" + std::to_string(random() % kTokens)};
    }
  }
  void OnReply(const Words& sent, const RespValue& reply) override {
    if (reply.type == '-' && reply.text != "ERR no such key")
      world_.Fail(sent[0] + ": " + reply.text);
  }

 private:
  SimWorld& world_;
  int left_;
};

class ListedCommands final : public SimClient {
 public:
  ListedCommands(std::vector<Words> commands, std::vector<RespValue>& replies)
      : commands_(std::move(commands)), replies_(replies) {}
  Words Next(Random&) override { return next_ < commands_.size() ? commands_[next_++] : Words{}; }
  void OnReply(const Words&, const RespValue& reply) override { replies_.push_back(reply); }
  bool MayBeCancelled() const override { return false; }

 private:
  std::vector<Words> commands_;
  std::vector<RespValue>& replies_;
  size_t next_ = 0;
};

class AllTypesTest : public ::testing::Test {
 protected:
  AllTypesTest() : AllTypesTest(EngineOptions{}) {}
  explicit AllTypesTest(EngineOptions options)
      : engine_(std::move(Engine::Create(options)).value()),
        table_(CommandTable::Create(StorageCommandFamilies())),
        world_(*engine_, *table_),
        seed_(testing::SimSeed()) {
    testing::MakeCollectionsSmall(engine_->settings());
    for (int i = 0; i < kWorkers; ++i)
      workers_.push_back(std::make_unique<SimWorker>(world_, i, kWorkers, seed_));
  }

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
    ASSERT_EQ(world_.failure(), "") << "seed " << seed_;
  }

  void RunAnyCommandsFromAnywhere();
  void RunWhatIsOnlyMovedIsStillThere();

  // Commands that are executed alone.
  std::vector<RespValue> RunAlone(std::vector<Words> commands) {
    std::vector<RespValue> replies;
    SimWorker worker(world_, kWorkers, kWorkers + 1, seed_);
    worker.Add(std::make_unique<ListedCommands>(std::move(commands), replies));
    worker.Start();
    worker.Join();
    EXPECT_EQ(world_.failure(), "") << "seed " << seed_;
    return replies;
  }

  std::unique_ptr<Engine> engine_;
  std::unique_ptr<CommandTable> table_;
  SimWorld world_;
  uint64_t seed_;
  std::vector<std::unique_ptr<SimWorker>> workers_;
};

void AllTypesTest::RunAnyCommandsFromAnywhere() {
  for (auto& worker : workers_) {
    for (int i = 0; i < kClientsPerWorker; ++i)
      worker->Add(std::make_unique<AnyCommandClient>(world_, i == 0 ? 1 : 0, 3000 * kScale));
  }
  Run();
  // KEYS removes what has expired, so that the counters must agree with it afterwards.
  const auto replies = RunAlone({{"KEYS", "*"}, {"DBSIZE"}});
  ASSERT_EQ(replies.size(), 2u);
  EXPECT_EQ(replies[1].integer(), static_cast<int64_t>(replies[0].items.size())) << seed_;
  RunAlone({{"FLUSHALL"}});
  for (const int db : {0, 1}) {
    EXPECT_EQ(engine_->StatsOfDb(db).keys, 0u) << "seed " << seed_;
    EXPECT_EQ(engine_->StatsOfDb(db).expires, 0u) << "seed " << seed_;
  }
}

void AllTypesTest::RunWhatIsOnlyMovedIsStillThere() {
  std::vector<Words> setup;
  std::vector<Words> look;
  for (uint64_t i = 0; i < kTokens; ++i) {
    setup.push_back({"RPUSH", PlaceName("list", i % kPlaces), "token" + std::to_string(i)});
    setup.push_back({"SADD", PlaceName("set", i % kPlaces), "token" + std::to_string(i)});
  }
  for (uint64_t i = 0; i < kPlaces; ++i) {
    look.push_back({"LRANGE", PlaceName("list", i), "0", "-1"});
    look.push_back({"SMEMBERS", PlaceName("set", i)});
  }
  RunAlone(setup);
  for (auto& worker : workers_) {
    for (int i = 0; i < kClientsPerWorker; ++i)
      worker->Add(std::make_unique<MovingClient>(world_, 3000 * kScale));
  }
  Run();
  std::multiset<std::string> found[2];  // in lists, in sets
  const auto replies = RunAlone(look);
  ASSERT_EQ(replies.size(), look.size());
  for (size_t i = 0; i < replies.size(); ++i) {
    for (const RespValue& item : replies[i].items) found[i % 2].insert(item.text);
  }
  for (const auto& tokens : found) {
    EXPECT_EQ(tokens.size(), static_cast<size_t>(kTokens)) << "seed " << seed_;
    EXPECT_EQ(std::set<std::string>(tokens.begin(), tokens.end()).size(),
              static_cast<size_t>(kTokens))
        << "seed " << seed_;
  }
}

TEST_F(AllTypesTest, AnyCommandsFromAnywhere) { RunAnyCommandsFromAnywhere(); }
TEST_F(AllTypesTest, WhatIsOnlyMovedIsStillThere) { RunWhatIsOnlyMovedIsStillThere(); }

// The same with everything that can be a long command being one, in as many turns as it can have.
class AllTypesInTurnsTest : public AllTypesTest {
 protected:
  AllTypesInTurnsTest()
      : AllTypesTest({.short_command_elements_max = 1, .long_command_turn_nanos = 0}) {}
};

TEST_F(AllTypesInTurnsTest, AnyCommandsFromAnywhere) { RunAnyCommandsFromAnywhere(); }
TEST_F(AllTypesInTurnsTest, WhatIsOnlyMovedIsStillThere) { RunWhatIsOnlyMovedIsStillThere(); }

}  // namespace
}  // namespace tidegate
