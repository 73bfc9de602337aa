// EffectSink: where the engine puts the record of every change; the engine's side of the journal.
//
//   Execute ── Admit ── lock ── handler ── Append ── unlock ── reply
//
// A command that may write asks for admission while it holds nothing, so whoever waits for room
// waits outside of all locks. Once it holds its slots it only appends, which neither waits nor
// fails: the place of the record in the order of all records is taken there, and since two commands
// that share a slot cannot hold it at once, the order of records is an order in which the data
// really changed. Why an interface: the journal is one sink, a test that captures records another,
// and the engine must not know which. A record is opaque to the sink (effect_record.h is its
// grammar). Reads append too when they come upon a key whose time is over; they are not asked
// before, so a sink has to keep some room for what was not announced. Thread: every thread of the
// engine calls, each for itself. Set once, before the first command; lives as long as the engine.
#pragma once

#include <atomic>
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
  // The number of the newest record, for who has the exclusive gate: then none is on its way.
  virtual uint64_t last_sequence() const = 0;
  // The waiter is gone: it is not to be woken.
  virtual void Forget(const Waiter& waiter) = 0;
  // While `rest` is true the engine removes nothing that no client asked to be removed, for such
  // records come without admission: keys do not expire (they are only seen as gone) and are not
  // evicted. It outlives the sink's use. Said once, before the first command.
  virtual void SetRest(std::atomic<bool>& rest) = 0;
};

}  // namespace tidegate
