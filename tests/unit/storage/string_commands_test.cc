#include <gtest/gtest.h>

#include <string>

#include "storage/value/chunked_string.h"
#include "tests/support/engine_fixture.h"

namespace tidegate {
namespace {

using testing::Bulk;
using testing::Integer;
using testing::kNull;
using testing::kOk;
using testing::TestEngine;

constexpr std::string_view kSyntaxError = "-ERR syntax error\r\n";
constexpr std::string_view kNotIntegerError = "-ERR value is not an integer or out of range\r\n";

TEST(StringCommandsTest, SetThenGet) {
  TestEngine engine;
  EXPECT_EQ(engine.Run("GET a"), kNull);
  EXPECT_EQ(engine.Run("SET a 1"), kOk);
  EXPECT_EQ(engine.Run("GET a"), Bulk("1"));
  EXPECT_EQ(engine.Run("SET a longer-than-before"), kOk);
  EXPECT_EQ(engine.Run("GET a"), Bulk("longer-than-before"));
  EXPECT_EQ(engine.Run("set a x NX"), kNull);
  EXPECT_EQ(engine.Run("SET a y xx get"), Bulk("longer-than-before"));
  EXPECT_EQ(engine.Run("SET b y XX"), kNull);
  EXPECT_EQ(engine.Run("SET b y NX GET"), kNull);
  EXPECT_EQ(engine.Run("GET b"), Bulk("y"));
}

TEST(StringCommandsTest, NilIsUnderscoreInResp3) {
  TestEngine engine;
  engine.UseResp3();
  EXPECT_EQ(engine.Run("GET a"), "_\r\n");
  EXPECT_EQ(engine.Run("MGET a"), "*1\r\n_\r\n");
}

TEST(StringCommandsTest, ValuesOfAllSizesComeBack) {
  TestEngine engine;
  std::string value;
  // Around the largest embedded value, around one chunk, and large; growing and shrinking in place.
  for (const size_t size : {0, 1, 900, 1000, 1010, 1015, 1016, 1023, 1024, 16384, 16385, 65536, 300,
                            1 << 20, 20000, 65536, 65000, 0}) {
    value.assign(size, static_cast<char>('a' + size % 26));
    EXPECT_EQ(engine.RunWords({"SET", "k", value}), kOk);
    EXPECT_EQ(engine.Run("GET k"), Bulk(value)) << size;
    EXPECT_EQ(engine.Run("STRLEN k"), Integer(static_cast<int64_t>(size)));
  }
}

TEST(StringCommandsTest, ALongKeyWithASmallValueIsHeldInAChunk) {
  TestEngine engine;
  const std::string key(2000, 'k');
  EXPECT_EQ(engine.RunWords({"SET", key, "41"}), kOk);
  EXPECT_EQ(engine.RunWords({"INCR", key}), Integer(42));
  EXPECT_EQ(engine.RunWords({"GET", key}), Bulk("42"));
  EXPECT_EQ(engine.RunWords({"APPEND", key, ".5"}), Integer(4));
  EXPECT_EQ(engine.RunWords({"INCRBYFLOAT", key, "0.25"}), Bulk("42.75"));
}

TEST(StringCommandsTest, OptionsThatContradictAreASyntaxError) {
  TestEngine engine;
  for (const char* options : {"NX XX", "EX 1 PX 1", "KEEPTTL EX 1", "EX 1 KEEPTTL", "EX", "PERSIST",
                              "EXAT 1 PXAT 1", "JUNK"}) {
    EXPECT_EQ(engine.Run(std::string("SET a 1 ") + options), kSyntaxError) << options;
  }
  for (const char* options : {"PERSIST EX 1", "EX 1 PERSIST", "NX", "GET", "KEEPTTL", "PX"}) {
    EXPECT_EQ(engine.Run(std::string("GETEX a ") + options), kSyntaxError) << options;
  }
  EXPECT_EQ(engine.Run("SET a 1 EX 5 EX 100"), kOk);
  engine.AdvanceMs(6000);
  EXPECT_EQ(engine.Run("GET a"), Bulk("1"));
}

TEST(StringCommandsTest, ExpiryTimesAreChecked) {
  TestEngine engine;
  constexpr std::string_view kInvalid = "-ERR invalid expire time in 'set' command\r\n";
  EXPECT_EQ(engine.Run("SET a 1 EX 0"), kInvalid);
  EXPECT_EQ(engine.Run("SET a 1 PX -1"), kInvalid);
  EXPECT_EQ(engine.Run("SET a 1 EX 9223372036854775807"), kInvalid);
  EXPECT_EQ(engine.Run("SET a 1 PX 9223372036854775807"), kInvalid);
  EXPECT_EQ(engine.Run("SET a 1 EX x"), kNotIntegerError);
  EXPECT_EQ(engine.Run("SETEX a 0 1"), "-ERR invalid expire time in 'setex' command\r\n");
  EXPECT_EQ(engine.Run("PSETEX a -5 1"), "-ERR invalid expire time in 'psetex' command\r\n");
  EXPECT_EQ(engine.Run("GETEX a EX 0"), kNull);
  EXPECT_EQ(engine.Run("SET a 1"), kOk);
  EXPECT_EQ(engine.Run("GETEX a EX 0"), "-ERR invalid expire time in 'getex' command\r\n");
}

TEST(StringCommandsTest, ValuesExpireAndKeepTheirExpiryWhenTold) {
  TestEngine engine;
  EXPECT_EQ(engine.Run("SET a 1 PX 100"), kOk);
  EXPECT_EQ(engine.Run("SET a 2 KEEPTTL"), kOk);
  EXPECT_EQ(engine.Run("INCRBY a 1000"), Integer(1002));
  EXPECT_EQ(engine.Run("APPEND a 7"), Integer(5));
  engine.AdvanceMs(99);
  EXPECT_EQ(engine.Run("GET a"), Bulk("10027"));
  engine.AdvanceMs(1);
  EXPECT_EQ(engine.Run("GET a"), kNull);
  EXPECT_EQ(engine.Run("SETEX a 1 x"), kOk);
  EXPECT_EQ(engine.Run("SET a y"), kOk);
  engine.AdvanceMs(5000);
  EXPECT_EQ(engine.Run("GET a"), Bulk("y"));
}

TEST(StringCommandsTest, GetExChangesTheExpiry) {
  TestEngine engine;
  EXPECT_EQ(engine.Run("SET a 1"), kOk);
  EXPECT_EQ(engine.Run("GETEX a PX 10"), Bulk("1"));
  EXPECT_EQ(engine.Run("GETEX a PERSIST"), Bulk("1"));
  engine.AdvanceMs(100);
  EXPECT_EQ(engine.Run("GETEX a"), Bulk("1"));
  EXPECT_EQ(engine.Run("GETEX a EXAT 1"), Bulk("1"));
  EXPECT_EQ(engine.Run("GET a"), kNull);
}

TEST(StringCommandsTest, GetSetAndGetDel) {
  TestEngine engine;
  EXPECT_EQ(engine.Run("GETSET a 1"), kNull);
  EXPECT_EQ(engine.Run("GETSET a 2"), Bulk("1"));
  EXPECT_EQ(engine.Run("GETDEL a"), Bulk("2"));
  EXPECT_EQ(engine.Run("GETDEL a"), kNull);
  EXPECT_EQ(engine.Run("SETNX a 1"), Integer(1));
  EXPECT_EQ(engine.Run("SETNX a 2"), Integer(0));
}

TEST(StringCommandsTest, ManyKeysAtOnce) {
  TestEngine engine;
  EXPECT_EQ(engine.Run("MSET a 1 b 2 a 3"), kOk);
  EXPECT_EQ(engine.Run("MGET a b c a"), "*4\r\n$1\r\n3\r\n$1\r\n2\r\n$-1\r\n$1\r\n3\r\n");
  EXPECT_EQ(engine.Run("MSETNX c 1 a 9"), Integer(0));
  EXPECT_EQ(engine.Run("GET c"), kNull);
  EXPECT_EQ(engine.Run("MSETNX c 1 d 2"), Integer(1));
  EXPECT_EQ(engine.Run("MSET a 1 b"), "-ERR wrong number of arguments for 'mset' command\r\n");
  EXPECT_EQ(engine.Run("MSETNX a 1 b"), "-ERR wrong number of arguments for 'msetnx' command\r\n");
}

TEST(StringCommandsTest, Counters) {
  TestEngine engine;
  EXPECT_EQ(engine.Run("INCR n"), Integer(1));
  EXPECT_EQ(engine.Run("INCRBY n 98"), Integer(99));
  EXPECT_EQ(engine.Run("INCR n"), Integer(100));
  EXPECT_EQ(engine.Run("DECRBY n 200"), Integer(-100));
  EXPECT_EQ(engine.Run("DECR n"), Integer(-101));
  EXPECT_EQ(engine.Run("GET n"), Bulk("-101"));
  EXPECT_EQ(engine.Run("DECRBY n -9223372036854775808"), "-ERR decrement would overflow\r\n");
  EXPECT_EQ(engine.Run("SET n 9223372036854775807"), kOk);
  EXPECT_EQ(engine.Run("INCR n"), "-ERR increment or decrement would overflow\r\n");
  EXPECT_EQ(engine.Run("SET n 01"), kOk);
  EXPECT_EQ(engine.Run("INCR n"), kNotIntegerError);
  EXPECT_EQ(engine.Run("INCRBY n 1.5"), kNotIntegerError);
}

TEST(StringCommandsTest, DecimalCounters) {
  TestEngine engine;
  EXPECT_EQ(engine.Run("INCRBYFLOAT f 10.5"), Bulk("10.5"));
  EXPECT_EQ(engine.Run("INCRBYFLOAT f 0.1"), Bulk("10.6"));
  EXPECT_EQ(engine.Run("INCRBYFLOAT f -10.6"), Bulk("0"));
  EXPECT_EQ(engine.Run("INCRBYFLOAT f 5e3"), Bulk("5000"));
  EXPECT_EQ(engine.Run("INCRBYFLOAT f x"), "-ERR value is not a valid float\r\n");
  EXPECT_EQ(engine.Run("INCRBYFLOAT f inf"), "-ERR increment would produce NaN or Infinity\r\n");
}

TEST(StringCommandsTest, Ranges) {
  TestEngine engine;
  EXPECT_EQ(engine.RunWords({"SET", "s", "This is a string"}), kOk);
  EXPECT_EQ(engine.Run("GETRANGE s 0 3"), Bulk("This"));
  EXPECT_EQ(engine.Run("GETRANGE s -3 -1"), Bulk("ing"));
  EXPECT_EQ(engine.Run("SUBSTR s 10 100"), Bulk("string"));
  EXPECT_EQ(engine.Run("GETRANGE s 5 2"), Bulk(""));
  EXPECT_EQ(engine.Run("GETRANGE s -1 -5"), Bulk(""));
  EXPECT_EQ(engine.Run("GETRANGE s 0 -100"), Bulk("T"));
  EXPECT_EQ(engine.Run("GETRANGE s -9223372036854775808 9223372036854775807"),
            Bulk("This is a string"));
  EXPECT_EQ(engine.Run("GETRANGE none 0 -1"), Bulk(""));
  EXPECT_EQ(engine.Run("SETRANGE s 10 STRING"), Integer(16));
  EXPECT_EQ(engine.Run("SETRANGE gap 3 x"), Integer(4));
  EXPECT_EQ(engine.Run("GET gap"), Bulk(std::string_view("\0\0\0x", 4)));
  EXPECT_EQ(engine.RunWords({"SETRANGE", "absent", "5", ""}), Integer(0));
  EXPECT_EQ(engine.RunWords({"SETRANGE", "s", "50", ""}), Integer(16));
  EXPECT_EQ(engine.Run("SETRANGE s -1 x"), "-ERR offset is out of range\r\n");
}

TEST(StringCommandsTest, StringsGrowToTheLimitAndNoFurther) {
  TestEngine engine;
  engine.engine().settings().string_bytes_max = 1 << 20;
  constexpr std::string_view kTooLong =
      "-ERR string exceeds maximum allowed size (proto-max-bulk-len)\r\n";
  EXPECT_EQ(engine.Run("SETRANGE s 1048575 x"), Integer(1 << 20));
  EXPECT_EQ(engine.Run("APPEND s x"), kTooLong);
  EXPECT_EQ(engine.Run("SETRANGE s 1048576 x"), kTooLong);
  EXPECT_EQ(engine.Run("SETRANGE s 9223372036854775807 x"), kTooLong);
  EXPECT_EQ(engine.Run("STRLEN s"), Integer(1 << 20));
}

TEST(StringCommandsTest, AppendsPassFromTheEntryIntoChunks) {
  TestEngine engine;
  std::string expected;
  for (int i = 0; i < 400; ++i) {
    const std::string bytes(static_cast<size_t>(i % 190), static_cast<char>('a' + i % 26));
    expected += bytes;
    EXPECT_EQ(engine.RunWords({"APPEND", "log", bytes}),
              Integer(static_cast<int64_t>(expected.size())));
  }
  EXPECT_GT(expected.size(), 2 * ChunkedString::kChunkBytes);
  EXPECT_EQ(engine.Run("GET log"), Bulk(expected));
  EXPECT_EQ(engine.Run("GETRANGE log 16380 16390"), Bulk(expected.substr(16380, 11)));
}

TEST(StringCommandsTest, LongestCommonSubsequence) {
  TestEngine engine;
  EXPECT_EQ(engine.Run("MSET a ohmytext b mynewtext"), kOk);
  EXPECT_EQ(engine.Run("LCS a b"), Bulk("mytext"));
  EXPECT_EQ(engine.Run("LCS a b LEN"), Integer(6));
  EXPECT_EQ(engine.Run("LCS a b IDX MINMATCHLEN 4 WITHMATCHLEN"),
            "*4\r\n$7\r\nmatches\r\n*1\r\n*3\r\n*2\r\n:4\r\n:7\r\n*2\r\n:5\r\n:8\r\n:4\r\n"
            "$3\r\nlen\r\n:6\r\n");
  EXPECT_EQ(engine.Run("LCS a none"), Bulk(""));
  EXPECT_EQ(engine.Run("LCS a b LEN IDX"),
            "-ERR If you want both the length and indexes, please just use IDX.\r\n");
  EXPECT_EQ(engine.Run("LCS a b MINMATCHLEN"), kSyntaxError);
  engine.engine().settings().string_bytes_max = 100;
  EXPECT_EQ(engine.Run("LCS a b LEN"),
            "-ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len\r\n");
}

}  // namespace
}  // namespace tidegate
