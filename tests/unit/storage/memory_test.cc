// The allocator: objects do not overlap, may be freed by another thread, and the count of bytes
// comes back to where it was.
#include "storage/memory/memory.h"

#include <gtest/gtest.h>

#include <cstring>
#include <random>
#include <thread>
#include <utility>
#include <vector>

#include "storage/memory/memory_rest.h"

namespace tidegate {
namespace {

TEST(MemoryTest, RoundsToItsClasses) {
  EXPECT_EQ(MemoryRoundUp(1), 8u);
  EXPECT_EQ(MemoryRoundUp(52), 56u);
  EXPECT_EQ(MemoryRoundUp(256), 256u);
  EXPECT_EQ(MemoryRoundUp(257), 288u);
  EXPECT_EQ(MemoryRoundUp(1024), 1024u);
  EXPECT_EQ(MemoryRoundUp(1025), 1152u);
  EXPECT_EQ(MemoryRoundUp(2049), 2304u);
  EXPECT_EQ(MemoryRoundUp(4096), 4096u);
  EXPECT_EQ(MemoryRoundUp(4097), 5120u);
  EXPECT_EQ(MemoryRoundUp(16384), 16384u);
  EXPECT_EQ(MemoryRoundUp(16385), 20480u);
  EXPECT_EQ(MemoryRoundUp((1 << 20) + 1), (1u << 20) + 4096u);
}

TEST(MemoryTest, MultiplesOf64AreAligned) {
  for (size_t bytes = 64; bytes <= 4096; bytes += 64) {
    void* p = MemoryAllocate(bytes);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(p) % 64, 0u) << bytes;
    MemoryFree(p, bytes);
  }
}

TEST(MemoryTest, ContentsSurviveOthers) {
  std::mt19937 random(1);
  std::vector<std::pair<char*, size_t>> live;
  const uint64_t before = MemoryUsedBytes();
  for (int i = 0; i < 50000; ++i) {
    if (live.size() > 2000 || (!live.empty() && random() % 3 == 0)) {
      std::swap(live[random() % live.size()], live.back());
      auto [p, bytes] = live.back();
      for (size_t b = 1; b < bytes; ++b) ASSERT_EQ(p[b], p[0]);
      MemoryFree(p, bytes);
      live.pop_back();
    } else {
      const size_t bytes = 1 + random() % 5000;
      auto* p = static_cast<char*>(MemoryAllocate(bytes));
      std::memset(p, static_cast<int>(random() % 256), bytes);
      live.emplace_back(p, bytes);
    }
  }
  for (auto [p, bytes] : live) MemoryFree(p, bytes);
  EXPECT_EQ(MemoryUsedBytes(), before);
}

TEST(MemoryTest, AnotherThreadMayFree) {
  const uint64_t before = MemoryUsedBytes();
  for (int round = 0; round < 5; ++round) {
    std::vector<void*> objects;
    for (int i = 0; i < 20000; ++i) objects.push_back(MemoryAllocate(56));
    std::thread other([&] {
      for (void* p : objects) MemoryFree(p, 56);
    });
    other.join();
  }
  EXPECT_EQ(MemoryUsedBytes(), before);
}

// On a thread of its own, and after others have given back what they had in their keeping.
TEST(MemoryTest, AThreadThatRestsGivesBackWhatItHasNoUseFor) {
  MemoryFree(MemoryAllocate(8), 8);
  if (ReadSlabMemory().active_bytes == 0) GTEST_SKIP() << "no slabs in this build";
  MemoryFlushCache();
  std::thread([] {
    for (int i = 0; i <= kMemoryRestCalls; ++i) MemoryRest();
    const uint64_t before = ReadSlabMemory().active_bytes;
    std::vector<std::pair<void*, size_t>> live;
    for (size_t bytes = 8; bytes <= kSlabObjectBytesMax; bytes += 8) {
      void* grown = MemoryAllocate(bytes);
      live.emplace_back(MemoryAllocate(bytes), bytes);
      MemoryFree(grown, bytes);
    }
    void* kept = live.back().first;
    const size_t kept_bytes = live.back().second;
    live.pop_back();
    for (const auto& [memory, bytes] : std::exchange(live, {})) MemoryFree(memory, bytes);
    const uint64_t grown = ReadSlabMemory().active_bytes;
    EXPECT_GT(grown, before);
    // Something goes on.
    for (int i = 0; i < 3 * kMemoryRestCalls; ++i) {
      MemoryRest();
      live.emplace_back(MemoryAllocate(8), 8);
    }
    EXPECT_GE(ReadSlabMemory().active_bytes, grown);
    for (const auto& [memory, bytes] : live) MemoryFree(memory, bytes);
    for (int i = 0; i <= kMemoryRestCalls; ++i) MemoryRest();
    EXPECT_LE(ReadSlabMemory().active_bytes, before + 65536);
    std::memset(kept, 1, kept_bytes);
    MemoryFree(kept, kept_bytes);
  }).join();
}

}  // namespace
}  // namespace tidegate
