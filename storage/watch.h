// WATCH: which clients must hear that a key changed before their EXEC.
//
//   slot -> WatchList: (db, key, WatchState of a client) …       kept under the slot's lock
//   client -> ClientWatches: WatchState, and its keys            kept by its session
//
// A change of a watched key marks the client's WatchState, which EXEC looks at while it holds the
// slots of all watched keys; so no change can slip between the look and what EXEC does. A client
// that stops watching only says so (`over`): its lines in the lists are dropped by whoever comes by
// next, because dropping them at once would need locks that the client does not have. Cost for
// slots that nobody watches: a bit of the slot's line. Source: Redis's multi.c for what counts as a
// change.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "storage/request.h"

namespace tidegate {

struct WatchState {
  std::atomic<bool> dirty{false};  // a watched key was changed
  std::atomic<bool> over{false};   // nobody will ask any more
};

// Needs the slot's lock, or the gate.
class WatchList final {
 public:
  bool empty() const { return lines_.empty(); }

  // `expired`: the key was there, but its time had passed. Its removal is then no change.
  void Add(int db, std::string_view key, bool expired, std::shared_ptr<WatchState> state);
  // The key was changed, or (gone) removed because its time had passed.
  void Touch(int db, std::string_view key, bool gone = false);
  // Calls fn(db, key, expired) for each line; true: it was changed. For FLUSHALL and SWAPDB.
  template <typename Fn>
  void ForEachKey(Fn&& fn) const {
    for (const Line& line : lines_) fn(line.db, std::string_view(line.key));
  }
  template <typename Fn>
  void TouchIf(Fn&& fn) {
    for (Line& line : lines_) {
      if (fn(line.db, std::string_view(line.key), line.expired)) line.state->dirty.store(true);
    }
    DropOver();
  }

 private:
  struct Line {
    int db;
    bool expired;
    std::string key;
    std::shared_ptr<WatchState> state;
  };
  void DropOver();

  std::vector<Line> lines_;
  size_t dropped_at_ = 0;  // lines there were when over ones were dropped last
};

// What one client watches. Owner: its worker.
class ClientWatches final {
 public:
  struct Key {
    int db;
    uint16_t slot;
    uint64_t hash;
    std::string name;

    KeyRef ref() const { return {name, hash, slot}; }
  };

  ClientWatches() = default;
  ~ClientWatches() { Clear(); }
  ClientWatches(const ClientWatches&) = delete;
  ClientWatches& operator=(const ClientWatches&) = delete;

  bool Watches(int db, std::string_view key) const;
  void Add(int db, const KeyRef& key) {
    keys_.push_back({db, key.slot, key.hash, std::string(key.name)});
  }
  const std::vector<Key>& keys() const { return keys_; }
  const std::shared_ptr<WatchState>& state();
  bool dirty() const { return state_ != nullptr && state_->dirty.load(); }
  // UNWATCH, and the end of EXEC and DISCARD.
  void Clear();

 private:
  std::shared_ptr<WatchState> state_;
  std::vector<Key> keys_;
};

}  // namespace tidegate
