// EffectSink: who takes the records of what commands changed. The engine calls it; the journal is
// it. A record is opaque here: what it says is the business of those who write and apply it.
//
// The order of records is the order of changes: a record takes its place while the slots of what it
// tells of are locked, so two that touch one key stand in the order in which they happened. Nothing
// waits under a lock: whether there is room is asked before (Admit). Threads: any, each with its
// own EngineThread. Owner: whoever made the sink; it outlives the engine's use of it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace tidegate {

class EngineThread;
struct Waiter;

class EffectSink {
 public:
  virtual ~EffectSink() = default;
  enum class Admission : uint8_t { kYes, kLater, kRefused };
  // Before any lock is taken, for a command that may write. kLater: no room; the waiter is woken
  // when there is some (the request is suspended). kRefused: writes are refused now; refusal() says
  // why.
  virtual Admission Admit(EngineThread& thread, const Waiter& waiter) = 0;
  // The whole error reply ("MISCONF ..."), after kRefused.
  virtual std::string refusal() const = 0;
  // One record, while the slots of what it tells of are locked: its place in the order of all
  // records is taken here. Never waits and never fails. Returns the record's sequence number. The
  // bytes are copied.
  virtual uint64_t Append(EngineThread& thread, std::string_view record) = 0;
  // The waiter is gone: it is not to be woken.
  virtual void Forget(const Waiter& waiter) = 0;
};

}  // namespace tidegate
