// ExpirySweep: removes keys whose time has come although nobody asks for them.
//
// Each worker walks its share of the slots, a little at every timer tick. A table knows how many of
// its keys expire and a lower bound of the earliest time, so a slot with nothing due costs two
// loads; a slot with something due is visited home bucket by home bucket, and the bound is made
// exact when the visit is through. The same bound covers fields of hashes that expire: a hash with
// fields due is walked on its own, some hundred fields under one hold of the lock. Why not samples,
// as Redis: a walk finds every due key within one pass, so memory does not stay with keys that
// nobody reads, and the pass over slots without due keys is cheap. Busy slots are passed over.
// Owner: the worker that calls. Cost: bounded by the budget of the call.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace tidegate {

class Database;
class Engine;
class EngineThread;
class Entry;
class Keyspace;
class Table;
struct KeyRef;

class ExpirySweep final {
 public:
  ExpirySweep(Engine& engine, Keyspace& keyspace, EngineThread& thread, int64_t now_ms)
      : engine_(engine), keyspace_(keyspace), thread_(thread), now_ms_(now_ms) {}

  // Visits slots share, share+shares, share+2*shares … from where the thread stopped last, at most
  // all of them once.
  void Run(uint32_t share, uint32_t shares, int64_t budget_nanos);

 private:
  // What one pass over a table has seen.
  struct Pass {
    uint32_t earliest_s = UINT32_MAX;
    bool fields_expire = false;           // some hash has fields that expire
    bool had_fields = false;              // the table said so before
    bool complete = true;                 // nothing was left out
    std::vector<std::string> due_hashes;  // of the last step: with fields whose time has come

    void NoteExpiry(int64_t at_ms);
  };

  // True when the slot is through; false when the budget ended within it.
  bool SweepSlot(uint16_t slot, int64_t deadline_nanos);
  bool SweepTable(uint16_t slot, int db, int64_t deadline_nanos);
  uint32_t VisitSome(const Table& table, uint16_t slot, int db, uint32_t position, Pass& pass);
  // True when the hash is through, or gone, or busy; false when the budget ended within it.
  bool ExpireFields(uint16_t slot, int db, const std::string& name, int64_t deadline_nanos,
                    Pass& pass);
  uint64_t SweepFields(Database& database, const KeyRef& key, Entry* entry, Pass& pass);
  void EndPass(uint16_t slot, int db, const Pass& pass);
  bool IsDue(const Table& table) const;

  Engine& engine_;
  Keyspace& keyspace_;
  EngineThread& thread_;
  int64_t now_ms_;
};

}  // namespace tidegate
