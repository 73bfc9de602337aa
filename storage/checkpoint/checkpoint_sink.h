// CheckpointSink: writes a cut as the files of a checkpoint (storage/persist/checkpoint_files.h):
// what has changed since the last one, deletions for keys that are gone, and what else is dead.
//
//   walk       slot by slot: sorted, behind what the same database's run has of the slots before;
//              parts of fresh objects into a run of their own, which ascends by itself
//   parts      of objects that were there before: gathered, sorted and written by themselves
//   the rest   what others encoded before they changed it, and slots that were walked before their
//              turn: gathered, and each kSideBytesMax of it sorted and written as a run of its own
//
// Nothing is written while a slot is held, unless it has more than kBatchBytesMax that changed. The
// ids of objects that are replaced here are deleted with the checkpoint; when it fails they must
// come again with the next one (replaced_objects). Owner: the cut's thread, but for Encode.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "base/thread_annotations.h"
#include "storage/checkpoint/checkpoint_info.h"
#include "storage/checkpoint/checkpoint_items.h"
#include "storage/checkpoint/entry_encoder.h"
#include "storage/cut/cut_sink.h"

namespace tidegate {

class CheckpointFiles;

// Of the slot that is walked, before it is written although the slot is held.
inline constexpr Bytes kBatchBytesMax = 16_MiB;
// Of what comes out of order, before it becomes a file.
inline constexpr Bytes kSideBytesMax = 16_MiB;

class CheckpointSink final : public CutSink {
 public:
  struct Setup {
    uint64_t next_object_serial = 1;
    CheckpointAttempt attempt;
    std::vector<uint64_t> dead_objects;  // that a checkpoint which failed was to delete
    const std::atomic<bool>& cancelled;  // once true it ends soon, and fails
    // With nobody else in the engine: a few instructions.
    std::function<void(const CutMoment&)> at_moment = nullptr;
  };
  CheckpointSink(CheckpointFiles& files, Setup setup);

  void OnMoment(const CutMoment& moment) override {
    moment_ = moment;
    if (setup_.at_moment) setup_.at_moment(moment);
  }
  bool only_dirty() const override { return true; }
  StoredObject Encode(int db, const Entry& entry, const StoredObject& old,
                      std::string& out) override;
  StoredObject OnEntry(int db, const Entry& entry, const StoredObject& old) override;
  void OnEncoded(int db, std::string_view items) override;
  void OnSlotWalked(uint16_t slot) override;
  void OnDead(const DeadRecords& dead) override;
  void OnUnreadable(Error error) override { status_ = std::move(error); }
  bool failed() const override { return !status_.ok() || setup_.cancelled.load(); }

  // After the cut: everything is in the files, and this is what they are.
  Result<CheckpointInfo> Finish();

  // Also after a failure.
  uint64_t next_object_serial() const { return serials_.load(std::memory_order_relaxed); }
  std::vector<uint64_t> TakeReplacedObjects();
  uint64_t entries() const { return entries_.load(std::memory_order_relaxed); }

 private:
  using Runs = std::map<uint32_t, size_t>;  // by database
  uint32_t IdOf(int db) const { return moment_.ids.id_of[static_cast<size_t>(db)]; }
  size_t RunOf(Runs& runs, uint32_t database);
  bool IsFresh(const CheckpointItem& item) const;
  // What became of the object that an entry had.
  void NoteObject(const StoredObject& old, const StoredObject& now);
  // What the walk has brought; `in_order`: it goes behind what came before.
  void WriteBatch(bool in_order);
  // What was gathered, as files of its own.
  void WriteApart(std::string& items);
  void WriteSorted(std::vector<CheckpointItem>& items, Runs* runs);
  void Write(size_t run, const CheckpointItem& item);

  CheckpointFiles& files_;
  const Setup setup_;
  CutMoment moment_;
  Status status_;
  std::atomic<uint64_t> serials_;
  std::atomic<uint64_t> entries_{0};
  std::string batch_;  // items of the slot that is walked
  EntryEncoder encoder_;
  std::string side_;
  std::string parts_;
  Runs entry_runs_;
  Runs object_runs_;
  uint32_t next_slot_ = 0;    // of the walk in order
  std::vector<bool> walked_;  // slots, before their turn
  mutable Mutex mutex_;
  std::vector<uint64_t> replaced_ TG_GUARDED_BY(mutex_);
  std::vector<uint64_t> kept_ TG_GUARDED_BY(mutex_);
};

}  // namespace tidegate
