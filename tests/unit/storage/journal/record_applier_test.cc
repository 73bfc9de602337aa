#include "storage/journal/record_applier.h"

#include <gtest/gtest.h>

#include <random>
#include <string>

#include "storage/engine_thread.h"
#include "storage/journal/effect_log.h"
#include "tests/support/effect_capture.h"
#include "tests/support/engine_fixture.h"

namespace tidegate {
namespace {

using testing::Bulk;
using testing::EffectCapture;
using testing::TestEngine;

class RecordApplierTest : public ::testing::Test {
 protected:
  RecordApplierTest() : applier_(engine_.engine(), engine_.thread(), engine_.table()) {}

  // One command, words separated by spaces.
  Status Apply(std::string_view line, int db = 0) {
    std::vector<std::string_view> words;
    while (!line.empty()) {
      const size_t end = std::min(line.find(' '), line.size());
      words.push_back(line.substr(0, end));
      line.remove_prefix(std::min(end + 1, line.size()));
    }
    EffectLog log;
    log.Add(db, {}, words);
    return applier_.Apply(log.record(), engine_.now_ms());
  }
  std::string ErrorOf(std::string_view line, int db = 0) {
    const Status status = Apply(line, db);
    return status.ok() ? "" : status.error().message;
  }

  TestEngine engine_;
  RecordApplier applier_;
};

TEST_F(RecordApplierTest, CommandsInTheirDatabases) {
  EffectLog log;
  log.Add(0, {"SET", "a", "1"});
  log.Add(2, {"XGROUP", "CREATE", "s", "g", "0", "MKSTREAM"});
  ASSERT_TRUE(applier_.Apply(log.record(), engine_.now_ms()).ok());
  EXPECT_EQ(engine_.Run("GET a"), Bulk("1"));
  engine_.client().db = 2;
  EXPECT_EQ(engine_.Run("TYPE s"), "+stream\r\n");
}

TEST_F(RecordApplierTest, NothingExpiresWhileItApplies) {
  ASSERT_TRUE(Apply("SET a 1 PXAT 5").ok());
  ASSERT_TRUE(Apply("INCR a").ok());
  ASSERT_TRUE(Apply("HSET h f 1 g 1").ok());
  ASSERT_TRUE(Apply("HPEXPIREAT h 5 FIELDS 1 f").ok());
  ASSERT_TRUE(Apply("HINCRBY h f 2").ok());
  ASSERT_TRUE(Apply("PERSIST a").ok());
  EXPECT_EQ(engine_.Run("GET a"), Bulk("2")) << "it was alive then";
  EXPECT_EQ(engine_.Run("HGET h f"), testing::kNull) << "and by the clock it is over now";
  ASSERT_TRUE(Apply("SET b 1 PXAT 5").ok());
  EXPECT_EQ(engine_.Run("EXISTS b"), testing::Integer(0));
}

TEST_F(RecordApplierTest, NeitherRefusedForMemoryNorRecordedNorTold) {
  EffectCapture capture;
  engine_.engine().SetEffectSink(&capture);
  capture.Answer(EffectSink::Admission::kRefused);
  EngineSettings& settings = engine_.engine().settings();
  settings.maxmemory_bytes = 1;
  settings.string_bytes_max = 10;
  settings.notify_classes = ~0u;
  engine_.engine().SetKeyEventSink(
      [](void*, EngineThread&, std::span<const KeyEvent>) { FAIL() << "nobody is to be told"; },
      nullptr);
  ASSERT_TRUE(Apply("SET a 1").ok());
  ASSERT_TRUE(Apply("SETRANGE a 100 x").ok());
  ASSERT_TRUE(Apply("SETBIT a 900 1").ok());
  EXPECT_TRUE(capture.records().empty());
  settings.notify_classes = 0;
  EXPECT_EQ(engine_.Run("SET a 1"), "-MISCONF no more of this\r\n") << "and all is as before";
}

TEST_F(RecordApplierTest, ATimeOfDeliveryIsWhatItWas) {
  ASSERT_TRUE(Apply("XADD s 1-1 f v").ok());
  ASSERT_TRUE(Apply("XGROUP CREATE s g 0").ok());
  const std::string later = std::to_string(engine_.now_ms() + 5000);
  ASSERT_TRUE(Apply("XCLAIM s g c 0 1-1 TIME " + later + " RETRYCOUNT 3 FORCE JUSTID").ok());
  engine_.AdvanceMs(5007);
  EXPECT_EQ(engine_.Run("XPENDING s g - + 9"),
            "*1\r\n*4\r\n" + Bulk("1-1") + Bulk("c") + testing::Integer(7) + testing::Integer(3));
}

TEST_F(RecordApplierTest, RefusesWhatDoesNotFit) {
  EXPECT_NE(ErrorOf("NOSUCH a"), "");
  EXPECT_NE(ErrorOf("XGROUP"), "");
  EXPECT_NE(ErrorOf("XGROUP HELP"), "");
  EXPECT_NE(ErrorOf("SET a"), "") << "arity";
  EXPECT_NE(ErrorOf("BLPOP a 0"), "") << "it would wait";
  EXPECT_NE(ErrorOf("LMPOP x a LEFT"), "") << "no keys";
  EXPECT_NE(ErrorOf("SET a 1", 16), "") << "no such database";
  ASSERT_TRUE(Apply("SET a x").ok());
  EXPECT_EQ(ErrorOf("INCR a"),
            "an effect does not fit the data: incr: -ERR value is not an integer or out of range");
  EXPECT_FALSE(applier_.Apply("", 0).ok());
  EXPECT_EQ(engine_.Run("GET a"), Bulk("x"));
}

TEST_F(RecordApplierTest, RandomRecordsDoNoHarm) {
  constexpr std::string_view kWords[] = {"SET",    "DEL",    "HSET",
                                         "XADD",   "XCLAIM", "RESTORE",
                                         "a",      "b",      "1",
                                         "0-1",    "*",      "PXAT",
                                         "EXPIRE", "g",      "-1",
                                         "ZADD",   "nan",    "FLUSHALL",
                                         "SWAPDB", "SORT",   "STORE",
                                         "XGROUP", "CREATE", "BLPOP",
                                         "SPOP",   "LPUSH",  "99999999999999999999",
                                         ""};
  std::mt19937_64 random(7);
  for (int i = 0; i < 20'000; ++i) {
    EffectLog log;
    std::vector<std::string_view> words(1 + random() % 6);
    for (std::string_view& word : words) word = kWords[random() % std::size(kWords)];
    log.Add(static_cast<int>(random() % 18), {}, words);
    std::string record(log.record());
    if (random() % 4 == 0) record[random() % record.size()] ^= 1;
    (void)applier_.Apply(record, engine_.now_ms());
  }
  EXPECT_EQ(engine_.Run("FLUSHALL"), testing::kOk);
}

}  // namespace
}  // namespace tidegate
