// Fields of hashes that expire: what commands see of them, and how they go.
#include <gtest/gtest.h>

#include <map>
#include <random>
#include <string>
#include <vector>

#include "tests/support/engine_fixture.h"
#include "tests/support/key_events.h"
#include "tests/support/resp_value.h"

namespace tidegate {
namespace {

using testing::Bulk;
using testing::Integer;
using testing::KeyEvents;
using testing::kNull;
using testing::ParseResp;
using testing::RespValue;
using testing::TestEngine;

constexpr int64_t kBudgetNanos = 50'000'000;

void Sweep(TestEngine& engine, int64_t budget_nanos = kBudgetNanos) {
  engine.engine().BackgroundStep(engine.thread(), engine.now_ms(), 0, 1, budget_nanos);
}

TEST(HashFieldCommandsTest, ExpiredFieldsAreHiddenAtOnce) {
  TestEngine engine;
  engine.Run("HSET h a 1 b 2 c 3");
  EXPECT_EQ(engine.Run("HPEXPIRE h 100 FIELDS 2 a b"), "*2\r\n:1\r\n:1\r\n");
  EXPECT_EQ(engine.Run("HPTTL h FIELDS 3 a c d"), "*3\r\n:100\r\n:-1\r\n:-2\r\n");
  engine.AdvanceMs(99);
  EXPECT_EQ(engine.Run("HLEN h"), Integer(3));
  engine.AdvanceMs(1);
  EXPECT_EQ(engine.Run("HLEN h"), Integer(1));
  EXPECT_EQ(engine.Run("HGET h a"), kNull);
  EXPECT_EQ(engine.Run("HGETALL h"), "*2\r\n$1\r\nc\r\n$1\r\n3\r\n");
  EXPECT_EQ(engine.Run("HPTTL h FIELDS 1 a"), "*1\r\n:-2\r\n");
  EXPECT_EQ(engine.Run("HPEXPIRE h 100 FIELDS 1 a"), "*1\r\n:-2\r\n");
  EXPECT_EQ(engine.Run("HPERSIST h FIELDS 1 a"), "*1\r\n:-2\r\n");
  EXPECT_EQ(engine.Run("HRANDFIELD h"), Bulk("c"));
  EXPECT_EQ(engine.Run("HRANDFIELD h -2"), "*2\r\n$1\r\nc\r\n$1\r\nc\r\n");
}

TEST(HashFieldCommandsTest, AWriteRemovesWhatHasExpiredAtItsField) {
  TestEngine engine;
  KeyEvents events(engine.engine());
  engine.Run("HSET h a 1 b 2 c 3 stays 4");
  engine.Run("HPEXPIRE h 100 FIELDS 3 a b c");
  EXPECT_EQ(events.Take(), "hset:h hexpire:h");
  engine.AdvanceMs(100);
  EXPECT_EQ(engine.Run("HSET h a 5"), Integer(1));
  EXPECT_EQ(events.Take(), "hexpired:h hset:h");
  EXPECT_EQ(engine.Run("HPTTL h FIELDS 1 a"), "*1\r\n:-1\r\n");
  EXPECT_EQ(engine.Run("HDEL h b"), Integer(0));
  EXPECT_EQ(events.Take(), "hexpired:h");
  EXPECT_EQ(engine.Run("HINCRBY h c 4"), Integer(4));
  EXPECT_EQ(engine.Run("HPTTL h FIELDS 1 c"), "*1\r\n:-1\r\n");
  EXPECT_EQ(events.Take(), "hexpired:h hincrby:h");
  engine.Run("DEL h");
  engine.Run("HSET h a 1");
  engine.Run("HPEXPIRE h 100 FIELDS 1 a");
  engine.AdvanceMs(100);
  events.Take();
  EXPECT_EQ(engine.Run("HDEL h a"), Integer(0));
  EXPECT_EQ(events.Take(), "hexpired:h del:h");
  EXPECT_EQ(engine.Run("EXISTS h"), Integer(0));
}

TEST(HashFieldCommandsTest, TheKeyIsGoneWithItsLastField) {
  TestEngine engine;
  KeyEvents events(engine.engine());
  const auto expire_all = [&](std::string_view key) {
    engine.RunWords({"HSETEX", std::string(key), "PX", "100", "FIELDS", "2", "a", "1", "b", "2"});
    engine.AdvanceMs(100);
    events.Take();
  };
  expire_all("h");
  EXPECT_EQ(engine.Run("EXISTS h"), Integer(0));
  EXPECT_EQ(events.Take(), "hexpired:h del:h");
  EXPECT_EQ(engine.engine().StatsOfDb(0).keys, 0u);
  EXPECT_EQ(engine.engine().Stats().expired_fields, 2u);
  EXPECT_EQ(engine.engine().Stats().expired_keys, 0u);
  expire_all("h");
  EXPECT_EQ(engine.Run("TYPE h"), "+none\r\n");
  expire_all("h");
  EXPECT_EQ(engine.Run("RPUSH h x"), Integer(1)) << "of another type";
  engine.Run("DEL h");
  expire_all("h");
  EXPECT_EQ(engine.Run("KEYS *"), "*0\r\n");
  expire_all("h");
  EXPECT_EQ(engine.Run("RANDOMKEY"), kNull);
  expire_all("h");
  EXPECT_EQ(engine.Run("RENAME h other"), "-ERR no such key\r\n");
  // One field that is left keeps it.
  expire_all("h");
  engine.Run("HSETEX h PX 100 FIELDS 1 a 1");
  engine.Run("HSETEX h PX 200 FIELDS 1 b 1");
  engine.AdvanceMs(150);
  EXPECT_EQ(engine.Run("EXISTS h"), Integer(1));
}

TEST(HashFieldCommandsTest, OfALargeHashTheSweepFindsOut) {
  TestEngine engine;
  for (int i = 0; i < 5000; ++i)
    engine.RunWords({"HSETEX", "h", "PX", "1000", "FIELDS", "1", std::to_string(i), "v"});
  engine.AdvanceMs(2000);
  EXPECT_EQ(engine.Run("HLEN h"), Integer(0));
  EXPECT_EQ(engine.Run("EXISTS h"), Integer(1));
  for (int i = 0; i < 3; ++i) Sweep(engine);
  EXPECT_EQ(engine.Run("EXISTS h"), Integer(0));
  EXPECT_EQ(engine.engine().Stats().expired_fields, 5000u);
}

TEST(HashFieldCommandsTest, EventsSayWhatHappened) {
  TestEngine engine;
  KeyEvents events(engine.engine());
  engine.Run("HSETEX h EX 100 FIELDS 2 a 1 b 2");
  EXPECT_EQ(events.Take(), "hset:h hexpire:h");
  engine.Run("HSETEX h FNX FIELDS 1 a 1");
  engine.Run("HGETEX h FIELDS 1 a");
  engine.Run("HEXPIRE h 10 NX FIELDS 1 a");
  engine.Run("HTTL h FIELDS 1 a");
  EXPECT_EQ(events.Take(), "");
  engine.Run("HPERSIST h FIELDS 1 a");
  engine.Run("HGETEX h EX 10 FIELDS 1 a");
  engine.Run("HGETEX h PERSIST FIELDS 1 a");
  EXPECT_EQ(events.Take(), "hpersist:h hexpire:h hpersist:h");
  engine.Run("HGETDEL h FIELDS 1 a");
  EXPECT_EQ(events.Take(), "hdel:h");
  engine.Run("HEXPIRE h 0 FIELDS 1 b");
  EXPECT_EQ(events.Take(), "hdel:h del:h");
}

TEST(HashFieldCommandsTest, TheSweepRemovesWhatIsDueAndOnlyThat) {
  TestEngine engine;
  KeyEvents events(engine.engine());
  engine.Run("HSET h a 1 b 2 c 3");
  engine.Run("HPEXPIRE h 1000 FIELDS 1 a");
  engine.Run("HPEXPIRE h 60000 FIELDS 1 b");
  engine.Run("HSET gone x 1");
  engine.Run("HPEXPIRE gone 1000 FIELDS 1 x");
  engine.Run("HSET key x 1 y 1");
  engine.Run("HPEXPIRE key 1000 FIELDS 1 x");
  engine.Run("PEXPIRE key 500");
  events.Take();
  engine.AdvanceMs(2000);
  for (int i = 0; i < 3; ++i) Sweep(engine);
  const std::string told = events.Take();
  EXPECT_NE(told.find("hexpired:h"), std::string::npos) << told;
  EXPECT_NE(told.find("hexpired:gone del:gone"), std::string::npos) << told;
  EXPECT_EQ(engine.engine().StatsOfDb(0).keys, 1u);
  EXPECT_EQ(engine.engine().StatsOfDb(0).expires, 0u);
  EXPECT_EQ(engine.Run("HPTTL h FIELDS 3 a b c"), "*3\r\n:-2\r\n:58000\r\n:-1\r\n");
  // An earlier time than what was there is known at once.
  engine.Run("HPEXPIRE h 10 FIELDS 1 c");
  engine.AdvanceMs(1500);
  Sweep(engine);
  EXPECT_EQ(events.Take(), "hexpire:h hexpired:h");
  engine.AdvanceMs(60'000);
  Sweep(engine);
  EXPECT_EQ(events.Take(), "hexpired:h del:h");
  EXPECT_EQ(engine.engine().StatsOfDb(0).keys, 0u);
}

TEST(HashFieldCommandsTest, TheSweepFollowsACopyAndARename) {
  TestEngine engine;
  engine.Run("HSETEX h PX 1000 FIELDS 1 a 1");
  engine.Run("COPY h copy");
  engine.Run("RENAME h other");
  engine.Run("COPY copy copy DB 3");
  engine.AdvanceMs(2500);
  for (int i = 0; i < 3; ++i) Sweep(engine);
  EXPECT_EQ(engine.engine().StatsOfDb(0).keys, 0u);
  EXPECT_EQ(engine.engine().StatsOfDb(3).keys, 0u);
}

TEST(HashFieldCommandsTest, TheSweepGetsThroughALargeHashInTinySteps) {
  TestEngine engine;
  constexpr int kFields = 20'000;
  for (int i = 0; i < kFields; ++i) {
    engine.RunWords({"HSETEX", "h", "PX", i % 2 == 0 ? "1000" : "500000", "FIELDS", "1",
                     "field:" + std::to_string(i), "v"});
  }
  engine.AdvanceMs(3000);
  EXPECT_EQ(engine.Run("HLEN h"), Integer(kFields / 2));
  int steps = 0;
  // Through when a sweep has nothing left to look at: the hint is exact then.
  for (; steps < 3000; ++steps) Sweep(engine, 1);
  EXPECT_EQ(engine.Run("HLEN h"), Integer(kFields / 2));
  const uint64_t changes = engine.engine().Stats().changes;
  Sweep(engine);
  EXPECT_EQ(engine.engine().Stats().changes, changes);
  // And none of what it left is forgotten.
  engine.AdvanceMs(500'000);
  for (steps = 0; steps < 3000 && engine.engine().StatsOfDb(0).keys > 0; ++steps) Sweep(engine, 1);
  EXPECT_EQ(engine.engine().StatsOfDb(0).keys, 0u);
}

// Random commands against a map with times.
TEST(HashFieldCommandsTest, AgreesWithAModel) {
  struct Value {
    std::string value;
    int64_t at_ms = -1;
  };
  TestEngine engine;
  std::mt19937 random(3);
  const auto pick = [&](unsigned n) { return static_cast<unsigned>(random() % n); };
  std::map<std::string, Value> model;
  const auto expire = [&] {
    for (auto at = model.begin(); at != model.end();) {
      const bool due = at->second.at_ms >= 0 && at->second.at_ms <= engine.now_ms();
      at = due ? model.erase(at) : std::next(at);
    }
  };
  for (int step = 0; step < 20'000; ++step) {
    const std::string field = "f" + std::to_string(pick(200));
    const std::string value = "v" + std::to_string(pick(1000));
    const auto at = model.find(field);
    const bool there = at != model.end();
    const int64_t ms = pick(500);
    switch (pick(8)) {
      case 0:
        EXPECT_EQ(engine.RunWords({"HSET", "h", field, value}), Integer(there ? 0 : 1));
        model[field] = {value};
        break;
      case 1:
        engine.RunWords({"HSETEX", "h", "PX", std::to_string(ms), "FIELDS", "1", field, value});
        model[field] = {value, engine.now_ms() + ms};
        break;
      case 2:
        engine.RunWords({"HSETEX", "h", "KEEPTTL", "FIELDS", "1", field, value});
        model[field].value = value;
        break;
      case 3:
        EXPECT_EQ(engine.RunWords({"HPEXPIRE", "h", std::to_string(ms), "FIELDS", "1", field}),
                  "*1\r\n" + Integer(!there    ? -2
                                     : ms == 0 ? 2
                                               : 1));
        if (there) at->second.at_ms = engine.now_ms() + ms;
        break;
      case 4:
        engine.RunWords({"HPERSIST", "h", "FIELDS", "1", field});
        if (there) at->second.at_ms = -1;
        break;
      case 5:
        EXPECT_EQ(engine.RunWords({"HDEL", "h", field}), Integer(there ? 1 : 0));
        model.erase(field);
        break;
      case 6:
        EXPECT_EQ(engine.RunWords({"HGET", "h", field}),
                  there ? Bulk(at->second.value) : std::string(kNull));
        break;
      default:
        engine.AdvanceMs(pick(10));
        if (pick(5) == 0) Sweep(engine);
    }
    expire();
    if (step % 50 == 0) {
      ASSERT_EQ(engine.Run("HLEN h"), Integer(static_cast<int64_t>(model.size())));
      const RespValue all = ParseResp(engine.Run("HGETALL h"));
      ASSERT_EQ(all.items.size(), model.size() * 2);
      for (size_t i = 0; i < all.items.size(); i += 2) {
        ASSERT_EQ(model.at(all.items[i].text).value, all.items[i + 1].text);
      }
    }
  }
}

}  // namespace
}  // namespace tidegate
