// MULTI, EXEC, DISCARD, UNWATCH. WATCH is a data command: it needs the slots of its keys.
//
// EXEC locks the slots of all queued and all watched keys at once, looks whether a watched key
// changed, and runs the queue; nobody sees anything in between. Commands that have to ask other
// workers (CLIENT LIST) cannot do so while slots are held: they are run first, and their replies
// kept. They tell of clients and memory, not of data, so nobody can tell the difference.
#include <string>

#include "base/clock.h"
#include "proxy/commands/families.h"
#include "proxy/session/session_command.h"
#include "proxy/session/transaction_queue.h"

namespace tidegate {
namespace {

void EndTransaction(SessionCommand& c) {
  c.session().CloseTransaction();
  c.session().client().watches.Clear();
}

ExecStatus CmdMulti(SessionCommand& c) {
  if (c.session().transaction().open()) return c.Fail("ERR MULTI calls can not be nested");
  c.session().OpenTransaction();
  return c.Ok();
}

ExecStatus CmdDiscard(SessionCommand& c) {
  if (!c.session().transaction().open()) return c.Fail("ERR DISCARD without MULTI");
  EndTransaction(c);
  return c.Ok();
}

ExecStatus CmdUnwatch(SessionCommand& c) {
  c.session().client().watches.Clear();
  return c.Ok();
}

// Runs the queued commands that may suspend, one after the other. kSuspended: not through yet.
ExecStatus RunAhead(SessionCommand& c) {
  TransactionQueue& queue = c.session().transaction();
  while (queue.next_ahead() < queue.size()) {
    const Request request = queue.at(queue.next_ahead()).view();
    if ((request.command->spec->flags & kMaySuspend) != 0) {
      queue.BeginAhead(Ticks());
      OutputBuffer out(c.worker().output_blocks());
      ReplyWriter reply(out);
      reply.set_protocol(c.session().protocol());
      SessionCommand ahead(c.session(), request, reply, c.now_ms());
      if (request.command->spec->session_handler(ahead) == ExecStatus::kSuspended)
        return ExecStatus::kSuspended;
      c.session().ForgetResumption();
      queue.KeepAhead(out.CopyFrom(0), Ticks());
    }
    queue.AdvanceAhead();
  }
  return ExecStatus::kDone;
}

void RunQueue(SessionCommand& c) {
  const TransactionQueue& queue = c.session().transaction();
  c.reply().Array(queue.size());
  size_t ahead = 0;
  for (size_t i = 0; i < queue.size(); ++i) {
    const Request request = queue.at(i).view();
    const bool ran = (request.command->spec->flags & kMaySuspend) != 0;
    c.session().ExecuteQueued(request, ran ? &queue.kept(ahead++) : nullptr, c.now_ms());
  }
}

// A script may use any key, and what ran before it cannot be undone: it needs everything.
bool CallsScripts(const TransactionQueue& queue) {
  for (size_t i = 0; i < queue.size(); ++i) {
    const CommandSpec& spec = *queue.at(i).command()->spec;
    if (spec.group == Group::kScripting && spec.scope == Scope::kByCall) return true;
  }
  return false;
}

// Watched keys are in memory since they are watched, and stay there.
ExecStatus BeginQueue(SessionCommand& c, const std::vector<uint16_t>& slots) {
  const TransactionQueue& queue = c.session().transaction();
  const bool scripts = CallsScripts(queue);
  AtomicNeeds needs;
  std::vector<KeyRef> keys;
  if (c.engine().MayBeCold()) {
    keys = queue.Keys();
    needs = {.keys = keys, .everything = scripts || queue.MeetsAnyKey()};
  }
  return c.engine().BeginAtomic(c.worker().engine_thread(), slots,
                                scripts || queue.NeedsWholeKeyspace(), c.session().client(), needs);
}

ExecStatus CmdExec(SessionCommand& c) {
  TransactionQueue& queue = c.session().transaction();
  if (!queue.open()) return c.Fail("ERR EXEC without MULTI");
  if (queue.refused()) {
    EndTransaction(c);
    return c.Fail("EXECABORT Transaction discarded because of previous errors.");
  }
  ClientState& client = c.session().client();
  if (client.watches.dirty()) {
    EndTransaction(c);
    c.reply().NullArray();
    return ExecStatus::kDone;
  }
  EngineThread& thread = c.worker().engine_thread();
  // Once: what runs ahead would begin anew otherwise.
  if (queue.denies_oom() && c.continuation() == nullptr) {
    const Room room = c.engine().MakeRoomFor(thread, client);
    if (room == Room::kLater) return c.engine().TryLater(thread, client);
    if (room == Room::kNo) {
      EndTransaction(c);
      return c.Fail("EXECABORT Transaction discarded because of: " +
                    std::string(errors::kOutOfMemory));
    }
    c.session().ForgetResumption();
  }
  if (RunAhead(c) == ExecStatus::kSuspended) return ExecStatus::kSuspended;
  if (queue.writes()) {
    const ExecStatus admitted = c.engine().AdmitWrite(thread, client);
    if (admitted == ExecStatus::kSuspended) return admitted;
    if (admitted == ExecStatus::kRefused) {
      EndTransaction(c);
      return c.Fail("EXECABORT Transaction discarded because of: " + c.engine().RefusalOfWrites());
    }
  }
  std::vector<uint16_t> slots = queue.Slots();
  for (const ClientWatches::Key& key : client.watches.keys()) slots.push_back(key.slot);
  const ExecStatus begun = BeginQueue(c, slots);
  if (begun == ExecStatus::kSuspended) return begun;
  if (begun == ExecStatus::kRefused) {
    EndTransaction(c);
    return c.Fail("EXECABORT Transaction discarded because of: " +
                  std::string(errors::kCannotLoad));
  }
  const bool executed = !c.engine().WatchesAreDirty(thread, client);
  if (!executed) {
    c.reply().NullArray();
  } else {
    client.watches.Clear();
    RunQueue(c);
  }
  c.engine().EndAtomic(thread);
  if (executed && c.session().router().any_mirrors()) c.session().MirrorTransaction();
  EndTransaction(c);
  return ExecStatus::kDone;
}

constexpr uint32_t kFlags = kNoScript | kLoading | kStale | kAllowBusy;

constexpr CommandSpec kTransactionCommands[] = {
    {.name = "DISCARD",
     .arity = Exactly(1),
     .access = Access::kNone,
     .scope = Scope::kProcess,
     .flags = kFlags | kFast | kRunsInMulti,
     .group = Group::kTransactions,
     .since = "2.0.0",
     .complexity = "O(n) for n queued commands.",
     .summary = "Forgets the queued commands and ends the transaction.",
     .session_handler = CmdDiscard},
    {.name = "EXEC",
     .arity = Exactly(1),
     .access = Access::kNone,
     .scope = Scope::kProcess,
     .flags = kNoScript | kLoading | kStale | kSkipSlowlog | kRunsInMulti,
     .cost = Cost::kPerArgument,
     .group = Group::kTransactions,
     .since = "1.2.0",
     .complexity = "That of the queued commands.",
     .summary = "Executes the queued commands, unless a watched key was changed.",
     .session_handler = CmdExec},
    {.name = "MULTI",
     .arity = Exactly(1),
     .access = Access::kNone,
     .scope = Scope::kProcess,
     .flags = kFlags | kFast | kRunsInMulti,
     .group = Group::kTransactions,
     .since = "1.2.0",
     .complexity = "O(1)",
     .summary = "Begins a transaction: the commands that follow are queued until EXEC.",
     .session_handler = CmdMulti},
    {.name = "UNWATCH",
     .arity = Exactly(1),
     .access = Access::kNone,
     .scope = Scope::kProcess,
     .flags = kFlags | kFast,
     .group = Group::kTransactions,
     .since = "2.2.0",
     .complexity = "O(1)",
     .summary = "Forgets all watched keys.",
     .session_handler = CmdUnwatch},
};
static_assert(IsValidFamily(kTransactionCommands));

}  // namespace

const std::span<const CommandSpec> kTransactionFamily = kTransactionCommands;

}  // namespace tidegate
