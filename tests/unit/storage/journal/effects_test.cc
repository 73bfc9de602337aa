// What is recorded of each command, word for word; and that no command that writes is forgotten.
#include <gtest/gtest.h>

#include <array>
#include <iterator>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "storage/engine_thread.h"
#include "storage/introspection.h"
#include "storage/journal/record_applier.h"
#include "tests/support/effect_capture.h"
#include "tests/support/engine_fixture.h"
#include "tests/support/waiting_client.h"
#include "tests/support/write_commands.h"

namespace tidegate {
namespace {

using testing::EffectCapture;
using testing::TestEngine;
using testing::WaitingClient;

struct EffectCase {
  const char* before;  // commands, ", " between two
  const char* command;
  const char* effect;  // of the command alone
};

// Time is 1700000000000, so ten seconds later is 1700000010000.
constexpr EffectCase kCases[] = {
    // As they were sent.
    {"", "SET a 1", "SET a 1"},
    {"", "set a 1", "set a 1"},
    {"SET a 1", "INCR a", "INCR a"},
    {"SET a x", "INCR a", ""},
    {"SET a 1", "SETNX a 2", ""},
    {"SET a 1", "SET a 2 NX", ""},
    {"", "SET a 2 XX", ""},
    {"SET a 1", "GET a", ""},
    {"", "DEL a b", ""},
    {"SET b 1", "DEL a b", "DEL a b"},
    {"SET a 1", "RENAME a b", "RENAME a b"},
    {"SET a 1", "COPY a b DB 2", "COPY a b DB 2"},
    {"SET a 1", "MOVE a 2", "MOVE a 2"},
    {"", "FLUSHALL", "FLUSHALL"},
    {"", "FLUSHDB ASYNC", "FLUSHDB ASYNC"},
    {"", "SWAPDB 0 1", "SWAPDB 0 1"},
    {"", "SWAPDB 1 1", ""},
    {"", "BITFIELD a OVERFLOW FAIL INCRBY u1 0 2", "BITFIELD a OVERFLOW FAIL INCRBY u1 0 2"},
    {"PFADD a x", "PFCOUNT a", "PFCOUNT a"},
    {"PFADD a x, PFCOUNT a", "PFCOUNT a", ""},
    {"PFADD a x", "PFADD a x", ""},
    {"SADD a x", "SADD a x", ""},
    {"SADD a x", "SMOVE a b y", ""},
    {"ZADD a 1 x", "ZADD a GT 0 x", ""},
    {"ZADD a 1 x", "ZINCRBY a 0.1 x", "ZINCRBY a 0.1 x"},
    {"XADD s 1-1 f v", "XADD s 1-2 f v", "XADD s 1-2 f v"},
    {"", "XADD s NOMKSTREAM * f v", ""},
    {"", "BF.LOADCHUNK a 1 x", ""},
    {"RPUSH a 1 2", "LTRIM a 0 -1", ""},
    {"RPUSH a 1 2", "LTRIM a 0 0", "LTRIM a 0 0"},
    // Times.
    {"", "SET a v EX 10", "SET a v PXAT 1700000010000"},
    {"", "SET a v EXAT 1700000010 GET", "SET a v PXAT 1700000010000"},
    {"SET a 1", "SET a v XX GET", "SET a v"},
    {"SET a 1 EX 10", "SET a v KEEPTTL", "SET a v KEEPTTL"},
    {"", "SETEX a 10 v", "SET a v PXAT 1700000010000"},
    {"", "PSETEX a 5 v", "SET a v PXAT 1700000000005"},
    {"SET a 1", "EXPIRE a 10", "PEXPIREAT a 1700000010000"},
    {"SET a 1", "PEXPIRE a 5 NX", "PEXPIREAT a 1700000000005"},
    {"SET a 1 EX 10", "PEXPIRE a 5 NX", ""},
    {"SET a 1", "EXPIREAT a 1700000010", "PEXPIREAT a 1700000010000"},
    {"SET a 1", "PEXPIREAT a 1700000000005 LT", "PEXPIREAT a 1700000000005"},
    {"SET a 1", "EXPIRE a -1", "DEL a"},
    {"SET a 1", "EXPIREAT a 1", "DEL a"},
    {"", "EXPIREAT a 1", ""},
    {"SET a 1 EX 10", "PERSIST a", "PERSIST a"},
    {"SET a 1", "PERSIST a", ""},
    {"SET a 1", "GETEX a", ""},
    {"SET a 1", "GETEX a EX 10", "PEXPIREAT a 1700000010000"},
    {"SET a 1 EX 10", "GETEX a PERSIST", "PERSIST a"},
    {"SET a 1", "GETEX a PERSIST", ""},
    {"SET a 1", "GETEX a PXAT 1", "DEL a"},
    // Strings.
    {"SET a 1", "GETSET a 2", "SET a 2"},
    {"SET a 1", "GETDEL a", "DEL a"},
    {"", "GETDEL a", ""},
    {"SET a 1", "INCRBYFLOAT a 0.1", "SET a 1.1 KEEPTTL"},
    // Chance, and choice.
    {"SADD s x", "SPOP s", "SREM s x"},
    {"SADD s x y", "SPOP s 5", "DEL s"},
    {"SADD s x", "SPOP s 0", ""},
    {"", "SPOP s", ""},
    {"RPUSH b 1 2 3", "LMPOP 2 a b RIGHT COUNT 2", "RPOP b 2"},
    {"RPUSH b 1 2 3", "BLMPOP 0 2 a b LEFT", "LPOP b 1"},
    {"RPUSH b 1 2 3", "BLPOP a b 0", "LPOP b"},
    {"RPUSH b 1 2 3", "BRPOP a b 0", "RPOP b"},
    {"RPUSH a 1 2 3", "BLMOVE a b LEFT RIGHT 0", "LMOVE a b LEFT RIGHT"},
    {"RPUSH a 1 2 3", "BRPOPLPUSH a b 0", "LMOVE a b RIGHT LEFT"},
    {"RPUSH a 1 2 3", "RPOPLPUSH a a", "LMOVE a a RIGHT LEFT"},
    {"RPUSH a 1, SET b x", "LMOVE a b LEFT LEFT", ""},
    {"ZADD b 1 x 2 y", "ZMPOP 2 a b MAX COUNT 9", "ZPOPMAX b 2"},
    {"ZADD b 1 x 2 y", "BZMPOP 0 2 a b MIN", "ZPOPMIN b 1"},
    {"ZADD b 1 x 2 y", "BZPOPMIN a b 0", "ZPOPMIN b 1"},
    {"ZADD b 1 x 2 y", "BZPOPMAX a b 0", "ZPOPMAX b 1"},
    {"ZADD a 0 x 0 y", "ZREMRANGEBYLEX a [x (y", "ZREMRANGEBYRANK a 0 0"},
    {"ZADD a 0 x 0 y", "ZREMRANGEBYLEX a (y +", ""},
    {"ZADD a 1 x 2 y 3 z", "ZREMRANGEBYSCORE a 2 9", "ZREMRANGEBYRANK a 1 2"},
    {"ZADD a 0 x 0 y 0 z", "ZRANGESTORE b a + (x BYLEX REV", "ZRANGESTORE b a 1 2"},
    {"ZADD a 0 x, SET b y", "ZRANGESTORE b a (x + BYLEX", "DEL b"},
    {"ZADD a 0 x", "ZRANGESTORE b a (x + BYLEX", ""},
    {"RPUSH a 3 1 2", "SORT a STORE b", "RPUSH b 1 2 3"},
    {"RPUSH a 3 1, SET b x", "SORT a STORE b", "DEL b | RPUSH b 1 3"},
    {"SET b x", "SORT a STORE b", "DEL b"},
    {"", "SORT a STORE b", ""},
    {"RPUSH a 3 1", "SORT a", ""},
    {"RPUSH a 1 2, SET w_1 9, SET w_2 3", "SORT a BY w_* GET w_* STORE b", "RPUSH b 3 9"},
    // Places.
    {"", "GEOADD a NX 13.361389 38.115556 p", "ZADD a NX 3479099956230698 p"},
    {"GEOADD a 13.361389 38.115556 p", "GEOADD a 13.361389 38.115556 p", ""},
    {"GEOADD a 13.361389 38.115556 p", "GEOSEARCHSTORE b a FROMMEMBER p BYRADIUS 1 km",
     "ZADD b 3479099956230698 p"},
    {"GEOADD a 13.361389 38.115556 p, SET b x", "GEORADIUS a 13.361389 38.115556 1 m STORE b",
     "DEL b | ZADD b 3479099956230698 p"},
    {"GEOADD a 13.361389 38.115556 p, SET b x", "GEORADIUSBYMEMBER a p 1 m STOREDIST b",
     "DEL b | ZADD b 0 p"},
    {"SET b x", "GEOSEARCHSTORE b a FROMLONLAT 1 1 BYRADIUS 1 km", "DEL b"},
    {"", "GEOSEARCHSTORE b a FROMLONLAT 1 1 BYRADIUS 1 km", ""},
    // Hashes.
    {"HSET h f 1", "HINCRBYFLOAT h f 0.5", "HSET h f 1.5"},
    {"HSET h f 1, HEXPIRE h 10 FIELDS 1 f", "HINCRBYFLOAT h f 0.5",
     "HSETEX h KEEPTTL FIELDS 1 f 1.5"},
    {"HSET h f 1 g 2", "HEXPIRE h 10 FIELDS 3 f x g", "HPEXPIREAT h 1700000010000 FIELDS 2 f g"},
    {"HSET h f 1 g 2", "HPEXPIREAT h 5 FIELDS 3 f x g", "HDEL h f g"},
    {"HSET h f 1", "HEXPIRE h 10 XX FIELDS 1 f", ""},
    {"HSET h f 1 g 2, HEXPIRE h 10 FIELDS 1 g", "HPERSIST h FIELDS 2 f g", "HPERSIST h FIELDS 1 g"},
    {"HSET h f 1", "HPERSIST h FIELDS 1 f", ""},
    {"HSET h f 1 g 2", "HGETEX h EX 10 FIELDS 2 f x", "HPEXPIREAT h 1700000010000 FIELDS 1 f"},
    {"HSET h f 1 g 2", "HGETEX h PXAT 1 FIELDS 1 f", "HDEL h f"},
    {"HSET h f 1, HEXPIRE h 10 FIELDS 1 f", "HGETEX h PERSIST FIELDS 1 f", "HPERSIST h FIELDS 1 f"},
    {"HSET h f 1", "HGETEX h FIELDS 1 f", ""},
    {"HSET h f 1 g 2", "HGETDEL h FIELDS 2 f x", "HGETDEL h FIELDS 2 f x"},
    {"", "HSETEX h EX 10 FIELDS 2 f 1 g 2", "HSETEX h PXAT 1700000010000 FIELDS 2 f 1 g 2"},
    {"", "HSETEX h FNX FIELDS 1 f 1", "HSET h f 1"},
    {"HSET h f 1", "HSETEX h FXX KEEPTTL FIELDS 1 f 2", "HSETEX h KEEPTTL FIELDS 1 f 2"},
    {"HSET h f 1", "HSETEX h PXAT 1 FIELDS 2 f 2 x 3", "HDEL h f"},
    {"HSET h f 1", "HSETEX h FNX FIELDS 1 f 2", ""},
    // Streams.
    {"", "XADD s * f v", "XADD s 1700000000000-0 f v"},
    {"XADD s 5-3 f v", "XADD s 5-* f v", "XADD s 5-4 f v"},
    {"XADD s 1-1 f v", "XADD s MAXLEN 1 * f v", "XADD s MAXLEN = 1 1700000000000-0 f v"},
    {"XADD s 1-1 f v", "XADD s MAXLEN 9 * f v", "XADD s 1700000000000-0 f v"},
    {"XADD s 1-1 f v", "XADD s MAXLEN 1 2-1 f v", "XADD s MAXLEN 1 2-1 f v"},
    {"XADD s 1-1 f v, XADD s 1-2 f v, XADD s 1-3 f v", "XADD s MAXLEN ~ 1 1-4 f v",
     "XADD s MAXLEN = 2 1-4 f v"},
    {"XADD s 1-1 f v, XADD s 1-2 f v, XADD s 1-3 f v", "XTRIM s MAXLEN ~ 1", "XTRIM s MAXLEN = 1"},
    {"XADD s 1-1 f v, XADD s 1-2 f v", "XTRIM s MAXLEN ~ 1", ""},
    {"XADD s 1-1 f v, XADD s 1-2 f v, XADD s 1-3 f v", "XTRIM s MINID ~ 1-3", "XTRIM s MAXLEN = 1"},
    {"XADD s 1-1 f v, XADD s 1-2 f v", "XTRIM s MINID 1-2", "XTRIM s MINID 1-2"},
    {"XADD s 1-1 f v, XADD s 1-2 f v, XGROUP CREATE s g 0", "XREADGROUP GROUP g c STREAMS s >",
     "XGROUP CREATECONSUMER s g c | XCLAIM s g c 0 1-1 1-2 TIME 1700000000000 RETRYCOUNT 1 FORCE "
     "JUSTID | XGROUP SETID s g 1-2 ENTRIESREAD 2"},
    {"XADD s 1-1 f v, XGROUP CREATE s g 0, XGROUP CREATECONSUMER s g c",
     "XREADGROUP GROUP g c NOACK STREAMS s >", "XGROUP SETID s g 1-1 ENTRIESREAD 1"},
    {"XADD s 1-1 f v, XADD s 1-2 f v, XGROUP CREATE s g 0, XREADGROUP GROUP g c STREAMS s >, "
     "XREADGROUP GROUP g c COUNT 1 STREAMS s 0",
     "XREADGROUP GROUP g c STREAMS s 0",
     "XCLAIM s g c 0 1-1 TIME 1700000000000 RETRYCOUNT 3 FORCE JUSTID | XCLAIM s g c 0 1-2 TIME "
     "1700000000000 RETRYCOUNT 2 FORCE JUSTID"},
    {"XADD s 1-1 f v, XGROUP CREATE s g 0, XREADGROUP GROUP g c STREAMS s >",
     "XREADGROUP GROUP g c STREAMS s >", ""},
    {"XADD s 1-1 f v, XGROUP CREATE s g $", "XREADGROUP GROUP g d STREAMS s 0",
     "XGROUP CREATECONSUMER s g d"},
    {"XADD s 1-1 f v, XADD s 1-2 f v, XGROUP CREATE s g 0, XREADGROUP GROUP g c STREAMS s >, "
     "XDEL s 1-1",
     "XCLAIM s g d 0 1-1 1-2 9-9 IDLE 7 LASTID 3-0",
     "XGROUP SETID s g 3-0 ENTRIESREAD 2 | XCLAIM s g d 0 1-2 TIME 1699999999993 RETRYCOUNT 2 "
     "FORCE "
     "JUSTID | XACK s g 1-1"},
    {"XADD s 1-1 f v, XGROUP CREATE s g 0", "XCLAIM s g d 0 1-1", ""},
    {"XADD s 1-1 f v, XADD s 1-2 f v, XGROUP CREATE s g 0, XREADGROUP GROUP g c STREAMS s >, "
     "XDEL s 1-1",
     "XAUTOCLAIM s g d 0 0 JUSTID",
     "XCLAIM s g d 0 1-2 TIME 1700000000000 RETRYCOUNT 1 FORCE JUSTID | XACK s g 1-1"},
    {"XADD s 1-1 f v", "XSETID s 5-0 ENTRIESADDED 7", "XSETID s 5-0 ENTRIESADDED 7"},
};

class EffectsTest : public ::testing::Test {
 protected:
  EffectsTest() : EffectsTest(EngineOptions{}) {}
  explicit EffectsTest(EngineOptions options) : engine_(options) {
    engine_.engine().SetEffectSink(&capture_);
    engine_.engine().settings().stream_node_entries_max = 2;
  }

  // Several commands, ", " between two.
  void RunAll(std::string_view lines) {
    while (!lines.empty()) {
      const size_t end = std::min(lines.find(", "), lines.size());
      engine_.Run(lines.substr(0, end));
      lines.remove_prefix(std::min(end + 2, lines.size()));
    }
  }
  std::string EffectOf(std::string_view line) {
    (void)capture_.TakeText();
    engine_.Run(line);
    return capture_.TakeText();
  }

  // All keys of an engine, in one figure.
  static std::string DigestOf(TestEngine& engine) {
    OutputBlockPool pool;
    OutputBuffer out(pool);
    ReplyWriter reply(out);
    ClientState client;
    const std::string_view args[] = {"DEBUG", "DIGEST"};
    const Request request{.command = &DebugDigestCommand(), .args = args, .keys = {}};
    ExecStatus status = ExecStatus::kSuspended;
    while (status == ExecStatus::kSuspended) {
      engine.engine().BeginBatch(engine.thread(), engine.now_ms());
      status = engine.engine().Execute(engine.thread(), request, client, reply);
      engine.engine().EndBatch(engine.thread());
    }
    return out.CopyFrom(0);
  }
  // What was recorded from the n-th record on makes the same of an empty engine.
  void ExpectSameAgain(size_t first, const std::string& what) {
    TestEngine other;
    other.AdvanceMs(engine_.now_ms() - other.now_ms());
    RecordApplier applier(other.engine(), other.thread(), other.table());
    const std::vector<std::string> records = capture_.records();
    for (size_t i = first; i < records.size(); ++i) {
      const Status status = applier.Apply(records[i], other.now_ms());
      EXPECT_TRUE(status.ok()) << what << ": " << status.error().message;
    }
    EXPECT_EQ(DigestOf(other), DigestOf(engine_)) << what;
  }
  void RunCases() {
    for (const EffectCase& one : kCases) {
      const std::string what = std::string(one.before) + "; " + one.command;
      engine_.Run("FLUSHALL");
      const size_t first = capture_.records().size();
      RunAll(one.before);
      EXPECT_EQ(EffectOf(one.command), one.effect) << what;
      ExpectSameAgain(first, what);
    }
  }

  EffectCapture capture_;
  TestEngine engine_;
};

TEST_F(EffectsTest, OfEveryCommandThatHasOneOfItsOwn) { RunCases(); }

// The same commands in turns have the same effects.
class EffectsInTurnsTest : public EffectsTest {
 protected:
  EffectsInTurnsTest()
      : EffectsTest({.short_command_elements_max = 0, .long_command_turn_nanos = 0}) {}
};

TEST_F(EffectsInTurnsTest, OfEveryCommandThatHasOneOfItsOwn) { RunCases(); }

TEST_F(EffectsTest, EveryCommandThatWritesIsTried) {
  std::set<std::string> tried;
  const auto note = [&tried](const char* line) {
    std::istringstream words(line);
    std::string name;
    std::string sub;
    words >> name >> sub;
    tried.insert(ToLowerAscii(name));
    tried.insert(ToLowerAscii(name) + "|" + ToLowerAscii(sub));
  };
  for (const char* line : testing::kWriteCommands) note(line);
  for (const char* line : testing::kWholeWriteCommands) note(line);
  for (const EffectCase& one : kCases) note(one.command);
  note("RESTORE");  // below
  for (const Command* command : engine_.table().all()) {
    if (command->spec->access != Access::kWrite) continue;
    EXPECT_TRUE(tried.contains(command->full_name))
        << command->full_name << ": what is recorded of it? See storage/journal/effect_log.h; then "
        << "list it here or in tests/support/write_commands.h";
  }
}

TEST_F(EffectsTest, ADatabaseOtherThanTheFirst) {
  engine_.client().db = 3;
  EXPECT_EQ(EffectOf("SET a 1"), "3:SET a 1");
  EXPECT_EQ(EffectOf("MOVE a 1"), "3:MOVE a 1");
}

TEST_F(EffectsTest, AKeyFoundExpiredIsDeletedFirst) {
  engine_.Run("SET a 1 PX 5");
  engine_.Run("SET b 1 PX 5");
  engine_.AdvanceMs(10);
  EXPECT_EQ(EffectOf("GET a"), "DEL a");
  EXPECT_EQ(EffectOf("GET a"), "");
  EXPECT_EQ(EffectOf("SADD b x"), "DEL b | SADD b x");
  engine_.Run("SET b 1 PX 5");
  engine_.Run("SET a 1");
  engine_.AdvanceMs(10);
  EXPECT_EQ(EffectOf("KEYS *"), "DEL b");
}

TEST_F(EffectsTest, AFieldFoundExpiredIsDeletedFirst) {
  engine_.Run("HSET h f 1 g 2 i 3");
  engine_.Run("HPEXPIRE h 5 FIELDS 2 f g");
  engine_.AdvanceMs(10);
  EXPECT_EQ(EffectOf("HGET h f"), "") << "it is left to the sweep";
  EXPECT_EQ(EffectOf("HINCRBY h f 7"), "HDEL h f | HINCRBY h f 7");
  EXPECT_EQ(EffectOf("HPERSIST h FIELDS 1 g"), "");
  EXPECT_EQ(EffectOf("HEXPIRE h 10 FIELDS 1 g"), "");
  EXPECT_EQ(EffectOf("HDEL h g"), "HDEL h g | HDEL h g");
  engine_.Run("HPEXPIRE h 5 FIELDS 1 f");
  engine_.AdvanceMs(10);
  EXPECT_EQ(EffectOf("HSETEX h PXAT 1 FIELDS 1 f 1"), "HDEL h f");
}

TEST_F(EffectsTest, TheSweepDeletesKeysAndFields) {
  engine_.Run("SET a 1 PX 5");
  engine_.Run("HSET h f 1 g 2");
  engine_.Run("HPEXPIRE h 5 FIELDS 1 f");
  engine_.AdvanceMs(2000);
  (void)capture_.TakeText();
  engine_.engine().BackgroundStep(engine_.thread(), engine_.now_ms(), 0, 1, 1'000'000'000);
  EXPECT_EQ(capture_.TakeText(), "HDEL h f // DEL a") << "in the order of slots";
}

TEST_F(EffectsTest, EvictionDeletes) {
  engine_.Run("SET a 1");
  (void)capture_.TakeText();
  EngineSettings& settings = engine_.engine().settings();
  settings.maxmemory_policy = EvictionPolicy::kAllKeysRandom;
  settings.maxmemory_bytes = 1;
  std::string recorded;
  // A turn of eviction may end before it has found the key.
  for (int turn = 0; turn < 1000 && recorded.empty(); ++turn) {
    engine_.engine().BeginTurn(engine_.thread());
    engine_.engine().BeginBatch(engine_.thread(), engine_.now_ms());
    (void)engine_.engine().MakeRoom(engine_.thread());
    engine_.engine().EndBatch(engine_.thread());
    recorded = capture_.TakeText();
  }
  EXPECT_EQ(recorded, "DEL a");
}

// The journal has room for what commands do that it let in, and no more.
TEST_F(EffectsTest, NothingGoesByItselfWhileRemovalsRest) {
  EngineSettings& settings = engine_.engine().settings();
  engine_.Run("SET a 1 PX 5");
  engine_.Run("SET b 1");
  engine_.Run("HSET h f 1 g 2");
  engine_.Run("HPEXPIRE h 5 FIELDS 1 f");
  engine_.AdvanceMs(2000);
  (void)capture_.TakeText();
  settings.removals_rest = true;
  EXPECT_EQ(engine_.Run("GET a"), "$-1\r\n");
  EXPECT_EQ(engine_.Run("HGET h f"), "$-1\r\n");
  EXPECT_EQ(engine_.Run("EXISTS a b"), ":1\r\n");
  for (const char* line : {"KEYS *", "RANDOMKEY", "SCAN 0", "TYPE a", "TTL a", "DBSIZE"})
    engine_.Run(line);
  engine_.engine().BackgroundStep(engine_.thread(), engine_.now_ms(), 0, 1, 1'000'000'000);
  settings.maxmemory_policy = EvictionPolicy::kAllKeysRandom;
  settings.maxmemory_bytes = 1;
  engine_.engine().BeginBatch(engine_.thread(), engine_.now_ms());
  EXPECT_EQ(engine_.engine().MakeRoom(engine_.thread()), Room::kYes);
  engine_.engine().EndBatch(engine_.thread());
  settings.maxmemory_bytes = 0;
  EXPECT_EQ(capture_.TakeText(), "");
  settings.removals_rest = false;
  engine_.engine().BackgroundStep(engine_.thread(), engine_.now_ms(), 0, 1, 1'000'000'000);
  EXPECT_EQ(capture_.TakeText(), "HDEL h f // DEL a") << "in the order of slots";
}

TEST_F(EffectsTest, RestoreHasAnAbsoluteTime) {
  engine_.Run("SET a v");
  std::string payload = engine_.Run("DUMP a");
  payload = payload.substr(payload.find('\n') + 1);
  payload.resize(payload.size() - 2);
  (void)capture_.TakeText();
  engine_.RunWords({"RESTORE", "b", "5", payload, "IDLETIME", "7"});
  EXPECT_EQ(capture_.TakeText(), "RESTORE b 1700000000005 " + payload + " REPLACE ABSTTL");
  engine_.RunWords({"RESTORE", "c", "0", payload});
  EXPECT_EQ(capture_.TakeText(), "RESTORE c 0 " + payload + " REPLACE ABSTTL");
  engine_.RunWords({"RESTORE", "b", "1", payload, "REPLACE", "ABSTTL"});
  EXPECT_EQ(capture_.TakeText(), "DEL b");
  engine_.RunWords({"RESTORE", "b", "1", payload, "REPLACE", "ABSTTL"});
  EXPECT_EQ(capture_.TakeText(), "");
}

TEST_F(EffectsTest, RestoreOfAHashLeavesOutWhatHasExpired) {
  engine_.Run("HSET h f 1 g 2");
  engine_.Run("HPEXPIRE h 5 FIELDS 1 f");
  std::string payload = engine_.Run("DUMP h");
  payload = payload.substr(payload.find('\n') + 1);
  payload.resize(payload.size() - 2);
  engine_.AdvanceMs(10);
  (void)capture_.TakeText();
  engine_.RunWords({"RESTORE", "i", "0", payload});
  const std::string effect = capture_.TakeText();
  EXPECT_EQ(effect.find(payload), std::string::npos);
  EXPECT_EQ(effect.substr(0, 12), "RESTORE i 0 ");
  ExpectSameAgain(0, effect);
}

// What went in before the element that has no place is recorded, and not the error.
TEST_F(EffectsTest, AHyperLogLogThatIsBroken) {
  // Sparse, with half of the registers.
  const std::string half = std::string("HYLL\1\0\0\0", 8) + std::string(8, '\0') + "\x5f\xff";
  std::string good;
  std::string bad;
  for (int i = 0; good.empty() || bad.empty(); ++i) {
    const std::string element = "e" + std::to_string(i);
    engine_.RunWords({"SET", "h", half});
    (engine_.RunWords({"PFADD", "h", element})[0] == ':' ? good : bad) = element;
  }
  const size_t first = capture_.records().size();
  engine_.RunWords({"SET", "h", half});
  EXPECT_EQ(engine_.RunWords({"PFADD", "h", bad})[0], '-');
  EXPECT_EQ(engine_.RunWords({"PFADD", "h", good, bad, good})[0], '-');
  ASSERT_EQ(capture_.records().size(), first + 2);
  EXPECT_EQ(EffectCapture::Text(capture_.records().back()), "PFADD h " + good);
  ExpectSameAgain(first, "PFADD");
}

TEST_F(EffectsTest, AFilterInPieces) {
  engine_.Run("BF.ADD a x");
  const auto second_of = [](const std::string& reply) {
    const size_t header = reply.find('$');
    const size_t at = reply.find('\n', header) + 1;
    return reply.substr(at, reply.size() - 2 - at);
  };
  const std::string head = second_of(engine_.Run("BF.SCANDUMP a 0"));
  const std::string bits = second_of(engine_.Run("BF.SCANDUMP a 1"));
  engine_.RunWords({"BF.LOADCHUNK", "b", "1", head});
  (void)capture_.TakeText();
  const std::string iterator = std::to_string(bits.size() + 1);
  EXPECT_EQ(engine_.RunWords({"BF.LOADCHUNK", "b", iterator, bits}), testing::kOk);
  EXPECT_EQ(capture_.TakeText(), "BF.LOADCHUNK b " + iterator + " " + bits);
  EXPECT_EQ(engine_.Run("BF.EXISTS b x"), testing::Integer(1));
  ExpectSameAgain(0, "BF.LOADCHUNK");
}

TEST_F(EffectsTest, WhoWaitedIsInTheRecordOfWhoCame) {
  WaitingClient first(engine_, 1);
  WaitingClient second(engine_, 2);
  EXPECT_EQ(first.Run({"BLMOVE", "{l}a", "{l}b", "LEFT", "RIGHT", "0"}), "");
  EXPECT_EQ(second.Run({"BRPOP", "{l}b", "0"}), "");
  EXPECT_EQ(EffectOf("LPUSH {l}a x y"), "LPUSH {l}a x y | LMOVE {l}a {l}b LEFT RIGHT | RPOP {l}b");
  (void)first.Resume();
  engine_.Run("XGROUP CREATE s g $ MKSTREAM");
  EXPECT_EQ(first.Run({"XREADGROUP", "GROUP", "g", "c", "BLOCK", "0", "STREAMS", "s", ">"}), "");
  EXPECT_EQ(EffectOf("XADD s 1-1 f v"),
            "XADD s 1-1 f v | XGROUP CREATECONSUMER s g c | XCLAIM s g c 0 1-1 TIME 1700000000000 "
            "RETRYCOUNT 1 FORCE JUSTID | XGROUP SETID s g 1-1 ENTRIESREAD 1");
}

TEST_F(EffectsTest, ATransactionIsOneRecord) {
  engine_.Run("SET a 1 PX 5");
  engine_.AdvanceMs(10);
  (void)capture_.TakeText();
  Engine& engine = engine_.engine();
  OutputBlockPool pool;
  OutputBuffer out(pool);
  ReplyWriter reply(out);
  const std::array slots = {KeyRef::Of("a").slot, KeyRef::Of("s").slot};
  engine.BeginBatch(engine_.thread(), engine_.now_ms());
  ASSERT_EQ(engine.BeginAtomic(engine_.thread(), slots, false, engine_.client()),
            ExecStatus::kDone);
  const auto run = [&](std::vector<std::string_view> args) {
    const KeyRef keys[] = {KeyRef::Of(args[1])};
    engine.ExecuteAtomic(engine_.thread(),
                         {.command = engine_.table().Find(args[0]), .args = args, .keys = keys},
                         engine_.client(), reply);
  };
  run({"SADD", "s", "x"});
  run({"GET", "a"});
  run({"SET", "a", "1", "EX", "10"});
  run({"SPOP", "s"});
  EXPECT_EQ(capture_.TakeText(), "");
  engine.EndAtomic(engine_.thread());
  engine.EndBatch(engine_.thread());
  EXPECT_EQ(capture_.TakeText(), "SADD s x | DEL a | SET a 1 PXAT 1700000010010 | SREM s x");
}

TEST_F(EffectsTest, PopulateRecordsEachKey) {
  Engine& engine = engine_.engine();
  OutputBlockPool pool;
  OutputBuffer out(pool);
  ReplyWriter reply(out);
  engine_.Run("SET p:0 x");
  (void)capture_.TakeText();
  const std::string_view args[] = {"DEBUG", "POPULATE", "2", "p"};
  engine.BeginBatch(engine_.thread(), engine_.now_ms());
  EXPECT_EQ(engine.Execute(engine_.thread(),
                           {.command = &DebugPopulateCommand(), .args = args, .keys = {}},
                           engine_.client(), reply),
            ExecStatus::kDone);
  engine.EndBatch(engine_.thread());
  EXPECT_EQ(capture_.TakeText(), "SET p:1 value:1");
}

TEST_F(EffectsTest, WritesThatAreRefusedAreTold) {
  engine_.Run("SET a 1");
  (void)capture_.TakeText();
  capture_.Answer(EffectSink::Admission::kRefused);
  EXPECT_EQ(engine_.Run("SET a 2"), "-MISCONF no more of this\r\n");
  EXPECT_EQ(engine_.Run("FLUSHALL"), "-MISCONF no more of this\r\n");
  EXPECT_EQ(engine_.Run("GET a"), testing::Bulk("1"));
  EXPECT_EQ(engine_.engine().AdmitWrite(engine_.thread(), engine_.client()), ExecStatus::kRefused);
  EXPECT_EQ(capture_.TakeText(), "");
  capture_.Answer(EffectSink::Admission::kYes);
  EXPECT_EQ(engine_.Run("FLUSHALL"), testing::kOk) << "the gate was not left closed";
}

TEST_F(EffectsTest, WritesThatFindNoRoomWait) {
  WaitingClient client(engine_, 1);
  capture_.Answer(EffectSink::Admission::kLater);
  EXPECT_EQ(client.Run({"SET", "a", "2"}), "");
  EXPECT_EQ(capture_.waiting(), 1u);
  EXPECT_EQ(engine_.Run("GET a"), testing::kNull);
  capture_.Answer(EffectSink::Admission::kYes);
  EXPECT_EQ(client.Resume(), testing::kOk);
  capture_.Answer(EffectSink::Admission::kLater);
  EXPECT_EQ(client.Run({"SET", "a", "3"}), "");
  client.Leave();
  EXPECT_EQ(capture_.waiting(), 0u);
  EXPECT_EQ(capture_.TakeText(), "SET a 2");
}

}  // namespace
}  // namespace tidegate
