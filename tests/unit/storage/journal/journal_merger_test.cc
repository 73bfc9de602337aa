#include "storage/journal/journal_merger.h"

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include "storage/journal/writer_bell.h"

namespace tidegate {
namespace {

constexpr int kThreads = 4;
constexpr int kRecords = 20000;

// As the journal does it: numbers from one counter, a bell for who sleeps. The numbers pass the
// point where their low half begins anew.
TEST(JournalMerger, MakesOneDenseRunWhileThreadsAppend) {
  constexpr uint64_t kLast = (uint64_t{1} << 32) - 5000;
  std::array<JournalRing, kThreads + 1> rings;  // one is never used
  JournalMerger merger(rings, kLast);
  WriterBell bell;
  std::atomic<uint64_t> sequence{kLast};
  std::atomic<int> running{kThreads};
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < kRecords; ++i) {
        const uint64_t taken = sequence.fetch_add(1) + 1;
        rings[t].Push(taken, std::to_string(taken));
        bell.OnRecord();
        if (i % 1000 == 0) std::this_thread::sleep_for(std::chrono::microseconds(300));
      }
      running.fetch_sub(1);
    });
  }
  std::deque<std::shared_ptr<const JournalGroup>> groups;
  while (running > 0 || merger.last() != sequence) {
    merger.Collect(sequence, rings.size(), 1, groups);
    bell.LieDown(WriterBell::Sleep::kForRecords);
    if (merger.last() == sequence && running > 0) {
      bell.Wait(std::chrono::milliseconds(20));
    } else {
      bell.GetUp();
    }
  }
  for (std::thread& thread : threads) thread.join();
  uint64_t number = kLast;
  for (const auto& group : groups) {
    Result<JournalGroupView> view = JournalGroupView::Parse(group->bytes());
    ASSERT_TRUE(view.ok());
    ASSERT_EQ(view->first(), number + 1);
    std::string_view record;
    while (view->Next(&record)) ASSERT_EQ(record, std::to_string(++number));
  }
  EXPECT_EQ(number, kLast + static_cast<uint64_t>(kThreads) * kRecords);
}

TEST(JournalMerger, StopsAtAGapAndGoesOnWhenItIsFilled) {
  std::array<JournalRing, 2> rings;
  JournalMerger merger(rings, 0);
  std::deque<std::shared_ptr<const JournalGroup>> groups;
  rings[0].Push(1, "one");
  rings[1].Push(3, "three");
  EXPECT_EQ(merger.Collect(3, 2, 1, groups), 1u);
  EXPECT_EQ(merger.Collect(3, 2, 1, groups), 0u);
  rings[0].Push(2, "two");
  EXPECT_EQ(merger.Collect(3, 2, 1, groups), 2u);
  EXPECT_EQ(merger.last(), 3u);
  EXPECT_EQ(groups.size(), 2u);
}

TEST(JournalMerger, ClosesAGroupThatIsLarge) {
  std::array<JournalRing, 1> rings;
  JournalMerger merger(rings, 0);
  std::deque<std::shared_ptr<const JournalGroup>> groups;
  const std::string record(kJournalGroupBytesMax.count / 3, 'x');
  for (uint64_t i = 1; i <= 6; ++i) rings[0].Push(i, record);
  rings[0].Push(7, std::string(kJournalGroupBytesMax.count * 2, 'y'));
  EXPECT_EQ(merger.Collect(7, 1, 1, groups), 7u);
  EXPECT_EQ(groups.size(), 4u);
  EXPECT_EQ(rings[0].waiting_bytes(), 0u);
}

}  // namespace
}  // namespace tidegate
