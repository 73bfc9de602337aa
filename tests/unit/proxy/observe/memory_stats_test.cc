#include "proxy/observe/memory_stats.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>

#include "proxy/observe/process_stats.h"

namespace tidegate {
namespace {

constexpr size_t kTouchedBytes = size_t{64} << 20;

TEST(MemoryStats, ResidentGrowsByWhatIsTouched) {
  const MemoryStats before = ReadMemoryStats();
  void* memory = mmap(nullptr, kTouchedBytes, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
  ASSERT_NE(memory, MAP_FAILED);
  const MemoryStats during = ReadMemoryStats();
  munmap(memory, kTouchedBytes);
  const MemoryStats after = ReadMemoryStats();

  EXPECT_GT(before.resident_bytes, uint64_t{1} << 20);
  EXPECT_GE(during.resident_bytes, before.resident_bytes + kTouchedBytes * 9 / 10);
  EXPECT_GE(during.virtual_bytes, before.virtual_bytes + kTouchedBytes);
  EXPECT_LT(after.resident_bytes, during.resident_bytes - kTouchedBytes / 2);
  EXPECT_LE(after.resident_bytes, SystemMemoryBytes());
}

TEST(MemoryStats, AllocatorIsTheOneLinked) {
  const MemoryStats stats = ReadMemoryStats();
  EXPECT_EQ(stats.allocator.has_value(), AllocatorName() != "libc");
  if (stats.allocator) {
    EXPECT_GT(stats.allocator->allocated, 0u);
    EXPECT_LE(stats.allocator->allocated, stats.allocator->active);
    EXPECT_LE(stats.allocator->active, stats.allocator->resident);
  }
}

TEST(ProcessStats, CpuAndFilesOfThisProcess) {
  const ProcessStats before = ReadProcessStats();
  volatile uint64_t work = 0;
  for (int i = 0; i < 30'000'000; ++i) work = work + 1;
  int pipes[2];
  ASSERT_EQ(pipe(pipes), 0);
  const ProcessStats after = ReadProcessStats();
  close(pipes[0]);
  close(pipes[1]);

  EXPECT_GT(after.cpu_user_seconds + after.cpu_system_seconds,
            before.cpu_user_seconds + before.cpu_system_seconds);
  EXPECT_EQ(after.open_fds, before.open_fds + 2);
  EXPECT_GE(after.max_fds, after.open_fds);
}

}  // namespace
}  // namespace tidegate
