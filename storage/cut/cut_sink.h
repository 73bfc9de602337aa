// CutSink: where a cut goes (cut.h): an RDB file, or whatever else wants the keyspace as it was at
// one moment.
//
// Two ways lead here. The cut's own thread walks the slots and brings each entry as it stands; and
// a thread that is about to change an entry the walk has not reached encodes it first, and the
// bytes follow later. So entries come in no order, each once.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "storage/engine.h"
#include "storage/keyspace/entry.h"

namespace tidegate {

struct CutMoment {
  int64_t unix_ms = 0;
  uint64_t changes = 0;      // EngineStats::changes by then
  std::vector<DbStats> dbs;  // by number
};

class CutSink {
 public:
  virtual ~CutSink() = default;

  // The cut's thread, with nobody else in the engine. Once, before all others.
  virtual void OnMoment(const CutMoment& moment) = 0;
  // Any thread, with the entry's slot locked: appends the entry in the form of OnEncoded.
  virtual void Encode(const Entry& entry, std::string& out) const = 0;
  // The cut's thread, with the entry's slot locked. `db`: its number at the moment.
  virtual void OnEntry(int db, const Entry& entry) = 0;
  // The cut's thread: what Encode appended, one or more entries of one database.
  virtual void OnEncoded(int db, std::string_view entries) = 0;
  // Nothing more is wanted: an error, or somebody gave up.
  virtual bool failed() const = 0;
};

}  // namespace tidegate
