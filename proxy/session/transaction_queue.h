// TransactionQueue: what a client said between MULTI and EXEC.
//
// Requests are copied, because the input they came in is gone when EXEC comes. A request that is
// refused while the queue is open (unknown, wrong arity, no memory) makes EXEC refuse everything,
// as Redis does; one that fails when it runs does not. Owner: the session.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "storage/command.h"
#include "storage/owned_request.h"

namespace tidegate {

class UpstreamCluster;

class TransactionQueue final {
 public:
  bool open() const { return open_; }
  void Open() { open_ = true; }
  // EXEC and DISCARD; gives the memory back.
  void Close() { *this = TransactionQueue(); }

  void Add(const Request& request) {
    requests_.emplace_back(request);
    denies_oom_ = denies_oom_ || (request.command->spec->flags & kDenyOom) != 0;
    writes_ = writes_ || request.command->spec->access == Access::kWrite;
    bytes_ += requests_.back().memory_bytes() + sizeof(OwnedRequest);
  }
  // A request was refused: EXEC will refuse the rest.
  void Refuse() { refused_ = true; }
  bool refused() const { return refused_; }

  size_t size() const { return requests_.size(); }
  const OwnedRequest& at(size_t i) const { return requests_[i]; }
  // For CLIENT LIST's multi-mem.
  size_t memory_bytes() const { return bytes_; }

  // Whether a queued command may need memory: EXEC is refused when there is none.
  bool denies_oom() const { return denies_oom_; }
  // Whether a queued command may write: EXEC is refused when nothing may be written.
  bool writes() const { return writes_; }

  // Where it is executed: at an upstream, or here. Null: nothing decided it yet, or here.
  UpstreamCluster* upstream() const { return upstream_; }
  void set_upstream(UpstreamCluster& cluster) { upstream_ = &cluster; }
  // A command about the engine's keys is among them.
  bool engine() const { return engine_; }
  void NoteEngine() { engine_ = true; }
  // One that an upstream's transaction cannot have.
  const Command* foreign() const { return foreign_; }
  void NoteForeign(const Command& command) { foreign_ = &command; }
  // Nothing of the three is decided any more, nor its slot: the routes have changed.
  void ForgetPlacement() {
    upstream_ = nullptr;
    foreign_ = nullptr;
    engine_ = false;
    slot_ = -1;
  }
  // Whether its keys are in the slot of those before it, as a Redis Cluster wants it.
  bool FitsSlot(const Request& request) {
    for (const KeyRef& key : request.keys) {
      if (slot_ < 0) slot_ = key.slot;
      if (slot_ != key.slot) return false;
    }
    return true;
  }

  // What came of a command that ran before the others, see EXEC.
  struct Kept {
    std::string reply;
    uint64_t ticks;  // that it took
  };
  // Commands that run before the others: which one is next, when it began (0: it has not), and what
  // came of those before it.
  size_t next_ahead() const { return next_ahead_; }
  void BeginAhead(uint64_t now_ticks) {
    if (ahead_since_ticks_ == 0) ahead_since_ticks_ = now_ticks;
  }
  void KeepAhead(std::string reply, uint64_t now_ticks) {
    kept_.push_back({std::move(reply), now_ticks - ahead_since_ticks_});
    ahead_since_ticks_ = 0;
  }
  void AdvanceAhead() { ++next_ahead_; }
  const Kept& kept(size_t i) const { return kept_[i]; }

  // Slots of all keys, with repeats.
  std::vector<uint16_t> Slots() const {
    std::vector<uint16_t> slots;
    for (const OwnedRequest& request : requests_) {
      for (const KeyRef& key : request.view().keys) slots.push_back(key.slot);
    }
    return slots;
  }
  // All keys, with repeats: views into the requests.
  std::vector<KeyRef> Keys() const {
    std::vector<KeyRef> keys;
    for (const OwnedRequest& request : requests_) {
      const std::span<const KeyRef> more = request.view().keys;
      keys.insert(keys.end(), more.begin(), more.end());
    }
    return keys;
  }
  // Whether one of the requests may come upon any key.
  bool MeetsAnyKey() const {
    return std::any_of(requests_.begin(), requests_.end(), [](const OwnedRequest& request) {
      const CommandSpec& spec = *request.command()->spec;
      return (spec.flags & kMeetsAnyKey) != 0 &&
             ScopeOfCall(spec, request.view().args) != Scope::kManyKeys;
    });
  }
  // Whether one of the requests is over the whole keyspace.
  bool NeedsWholeKeyspace() const {
    for (const OwnedRequest& request : requests_) {
      const Scope scope = ScopeOfCall(*request.command()->spec, request.view().args);
      if (scope == Scope::kWholeKeyspace || scope == Scope::kSlotBySlot) return true;
    }
    return false;
  }

 private:
  bool open_ = false;
  bool refused_ = false;
  bool denies_oom_ = false;
  bool writes_ = false;
  bool engine_ = false;
  int slot_ = -1;  // of its keys; -1: it has none yet
  UpstreamCluster* upstream_ = nullptr;
  const Command* foreign_ = nullptr;
  size_t next_ahead_ = 0;
  uint64_t ahead_since_ticks_ = 0;
  std::vector<Kept> kept_;
  size_t bytes_ = 0;
  std::vector<OwnedRequest> requests_;
};

}  // namespace tidegate
