// Mailbox: order, the one wake-up, the bound in bytes, many posters.
#include "base/mailbox.h"

#include <gtest/gtest.h>

#include <map>
#include <thread>
#include <utility>
#include <vector>

namespace tidegate {
namespace {

using Box = Mailbox<std::pair<int, int>>;

TEST(Mailbox, OnlyTheFirstPostWakesTheOwner) {
  Box box(1_KiB);
  EXPECT_EQ(box.Post({0, 1}), Box::Posted::kFirst);
  EXPECT_EQ(box.Post({0, 2}), Box::Posted::kBehind);
  std::vector<std::pair<int, int>> taken;
  box.Take(taken);
  EXPECT_EQ(taken, (std::vector<std::pair<int, int>>{{0, 1}, {0, 2}}));
  EXPECT_EQ(box.Post({0, 3}), Box::Posted::kFirst);
}

TEST(Mailbox, PayloadIsBoundedAndWakeUpsAlwaysPass) {
  Box box(100_B);
  EXPECT_EQ(box.Post({0, 1}, 60), Box::Posted::kFirst);
  EXPECT_EQ(box.Post({0, 2}, 41), Box::Posted::kFull);
  EXPECT_EQ(box.Post({0, 3}, 40), Box::Posted::kBehind);
  EXPECT_EQ(box.Post({0, 4}), Box::Posted::kBehind);
  std::vector<std::pair<int, int>> taken;
  box.Take(taken);
  EXPECT_EQ(taken.size(), 3u);
  EXPECT_EQ(box.Post({0, 5}, 100), Box::Posted::kFirst);
}

TEST(Mailbox, KeepsTheOrderOfEachPoster) {
  constexpr int kPosters = 4;
  constexpr int kPosts = 20000;
  Box box(1_KiB);
  std::vector<std::thread> posters;
  for (int poster = 0; poster < kPosters; ++poster) {
    posters.emplace_back([&box, poster] {
      for (int i = 0; i < kPosts; ++i) box.Post({poster, i});
    });
  }
  std::map<int, int> next;
  std::vector<std::pair<int, int>> taken;
  int count = 0;
  while (count < kPosters * kPosts) {
    box.Take(taken);
    for (const auto& [poster, i] : taken) ASSERT_EQ(next[poster]++, i);
    count += static_cast<int>(taken.size());
    taken.clear();
  }
  for (std::thread& poster : posters) poster.join();
}

}  // namespace
}  // namespace tidegate
