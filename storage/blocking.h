// Blocking commands: a request that waits until a key holds something for it, and the queues in
// which it waits.
//
//   BLPOP a b 0  ->  BlockedRequest ──┬── queue of a (slot 15495)      kept under each slot's lock,
//                                     └── queue of b (slot 3300)       in the order of arrival
//
// The handler finds nothing, puts the request into the queue of each of its keys while it still
// holds their slots, and suspends; so nothing can arrive unseen in between. Whoever makes such a
// key non-empty serves the queue before it unlocks the slot: it claims the first request by one
// compare-and-swap, runs its command on its behalf, and leaves the encoded reply with it. Nothing
// is served twice, because a request that waits at two keys, whose time is up or whose client is
// gone can be claimed by one of them only; nothing is lost or overtaken, because the value never
// becomes visible to anybody else in between.
//
//   kWaiting ──claim──> kClaimed ──> kServed   the pusher's thread
//      ^  │                 │
//      │  └──────────┐      └── nothing for it after all: kWaiting again, or kEnded without client
//      │             └──> kEnded               its own thread: time is up, UNBLOCK, client gone
//
// A command that moves what it gets (BLMOVE) also writes to another key: its slot is among
// `targets`, and pushers lock it before they begin (Engine). Lines of ended requests are dropped by
// whoever comes by next.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/reply_writer.h"
#include "storage/owned_request.h"
#include "storage/waiter.h"

namespace tidegate {

class ColdHold;

// What a command that waits answers where nothing may block (MULTI). One whose time is up gets the
// null array, whichever command it is: as Redis.
enum class TimeoutReply : uint8_t { kNullArray, kNull };

struct BlockedRequest {
  enum State : uint8_t { kWaiting, kClaimed, kServed, kEnded };

  std::atomic<State> state{kWaiting};
  std::atomic<bool> abandoned{false};  // the client is gone: never waits again
  OwnedRequest request;
  int db = 0;
  bool no_touch = false;
  Protocol protocol = Protocol::kResp2;
  Waiter waiter;  // whom to wake
  std::vector<uint16_t> targets;
  std::shared_ptr<ColdHold> hold;  // of the target, so that it is in memory when this is served
  int64_t deadline_ms = 0;         // unix time; 0: never
  // Written by the one who claimed it, before kServed; read by its own thread after.
  std::string reply;

  bool Claim() {
    State expected = kWaiting;
    return state.compare_exchange_strong(expected, kClaimed, std::memory_order_acq_rel);
  }
  // By who claimed it: there is nothing for it.
  void PutBack() {
    state.store(kWaiting);
    if (abandoned.load()) End();
  }
  // False: it is claimed or served.
  bool End() {
    State expected = kWaiting;
    return state.compare_exchange_strong(expected, kEnded);
  }
  // The client is gone. Who has claimed the request may serve it all the same, but does not let it
  // wait on: it would take what comes next from those who are there. Of two that pass each other
  // here and in PutBack one sees the other, hence the order.
  void Abandon() {
    abandoned.store(true);
    End();
  }
};

// The requests that wait at the keys of one slot. Needs the slot's lock, or the gate.
class BlockedQueues final {
 public:
  using Queue = std::deque<std::shared_ptr<BlockedRequest>>;

  bool empty() const { return queues_.empty(); }
  // Behind those that are there. Ended ones are dropped now and then.
  void Add(int db, std::string_view key, std::shared_ptr<BlockedRequest> request);
  // Null: nobody waits there.
  Queue* Find(int db, std::string_view key);
  void DropIfEmpty(int db, std::string_view key);
  // Takes a request out of one queue; it need not be there.
  void Remove(int db, std::string_view key, const BlockedRequest* request);
  // Slots that must be held to serve whoever waits here: appended to `out`.
  void CollectTargets(std::vector<uint16_t>& out) const;
  bool has_targets() const;
  // Calls fn(db, key) for every queue.
  template <typename Fn>
  void ForEachKey(Fn&& fn) const {
    for (const auto& [name, queue] : queues_) fn(DbOf(name), KeyOf(name));
  }
  // Calls fn(const BlockedRequest&), for some of them more than once.
  template <typename Fn>
  void ForEachRequest(Fn&& fn) const {
    for (const auto& [name, queue] : queues_) {
      for (const auto& request : queue) fn(*request);
    }
  }

 private:
  // Database and key as one string.
  static std::string Name(int db, std::string_view key);
  static int DbOf(const std::string& name);
  static std::string_view KeyOf(const std::string& name);
  static void DropEnded(Queue& queue);

  std::unordered_map<std::string, Queue> queues_;
};

}  // namespace tidegate
