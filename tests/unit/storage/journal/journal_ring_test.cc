#include "storage/journal/journal_ring.h"

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <thread>

namespace tidegate {
namespace {

std::string RecordOf(uint64_t sequence) {
  std::minstd_rand random(static_cast<uint32_t>(sequence * 2654435761u + 1));
  const size_t size = random() % 50 == 0 ? random() % 600'000 : random() % 300;
  return std::string(size, static_cast<char>('a' + sequence % 26));
}

TEST(JournalRing, KeepsOrderBetweenThreadsWhateverTheSizes) {
  constexpr uint64_t kRecords = 20000;
  JournalRing ring;
  std::thread producer([&ring] {
    for (uint64_t i = 1; i <= kRecords; ++i) ring.Push(i, RecordOf(i));
  });
  for (uint64_t seen = 0; seen < kRecords;) {
    const uint64_t front = ring.Front();
    if (front == JournalRing::kNone) {
      ring.EndPass();
      std::this_thread::yield();
      continue;
    }
    ASSERT_EQ(front, ++seen);
    ASSERT_EQ(ring.Front(), seen);  // asking changes nothing
    ASSERT_EQ(ring.Take(), RecordOf(seen));
  }
  ring.EndPass();
  producer.join();
  EXPECT_EQ(ring.waiting_bytes(), 0u);
}

TEST(JournalRing, AnEmptyOneGivesNothing) {
  JournalRing ring;
  EXPECT_EQ(ring.Front(), JournalRing::kNone);
  ring.Push(1, "");
  EXPECT_GT(ring.waiting_bytes(), 0u);
  EXPECT_EQ(ring.Front(), 1u);
  EXPECT_EQ(ring.Take(), "");
  EXPECT_EQ(ring.Front(), JournalRing::kNone);
}

TEST(JournalRing, KnowsTheLowHalfOfANumber) {
  JournalRing ring;
  ring.Push((uint64_t{5} << 32) - 1, "a");
  ring.Push(uint64_t{5} << 32, "b");
  EXPECT_EQ(ring.Front(), 0xffffffffu);
  EXPECT_EQ(ring.Take(), "a");
  EXPECT_EQ(ring.Front(), 0u);
  EXPECT_EQ(ring.Take(), "b");
}

}  // namespace
}  // namespace tidegate
