// BulkLengths: how long the texts of an array reply are, without keeping them: for MGET, whose
// reply says the size of each key's value, and which may be handed on in pieces of any size.
//
//   *3\r\n  $5\r\nhello\r\n  $-1\r\n  $2000000\r\n…          lengths: 5, 0, 2000000
//
// Only arrays of bulk strings and nulls are understood; at anything else it stops, and what was
// found until then stands. Looks at headers alone: a text is jumped over. Owner: a link.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/text.h"

namespace tidegate {

// Elements that are looked at; more keys of one request are not kept either (KeyLists).
inline constexpr size_t kBulkLengthsMax = 1024;

class BulkLengths final {
 public:
  // The bytes of the reply, one piece after the other.
  void Feed(std::string_view bytes) {
    while (!bytes.empty() && !stopped_) {
      const size_t jump = static_cast<size_t>(std::min<uint64_t>(to_skip_, bytes.size()));
      to_skip_ -= jump;
      bytes.remove_prefix(jump);
      if (!bytes.empty()) TakeHeader(bytes);
    }
  }

  // Of those that began; 0 of a null.
  const std::vector<uint64_t>& lengths() const { return lengths_; }

 private:
  static constexpr size_t kHeaderBytesMax = 32;

  void TakeHeader(std::string_view& bytes) {
    const size_t end = bytes.find('\n');
    header_ += bytes.substr(0, end);
    bytes.remove_prefix(end == std::string_view::npos ? bytes.size() : end + 1);
    stopped_ = header_.size() > kHeaderBytesMax;
    if (stopped_ || end == std::string_view::npos) return;
    if (header_.ends_with('\r')) header_.pop_back();
    stopped_ = !Understand() || lengths_.size() == kBulkLengthsMax;
    header_.clear();
  }

  bool Understand() {
    if (!began_) {
      began_ = true;
      return header_.starts_with('*');
    }
    if (header_ == "$-1" || header_ == "_") {
      lengths_.push_back(0);
      return true;
    }
    if (!header_.starts_with('$')) return false;
    const std::optional<uint64_t> bytes = ParseUint64(std::string_view(header_).substr(1));
    if (!bytes) return false;
    lengths_.push_back(*bytes);
    constexpr uint64_t kLineEnd = 2;
    to_skip_ = *bytes + kLineEnd;
    return true;
  }

  std::string header_;  // of which not all has come
  uint64_t to_skip_ = 0;
  bool began_ = false;
  bool stopped_ = false;
  std::vector<uint64_t> lengths_;
};

}  // namespace tidegate
