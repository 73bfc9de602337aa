// ChangedSlots: what all threads have noted as changed (keyspace/changed_keys.h), by slot, for the
// walk of a checkpoint's cut; and, until it is known that the checkpoint succeeded, for the next
// one, which then has to write the same again.
//
// Sorted by slot and position, so that the walk meets the keys of a slot together and in the order
// of its tables. Costs 8 bytes a note and about 40 ns to sort it, on the cut's thread. When a
// thread had more than it could note, or too much has gathered behind checkpoints that failed, it
// says that everything is to be looked at. Where it is of use to know which entries a checkpoint
// that succeeded has written (KeepLanded), the walk after it meets those once more, and takes the
// mark from them that says so. Owner: the engine, with its turn of cuts.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "storage/keyspace/changed_keys.h"

namespace tidegate {

class ChangedSlots final {
 public:
  // Before the first cut.
  void KeepLanded() { keeps_landed_ = true; }

  // With the exclusive gate, for every thread. A few instructions: what is taken is added later.
  void Take(ChangedKeys& keys) { taken_.push_back(std::move(keys)); }
  // The gate is open again: sorts.
  void Sort();
  // The checkpoint succeeded: what was taken by its cut is on disk.
  void Landed();

  // Notes are not to be trusted: look at every entry.
  bool everything() const { return everything_; }
  void SetEverything() { writes_everything_ = everything_ = true; }
  // The positions that changed in a slot, ascending, some of them more than once.
  std::span<const uint64_t> Of(uint16_t slot) const;

 private:
  // Beyond it every entry is looked at.
  static constexpr size_t kNotesMax = 4 * kChangedKeysMax;

  std::vector<ChangedKeys> taken_;
  // Sorted: what the cut has to write, and that with what the one before has written.
  std::vector<uint64_t> written_;
  std::vector<uint64_t> landed_;
  std::vector<uint64_t> both_;
  bool everything_ = false;
  bool writes_everything_ = false;
  bool everything_landed_ = false;
  bool keeps_landed_ = false;
};

}  // namespace tidegate
