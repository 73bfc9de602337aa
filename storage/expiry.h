// ExpirySweep: removes keys whose time has come although nobody asks for them.
//
// Each worker walks its share of the slots, a little at every timer tick. A table knows how many of
// its keys expire and a lower bound of the earliest time, so a slot with nothing due costs two
// loads; a slot with something due is visited home bucket by home bucket, and the bound is made
// exact when the visit is through. Why not samples, as Redis: a walk finds every due key within one
// pass, so memory does not stay with keys that nobody reads, and the pass over slots without due
// keys is cheap. Busy slots are passed over. Owner: the worker that calls. Cost: bounded by the
// budget of the call.
#pragma once

#include <cstdint>

namespace tidegate {

class Engine;
class EngineThread;
class Keyspace;
class Table;

class ExpirySweep final {
 public:
  ExpirySweep(Engine& engine, Keyspace& keyspace, EngineThread& thread, int64_t now_ms)
      : engine_(engine), keyspace_(keyspace), thread_(thread), now_ms_(now_ms) {}

  // Visits slots share, share+shares, share+2*shares … from where the thread stopped last, at most
  // all of them once.
  void Run(uint32_t share, uint32_t shares, int64_t budget_nanos);

 private:
  // True when the slot is through; false when the budget ended within it.
  bool SweepSlot(uint16_t slot, int64_t deadline_nanos);
  bool SweepTable(uint16_t slot, int db, int64_t deadline_nanos);
  uint32_t VisitSome(const Table& table, uint16_t slot, int db, uint32_t position,
                     uint32_t& earliest_s);
  bool IsDue(const Table& table) const;

  Engine& engine_;
  Keyspace& keyspace_;
  EngineThread& thread_;
  int64_t now_ms_;
};

}  // namespace tidegate
