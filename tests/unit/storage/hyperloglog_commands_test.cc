#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "storage/value/hyperloglog.h"
#include "storage/value/hyperloglog_buffer.h"
#include "tests/support/engine_fixture.h"

namespace tidegate {
namespace {

using testing::Bulk;
using testing::Integer;
using testing::kOk;
using testing::TestEngine;

constexpr std::string_view kCorruptedError = "-INVALIDOBJ Corrupted HLL object detected\r\n";
constexpr std::string_view kNoHyperLogLogError =
    "-WRONGTYPE Key is not a valid HyperLogLog string value.\r\n";

std::string Header(uint8_t encoding) {
  std::string bytes = "HYLL";
  bytes += static_cast<char>(encoding);
  bytes.append(10, '\0');
  bytes += '\x80';
  return bytes;
}

TEST(HyperLogLogCommandsTest, AddedElementsAreCountedOnce) {
  TestEngine engine;
  EXPECT_EQ(engine.Run("PFADD h"), Integer(1));
  EXPECT_EQ(engine.Run("PFADD h"), Integer(0));
  EXPECT_EQ(engine.Run("PFCOUNT h"), Integer(0));
  EXPECT_EQ(engine.Run("PFADD h a b c"), Integer(1));
  EXPECT_EQ(engine.Run("PFADD h a b c"), Integer(0));
  EXPECT_EQ(engine.Run("PFCOUNT h"), Integer(3));
  EXPECT_EQ(engine.Run("PFADD g c d"), Integer(1));
  EXPECT_EQ(engine.Run("PFCOUNT h g none"), Integer(4));
  EXPECT_EQ(engine.Run("PFMERGE all h g"), kOk);
  EXPECT_EQ(engine.Run("PFCOUNT all"), Integer(4));
}

// What redis-server 7.0.15 holds after these additions.
TEST(HyperLogLogCommandsTest, BytesAreThoseOfRedis) {
  TestEngine engine;
  engine.Run("PFADD h x y z");
  EXPECT_EQ(engine.Run("GET h"), Bulk(Header(1) + "\x61\x84\x80\x58\xcd\x88\x45\xa0\x84" + "\x08"));
}

TEST(HyperLogLogCommandsTest, ATimeToLiveIsKept) {
  TestEngine engine;
  engine.Run("PFADD h a");
  engine.Run("EXPIRE h 100");
  for (int i = 0; i < 3000; ++i) engine.Run("PFADD h " + std::to_string(i));
  EXPECT_EQ(engine.Run("TTL h"), Integer(100));
  EXPECT_EQ(engine.Run("STRLEN h"), Integer(HyperLogLogLayout::kDenseBytes));
}

TEST(HyperLogLogCommandsTest, OtherValuesAreRefused) {
  TestEngine engine;
  engine.Run("SET s text");
  EXPECT_EQ(engine.Run("PFADD s a"), kNoHyperLogLogError);
  EXPECT_EQ(engine.Run("PFCOUNT s"), kNoHyperLogLogError);
  EXPECT_EQ(engine.Run("PFMERGE d s"), kNoHyperLogLogError);
  engine.RunWords({"SET", "dense", Header(0) + "short"});
  EXPECT_EQ(engine.Run("PFCOUNT dense"), kNoHyperLogLogError);
  engine.RunWords({"SET", "other", Header(2)});
  EXPECT_EQ(engine.Run("PFCOUNT other"), kNoHyperLogLogError);
}

TEST(HyperLogLogCommandsTest, CorruptedOpcodesAreFound) {
  TestEngine engine;
  // Too few registers, too many, an opcode cut in two, more bytes than any value has.
  const std::vector<std::string> tails = {"", "\x7f\xfe", std::string("\x7f\xff\x00", 3), "\x7f",
                                          std::string(40'000, '\xff')};
  for (const std::string& tail : tails) {
    engine.RunWords({"SET", "h", Header(1) + tail});
    EXPECT_EQ(engine.Run("PFCOUNT h"), kCorruptedError) << tail.size();
    EXPECT_EQ(engine.Run("PFCOUNT h h"), kCorruptedError) << tail.size();
    EXPECT_EQ(engine.Run("PFMERGE d h"), kCorruptedError) << tail.size();
    EXPECT_EQ(engine.Run("PFDEBUG TODENSE h"), kCorruptedError) << tail.size();
    EXPECT_EQ(engine.Run("EXISTS d"), Integer(0));
  }
}

TEST(HyperLogLogCommandsTest, RandomBytesDoNoHarm) {
  TestEngine engine;
  std::mt19937 random(20);
  for (int round = 0; round < 2000; ++round) {
    std::string value = Header(1);
    const size_t size = random() % 60;
    for (size_t i = 0; i < size; ++i) value += static_cast<char>(random());
    engine.RunWords({"SET", "h", value});
    engine.Run("PFADD h " + std::to_string(random() % 1000));
    engine.Run("PFCOUNT h");
    engine.Run("PFMERGE d h");
    engine.Run("PFDEBUG GETREG h");
  }
}

// The sparse form against plain registers, additions in any order and in ascending order.
TEST(HyperLogLogBufferTest, SparseRegistersAreThoseOfAModel) {
  for (uint32_t seed = 0; seed < 20; ++seed) {
    std::mt19937 random(seed);
    HyperLogLogBuffer buffer(seed % 2 == 0 ? 3000 : 40'000);
    buffer.LoadEmpty();
    std::array<uint8_t, HyperLogLogLayout::kRegisters> model{};
    const uint32_t spread = 1u << (6 + seed % 9);
    uint32_t index = 0;
    for (int i = 0; i < 2000; ++i) {
      index = seed % 3 == 0 ? std::min(index + static_cast<uint32_t>(random() % 8),
                                       HyperLogLogLayout::kRegisters - 1)
                            : static_cast<uint32_t>(random() % spread);
      const auto run = static_cast<uint8_t>(1 + random() % (seed % 5 == 0 ? 2 : 32));
      const bool higher = run > model[index];
      if (higher) model[index] = run;
      ASSERT_EQ(buffer.Raise({index, run}),
                higher ? HyperLogLogBuffer::Change::kChanged : HyperLogLogBuffer::Change::kNone);
    }
    uint32_t next = 0;
    ASSERT_TRUE(buffer.view().ForEachRun([&](uint32_t first, uint32_t count, uint8_t value) {
      ASSERT_EQ(first, next);
      for (; next < first + count; ++next) ASSERT_EQ(model[next], value) << seed << " " << next;
    }));
    EXPECT_EQ(next, HyperLogLogLayout::kRegisters);
  }
}

TEST(HyperLogLogBufferTest, DenseRegistersDoNotTouchTheirNeighbours) {
  uint8_t registers[HyperLogLogLayout::kDenseBytes - HyperLogLogLayout::kHeaderBytes] = {};
  for (uint32_t i = 0; i < HyperLogLogLayout::kRegisters; ++i) {
    SetDenseRegister(registers, i, static_cast<uint8_t>(i * 7 % 64));
  }
  for (uint32_t i = 0; i < HyperLogLogLayout::kRegisters; ++i) {
    ASSERT_EQ(DenseRegister(registers, i), i * 7 % 64) << i;
  }
}

TEST(HyperLogLogCommandsTest, EstimatesAreNear) {
  TestEngine engine;
  EXPECT_EQ(engine.Run("PFSELFTEST"), kOk);
  for (int i = 1; i <= 20'000; ++i) {
    engine.Run("PFADD h element:" + std::to_string(i));
    if (i % 1000 != 0) continue;
    const std::string reply = engine.Run("PFCOUNT h");
    EXPECT_NEAR(std::stoi(reply.substr(1)), i, i * 0.05);
  }
}

}  // namespace
}  // namespace tidegate
