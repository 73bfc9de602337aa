// EntrySink: what takes keys one after the other, wherever they come from: a file that is written,
// a server that is fed, or a counter of what there is.
//
// A failure does not stop the calls: it makes them do nothing, failed() tells so that the source
// may end early, and Finish gives the reason. Owner: one thread.
#pragma once

#include <cstdint>

#include "base/result.h"

namespace tidegate {

class Entry;

class EntrySink {
 public:
  virtual ~EntrySink() = default;
  // The keys that follow are of this database; about how many there will be, and how many of them
  // expire.
  virtual void OnDatabase(int db, uint64_t keys, uint64_t expiring) = 0;
  virtual void OnEntry(const Entry& entry) = 0;
  virtual bool failed() const = 0;
  virtual Status Finish() = 0;
};

}  // namespace tidegate
