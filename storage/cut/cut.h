// Cut: the keyspace as it is at one moment, given to a sink while everybody goes on changing it.
// The one mechanism behind snapshots of every kind.
//
//   moment    the exclusive gate for some microseconds: from here on new entries carry the cut's
//             mark, and what was there before does not
//   walk      the cut's thread takes the slots one after the other, each under its lock: an entry
//             without the mark goes to the sink and gets it
//   change    whoever is about to change an entry without the mark in a slot that was not walked
//             yet encodes it first, and marks it: 0.3 us for a small one, once per key and cut
//   end       the gate again: what threads still keep of encoded entries is collected
//
// No fork, no second table, one bit in each entry. After a cut all entries have its mark, so the
// next one uses the other. Large values are not encoded by who changes them: the request waits
// until the cut's thread, asked to do this slot next, is through with it (cut_queue.h). FLUSHDB
// hands the tables it drops to the cut, SWAPDB is remembered: entries go by the number that their
// database had at the moment.
//
// A cut for a checkpoint goes over the same entries and gives the sink only those that have changed
// since the last one that succeeded. An entry is dirty from its first change on; the cut that
// writes it calls it stored and in flight instead, which is as good as dirty for the next one when
// it turns out that this checkpoint failed. So nothing has to be undone.
//
// Alternatives: fork (Redis) copies page tables in one stall, and memory as it is written to;
// versions of each entry cost every change, at all times. Owner: CutWalker; what it says here about
// slots needs their lock.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/hash.h"
#include "storage/cut/cut_queue.h"
#include "storage/cut/cut_sink.h"
#include "storage/keyspace/table.h"

namespace tidegate {

class EngineThread;
class Keyspace;

class Cut final {
 public:
  // `rewrites`: the last checkpoint failed.
  Cut(CutSink& sink, CutQueue& queue, Keyspace& keyspace, bool mark, bool rewrites);

  bool mark() const { return mark_; }
  bool only_dirty() const { return only_dirty_; }
  // Whether the entry is as it was at the moment, and the sink has not got it yet.
  bool Wants(uint16_t slot, const Entry& entry) const {
    return entry.cut_mark() != mark_ && !walked_[slot].load(std::memory_order_relaxed);
  }
  // The same, and that the sink wants to have it as well.
  bool WantsBytes(uint16_t slot, const Entry& entry) const {
    return Wants(slot, entry) && IsWritten(entry);
  }
  bool IsWalked(uint16_t slot) const { return walked_[slot].load(std::memory_order_relaxed); }
  const std::atomic<bool>& walked(uint16_t slot) const { return walked_[slot]; }

  // Before a wanted entry is changed, or a tombstone erased. `db`: its number now.
  void Preserve(EngineThread& thread, uint16_t slot, int db, Entry& entry);
  // The walk has come to an entry without the mark. False: a tombstone that has done its duty.
  bool Walk(uint16_t slot, int db, Entry& entry) { return Walk(slot, db, NumberOf(db), entry); }
  // The same in a table that was dropped.
  void WalkDropped(uint16_t slot, int number, Entry& entry) {
    (void)Walk(slot, kNoDatabase, number, entry);
  }
  // Hands over what the thread has preserved so far.
  void CollectFrom(EngineThread& thread);

  // With the gate. A table that the keyspace drops: true when the cut takes it, and frees it later.
  bool TakeDropped(uint16_t slot, int db, const Table& table);
  void Swapped(int a, int b) {
    std::swap(number_of_[static_cast<size_t>(a)], number_of_[static_cast<size_t>(b)]);
  }

  // For the walker. The number that the database had at the moment.
  int NumberOf(int db) const { return number_of_[static_cast<size_t>(db)]; }
  void SetWalked(uint16_t slot) { walked_[slot].store(true, std::memory_order_relaxed); }
  struct Dropped {
    int db;  // at the moment
    Table table;
  };
  std::vector<Dropped> TakeDroppedOf(uint16_t slot);

 private:
  bool IsWritten(const Entry& entry) const {
    if (!only_dirty_) return !entry.removed();
    return entry.dirty() || (rewrites_ && entry.in_flight());
  }
  static constexpr int kNoDatabase = -1;
  bool Walk(uint16_t slot, int db, int number, Entry& entry);
  // The id of the object that holds the value on disk, and the one that will when the cut is a
  // checkpoint. Where there is no database any more nobody will ask for it.
  uint64_t ObjectOf(uint16_t slot, int db, const Entry& entry) const;
  void NoteWritten(uint16_t slot, int db, Entry& entry, uint64_t object) const;

  CutSink& sink_;
  CutQueue& queue_;
  Keyspace& keyspace_;
  const bool mark_;
  const bool only_dirty_;
  const bool rewrites_;
  std::vector<int> number_of_;  // by the number now
  std::unique_ptr<std::atomic<bool>[]> walked_;
  // By slot; only of slots that were not walked when their tables were dropped.
  std::unordered_map<uint16_t, std::vector<Dropped>> dropped_;
};

}  // namespace tidegate
