// PageTree against a vector of leaves: every operation in random order, at heights from 0 to 3.
#include "storage/value/page_tree.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "storage/memory/memory.h"

namespace tidegate {
namespace {

// A page whose "elements" are a count; order is by key, then by tie.
struct FakePage {
  uint64_t count = 0;
  PageKey key;
  uint64_t tie = 0;
};

class PageTreeTest : public ::testing::Test {
 protected:
  ~PageTreeTest() override {
    while (!tree_.FreeSome(7, [](void*) {})) continue;
    EXPECT_EQ(tree_.allocated_bytes(), 0u);
  }

  static PageTree::Leaf LeafOf(const FakePage& page) {
    return {const_cast<FakePage*>(&page), page.count, page.key};
  }
  static void CheckTree(const PageTree& tree) {
    tree.Check([](void* page) { return LeafOf(*static_cast<FakePage*>(page)); });
  }
  PageTree::Path PathOf(size_t i) {
    PageTree::Path path = tree_.First();
    for (; i > 0; --i) EXPECT_TRUE(tree_.Next(path));
    return path;
  }
  // Puts a page at index i of the order.
  void InsertAt(size_t i, uint64_t count, PageKey key, uint64_t tie = 0) {
    auto page = std::make_unique<FakePage>(FakePage{count, key, tie});
    const PageTree::Leaf leaf = LeafOf(*page);
    PageTree::Path path;
    if (i == model_.size()) {
      path = tree_.Last();
      tree_.InsertAfter(path, leaf);
    } else if (count % 2 == 0 || i == 0) {
      path = Walk(i);
      tree_.InsertBefore(path, leaf);
    } else {
      path = Walk(i - 1);
      tree_.InsertAfter(path, leaf);
    }
    ASSERT_EQ(path.page(), leaf.page);
    ASSERT_EQ(tree_.CountOf(path), count);
    ASSERT_EQ(tree_.KeyOf(path), key);
    model_.insert(model_.begin() + static_cast<std::ptrdiff_t>(i), std::move(page));
  }
  void RemoveAt(size_t i) {
    tree_.Remove(Walk(i));
    model_.erase(model_.begin() + static_cast<std::ptrdiff_t>(i));
  }
  // By rank where that is unique, else step by step.
  PageTree::Path Walk(size_t i) {
    if (model_[i]->count == 0) return PathOf(i);
    uint64_t rank = 0;
    for (size_t k = 0; k < i; ++k) rank += model_[k]->count;
    const PageTree::Place place = tree_.FindByRank(rank);
    EXPECT_EQ(place.path.page(), model_[i].get());
    EXPECT_EQ(place.offset, 0u);
    EXPECT_EQ(tree_.RankOf(place.path), rank);
    return place.path;
  }
  void ExpectSame() {
    CheckTree(tree_);
    ASSERT_EQ(tree_.page_count(), model_.size());
    PageTree::Path forward = tree_.First();
    PageTree::Path backward = tree_.Last();
    for (size_t i = 0; i < model_.size(); ++i) {
      ASSERT_EQ(forward.page(), model_[i].get());
      ASSERT_EQ(backward.page(), model_[model_.size() - 1 - i].get());
      ASSERT_EQ(tree_.Next(forward), i + 1 < model_.size());
      ASSERT_EQ(tree_.Previous(backward), i + 1 < model_.size());
    }
    ASSERT_FALSE(forward.valid());
    ASSERT_FALSE(backward.valid());
  }

  PageTree tree_;
  std::vector<std::unique_ptr<FakePage>> model_;
};

TEST_F(PageTreeTest, OnePageCostsNoNode) {
  EXPECT_FALSE(tree_.First().valid());
  EXPECT_FALSE(tree_.FindByKey({1, 2}).valid());
  const uint64_t before = MemoryUsedBytes();
  FakePage page{5, {3, 4}, 0};
  tree_.Append(LeafOf(page));
  EXPECT_EQ(MemoryUsedBytes(), before);
  EXPECT_EQ(tree_.height(), 0u);
  EXPECT_EQ(tree_.FindByRank(4).path.page(), &page);
  EXPECT_EQ(tree_.FindByRank(4).offset, 4u);
  EXPECT_EQ(tree_.FindByKey({0, 0}).page(), &page);
  PageTree::Path path = tree_.First();
  FakePage moved{6, {2, 1}, 0};
  tree_.SetPage(path, &moved);
  tree_.AddCount(path, 1);
  tree_.SetKey(path, {2, 1});
  CheckTree(tree_);
  EXPECT_EQ(tree_.First().page(), &moved);
  tree_.Remove(tree_.First());
  EXPECT_TRUE(tree_.empty());
}

TEST_F(PageTreeTest, AppendingLeavesFullNodes) {
  FakePage page{3, {}, 0};
  constexpr size_t kPages = 30'000;
  for (size_t i = 0; i < kPages; ++i) tree_.Append(LeafOf(page));
  CheckTree(tree_);
  EXPECT_EQ(tree_.element_count(), 3 * kPages);
  EXPECT_LE(tree_.height(), 4u);
  EXPECT_LT(tree_.allocated_bytes(), kPages * 36);
}

TEST_F(PageTreeTest, PrependingAndDrainingFromBothEnds) {
  for (uint64_t i = 0; i < 3000; ++i) InsertAt(0, 1 + i % 3, {1'000'000 - i, i});
  ExpectSame();
  std::mt19937 random(5);
  while (!model_.empty()) {
    RemoveAt(random() % 2 == 0 ? 0 : model_.size() - 1);
    if (model_.size() % 100 == 0) ExpectSame();
  }
  EXPECT_EQ(tree_.allocated_bytes(), 0u);
}

TEST_F(PageTreeTest, RandomOperationsAgreeWithAVector) {
  const auto seed = std::random_device{}();
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  std::mt19937 random(seed);
  for (const size_t target : {3u, 40u, 700u, 2500u}) {
    for (size_t step = 0; step < 4 * target + 200; ++step) {
      const bool grow = step < 2 * target ? random() % 4 != 0 : random() % 4 == 0;
      if (grow || model_.empty()) {
        InsertAt(random() % (model_.size() + 1), random() % 5, {});
      } else if (random() % 3 == 0) {
        const size_t i = random() % model_.size();
        PageTree::Path path = Walk(i);
        const uint64_t count = random() % 9;
        tree_.AddCount(path, static_cast<int64_t>(count) - static_cast<int64_t>(model_[i]->count));
        model_[i]->count = count;
        auto moved = std::make_unique<FakePage>(*model_[i]);
        tree_.SetPage(path, moved.get());
        model_[i] = std::move(moved);
      } else {
        RemoveAt(random() % model_.size());
      }
      if (step % 97 == 0) ExpectSame();
    }
    ExpectSame();
  }
}

// Keys with many ties: the last page that is not after the target, as a linear search finds it.
TEST_F(PageTreeTest, FindsByKeyAndAsksWhenKeysAreEqual) {
  const auto seed = std::random_device{}();
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  std::mt19937 random(seed);
  for (const uint64_t range : {2u, 20u, 1000u}) {
    while (!model_.empty()) RemoveAt(model_.size() - 1);
    const auto order = [](const FakePage& a, const FakePage& b) {
      return a.key != b.key ? a.key < b.key : a.tie < b.tie;
    };
    for (int step = 0; step < 1500; ++step) {
      const FakePage target{1, {random() % range, random() % 2}, random()};
      const auto behind =
          std::upper_bound(model_.begin(), model_.end(), target,
                           [&](const FakePage& a, const auto& page) { return order(a, *page); });
      PageTree::Path found = tree_.FindByKey(target.key, [&](const void* page) {
        return !order(target, *static_cast<const FakePage*>(page));
      });
      ASSERT_EQ(found.valid(), !model_.empty());
      const auto index = static_cast<size_t>(behind - model_.begin());
      if (found.valid()) {
        ASSERT_EQ(found.page(), model_[index > 0 ? index - 1 : 0].get());
      }
      if (random() % 5 != 0 || model_.empty()) {
        InsertAt(index, 1, target.key, target.tie);
      } else {
        RemoveAt(random() % model_.size());
      }
      if (step % 50 == 0) ExpectSame();
    }
  }
}

TEST_F(PageTreeTest, SetKeyReachesTheRoot) {
  for (uint64_t i = 0; i < 2000; ++i) InsertAt(model_.size(), 1, {1000 + i, 0});
  for (uint64_t i = 0; i < 2000; i += 13) {
    model_[i]->key.lo = 0;
    model_[i]->key.hi -= i == 0 ? 5 : 0;
    tree_.SetKey(Walk(i), model_[i]->key);
  }
  ExpectSame();
  EXPECT_EQ(tree_.NextKeyOf(tree_.First()), model_[1]->key);
}

TEST_F(PageTreeTest, ACloneIsIndependentAndMemoryComesBack) {
  const uint64_t before = MemoryUsedBytes();
  {
    for (uint64_t i = 0; i < 1000; ++i) InsertAt(i / 2, 1 + i % 7, {});
    std::vector<std::unique_ptr<FakePage>> copies;
    PageTree copy = tree_.Clone([&](const void* page) -> void* {
      copies.push_back(std::make_unique<FakePage>(*static_cast<const FakePage*>(page)));
      return copies.back().get();
    });
    for (int i = 0; i < 500; ++i) RemoveAt(model_.size() / 3);
    CheckTree(copy);
    ExpectSame();
    ASSERT_EQ(copies.size(), 1000u);
    EXPECT_EQ(copy.page_count(), 1000u);
    size_t freed = 0;
    int slices = 0;
    while (!copy.FreeSome(64, [&](void*) { ++freed; })) ++slices;
    EXPECT_EQ(freed, 1000u);
    EXPECT_EQ(slices, 15);
    tree_.FreeSome(SIZE_MAX, [](void*) {});
  }
  EXPECT_EQ(MemoryUsedBytes(), before);
}

}  // namespace
}  // namespace tidegate
