// EntryBuilder: makes entries of what a ColdSource reads, outside of everybody's way.
//
// A value is decoded by the same reader that RESTORE and RDB files use, which puts it into a key of
// a database. Here that is a database of a scratch keyspace that nobody else sees, with a thread's
// state of its own: so nothing is counted, recorded, notified or watched, no time passes, and no
// slot is locked however large the value is. The entry is then taken out of the scratch table and
// is the caller's, who only has to put a pointer into the real one. Owner: one thread. Cost: a
// keyspace's 2 MiB of address space, of which few pages are used.
#pragma once

#include <cstdint>

#include "base/result.h"
#include "storage/cold/cold_source.h"
#include "storage/engine_thread.h"
#include "storage/keyspace/keyspace.h"

namespace tidegate {

class EntryBuilder final {
 public:
  EntryBuilder(EngineSettings& settings, LazyFreer& lazy_freer);
  EntryBuilder(const EntryBuilder&) = delete;
  EntryBuilder& operator=(const EntryBuilder&) = delete;

  // The entry, with its expiry and its access state; the caller's, who frees it by DestroyEntry
  // when it is not wanted after all. An error: the bytes are not what a checkpoint writes.
  Result<Entry*> Build(const StoredEntry& stored);

 private:
  Keyspace keyspace_;
  EngineThread thread_;
};

}  // namespace tidegate
