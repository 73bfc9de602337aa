#include "base/hash.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace tidegate {
namespace {

// One bit at a time, straight from the polynomial: what the table-driven code must agree with.
uint16_t Crc16BitByBit(std::string_view data) {
  uint32_t crc = 0;
  for (const char c : data) {
    crc ^= static_cast<uint32_t>(static_cast<uint8_t>(c)) << 8;
    for (int bit = 0; bit < 8; ++bit) crc = (crc & 0x8000) != 0 ? (crc << 1) ^ 0x1021 : crc << 1;
  }
  return static_cast<uint16_t>(crc);
}

TEST(Crc16, HasTheCheckValueOfXmodem) {
  EXPECT_EQ(Crc16("123456789"), 0x31C3);
  EXPECT_EQ(Crc16(""), 0);
}

TEST(Crc16, AgreesWithTheBitByBitFormAtEveryLength) {
  std::string data;
  for (int length = 0; length < 70; ++length) {
    EXPECT_EQ(Crc16(data), Crc16BitByBit(data)) << "length " << length;
    data.push_back(static_cast<char>(length * 37 + 200));
  }
}

// Values that redis-server --cluster-enabled answers to CLUSTER KEYSLOT.
TEST(KeySlot, AgreesWithRedisCluster) {
  EXPECT_EQ(KeySlot("foo"), 12182);
  EXPECT_EQ(KeySlot("123456789"), 12739);
  EXPECT_EQ(KeySlot("somekey"), 11058);
  EXPECT_EQ(KeySlot(""), 0);
}

TEST(KeySlot, HashesOnlyTheTag) {
  EXPECT_EQ(KeySlot("foo{hash_tag}"), 2515);
  EXPECT_EQ(KeySlot("{hash_tag}bar"), KeySlot("hash_tag"));
  EXPECT_EQ(KeySlot("{user1000}.following"), KeySlot("{user1000}.followers"));
}

TEST(KeySlot, TakesTheFirstTagOnly) {
  EXPECT_EQ(KeySlot("foo{bar}{zap}"), KeySlot("bar"));
  EXPECT_EQ(KeySlot("foo{{bar}}zap"), KeySlot("{bar"));
}

TEST(KeySlot, HashesTheWholeKeyWhenThereIsNoTag) {
  // An empty tag right after the first '{' is no tag, even when a filled one follows.
  EXPECT_EQ(KeySlot("foo{}{bar}"), Crc16("foo{}{bar}") & (kSlotCount - 1));
  EXPECT_EQ(KeySlot("foo{bar"), Crc16("foo{bar") & (kSlotCount - 1));
  EXPECT_EQ(KeySlot("foo}bar{"), Crc16("foo}bar{") & (kSlotCount - 1));
}

TEST(KeyHash, DependsOnEveryByteAndNotOnTheTagAlone) {
  EXPECT_EQ(KeyHash("a"), KeyHash("a"));
  EXPECT_NE(KeyHash("{tag}1"), KeyHash("{tag}2"));
  EXPECT_NE(KeyHash(std::string_view("a\0", 2)), KeyHash("a"));
}

}  // namespace
}  // namespace tidegate
