// JournalLog: where the journal's groups are written to. An interface because there are two: the
// store on disk (storage/persist) and one in memory for the tests of the journal alone. Write and
// Recover are called by one thread at a time; Sync may be called by another while a Write without
// sync goes on, but never while one with it, or Recover, does. Errors are what strerror(3) says of
// them ("No space left on device"): clients get to see them.
#pragma once

#include <cstdint>

#include "base/result.h"
#include "storage/journal/journal_group.h"

namespace tidegate {

class JournalLog {
 public:
  virtual ~JournalLog() = default;
  // All of the group or nothing, after a crash too. `sync`: it is on disk when this returns. The
  // same group may be written again after an error.
  virtual Status Write(const JournalGroup& group, bool sync) = 0;
  // What was written before is on disk.
  virtual Status Sync() = 0;
  // After an error: makes writing possible again. Returns the last record that was kept; 0: none.
  virtual Result<uint64_t> Recover() = 0;
  // Whether Write may have to wait for more than that the disk takes the group: for files that are
  // written or taken in just now. Any thread; costs nothing.
  virtual bool IsBusy() const = 0;
  // Whether there is little room left on the disk. Asked about once a second, by the writer.
  virtual bool IsNearlyFull() = 0;
};

}  // namespace tidegate
