// ExpiryTimes: when keys of one route expire, as far as it is known without asking for each read:
// from writes with a time to live that went through this process, and from PTTL, once for a key
// that is read again and of which nothing is known.
//
// A table of a fixed size, a word for each key: whose key it is (the upper half of its id, beside
// the index), and when it expires in milliseconds, or how far it has come to be known. Two keys
// with one index push each other out, and are asked for again; a word is one load, so it is never
// half of one key's and half of another's. What it says may be wrong, when somebody else has
// written the key: who acts on it must be able to afford that. Threads: any. Cost: a load, or a
// store.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>

#include "hotkey/key_id.h"

namespace tidegate {

inline constexpr size_t kExpiryCells = 16384;
// 12 days. Later ones, and keys without an end, are taken for this, and asked for again then.
inline constexpr int64_t kKnownTtlMsMax = int64_t{1} << 30;

class ExpiryTimes final {
 public:
  ExpiryTimes() : cells_(std::make_unique<Cell[]>(kExpiryCells)) {}

  // Time to live, above 0; none: it is not known. A time that is over was that of a value that is
  // not there any more.
  std::optional<int64_t> RemainingMs(hotkey::KeyId id, int64_t now_ms) const {
    const uint64_t word = CellOf(id).load(std::memory_order_relaxed);
    const auto at = static_cast<uint32_t>(word);
    if (word >> 32 != TagOf(id) || at <= kAsked) return std::nullopt;
    const auto remaining = static_cast<int32_t>(at - static_cast<uint32_t>(now_ms));
    return remaining > 0 ? std::optional<int64_t>(remaining) : std::nullopt;
  }

  // Nothing is known of a key that was read. True: for the second time, so the caller asks, and
  // says Set or Forget in the end.
  bool ShouldAsk(hotkey::KeyId id) {
    Cell& cell = CellOf(id);
    const uint64_t word = cell.load(std::memory_order_relaxed);
    if (word == WordOf(id, kAsked)) return false;
    const bool asks = word == WordOf(id, kSeen);
    cell.store(WordOf(id, asks ? kAsked : kSeen), std::memory_order_relaxed);
    return asks;
  }

  // Below 0: it does not expire.
  void Set(hotkey::KeyId id, int64_t now_ms, int64_t ttl_ms) {
    const int64_t known = ttl_ms < 0 ? kKnownTtlMsMax : std::min(ttl_ms, kKnownTtlMsMax);
    const auto at = static_cast<uint32_t>(now_ms + known);
    CellOf(id).store(WordOf(id, std::max(at, kAsked + 1)), std::memory_order_relaxed);
  }
  void Forget(hotkey::KeyId id) {
    Cell& cell = CellOf(id);
    if (cell.load(std::memory_order_relaxed) >> 32 == TagOf(id))
      cell.store(WordOf(id, kSeen), std::memory_order_relaxed);
  }

 private:
  using Cell = std::atomic<uint64_t>;
  // In place of a time.
  static constexpr uint32_t kSeen = 1;
  static constexpr uint32_t kAsked = 2;

  static uint64_t TagOf(hotkey::KeyId id) { return id >> 32; }
  static uint64_t WordOf(hotkey::KeyId id, uint32_t value) { return TagOf(id) << 32 | value; }
  Cell& CellOf(hotkey::KeyId id) const { return cells_[id % kExpiryCells]; }

  const std::unique_ptr<Cell[]> cells_;
};

}  // namespace tidegate
