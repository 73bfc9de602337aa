#include "storage/commands/sort_elements.h"

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstdlib>
#include <cstring>

namespace tidegate {
namespace {

// Elements that are sorted in one go, some 0.3 ms, and the steps that this counts for.
constexpr size_t kRunElements = 2048;
constexpr size_t kStepsOfRun = 11 * kRunElements;

}  // namespace

// A text that is larger than a block has one of its own.
char* SortElements::NewBlock(size_t bytes) {
  block_bytes_ = std::min(2 * block_bytes_, kBlockBytesMax);
  const size_t size = std::max(bytes, block_bytes_);
  blocks_.emplace_back(new char[size]);
  block_left_ = size;
  return blocks_.back().get();
}

const char* SortElements::Keep(std::string_view text) {
  const size_t whole = kSizeBytes + text.size() + 1;
  if (block_left_ < whole) next_text_ = NewBlock(whole);
  char* const place = next_text_;
  const auto size = static_cast<uint32_t>(text.size());
  std::memcpy(place, &size, kSizeBytes);
  if (!text.empty()) std::memcpy(place + kSizeBytes, text.data(), text.size());
  place[whole - 1] = '\0';
  next_text_ += whole;
  block_left_ -= whole;
  return place;
}

std::string_view SortElements::TextAt(const char* text) {
  uint32_t size = 0;
  std::memcpy(&size, text, kSizeBytes);
  return {text + kSizeBytes, size};
}

bool SortElements::Score(size_t i, const char* text) {
  char* end = nullptr;
  errno = 0;
  const double score = std::strtod(text, &end);
  if (*end != '\0' || errno == ERANGE || std::isnan(score)) return false;
  items_[i].score = score;
  return true;
}

int SortElements::CompareWeights(const char* a, const char* b) {
  if (a != nullptr && b != nullptr) return TextAt(a).compare(TextAt(b));
  return static_cast<int>(a != nullptr) - static_cast<int>(b != nullptr);
}

int SortElements::Compare(const Order& order, const Item& a, const Item& b) {
  int result = 0;
  switch (order.by) {
    case By::kScore:
      if (a.score != b.score) {
        result = a.score < b.score ? -1 : 1;
        break;
      }
      [[fallthrough]];
    case By::kText:
      result = TextAt(a.text).compare(TextAt(b.text));
      break;
    case By::kWeightText:
      result = CompareWeights(a.weight, b.weight);
      break;
  }
  return order.descending ? -result : result;
}

bool SortElements::SortSome(const Order& order, size_t steps) {
  size_t done = 0;
  while (done < steps) {
    if (runs_end_ < items_.size()) {
      done += SortRun(order);
      continue;
    }
    if (run_size_ == 0) {
      run_size_ = kRunElements;
      if (items_.size() > run_size_) merged_.reset(new Item[items_.size()]);
      BeginMerge(0);
    }
    if (run_size_ >= items_.size()) return true;
    done += MergeSome(order, steps - done);
  }
  return false;
}

size_t SortElements::SortRun(const Order& order) {
  const size_t end = std::min(runs_end_ + kRunElements, items_.size());
  const auto at = [this](size_t i) { return items_.begin() + static_cast<ptrdiff_t>(i); };
  std::stable_sort(at(runs_end_), at(end),
                   [&](const Item& a, const Item& b) { return Compare(order, a, b) < 0; });
  runs_end_ = end;
  return kStepsOfRun;
}

void SortElements::BeginMerge(size_t begin) {
  merge_ = {begin, begin, std::min(begin + run_size_, items_.size()), begin};
}

// Goes on with the merge of two runs; at the end of all runs, doubles their size.
size_t SortElements::MergeSome(const Order& order, size_t steps) {
  const size_t left_end = std::min(merge_.begin + run_size_, items_.size());
  const size_t right_end = std::min(left_end + run_size_, items_.size());
  const size_t stop = std::min(right_end, merge_.out + steps);
  const size_t before = merge_.out;
  const Item* const from = data();
  Item* const to = in_merged_ ? items_.data() : merged_.get();
  while (merge_.out < stop) {
    const bool from_right =
        merge_.left == left_end ||
        (merge_.right < right_end && Compare(order, from[merge_.right], from[merge_.left]) < 0);
    to[merge_.out++] = from[from_right ? merge_.right++ : merge_.left++];
  }
  const size_t moved = merge_.out - before;
  if (merge_.out < right_end) return moved;
  if (right_end < items_.size()) {
    BeginMerge(right_end);
  } else {
    in_merged_ = !in_merged_;
    run_size_ *= 2;
    BeginMerge(0);
  }
  return moved;
}

}  // namespace tidegate
