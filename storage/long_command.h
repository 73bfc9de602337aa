// LongCommand: a command that works on millions of elements, cut into turns.
//
//   Execute ── handler: "this is long" ──> LongCommand: a copy of the request, a stack of its own
//      │                                       │
//      │   kSuspended, woken at once  <── turn ┤   half a millisecond; its slots stay locked
//      │   kSuspended, woken at once  <── turn ┤   others of the thread run in between
//      └── kDone, the reply           <────────┘   slots unlocked, waiters woken
//
// A handler that finds that it has a lot before it, and has changed nothing so far, returns
// CommandContext::RunLong(). It is then run again from its start, on a fiber, with the slots of its
// keys kept from the first turn to the last. So what it does is of one moment and all or nothing,
// as every command's; nobody needs to know what a half-done SUNIONSTORE looks like, and handlers
// keep their loops. The walks over values breathe (breathe.h). Who wants a key of these slots is
// parked meanwhile, for as long as the data needs; everybody else goes on.
//
// While any such command is under way nobody gets the exclusive gate, so that nothing changes under
// it; who wants the gate waits without closing it, and new long commands wait behind him.
//
// A client that leaves does not end it, as in Redis: Engine::Cancel gives it to its thread, which
// carries it through (Engine::StepAbandoned). In a transaction, and behind the gate, there are no
// turns: a handler that asks gets "no". Owner: the client's state, then the thread. Cost: two
// copies of the request's bytes and some 2 us, for commands that take a millisecond or more.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/output_buffer.h"
#include "base/reply_writer.h"
#include "storage/breathe.h"
#include "storage/engine.h"
#include "storage/engine_thread.h"
#include "storage/fiber.h"
#include "storage/owned_request.h"

namespace tidegate {

// Stacks that a thread keeps for the next ones.
inline constexpr size_t kFiberStacksKept = 4;

class LongCommand final {
 public:
  // `slots`: those that are locked for it, sorted. Takes the client's continuation over.
  LongCommand(Engine& engine, EngineThread& thread, OwnedRequest request, ClientState& client,
              ReplyWriter& reply, std::vector<uint16_t> slots);
  LongCommand(const LongCommand&) = delete;
  LongCommand& operator=(const LongCommand&) = delete;

  // Runs on, for EngineOptions::long_command_turn_nanos; true when the handler is through. Effects
  // stay with the command until then, and are the thread's after.
  bool Turn();
  // The same to the end.
  void Finish();

  // Once it is through. kSuspended: the handler has given up its turn, or blocks; the slots are to
  // be unlocked, and the client's state has all that goes on from there.
  ExecStatus status() const { return status_; }
  ClientState& client() { return client_; }
  // Nobody reads the reply any more.
  void ClientLeft();
  const std::vector<uint16_t>& slots() const { return slots_; }
  // What the handler has looked up before it found that it is long was counted in its first run, as
  // hits and misses.
  void ForgetFirstLookups();
  // Moves the reply behind what is there.
  void ReplyTo(ReplyWriter& reply);

 private:
  friend void internal::BreatheLong();

  static void Main(void* self);
  void ResumeOnce();
  void SwapEffects();
  void LeaveIfDue();

  Engine& engine_;
  EngineThread& thread_;
  OwnedRequest request_;
  ClientState client_;
  const std::vector<uint16_t> slots_;
  OutputBuffer out_;
  ReplyWriter reply_;
  std::string error_;  // the reply, when it is one
  ExecStatus status_ = ExecStatus::kDone;
  // Of the thread while a turn runs, ours in between.
  std::vector<EngineThread::ReadyKey> ready_;
  std::vector<ValueObject> frees_;
  std::vector<Waiter> wakes_;
  std::vector<KeyEvent> events_;
  EffectLog effects_;
  uint64_t turn_began_ticks_ = 0;
  bool to_the_end_ = false;
  // Of the thread, before the handler began; none: they count by now.
  struct Lookups {
    int64_t hits;
    int64_t misses;
  };
  std::optional<Lookups> lookups_;
  Fiber fiber_;
};

}  // namespace tidegate
