// CutSink: where a cut goes (cut.h): an RDB file, or whatever else wants the keyspace as it was at
// one moment.
//
// Two ways lead here. The cut's own thread walks the slots and brings each entry as it stands; and
// a thread that is about to change an entry the walk has not reached encodes it first, and the
// bytes follow later. So entries come in no order, each once.
//
// A sink for checkpoints wants only what is new since the last one that succeeded: entries that are
// dirty, and tombstones (Entry::removed) of keys that have a record on disk and are gone. The
// engine must track changes then, and be told how it ended (Engine::CheckpointEnded). Such a sink
// may store a large value as an object; it is given the one as which the value was stored before,
// and returns the one as which it is now: that, of which it has written what has changed since, or
// another, and then it has to delete the old one.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "storage/dead_records.h"
#include "storage/engine.h"
#include "storage/keyspace/database_map.h"
#include "storage/keyspace/entry.h"
#include "storage/keyspace/stored_object.h"

namespace tidegate {

struct CutMoment {
  int64_t unix_ms = 0;
  uint64_t changes = 0;      // EngineStats::changes by then
  std::vector<DbStats> dbs;  // by number
  uint64_t sequence = 0;     // of the newest record by then (journal/effect_sink.h); 0: none
  DatabaseIds ids;
};

class CutSink {
 public:
  virtual ~CutSink() = default;

  // The cut's thread, with nobody else in the engine. Once, before all others.
  virtual void OnMoment(const CutMoment& moment) = 0;
  // Whether it is one for checkpoints.
  virtual bool only_dirty() const { return false; }
  // Any thread, with the entry's slot locked: appends the entry in the form of OnEncoded. `db`: its
  // number at the moment. `old`, and what is returned: may be none.
  virtual StoredObject Encode(int db, const Entry& entry, const StoredObject& old,
                              std::string& out) = 0;
  // The same on the cut's thread, which may write it as it is. With the slot's lock, or an entry
  // that was read from disk and is nobody's.
  virtual StoredObject OnEntry(int db, const Entry& entry, const StoredObject& old) = 0;
  // The cut's thread: what Encode appended, one or more entries of one database.
  virtual void OnEncoded(int db, std::string_view entries) = 0;
  // The cut's thread, behind the entries of each slot that it has walked, with nothing locked: the
  // time to write.
  virtual void OnSlotWalked(uint16_t /*slot*/) {}
  // The cut's thread, after all others and only for checkpoints: what else died by the moment,
  // since the last one that succeeded.
  virtual void OnDead(const DeadRecords& /*dead*/) {}
  // The cut's thread: entries that are on disk alone cannot be read, so the sink does not get them
  // all. Never for checkpoints.
  virtual void OnUnreadable(Error error) = 0;
  // Nothing more is wanted: an error, or somebody gave up.
  virtual bool failed() const = 0;
};

}  // namespace tidegate
