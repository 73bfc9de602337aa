#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <random>
#include <string>
#include <vector>

#include "storage/value/list_value.h"
#include "tests/support/engine_fixture.h"

namespace tidegate {
namespace {

using testing::Bulk;
using testing::Integer;
using testing::kNull;
using testing::kOk;
using testing::TestEngine;

using Model = std::deque<std::string>;

std::string ArrayOf(const Model& elements) {
  std::string text = "*" + std::to_string(elements.size()) + "\r\n";
  for (const std::string& element : elements) text += Bulk(element);
  return text;
}

TEST(ListCommandsTest, AddsAndTakesAtBothEnds) {
  TestEngine engine;
  EXPECT_EQ(engine.Run("RPUSH l b c"), Integer(2));
  EXPECT_EQ(engine.Run("LPUSH l a 1"), Integer(4));
  EXPECT_EQ(engine.Run("LRANGE l 0 -1"), ArrayOf({"1", "a", "b", "c"}));
  EXPECT_EQ(engine.Run("LPOP l"), Bulk("1"));
  EXPECT_EQ(engine.Run("RPOP l 5"), ArrayOf({"c", "b", "a"}));
  EXPECT_EQ(engine.Run("EXISTS l"), Integer(0));
}

TEST(ListCommandsTest, KeepsItsExpiryWhateverFormItTakes) {
  TestEngine engine;
  engine.engine().settings().list_listpack_size = 4;
  EXPECT_EQ(engine.Run("RPUSH l 1 2 3"), Integer(3));
  EXPECT_EQ(engine.Run("PEXPIRE l 100"), Integer(1));
  EXPECT_EQ(engine.Run("RPUSH l 4 5 6"), Integer(6));
  EXPECT_EQ(engine.Run("OBJECT ENCODING l"), Bulk("quicklist"));
  EXPECT_EQ(engine.Run("RPOP l 5"), ArrayOf({"6", "5", "4", "3", "2"}));
  EXPECT_EQ(engine.Run("OBJECT ENCODING l"), Bulk("listpack"));
  EXPECT_EQ(engine.Run("PTTL l"), Integer(100));
  engine.AdvanceMs(100);
  EXPECT_EQ(engine.Run("LLEN l"), Integer(0));
}

TEST(ListCommandsTest, AListOfOneTurnsIntoItself) {
  TestEngine engine;
  const std::string large(20000, 'x');
  for (const std::string& element : {std::string("7"), std::string(), large}) {
    EXPECT_EQ(engine.RunWords({"RPUSH", "l", element}), Integer(1));
    EXPECT_EQ(engine.Run("RPOPLPUSH l l"), Bulk(element));
    EXPECT_EQ(engine.Run("LMOVE l l LEFT LEFT"), Bulk(element));
    EXPECT_EQ(engine.Run("LPOP l"), Bulk(element));
  }
}

// One random command on the list and on the model; both must answer the same.
class ListModel final {
 public:
  ListModel(TestEngine& engine, uint64_t seed) : engine_(engine), random_(seed) {}

  void Step() {
    switch (Below(9)) {
      case 0:
        return Push(true);
      case 1:
        return Push(false);
      case 2:
        return Pop();
      case 3:
        return Set();
      case 4:
        return Insert();
      case 5:
        return Remove();
      case 6:
        return Trim();
      case 7:
        return Rotate();
      default:
        return Look();
    }
  }
  void Compare() {
    ASSERT_EQ(engine_.Run("LRANGE l 0 -1"), ArrayOf(model_));
    engine_.WithDatabase("l", [](Database& db, const KeyRef& key) {
      const Entry* entry = db.Peek(key);
      if (entry != nullptr && entry->encoding() == Encoding::kPagedList)
        entry->object<PagedList>()->Check();
    });
  }

 private:
  size_t Below(size_t n) { return std::uniform_int_distribution<size_t>(0, n - 1)(random_); }
  std::string Index(size_t i) { return std::to_string(i); }
  std::string Element() {
    switch (Below(12)) {
      case 0:
        return std::string(Below(9000), 'L');
      case 1:
        return std::string(Below(300), 'm');
      case 2:
        return std::to_string(static_cast<int64_t>(random_()) >> Below(64));
      default:
        return std::to_string(Below(20));
    }
  }
  void Push(bool head) {
    std::vector<std::string> words = {head ? "LPUSH" : "RPUSH", "l"};
    for (size_t n = 1 + Below(30); n > 0; --n) {
      words.push_back(Element());
      head ? model_.push_front(words.back()) : model_.push_back(words.back());
    }
    ASSERT_EQ(engine_.RunWords(words), Integer(static_cast<int64_t>(model_.size())));
  }
  void Pop() {
    if (model_.empty()) return;
    const size_t n = std::min(1 + Below(12), model_.size());
    Model taken;
    const bool head = Below(2) == 0;
    for (size_t i = 0; i < n; ++i) {
      taken.push_back(head ? model_.front() : model_.back());
      head ? model_.pop_front() : model_.pop_back();
    }
    ASSERT_EQ(engine_.RunWords({head ? "LPOP" : "RPOP", "l", Index(n)}), ArrayOf(taken));
  }
  void Set() {
    if (model_.empty()) return;
    const size_t at = Below(model_.size());
    model_[at] = Element();
    ASSERT_EQ(engine_.RunWords({"LSET", "l", Index(at), model_[at]}), kOk);
  }
  void Insert() {
    const std::string pivot = Element();
    const std::string element = Element();
    const bool after = Below(2) == 0;
    const auto found = std::find(model_.begin(), model_.end(), pivot);
    int64_t expected = model_.empty() ? 0 : -1;
    if (found != model_.end()) {
      model_.insert(after ? found + 1 : found, element);
      expected = static_cast<int64_t>(model_.size());
    }
    ASSERT_EQ(engine_.RunWords({"LINSERT", "l", after ? "AFTER" : "BEFORE", pivot, element}),
              Integer(expected));
  }
  void Remove() {
    const std::string element = Element();
    const int64_t count = static_cast<int64_t>(Below(9)) - 4;
    size_t left = count == 0 ? model_.size() : static_cast<size_t>(std::abs(count));
    Model kept;
    int64_t removed = 0;
    if (count < 0) std::reverse(model_.begin(), model_.end());
    for (const std::string& other : model_) {
      if (other == element && left > 0) {
        --left;
        ++removed;
      } else {
        kept.push_back(other);
      }
    }
    if (count < 0) std::reverse(kept.begin(), kept.end());
    model_ = kept;
    ASSERT_EQ(engine_.RunWords({"LREM", "l", std::to_string(count), element}), Integer(removed));
  }
  void Trim() {
    if (Below(8) != 0 || model_.empty()) return;
    const size_t from = Below(model_.size() / 4 + 1);
    const size_t to = model_.size() - 1 - Below(model_.size() / 4 + 1);
    ASSERT_EQ(engine_.RunWords({"LTRIM", "l", Index(from), Index(to)}), kOk);
    model_ = from > to ? Model()
                       : Model(model_.begin() + static_cast<ptrdiff_t>(from),
                               model_.begin() + static_cast<ptrdiff_t>(to) + 1);
  }
  void Rotate() {
    if (model_.empty()) return;
    ASSERT_EQ(engine_.Run("LMOVE l l LEFT RIGHT"), Bulk(model_.front()));
    model_.push_back(model_.front());
    model_.pop_front();
  }
  void Look() {
    const size_t at = Below(model_.size() + 2);
    ASSERT_EQ(engine_.RunWords({"LINDEX", "l", Index(at)}),
              at < model_.size() ? Bulk(model_[at]) : std::string(kNull));
    const std::string element = Element();
    const auto found = std::find(model_.begin(), model_.end(), element);
    ASSERT_EQ(engine_.RunWords({"LPOS", "l", element}),
              found == model_.end() ? std::string(kNull) : Integer(found - model_.begin()));
  }

  TestEngine& engine_;
  std::mt19937_64 random_;
  Model model_;
};

TEST(ListCommandsTest, BehavesAsADeque) {
  for (const int listpack_size : {-2, -5, 5, 64, 1}) {
    const uint64_t seed = 77 + static_cast<uint64_t>(listpack_size + 10);
    SCOPED_TRACE("seed " + std::to_string(seed));
    TestEngine engine;
    engine.engine().settings().list_listpack_size = listpack_size;
    ListModel model(engine, seed);
    for (int i = 0; i < 1500 && !::testing::Test::HasFatalFailure(); ++i) {
      model.Step();
      if (i % 16 == 0) model.Compare();
    }
  }
}

TEST(ListCommandsTest, ALargeListIsCopiedAndFreedPageByPage) {
  const auto limits = PagedList::Limits{4096, UINT64_MAX};
  PackedBlock* none = nullptr;
  PackedBlockBuffer buffer(none, 0);
  Listpack empty(buffer);
  empty.Create();
  PagedList* list = PagedList::Create(empty.view(), limits, 0);
  PackedBlock::Destroy(none);
  constexpr int64_t kElements = 100'000;
  for (int64_t i = 0; i < kElements; ++i) list->Push(ListEnd::kTail, ListpackValue(i), limits);
  list->Check();
  EXPECT_GT(list->page_count(), 100u);
  PagedList* copy = list->Clone();
  list->Erase(10, kElements - 20, limits);
  list->Check();
  EXPECT_EQ(list->size(), 20u);
  copy->Check();
  EXPECT_EQ(copy->size(), static_cast<uint64_t>(kElements));
  int64_t expected = kElements / 2;
  copy->Visit(static_cast<uint64_t>(expected), [&](const ListpackValue& value) {
    EXPECT_EQ(value.integer(), expected++);
    return true;
  });
  EXPECT_EQ(expected, kElements);
  int calls = 0;
  while (!PagedList::FreeSome(copy, 16)) ++calls;
  EXPECT_GT(calls, 1);
  PagedList::Destroy(list);
}

}  // namespace
}  // namespace tidegate
