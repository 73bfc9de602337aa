// SessionInput: bytes stay in order, memory is held only with bytes, announcements are met exactly.
#include "proxy/session/session_input.h"

#include <gtest/gtest.h>

#include <cstring>
#include <string>

namespace tidegate {
namespace {

void ReadInto(SessionInput& input, std::string_view bytes, size_t wanted) {
  while (!bytes.empty()) {
    const std::span<char> room = input.Room(wanted);
    ASSERT_FALSE(room.empty());
    const size_t n = std::min(room.size(), bytes.size());
    std::memcpy(room.data(), bytes.data(), n);
    input.Added(n);
    bytes.remove_prefix(n);
  }
}

TEST(SessionInput, HoldsMemoryOnlyWhileItHoldsBytes) {
  size_t held_bytes = 0;
  SessionInput input(held_bytes);
  EXPECT_EQ(input.capacity(), 0u);
  input.Append("hello", 0);
  EXPECT_GT(input.capacity(), 0u);
  EXPECT_EQ(held_bytes, input.capacity());
  input.Consume(2);
  EXPECT_EQ(input.bytes(), "llo");
  input.Consume(3);
  EXPECT_EQ(input.capacity(), 0u);
  EXPECT_EQ(held_bytes, 0u);
  EXPECT_TRUE(input.empty());
}

TEST(SessionInput, AnAnnouncedBulkIsAllocatedOnceAndReadExactly) {
  size_t held_bytes = 0;
  SessionInput input(held_bytes);
  const size_t wanted = 100'000;
  input.Append("head", wanted);
  EXPECT_EQ(input.capacity(), wanted + kInputRoomBytesMax);
  const char* before = input.data();
  EXPECT_EQ(input.Room(wanted).size(), wanted - 4);
  ReadInto(input, std::string(wanted - 4, 'x'), wanted);
  EXPECT_EQ(input.data(), before);
  EXPECT_EQ(input.size(), wanted);
}

// RESTORE key ttl payload REPLACE: a hundred megabytes are not copied for the last word.
TEST(SessionInput, SmallArgumentsBehindALargeOneDoNotMoveIt) {
  size_t held_bytes = 0;
  SessionInput input(held_bytes);
  const size_t large = 10'000'000;
  input.Append("head", large);
  ReadInto(input, std::string(large - 4, 'x'), large);
  const char* before = input.data();
  const size_t capacity = input.capacity();
  EXPECT_GE(input.Room(0).size(), kInputBufferBytesMin);
  ReadInto(input, "$7\r\nREPLACE\r\n", 0);
  EXPECT_EQ(input.data(), before);
  EXPECT_EQ(input.capacity(), capacity);
  EXPECT_TRUE(input.bytes().ends_with("xxx$7\r\nREPLACE\r\n"));
}

TEST(SessionInput, AnAnnouncementAloneCostsLittle) {
  size_t held_bytes = 0;
  SessionInput input(held_bytes);
  input.Append("head", 10'000'000'000);
  EXPECT_LE(input.capacity(), kAnnouncedBytesTrusted.count);
  EXPECT_FALSE(input.Room(10'000'000'000).empty());
}

TEST(SessionInput, GrowsWithoutLosingAByte) {
  size_t held_bytes = 0;
  SessionInput input(held_bytes);
  std::string all;
  for (int i = 0; i < 3000; ++i) {
    const std::string part = std::to_string(i) + ",";
    ReadInto(input, part, 0);
    all += part;
    if (i % 7 == 0) {
      input.Consume(1);
      all.erase(0, 1);
    }
  }
  EXPECT_EQ(input.bytes(), all);
  EXPECT_EQ(held_bytes, input.capacity());
}

}  // namespace
}  // namespace tidegate
