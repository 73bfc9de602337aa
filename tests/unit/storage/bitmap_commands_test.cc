#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

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

TEST(BitmapCommandsTest, SetAndGetBits) {
  TestEngine engine;
  EXPECT_EQ(engine.Run("SETBIT b 7 1"), Integer(0));
  EXPECT_EQ(engine.Run("SETBIT b 7 1"), Integer(1));
  EXPECT_EQ(engine.Run("GETBIT b 7"), Integer(1));
  EXPECT_EQ(engine.Run("GETBIT b 6"), Integer(0));
  EXPECT_EQ(engine.Run("GETBIT b 4000000000"), Integer(0));
  EXPECT_EQ(engine.Run("GET b"), Bulk("\x01"));
  EXPECT_EQ(engine.Run("SETBIT b 20 0"), Integer(0));
  EXPECT_EQ(engine.Run("STRLEN b"), Integer(3));
  EXPECT_EQ(engine.Run("SETBIT b 4294967296 1"),
            "-ERR bit offset is not an integer or out of range\r\n");
  EXPECT_EQ(engine.Run("SETBIT b -1 1"), "-ERR bit offset is not an integer or out of range\r\n");
  EXPECT_EQ(engine.Run("SETBIT b 1 2"), "-ERR bit is not an integer or out of range\r\n");
}

TEST(BitmapCommandsTest, TheLastBitOfAllCostsLittleMemory) {
  TestEngine engine;
  const uint64_t before = engine.engine().UsedMemoryBytes();
  EXPECT_EQ(engine.Run("SETBIT b 4294967295 1"), Integer(0));
  EXPECT_LT(engine.engine().UsedMemoryBytes() - before, uint64_t{1} << 20);
  EXPECT_EQ(engine.Run("STRLEN b"), Integer(512 << 20));
  EXPECT_EQ(engine.Run("BITCOUNT b"), Integer(1));
  EXPECT_EQ(engine.Run("BITPOS b 1"), Integer(4294967295));
  EXPECT_EQ(engine.Run("BITOP OR c b b"), Integer(512 << 20));
  EXPECT_EQ(engine.Run("BITOP AND b b c"), Integer(512 << 20));
  EXPECT_LT(engine.engine().UsedMemoryBytes() - before, uint64_t{2} << 20);
  EXPECT_EQ(engine.Run("BITPOS b 1"), Integer(4294967295));
}

// The bits of a range one by one: how many are set, and where the first 0 and the first 1 is.
struct PlainCount {
  int64_t ones = 0;
  int64_t first[2] = {-1, -1};
};

PlainCount CountPlainly(const std::string& value, int64_t bit_begin, int64_t bit_end) {
  PlainCount result;
  for (int64_t i = bit_begin; i <= bit_end; ++i) {
    const int bit = (static_cast<uint8_t>(value[static_cast<size_t>(i / 8)]) >> (7 - i % 8)) & 1;
    result.ones += bit;
    if (result.first[bit] < 0) result.first[bit] = i;
  }
  return result;
}

// Long runs of one value with a few others, so that both searches have something to skip.
std::string MostlyOneValue(size_t size, char most, std::mt19937_64& random) {
  std::string value(size, most);
  for (uint64_t n = random() % 4; n > 0; --n) value[random() % size] = static_cast<char>(random());
  return value;
}

// Against bits counted one by one, embedded and chunked, in all units and with all ends.
TEST(BitmapCommandsTest, CountAndFindAgreeWithAPlainLoop) {
  const unsigned seed = std::random_device()();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 random(seed);
  const auto between = [&](int64_t low, int64_t high) {
    return std::uniform_int_distribution<int64_t>(low, high)(random);
  };
  TestEngine engine;
  for (const size_t size : {1, 3, 9, 100, 1500, 16384, 40000}) {
    for (int round = 0; round < 40; ++round) {
      const std::string value = MostlyOneValue(size, round % 2 == 0 ? '\0' : '\xff', random);
      ASSERT_EQ(engine.RunWords({"SET", "v", value}), kOk);
      const bool in_bits = between(0, 1) == 1;
      const int64_t units = static_cast<int64_t>(size) * (in_bits ? 8 : 1);
      const int64_t start = between(0, units - 1);
      const int64_t end = between(start, units - 1);
      const int64_t bit_begin = in_bits ? start : start * 8;
      const int64_t bit_end = in_bits ? end : end * 8 + 7;
      const PlainCount plain = CountPlainly(value, bit_begin, bit_end);
      const std::string unit = in_bits ? "BIT" : "BYTE";
      const std::string from = std::to_string(between(0, 1) == 1 ? start : start - units);
      const std::string to = std::to_string(between(0, 1) == 1 ? end : end - units);
      SCOPED_TRACE(::testing::Message() << size << " " << from << " " << to << " " << unit);
      EXPECT_EQ(engine.RunWords({"BITCOUNT", "v", from, to, unit}), Integer(plain.ones));
      EXPECT_EQ(engine.RunWords({"BITPOS", "v", "0", from, to, unit}), Integer(plain.first[0]));
      EXPECT_EQ(engine.RunWords({"BITPOS", "v", "1", from, to, unit}), Integer(plain.first[1]));
    }
  }
}

TEST(BitmapCommandsTest, PositionsAtTheEdges) {
  TestEngine engine;
  EXPECT_EQ(engine.RunWords({"SET", "ones", "\xff\xff"}), kOk);
  EXPECT_EQ(engine.Run("BITPOS ones 0"), Integer(16));
  EXPECT_EQ(engine.Run("BITPOS ones 0 1"), Integer(16));
  EXPECT_EQ(engine.Run("BITPOS ones 0 0 -1"), Integer(-1));
  EXPECT_EQ(engine.Run("BITPOS ones 0 0 -1 BIT"), Integer(-1));
  EXPECT_EQ(engine.Run("BITPOS none 0"), Integer(0));
  EXPECT_EQ(engine.Run("BITPOS none 1"), Integer(-1));
  EXPECT_EQ(engine.Run("BITPOS ones 1 2"), Integer(-1));
  EXPECT_EQ(engine.Run("BITPOS ones 2"), "-ERR The bit argument must be 1 or 0.\r\n");
  EXPECT_EQ(engine.Run("BITPOS ones 1 0 1 BITS"), kSyntaxError);
  EXPECT_EQ(engine.Run("BITCOUNT ones 1"), kSyntaxError);
  EXPECT_EQ(engine.Run("BITCOUNT none 1"), Integer(0));
  EXPECT_EQ(engine.Run("BITCOUNT ones 0 -100"), Integer(8));
  EXPECT_EQ(engine.Run("BITCOUNT ones -1 -2"), Integer(0));
}

char CombineByte(const std::string& operation, char a, char b) {
  if (operation == "AND") return static_cast<char>(a & b);
  if (operation == "OR") return static_cast<char>(a | b);
  return static_cast<char>(a ^ b);
}

TEST(BitmapCommandsTest, BitOpAgreesWithAPlainLoop) {
  const unsigned seed = std::random_device()();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  for (int round = 0; round < 60; ++round) {
    TestEngine engine;
    const size_t size_max = round % 2 == 0 ? 50 : 3 * ChunkedString::kChunkBytes;
    std::vector<std::string> values(3);
    for (size_t i = 0; i < values.size(); ++i) {
      values[i].resize(random() % size_max + 1);
      for (char& c : values[i]) c = static_cast<char>(random());
      engine.RunWords({"SET", "v" + std::to_string(i), values[i]});
    }
    size_t longest = 0;
    for (const std::string& value : values) longest = std::max(longest, value.size());
    const std::string operation = std::vector<std::string>{"AND", "OR", "XOR"}[random() % 3];
    std::string expected = values[0];
    expected.resize(longest);
    for (size_t i = 1; i < values.size(); ++i) {
      std::string operand = values[i];
      operand.resize(longest);
      for (size_t b = 0; b < longest; ++b) {
        expected[b] = CombineByte(operation, expected[b], operand[b]);
      }
    }
    // The destination: absent, something else, or one of the sources, with an expiry.
    const std::string destination = std::vector<std::string>{"none", "other", "v1"}[random() % 3];
    if (destination == "other") engine.RunWords({"SET", "other", std::string(70000, 'o')});
    engine.Run("GETEX " + destination + " PX 10");
    EXPECT_EQ(engine.RunWords({"BITOP", operation, destination, "v0", "v1", "v2"}),
              Integer(static_cast<int64_t>(longest)));
    engine.AdvanceMs(100);
    ASSERT_EQ(engine.Run("GET " + destination), Bulk(expected)) << operation << " " << destination;
  }
}

TEST(BitmapCommandsTest, BitOpNotAndNothing) {
  TestEngine engine;
  EXPECT_EQ(engine.RunWords({"SET", "a", std::string("\x0f\x00", 2)}), kOk);
  EXPECT_EQ(engine.Run("BITOP NOT r a"), Integer(2));
  EXPECT_EQ(engine.Run("GET r"), Bulk("\xf0\xff"));
  EXPECT_EQ(engine.Run("BITOP NOT r a a"),
            "-ERR BITOP NOT must be called with a single source key.\r\n");
  EXPECT_EQ(engine.Run("BITOP NAND r a"), kSyntaxError);
  EXPECT_EQ(engine.Run("BITOP OR r none"), Integer(0));
  EXPECT_EQ(engine.Run("GET r"), kNull);
}

TEST(BitmapCommandsTest, BitFieldOverflowRules) {
  TestEngine engine;
  EXPECT_EQ(engine.Run("BITFIELD f SET i8 0 127 INCRBY i8 0 1 GET u8 0"),
            "*3\r\n:0\r\n:-128\r\n:128\r\n");
  EXPECT_EQ(engine.Run("BITFIELD f OVERFLOW SAT SET i8 0 127 INCRBY i8 0 1"),
            "*2\r\n:-128\r\n:127\r\n");
  EXPECT_EQ(engine.Run("BITFIELD f OVERFLOW FAIL INCRBY i8 0 1 OVERFLOW WRAP INCRBY u2 #0 3"),
            "*2\r\n$-1\r\n:0\r\n");
  EXPECT_EQ(engine.Run("BITFIELD f SET i64 3 -9223372036854775808 INCRBY i64 3 -1"),
            "*2\r\n:-576460752303423488\r\n:9223372036854775807\r\n");
  EXPECT_EQ(engine.Run("BITFIELD g OVERFLOW SAT SET u4 0 -1 GET u4 0"), "*2\r\n:0\r\n:15\r\n");
  EXPECT_EQ(engine.Run("BITFIELD h OVERFLOW SAT SET i16 0 -9223372036854775807 GET i16 0"),
            "*2\r\n:0\r\n:32767\r\n");
  EXPECT_EQ(engine.Run("BITFIELD g"), "*0\r\n");
  EXPECT_EQ(engine.Run("BITFIELD_RO g GET u4 0"), "*1\r\n:15\r\n");
  EXPECT_EQ(engine.Run("BITFIELD_RO g SET u4 0 1"),
            "-ERR BITFIELD_RO only supports the GET subcommand\r\n");
  EXPECT_EQ(engine.Run("BITFIELD g GET u64 0"),
            "-ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported "
            "but i64 is.\r\n");
  EXPECT_EQ(engine.Run("BITFIELD g OVERFLOW what"), "-ERR Invalid OVERFLOW type specified\r\n");
  EXPECT_EQ(engine.Run("BITFIELD g GET u8"), kSyntaxError);
}

// A field written anywhere, chunk borders included, reads back and leaves its neighbours alone.
TEST(BitmapCommandsTest, BitFieldsAtAnyBit) {
  TestEngine engine;
  const int64_t border = static_cast<int64_t>(ChunkedString::kChunkBytes) * 8;
  for (const int64_t base : {int64_t{0}, border}) {
    for (const int bits : {1, 2, 7, 8, 9, 31, 32, 33, 57, 58, 63}) {
      for (int64_t offset = base == 0 ? 0 : base - 40; offset < base + 12; ++offset) {
        const std::string at = std::to_string(offset);
        const std::string type = "u" + std::to_string(bits);
        const int64_t max = static_cast<int64_t>((uint64_t{1} << bits) - 1);
        engine.Run("GETDEL f");
        EXPECT_EQ(engine.RunWords({"BITFIELD", "f", "SET", type, at, std::to_string(max)}),
                  "*1\r\n:0\r\n");
        ASSERT_EQ(engine.RunWords({"BITFIELD", "f", "GET", type, at}), "*1\r\n" + Integer(max));
        ASSERT_EQ(engine.Run("BITCOUNT f"), Integer(bits));
        ASSERT_EQ(engine.Run("BITPOS f 1"), Integer(offset));
      }
    }
  }
}

}  // namespace
}  // namespace tidegate
