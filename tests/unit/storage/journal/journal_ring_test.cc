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
  uint64_t seen = 0;
  while (seen < kRecords) {
    uint64_t last = seen;
    ring.ForEach([&](uint64_t sequence, std::string_view record) {
      EXPECT_EQ(sequence, last + 1);
      EXPECT_EQ(record, RecordOf(sequence));
      last = sequence;
      return last < seen + 700;
    });
    // Not all that was seen: the rest is seen again.
    if (last > seen) ring.PopThrough(seen = seen + (last - seen + 1) / 2);
  }
  producer.join();
  EXPECT_EQ(ring.waiting_bytes(), 0u);
}

TEST(JournalRing, AnEmptyOneGivesNothing) {
  JournalRing ring;
  ring.ForEach([](uint64_t, std::string_view) {
    ADD_FAILURE();
    return true;
  });
  ring.PopThrough(5);
  ring.Push(1, "");
  EXPECT_GT(ring.waiting_bytes(), 0u);
  int count = 0;
  ring.ForEach([&count](uint64_t, std::string_view record) {
    EXPECT_TRUE(record.empty());
    ++count;
    return true;
  });
  EXPECT_EQ(count, 1);
}

}  // namespace
}  // namespace tidegate
