// SortElements: what SORT sorts. Copies of the elements, what each of them is sorted by, and a sort
// that can stop and go on.
//
//   texts    size, bytes, NUL | size, bytes, NUL | …       elements, and texts they are sorted by
//   items    {the element, its score or the text it is sorted by}   16 bytes each
//
// Texts stand in blocks that never move, and the place that is merged into is not written before it
// is needed: neither growing nor beginning to sort takes longer the more there is.
//
// Why copies: the slot of the key is let go before the sort begins, so that neither looking up what
// to sort by nor sorting millions of elements keeps others from the key. Why a merge sort from the
// bottom up: its state between two steps is four indexes, it never recurses, and it is stable, as
// the C library's qsort is that Redis uses, so that equal elements come out in the same order.
// Owner: the command. Cost: n log n comparisons, 32 bytes an element beside its text.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tidegate {

class SortElements final {
 public:
  enum class By : uint8_t { kScore, kText, kWeightText };
  struct Order {
    By by = By::kScore;
    bool descending = false;
  };

  void Reserve(size_t elements) { items_.reserve(elements); }
  void Add(std::string_view text) { items_.push_back({.text = Keep(text), .score = 0}); }

  size_t size() const { return items_.size(); }
  std::string_view text(size_t i) const { return TextAt(data()[i].text); }

  // What an element is sorted by. False: the text is no number as strtod reads them, and whole.
  bool ScoreByItself(size_t i) { return Score(i, items_[i].text + kSizeBytes); }
  bool ScoreBy(size_t i, const std::string& text) { return Score(i, text.c_str()); }
  // For kWeightText. Nothing stands before every text.
  void WeighBy(size_t i, std::optional<std::string_view> text) {
    items_[i].weight = text ? Keep(*text) : nullptr;
  }

  // Sorts on, for so many steps (about one comparison and one move each); true when it is done.
  // Nothing may be added or weighed once it has begun; the order must stay the same.
  bool SortSome(const Order& order, size_t steps);

 private:
  struct Item {
    const char* text;
    union {
      double score;
      const char* weight;  // null: none
    };
  };
  // Where a merge of two neighbouring runs stands: which runs, and how far in each.
  struct Merge {
    size_t begin = 0;
    size_t left = 0;
    size_t right = 0;
    size_t out = 0;
  };

  static constexpr size_t kSizeBytes = sizeof(uint32_t);
  static constexpr size_t kBlockBytesMin = size_t{4} << 10;
  static constexpr size_t kBlockBytesMax = size_t{256} << 10;

  const char* Keep(std::string_view text);
  char* NewBlock(size_t bytes);
  static std::string_view TextAt(const char* text);
  // The items as far as they are sorted.
  const Item* data() const { return in_merged_ ? merged_.get() : items_.data(); }
  Item* data() { return in_merged_ ? merged_.get() : items_.data(); }
  bool Score(size_t i, const char* text);
  static int Compare(const Order& order, const Item& a, const Item& b);
  static int CompareWeights(const char* a, const char* b);
  size_t SortRun(const Order& order);
  size_t MergeSome(const Order& order, size_t steps);
  void BeginMerge(size_t begin);

  std::vector<std::unique_ptr<char[]>> blocks_;
  char* next_text_ = nullptr;  // in the last block
  size_t block_left_ = 0;
  size_t block_bytes_ = kBlockBytesMin;  // of the next one
  std::vector<Item> items_;
  std::unique_ptr<Item[]> merged_;
  bool in_merged_ = false;  // what is sorted so far
  size_t runs_end_ = 0;     // up to here runs are sorted
  size_t run_size_ = 0;     // 0: runs are still being made
  Merge merge_;
};

}  // namespace tidegate
