// KeyCosts: what keys cost since a HOTKEYS session has begun, on one worker: time of commands, and
// bytes of requests and replies. Only while a session is under way; hot keys are found without it.
//
// A table of keys with exact sums. When it is full the half with the smallest costs is dropped, so
// a key that comes back later counts from then on: sums are at most the true ones, and a key with
// a large part of all costs is never dropped.
// Threads: any, under a mutex that the worker shares with nobody but who asks for the result.
// Cost: about 100 ns a key.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/thread_annotations.h"
#include "hotkey/key_id.h"
#include "storage/request.h"

namespace tidegate {

// Keys that one worker's table has.
inline constexpr size_t kCostedKeysMax = 8192;
// Bytes of a name that are kept. As HOTKEYS GET shows them.
inline constexpr size_t kCostedNameBytesMax = 512;

// What one command cost one key, or all of them.
struct KeyCost {
  uint64_t nanos = 0;
  uint64_t bytes = 0;

  KeyCost& operator+=(const KeyCost& other) {
    nanos += other.nanos;
    bytes += other.bytes;
    return *this;
  }
};

// Which commands of the session are counted.
struct CostSelection {
  uint32_t sample = 1;           // one key of so many
  std::vector<bool> slots = {};  // by number; empty: all
};

class KeyCosts final {
 public:
  explicit KeyCosts(CostSelection selection) : selection_(std::move(selection)) {}

  // A request and its reply, or one of both; the cost is shared by its keys, of which `counted`
  // are looked at.
  void Add(const Request& request, size_t counted, hotkey::Keyspace keyspace, const KeyCost& cost)
      TG_EXCLUDES(mutex_);
  // A reply that came later.
  void AddReply(hotkey::KeyId id, const KeyCost& cost) TG_EXCLUDES(mutex_);

  struct Entry {
    std::string name;
    KeyCost cost;
  };
  struct Sums {
    std::vector<Entry> keys;
    KeyCost all;       // of all commands with keys
    KeyCost selected;  // of these, of keys in the slots
    KeyCost sampled;   // of these, of keys that are sampled
  };
  Sums Take() const TG_EXCLUDES(mutex_);

 private:
  bool IsSampled(hotkey::KeyId id) const { return id % selection_.sample == 0; }
  bool IsSelected(uint16_t slot) const {
    return selection_.slots.empty() || selection_.slots[slot];
  }
  void DropCheap() TG_REQUIRES(mutex_);

  const CostSelection selection_;
  mutable Mutex mutex_;
  std::unordered_map<hotkey::KeyId, Entry> entries_ TG_GUARDED_BY(mutex_);
  KeyCost all_ TG_GUARDED_BY(mutex_);
  KeyCost selected_ TG_GUARDED_BY(mutex_);
  KeyCost sampled_ TG_GUARDED_BY(mutex_);
};

// Bytes of a request as a client sends it.
uint64_t EncodedBytes(const Request& request);

}  // namespace tidegate
