#include <gtest/gtest.h>

#include <cmath>
#include <set>
#include <string>

#include "base/text.h"
#include "config/notify.h"
#include "storage/engine_thread.h"
#include "storage/value/encoding_name.h"
#include "storage/value/packed_sorted_set.h"
#include "storage/value/scored_source.h"
#include "tests/support/engine_fixture.h"

namespace tidegate {
namespace {

using testing::Bulk;
using testing::Integer;
using testing::kNull;
using testing::TestEngine;

// Many members, in the large form.
void Fill(TestEngine& engine, std::string_view key, int members) {
  std::vector<std::string> words = {"ZADD", std::string(key)};
  for (int i = 0; i < members; ++i) {
    words.push_back(std::to_string(i));
    words.push_back("member:" + std::to_string(i));
  }
  EXPECT_EQ(engine.RunWords(words), Integer(members));
}

struct EventLog {
  std::vector<std::string> events;
  static void Note(void* log, EngineThread& /*thread*/, std::span<const KeyEvent> events) {
    for (const KeyEvent& event : events) {
      static_cast<EventLog*>(log)->events.push_back(std::string(event.event) + " " + event.key);
    }
  }
  std::string Take() {
    std::string text;
    for (const std::string& event : events) text += (text.empty() ? "" : ", ") + event;
    events.clear();
    return text;
  }
};

TEST(SortedSetCommandsTest, ScoresArePackedAsRedisPacksThem) {
  const auto packed = [](double score) {
    char digits[kListpackDigitsBytes];
    const PackedScore value(score);
    return std::string(value.value().is_integer() ? "i" : "t") +
           std::string(value.value().Render(digits));
  };
  EXPECT_EQ(packed(3), "i3");
  EXPECT_EQ(packed(-0.0), "i0");
  EXPECT_EQ(packed(1e17), "i100000000000000000");
  EXPECT_EQ(packed(5e18), "t5e+18");
  EXPECT_EQ(packed(0.1), "t0.10000000000000001");
  EXPECT_EQ(packed(-HUGE_VAL), "t-inf");
  for (const double score : {0.1, -2.5e300, HUGE_VAL, -HUGE_VAL, 5e-324, 4e18, -7.0}) {
    EXPECT_EQ(PackedScore::Read(PackedScore(score).value()), score);
  }
}

TEST(SortedSetCommandsTest, LargeSetsAnswerLikeSmallOnes) {
  constexpr int kMembers = 20000;
  TestEngine engine;
  Fill(engine, "z", kMembers);
  EXPECT_EQ(engine.Run("OBJECT ENCODING z"), Bulk("skiplist"));
  EXPECT_EQ(engine.Run("ZSCORE z member:777"), Bulk("777"));
  EXPECT_EQ(engine.Run("ZRANK z member:19999"), Integer(19999));
  EXPECT_EQ(engine.Run("ZCOUNT z (10 20"), Integer(10));
  EXPECT_EQ(engine.Run("ZRANGE z 10000 10001"),
            "*2\r\n" + Bulk("member:10000") + Bulk("member:10001"));
  EXPECT_EQ(engine.Run("ZRANGE z (5 +inf BYSCORE LIMIT 2 1"), "*1\r\n" + Bulk("member:8"));
  EXPECT_EQ(engine.Run("ZREMRANGEBYRANK z 100 19899"), Integer(19800));
  EXPECT_EQ(engine.Run("ZCARD z"), Integer(200));
  EXPECT_EQ(engine.Run("ZSCORE z member:100"), kNull);
  EXPECT_EQ(engine.Run("ZPOPMAX z"), "*2\r\n" + Bulk("member:19999") + Bulk("19999"));
  EXPECT_EQ(engine.Run("COPY z copy"), Integer(1));
  EXPECT_EQ(engine.Run("ZREMRANGEBYSCORE z -inf +inf"), Integer(199));
  EXPECT_EQ(engine.Run("EXISTS z"), Integer(0));
  EXPECT_EQ(engine.Run("ZRANGE copy 0 0"), "*1\r\n" + Bulk("member:0"));
  EXPECT_EQ(engine.Run("UNLINK copy"), Integer(1));
}

TEST(SortedSetCommandsTest, ZscanVisitsAllMembersOfALargeSet) {
  constexpr int kMembers = 3000;
  TestEngine engine;
  Fill(engine, "z", kMembers);
  std::set<std::string> seen;
  std::string cursor = "0";
  do {
    const std::string reply = engine.Run("ZSCAN z " + cursor + " COUNT 100");
    size_t at = reply.find("\r\n") + 2;  // of the outer array
    at = reply.find("\r\n", at) + 2;
    cursor = reply.substr(at, reply.find("\r\n", at) - at);
    for (size_t m = reply.find("member:"); m != std::string::npos;
         m = reply.find("member:", m + 1)) {
      seen.insert(reply.substr(m, reply.find("\r\n", m) - m));
    }
  } while (cursor != "0");
  EXPECT_EQ(seen.size(), static_cast<size_t>(kMembers));
}

TEST(SortedSetCommandsTest, RandomMembersAreDifferentWhenTheyShallBe) {
  TestEngine engine;
  for (const int members : {100, 1000}) {
    const std::string key = "z" + std::to_string(members);
    Fill(engine, key, members);
    for (const int wanted : {1, 10, members / 2, members - 1, members}) {
      const std::string reply = engine.Run("ZRANDMEMBER " + key + " " + std::to_string(wanted));
      std::set<std::string> drawn;
      for (size_t m = reply.find("member:"); m != std::string::npos;
           m = reply.find("member:", m + 1)) {
        drawn.insert(reply.substr(m, reply.find("\r\n", m) - m));
      }
      EXPECT_EQ(drawn.size(), static_cast<size_t>(wanted)) << members;
    }
    EXPECT_TRUE(engine.Run("ZRANDMEMBER " + key + " -2000 WITHSCORES").starts_with("*4000\r\n"));
  }
}

TEST(SortedSetCommandsTest, SetsCountAsOneInEachForm) {
  TestEngine engine;
  engine.WithDatabase("ints", [](Database& db, const KeyRef& key) {
    PackedScratch bytes;
    Intset(bytes).Create();
    for (const int64_t value : {3, -7, 12}) Intset(bytes).Insert(value);
    db.CreatePacked(key, nullptr, ValueType::kSet, true, bytes.bytes(), kNoExpire);
  });
  engine.WithDatabase("words", [](Database& db, const KeyRef& key) {
    PackedScratch bytes;
    Listpack list(bytes);
    list.Create();
    for (const std::string_view text : {"a", "12", "b"}) list.Append(text);
    db.CreatePacked(key, nullptr, ValueType::kSet, false, bytes.bytes(), kNoExpire);
  });
  engine.WithDatabase("table", [](Database& db, const KeyRef& key) {
    FieldTable* table = FieldTable::Create(FieldValues::kNone);
    for (const std::string_view text : {"a", "12", "z"}) table->Add(text);
    db.PutObject(key, nullptr, ValueType::kSet, Encoding::kFieldTable, table, kNoExpire);
  });
  EXPECT_EQ(engine.Run("ZUNION 2 ints words WITHSCORES"),
            "*10\r\n" + Bulk("-7") + Bulk("1") + Bulk("3") + Bulk("1") + Bulk("a") + Bulk("1") +
                Bulk("b") + Bulk("1") + Bulk("12") + Bulk("2"));
  EXPECT_EQ(engine.Run("ZINTER 3 ints words table WITHSCORES"), "*2\r\n" + Bulk("12") + Bulk("3"));
  EXPECT_EQ(engine.Run("ZDIFF 2 table words"), "*1\r\n" + Bulk("z"));
  EXPECT_EQ(engine.Run("ZDIFF 2 words ints"), "*2\r\n" + Bulk("a") + Bulk("b"));
  EXPECT_EQ(engine.Run("ZINTERCARD 2 table words"), Integer(2));
  EXPECT_EQ(engine.Run("ZUNIONSTORE dst 1 table WEIGHTS 5"), Integer(3));
  EXPECT_EQ(engine.Run("ZSCORE dst z"), Bulk("5"));
}

TEST(SortedSetCommandsTest, EventsAreRedisS) {
  TestEngine engine;
  EventLog log;
  engine.engine().settings().notify_classes = notify::kKeyevent | notify::kAll;
  engine.engine().SetKeyEventSink(EventLog::Note, &log);
  const auto events = [&](std::string_view line) {
    engine.Run(line);
    return log.Take();
  };
  EXPECT_EQ(events("ZADD z 1 a 2 b 3 c 4 d 5 e 6 f 7 g 8 h"), "zadd z");
  EXPECT_EQ(events("ZADD z 1 a"), "");
  EXPECT_EQ(events("ZADD z NX 5 a"), "");
  EXPECT_EQ(events("ZADD z INCR 1 a"), "zincr z");
  EXPECT_EQ(events("ZINCRBY z 1 a"), "zincr z");
  EXPECT_EQ(events("ZREM z a nobody"), "zrem z");
  EXPECT_EQ(events("ZREM z nobody"), "");
  EXPECT_EQ(events("ZREMRANGEBYRANK z 0 0"), "zremrangebyrank z");
  EXPECT_EQ(events("ZREMRANGEBYSCORE z 3 3"), "zremrangebyscore z");
  EXPECT_EQ(events("ZPOPMIN z"), "zpopmin z");
  EXPECT_EQ(events("ZMPOP 1 z MAX"), "zpopmax z");
  EXPECT_EQ(events("ZPOPMIN z 0"), "");
  EXPECT_EQ(events("ZRANGESTORE dst z 0 0"), "zrangestore dst");
  EXPECT_EQ(events("ZUNIONSTORE dst 1 z"), "zunionstore dst");
  EXPECT_EQ(events("ZINTERSTORE dst 1 z"), "zinterstore dst");
  EXPECT_EQ(events("ZDIFFSTORE dst 1 z"), "zdiffstore dst");
  EXPECT_EQ(events("ZDIFFSTORE dst 1 missing"), "del dst");
  EXPECT_EQ(events("ZDIFFSTORE dst 1 missing"), "");
  EXPECT_EQ(events("ZREMRANGEBYLEX z - +"), "zremrangebylex z, del z");
  EXPECT_EQ(events("GEOADD g 1 1 a"), "zadd g");
  EXPECT_EQ(events("GEOSEARCHSTORE dst g FROMMEMBER a BYRADIUS 1 km"), "geosearchstore dst");
  EXPECT_EQ(events("GEORADIUS g 1 1 1 km STORE dst"), "georadiusstore dst");
  EXPECT_EQ(events("ZREM g a"), "zrem g, del g");
}

TEST(SortedSetCommandsTest, AValueKeepsItsExpiryThroughEveryForm) {
  TestEngine engine;
  engine.engine().settings().zset_listpack_entries_max = 40;
  EXPECT_EQ(engine.Run("ZADD z 0 first"), Integer(1));
  EXPECT_EQ(engine.Run("PEXPIRE z 1000"), Integer(1));
  for (int i = 0; i < 60; ++i) {  // through its entry, a block, and the large form
    engine.Run("ZADD z " + std::to_string(i) + " a-member-of-some-length-" + std::to_string(i));
    EXPECT_EQ(engine.Run("PTTL z"), Integer(1000));
  }
  EXPECT_EQ(engine.Run("OBJECT ENCODING z"), Bulk("skiplist"));
  engine.AdvanceMs(1000);
  EXPECT_EQ(engine.Run("ZCARD z"), Integer(0));
}

TEST(SortedSetCommandsTest, RanksWithScores) {
  TestEngine engine;
  EXPECT_EQ(engine.Run("ZADD z 1 a 2.5 b"), Integer(2));
  EXPECT_EQ(engine.Run("ZRANK z b WITHSCORE"), "*2\r\n:1\r\n" + Bulk("2.5"));
  EXPECT_EQ(engine.Run("ZRANK z x WITHSCORE"), "*-1\r\n");
  engine.UseResp3();
  EXPECT_EQ(engine.Run("ZREVRANK z b WITHSCORE"), "*2\r\n:0\r\n,2.5\r\n");
}

}  // namespace
}  // namespace tidegate
