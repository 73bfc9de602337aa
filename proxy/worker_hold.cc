// The part of Worker that keeps replies back until the journal is synced (appendfsync always).
//
// A reply may tell of any change that was made before it: the client's own, or another's that it
// read. So at the end of a turn all replies of the turn wait for all records appended by then, on
// whatever thread. On a quick disk the worker syncs there and then (Journal::SyncHere). Else the
// sessions execute nothing meanwhile, and the loop goes on with others; the journal wakes the
// worker through its mailbox. While syncing fails only those wait that changed
// something: they are never told that it is safe, but everybody can go on reading.
#include <chrono>
#include <iterator>
#include <utility>

#include "base/clock.h"
#include "proxy/server.h"
#include "proxy/worker.h"
#include "storage/engine_thread.h"
#include "storage/persistence.h"

namespace tidegate {

// Clients that were all answered after one sync come again at about the same time, but not in one
// turn of the loop. A sync for the first few of them would let the others wait for the next one. So
// for a moment the loop only looks for more, as long as there were more the last time.
bool Worker::GatherReplies() {
  const Persistence& persistence = *server_.persistence();
  const size_t count = dirty_.size();
  const bool wanted = count < last_gathered_ && persistence.sequence() > persistence.synced() &&
                      persistence.SyncsHere();
  const int64_t now_nanos = wanted ? MonotonicNanos() : 0;
  if (gather_nanos_ == 0) gather_nanos_ = now_nanos;
  if (count != std::exchange(gathered_, count)) gathered_nanos_ = now_nanos;
  const auto max_nanos = std::chrono::nanoseconds(kGatherRepliesMax).count();
  const auto idle_nanos = std::chrono::nanoseconds(kGatherRepliesIdleMax).count();
  if (wanted && now_nanos - gather_nanos_ < max_nanos && now_nanos - gathered_nanos_ < idle_nanos) {
    wake_up_->Send();
    return true;
  }
  last_gathered_ = count;
  gathered_ = 0;
  gather_nanos_ = 0;
  return false;
}

bool Worker::HoldReplies() {
  Persistence& persistence = *server_.persistence();
  const uint64_t sequence = persistence.sequence();
  if (sequence <= persistence.synced() || persistence.SyncHere(sequence)) return false;
  const bool readers_go = persistence.cannot_sync();
  HeldReplies held{sequence, {}};
  std::vector<uint64_t> free;
  for (const uint64_t id : dirty_) {
    Session* session = FindSession(id);
    if (session == nullptr) continue;
    if (session->killed() || (readers_go && !session->has_unsynced_changes())) {
      free.push_back(id);
      continue;
    }
    session->set_dirty(false);
    if (session->holds_replies()) continue;  // a message to a subscriber goes with what is held
    session->HoldReplies();
    held.sessions.push_back(id);
  }
  dirty_ = std::move(free);
  if (!held.sessions.empty()) {
    held_.push_back(std::move(held));
    persistence.AwaitSynced(sequence, {engine_thread_, MakeTicket(kJournalTicketSession, index_)});
  }
  return dirty_.empty();
}

void Worker::ReleaseReplies() {
  Persistence& persistence = *server_.persistence();
  const uint64_t ticket = MakeTicket(kJournalTicketSession, index_);
  // Woken to look again: it may be this worker's to sync.
  const bool look_again = !held_.empty() && held_.front().sequence > persistence.synced() &&
                          !persistence.SyncHere(held_.back().sequence);
  const uint64_t synced = persistence.synced();
  for (; !held_.empty() && held_.front().sequence <= synced; held_.pop_front()) {
    const std::vector<uint64_t>& sessions = held_.front().sessions;
    released_.insert(released_.end(), sessions.begin(), sessions.end());
  }
  if (!held_.empty() && persistence.cannot_sync()) {
    for (HeldReplies& held : held_) {
      std::erase_if(held.sessions, [&](uint64_t id) {
        const Session* session = FindSession(id);
        if (session == nullptr || session->has_unsynced_changes()) return session == nullptr;
        released_.push_back(id);
        return true;
      });
    }
  }
  if (look_again) {
    const Waiter waiter{engine_thread_, ticket};
    persistence.Forget(waiter);
    for (const HeldReplies& held : held_) persistence.AwaitSynced(held.sequence, waiter);
  }
  // Each of them executes what came meanwhile: a turn's worth, then others have theirs.
  while (!released_.empty()) {
    const uint64_t id = released_.front();
    released_.pop_front();
    if (Session* session = FindSession(id)) session->ReleaseReplies();
    if (!released_.empty() && loop_.TurnIsLong()) return PostWake(ticket);
  }
}

// --- the session's side ---

size_t Session::ExecuteHeld(std::span<const Request> requests, int64_t now_ms) {
  // What another client gave it, or what it did in turns, was changed before.
  const bool resumed = resuming_;
  const EngineCounters& counters = worker_.engine_thread().counters;
  const int64_t changes_before = counters.changes.value();
  const size_t done = Execute(requests, now_ms);
  if (resumed || counters.changes.value() != changes_before) has_unsynced_changes_ = true;
  return done;
}

void Session::ReleaseReplies() {
  if (stream_.closing()) return;
  stops_ = static_cast<uint8_t>(stops_ & ~kStopSync);
  has_unsynced_changes_ = false;
  FlushNow();
  if (stream_.closing()) return;
  if (std::exchange(woken_while_held_, false)) Resume();
  if (stream_.closing()) return;
  EndOutputStop();
  RunKept();
}

}  // namespace tidegate
