#include <gtest/gtest.h>

#include <set>
#include <string>
#include <vector>

#include "tests/support/engine_fixture.h"

namespace tidegate::testing {
namespace {

std::string Number(int64_t n) { return Integer(n); }

// A reply of SCAN, taken apart.
struct Page {
  std::string cursor;
  std::vector<std::string> keys;
};

// The bulk strings of a reply, whatever arrays they stand in.
std::vector<std::string> BulksOf(const std::string& reply) {
  std::vector<std::string> bulks;
  for (size_t i = 0; i < reply.size();) {
    const size_t line_end = reply.find("\r\n", i);
    if (reply[i] == '$') {
      const size_t size = std::stoul(reply.substr(i + 1, line_end - i - 1));
      bulks.push_back(reply.substr(line_end + 2, size));
      i = line_end + 2 + size + 2;
    } else {
      i = line_end + 2;
    }
  }
  return bulks;
}

Page Scan(TestEngine& engine, const std::string& arguments) {
  std::vector<std::string> bulks = BulksOf(engine.Run("SCAN " + arguments));
  Page page;
  page.cursor = bulks.at(0);
  page.keys.assign(bulks.begin() + 1, bulks.end());
  return page;
}

void Fill(TestEngine& engine, int keys, const std::string& prefix = "key:") {
  for (int i = 0; i < keys; ++i) {
    ASSERT_EQ(engine.Run("SET " + prefix + std::to_string(i) + " v"), kOk);
  }
}

TEST(GenericCommands, DelAndExistsCountRepetitions) {
  TestEngine engine;
  engine.Run("MSET a 1 b 2 c 3");
  EXPECT_EQ(engine.Run("EXISTS a a b nokey"), Number(3));
  EXPECT_EQ(engine.Run("TOUCH a nokey"), Number(1));
  EXPECT_EQ(engine.Run("DEL a a nokey"), Number(1));
  EXPECT_EQ(engine.Run("UNLINK b c"), Number(2));
  EXPECT_EQ(engine.Run("DBSIZE"), Number(0));
  EXPECT_EQ(engine.Run("TYPE a"), "+none\r\n");
}

TEST(GenericCommands, ExpiryInAllUnits) {
  TestEngine engine;
  engine.Run("SET a 1");
  EXPECT_EQ(engine.Run("TTL a"), Number(-1));
  EXPECT_EQ(engine.Run("PTTL nokey"), Number(-2));
  EXPECT_EQ(engine.Run("EXPIRE a 100"), Number(1));
  EXPECT_EQ(engine.Run("EXPIRETIME a"), Number(TestEngine::kStartMs / 1000 + 100));
  EXPECT_EQ(engine.Run("PEXPIRETIME a"), Number(TestEngine::kStartMs + 100'000));
  engine.AdvanceMs(499);
  EXPECT_EQ(engine.Run("TTL a"), Number(100)) << "TTL rounds to the nearest second";
  engine.AdvanceMs(2);
  EXPECT_EQ(engine.Run("TTL a"), Number(99));
  EXPECT_EQ(engine.Run("PERSIST a"), Number(1));
  EXPECT_EQ(engine.Run("PERSIST a"), Number(0));
  EXPECT_EQ(engine.Run("PEXPIRE a 10"), Number(1));
  engine.AdvanceMs(10);
  EXPECT_EQ(engine.Run("EXISTS a"), Number(0));
  EXPECT_EQ(engine.Run("EXPIRE a 10"), Number(0));
}

TEST(GenericCommands, ExpiryThatIsNotInTheFutureDeletes) {
  TestEngine engine;
  const std::vector<std::string> commands = {"EXPIRE a -1", "EXPIRE a 0",
                                             "PEXPIREAT a " + std::to_string(TestEngine::kStartMs)};
  for (const std::string& command : commands) {
    engine.Run("SET a 1");
    EXPECT_EQ(engine.Run(command), Number(1)) << command;
    EXPECT_EQ(engine.Run("EXISTS a"), Number(0)) << command;
  }
}

TEST(GenericCommands, ExpiryConditions) {
  TestEngine engine;
  engine.Run("SET a 1");
  EXPECT_EQ(engine.Run("EXPIRE a 100 XX"), Number(0));
  EXPECT_EQ(engine.Run("EXPIRE a 100 GT"), Number(0)) << "no expiry counts as never";
  EXPECT_EQ(engine.Run("EXPIRE a 100 LT"), Number(1));
  EXPECT_EQ(engine.Run("EXPIRE a 50 NX"), Number(0));
  EXPECT_EQ(engine.Run("EXPIRE a 100 GT"), Number(0));
  EXPECT_EQ(engine.Run("EXPIRE a 101 XX GT"), Number(1));
  EXPECT_EQ(engine.Run("EXPIRE a 101 LT"), Number(0));
  EXPECT_EQ(engine.Run("TTL a"), Number(101));
}

TEST(GenericCommands, ExpiryErrors) {
  TestEngine engine;
  EXPECT_EQ(engine.Run("EXPIRE a x FOO"), "-ERR Unsupported option FOO\r\n");
  EXPECT_EQ(engine.Run("EXPIRE a 1 NX GT"),
            "-ERR NX and XX, GT or LT options at the same time are not compatible\r\n");
  EXPECT_EQ(engine.Run("EXPIRE a 1 GT LT"),
            "-ERR GT and LT options at the same time are not compatible\r\n");
  EXPECT_EQ(engine.Run("EXPIRE a 1.5"), "-ERR value is not an integer or out of range\r\n");
  EXPECT_EQ(engine.Run("EXPIRE a 9223372036854775"),
            "-ERR invalid expire time in 'expire' command\r\n");
  EXPECT_EQ(engine.Run("EXPIREAT a -9223372036854775808"),
            "-ERR invalid expire time in 'expireat' command\r\n");
  EXPECT_EQ(engine.Run("PEXPIRE a 9223372036854775807"),
            "-ERR invalid expire time in 'pexpire' command\r\n");
  EXPECT_EQ(engine.Run("PEXPIREAT a 9223372036854775807"), Number(0));
}

TEST(GenericCommands, RenameMovesValueAndExpiry) {
  TestEngine engine;
  EXPECT_EQ(engine.Run("RENAME a b"), "-ERR no such key\r\n");
  EXPECT_EQ(engine.Run("RENAME a a"), "-ERR no such key\r\n");
  engine.Run("SET a 1 EX 100");
  engine.Run("SET b 2");
  EXPECT_EQ(engine.Run("RENAMENX a b"), Number(0));
  EXPECT_EQ(engine.Run("RENAMENX a a"), Number(0));
  EXPECT_EQ(engine.Run("RENAME a a"), kOk);
  EXPECT_EQ(engine.Run("RENAME a b"), kOk);
  EXPECT_EQ(engine.Run("GET b"), Bulk("1"));
  EXPECT_EQ(engine.Run("TTL b"), Number(100));
  EXPECT_EQ(engine.Run("RENAMENX b c"), Number(1));
  EXPECT_EQ(engine.Run("DBSIZE"), Number(1));
}

TEST(GenericCommands, CopyAndMoveBetweenDatabases) {
  TestEngine engine;
  engine.Run("SET a 1 EX 100");
  EXPECT_EQ(engine.Run("COPY a a"), "-ERR source and destination objects are the same\r\n");
  EXPECT_EQ(engine.Run("COPY a a DB 1"), Number(1));
  EXPECT_EQ(engine.Run("COPY a a DB 1"), Number(0));
  engine.Run("SET a 2 KEEPTTL");
  EXPECT_EQ(engine.Run("COPY a a DB 1 REPLACE"), Number(1));
  EXPECT_EQ(engine.Run("COPY nokey a DB 1 REPLACE"), Number(0));
  EXPECT_EQ(engine.Run("MOVE a 1"), Number(0)) << "the name is taken there";
  EXPECT_EQ(engine.Run("MOVE a 0"), "-ERR source and destination objects are the same\r\n");
  EXPECT_EQ(engine.Run("MOVE a 16"), "-ERR DB index is out of range\r\n");
  EXPECT_EQ(engine.Run("COPY a b DB 99999999999"),
            "-ERR value is out of range, value must between -2147483648 and 2147483647\r\n");
  EXPECT_EQ(engine.Run("MOVE a 2"), Number(1));
  EXPECT_EQ(engine.Run("EXISTS a"), Number(0));
  engine.client().db = 1;
  EXPECT_EQ(engine.Run("GET a"), Bulk("2"));
  EXPECT_EQ(engine.Run("TTL a"), Number(100));
  engine.client().db = 2;
  EXPECT_EQ(engine.Run("GET a"), Bulk("2"));
}

TEST(GenericCommands, FlushAndSwap) {
  TestEngine engine;
  engine.Run("SET a 0");
  engine.client().db = 1;
  engine.Run("MSET b 1 c 1");
  EXPECT_EQ(engine.Run("SWAPDB 0 1"), kOk);
  EXPECT_EQ(engine.Run("DBSIZE"), Number(1));
  EXPECT_EQ(engine.Run("GET a"), Bulk("0"));
  EXPECT_EQ(engine.Run("SWAPDB 0 x"), "-ERR invalid second DB index\r\n");
  EXPECT_EQ(engine.Run("SWAPDB 0 16"), "-ERR DB index is out of range\r\n");
  EXPECT_EQ(engine.Run("FLUSHDB NOW"), "-ERR syntax error\r\n");
  EXPECT_EQ(engine.Run("FLUSHDB ASYNC"), kOk);
  EXPECT_EQ(engine.Run("DBSIZE"), Number(0));
  engine.client().db = 0;
  EXPECT_EQ(engine.Run("DBSIZE"), Number(2));
  EXPECT_EQ(engine.Run("FLUSHALL"), kOk);
  EXPECT_EQ(engine.Run("DBSIZE"), Number(0));
}

TEST(GenericCommands, ScanOfAnEmptyDatabaseIsOneCall) {
  TestEngine engine;
  EXPECT_EQ(engine.Run("SCAN 0"), "*2\r\n$1\r\n0\r\n*0\r\n");
}

TEST(GenericCommands, ScanFindsEveryKeyOnce) {
  TestEngine engine;
  Fill(engine, 5000);
  for (const char* count : {"1", "10", "1000", "1000000"}) {
    std::multiset<std::string> seen;
    std::string cursor = "0";
    int calls = 0;
    do {
      Page page = Scan(engine, cursor + " COUNT " + count);
      seen.insert(page.keys.begin(), page.keys.end());
      cursor = page.cursor;
      EXPECT_LT(std::stoull(cursor), uint64_t{1} << 53) << "some clients keep it in a double";
      ASSERT_LT(++calls, 20'000);
    } while (cursor != "0");
    EXPECT_EQ(seen.size(), 5000u) << count;
    EXPECT_EQ(std::set<std::string>(seen.begin(), seen.end()).size(), 5000u) << count;
  }
}

TEST(GenericCommands, ScanKeepsItsPromiseWhileTheTableGrowsAndShrinks) {
  TestEngine engine;
  Fill(engine, 300, "{tag}stays:");
  std::set<std::string> seen;
  std::string cursor = "0";
  int added = 0;
  do {
    Page page = Scan(engine, cursor + " COUNT 7");
    seen.insert(page.keys.begin(), page.keys.end());
    cursor = page.cursor;
    for (int i = 0; i < 200; ++i) engine.Run("SET {tag}more:" + std::to_string(added++) + " v");
    if (added > 4000) {
      while (added > 0) engine.Run("DEL {tag}more:" + std::to_string(--added));
    }
  } while (cursor != "0");
  for (int i = 0; i < 300; ++i) {
    EXPECT_EQ(seen.count("{tag}stays:" + std::to_string(i)), 1u) << i;
  }
}

TEST(GenericCommands, ScanFilters) {
  TestEngine engine;
  Fill(engine, 100);
  engine.Run("MSET {user}:1 a {user}:2 b");
  EXPECT_EQ(Scan(engine, "0 COUNT 1000 MATCH key:1*").keys.size(), 11u);
  EXPECT_EQ(Scan(engine, "0 COUNT 1000 MATCH {user}*").keys.size(), 2u);
  EXPECT_EQ(Scan(engine, "0 MATCH {user}:*").cursor, "0") << "one slot holds all that can match";
  EXPECT_EQ(Scan(engine, "0 MATCH key:42").keys, std::vector<std::string>{"key:42"});
  EXPECT_EQ(Scan(engine, "0 COUNT 1000 TYPE string").keys.size(), 102u);
  EXPECT_EQ(Scan(engine, "0 COUNT 1000 TYPE list").keys.size(), 0u);
}

TEST(GenericCommands, ScanErrors) {
  TestEngine engine;
  EXPECT_EQ(engine.Run("SCAN x"), "-ERR invalid cursor\r\n");
  EXPECT_EQ(engine.Run("SCAN 1x"), "-ERR invalid cursor\r\n");
  EXPECT_EQ(engine.Run("SCAN 99999999999999999999"), "-ERR invalid cursor\r\n");
  EXPECT_EQ(engine.Run("SCAN 0 COUNT 0"), "-ERR syntax error\r\n");
  EXPECT_EQ(engine.Run("SCAN 0 COUNT x"), "-ERR value is not an integer or out of range\r\n");
  EXPECT_EQ(engine.Run("SCAN 0 MATCH"), "-ERR syntax error\r\n");
  EXPECT_EQ(engine.Run("SCAN 0 NOVALUES x"), "-ERR syntax error\r\n");
}

TEST(GenericCommands, ScanRemovesExpiredKeys) {
  TestEngine engine;
  Fill(engine, 50);
  engine.Run("SET gone v PX 10");
  engine.AdvanceMs(11);
  EXPECT_EQ(engine.Run("DBSIZE"), Number(51));
  EXPECT_EQ(Scan(engine, "0 COUNT 1000").keys.size(), 50u);
  EXPECT_EQ(engine.Run("DBSIZE"), Number(50));
}

TEST(GenericCommands, KeysMatchesGlobs) {
  TestEngine engine;
  Fill(engine, 3000);
  EXPECT_EQ(BulksOf(engine.Run("KEYS *")).size(), 3000u);
  EXPECT_EQ(BulksOf(engine.Run("KEYS key:12?")).size(), 10u);
  EXPECT_EQ(engine.Run("KEYS key:7"), "*1\r\n$5\r\nkey:7\r\n");
  EXPECT_EQ(engine.Run("KEYS nothing"), "*0\r\n");
  EXPECT_EQ(engine.Run("KEYS nothing*"), "*0\r\n");
}

TEST(GenericCommands, LongWalksTakeManyTurns) {
  TestEngine engine;
  Fill(engine, 20'000);
  const std::string_view args[] = {"KEYS", "*"};
  const Request request{.command = engine.table().Find("KEYS"), .args = args, .keys = {}};
  OutputBlockPool pool;
  OutputBuffer out(pool);
  ReplyWriter reply(out);
  ClientState client;
  int turns = 1;
  for (;; ++turns) {
    engine.engine().BeginBatch(engine.thread(), engine.now_ms());
    const ExecStatus status = engine.engine().Execute(engine.thread(), request, client, reply);
    engine.engine().EndBatch(engine.thread());
    if (status == ExecStatus::kDone) break;
    ASSERT_TRUE(out.empty()) << "a suspended command has written nothing";
  }
  EXPECT_GE(turns, 4);
  EXPECT_GT(out.size(), 20'000u * 10);
  EXPECT_EQ(client.continuation, nullptr);
}

TEST(GenericCommands, RandomKeyReachesAllKeysAndNoExpiredOne) {
  TestEngine engine;
  EXPECT_EQ(engine.Run("RANDOMKEY"), kNull);
  Fill(engine, 20);
  engine.Run("SET gone v PX 1");
  engine.AdvanceMs(2);
  std::set<std::string> seen;
  for (int i = 0; i < 2000; ++i) seen.insert(engine.Run("RANDOMKEY"));
  EXPECT_EQ(seen.size(), 20u);
  EXPECT_EQ(seen.count(Bulk("gone")), 0u);
}

TEST(GenericCommands, RandomKeyUnderOneHashTag) {
  TestEngine engine;
  Fill(engine, 500, "{tag}");
  std::set<std::string> seen;
  for (int i = 0; i < 200; ++i) seen.insert(engine.Run("RANDOMKEY"));
  EXPECT_GT(seen.size(), 20u);
}

TEST(GenericCommands, Object) {
  TestEngine engine;
  EXPECT_EQ(engine.Run("OBJECT ENCODING nokey"), kNull);
  engine.Run("SET n 12");
  engine.Run("SET s text");
  EXPECT_EQ(engine.Run("OBJECT ENCODING n"), Bulk("int"));
  EXPECT_EQ(engine.Run("OBJECT ENCODING s"), Bulk("embstr"));
  EXPECT_EQ(engine.Run("OBJECT REFCOUNT s"), Number(1));
  engine.AdvanceMs(5000);
  EXPECT_EQ(engine.Run("OBJECT IDLETIME s"), Number(5));
  EXPECT_EQ(engine.Run("EXISTS s"), Number(1));
  EXPECT_EQ(engine.Run("OBJECT IDLETIME s"), Number(5)) << "looking is no use";
  engine.Run("TOUCH s");
  EXPECT_EQ(engine.Run("OBJECT IDLETIME s"), Number(0));
  EXPECT_EQ(engine.Run("OBJECT FREQ s").substr(0, 40), "-ERR An LFU maxmemory policy is not sele");
  EXPECT_EQ(engine.Run("OBJECT FREQ nokey"), kNull);
}

}  // namespace
}  // namespace tidegate::testing
