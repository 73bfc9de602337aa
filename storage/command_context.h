// CommandContext: what the handler of a data command gets. Made on the stack for each execution.
//
// The slots of the request's keys are locked (scopes one key and many keys), or nobody else is in
// the engine (whole keyspace). A slot-by-slot handler locks what it visits with TryLockSlot and
// gives up its turn with Suspend… or Yield. A handler writes exactly one reply and returns kDone,
// or writes none and returns kSuspended.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <span>
#include <string_view>

#include "base/reply_writer.h"
#include "storage/blocking.h"
#include "storage/engine.h"
#include "storage/engine_thread.h"
#include "storage/errors.h"
#include "storage/keyspace/database.h"
#include "storage/keyspace/keyspace.h"
#include "storage/request.h"

namespace tidegate {

class CommandContext final {
 public:
  CommandContext(Engine& engine, EngineThread& thread, const Request& request, ClientState& client,
                 ReplyWriter& reply);

  // Runs the command's handler.
  ExecStatus Run() {
    const ExecStatus status = __builtin_expect(thread_.recording, 0)
                                  ? RunRecorded()
                                  : request_.command->spec->handler(*this);
    if (__builtin_expect(thread_.sizes.met(), 0)) MeasureKeys();
    return status;
  }

  size_t argc() const { return request_.args.size(); }
  std::string_view arg(size_t i) const { return request_.args[i]; }
  std::span<const std::string_view> args() const { return request_.args; }
  const KeyRef& key(size_t i = 0) const { return request_.keys[i]; }
  std::span<const KeyRef> keys() const { return request_.keys; }
  const Request& request() const { return request_; }

  // The client's database, and any other by number (must be < engine().databases()).
  Database& db() { return db_; }
  Database OtherDb(int index) {
    return Database(*keyspace_, thread_, index, now_ms(), Use(client_.no_touch));
  }
  // The client's database, leaving LRU and LFU alone or not whatever the client chose.
  Database DbWithTouch(bool touch) {
    return Database(*keyspace_, thread_, db_.index(), now_ms(), Use(!touch));
  }

  ReplyWriter& reply() { return reply_; }
  ClientState& client() { return client_; }
  Engine& engine() { return engine_; }
  EngineThread& thread() { return thread_; }
  Keyspace& keyspace() { return *keyspace_; }
  int64_t now_ms() const { return db_.now_ms(); }

  // Replies with an error and ends the command.
  ExecStatus Fail(std::string_view error) {
    reply_.Error(error);
    return ExecStatus::kDone;
  }

  // Argument i as a number in [min, max]; on failure the error reply is written and nothing is
  // returned.
  std::optional<int64_t> IntegerArg(size_t i, std::string_view error = errors::kNotInteger);

  // The entry of the key, of this type: *out is null when the key is absent; false when it has
  // another type (the error is written).
  bool FindValue(const KeyRef& key, ValueType type, bool for_write, Entry** out);
  bool FindString(const KeyRef& key, bool for_write, Entry** out) {
    return FindValue(key, ValueType::kString, for_write, out);
  }

  // What the journal keeps of a command that changed something is the command itself (see
  // journal/effect_log.h). A handler for which that would not do again the same thing (because of
  // the time, of chance, of what other keys hold) says what does: RecordAs, which may be called
  // several times, the words of `head` and then those of `tail`. Where making these words costs,
  // records() says whether anybody wants them.
  bool records() const { return __builtin_expect(thread_.recording, 0); }
  void RecordAs(std::initializer_list<std::string_view> head,
                std::span<const std::string_view> tail = {}) {
    if (!records()) return;
    thread_.effects.Give();
    thread_.effects.Add(db_.index(), head, tail);
  }
  // The same for so many words that they are said one by one, to thread().effects; nothing may be
  // looked up in between. Only when records().
  void BeginRecordAs(size_t words) {
    thread_.effects.Give();
    thread_.effects.Begin(db_.index(), words);
  }
  // It changed nothing that lasts.
  void RecordNothing() { thread_.effects.Give(); }

  // For blocking commands. When the command runs on behalf of a client that is blocked, only this
  // key may be looked at: the slots of the others are not held. Null: an ordinary call.
  const KeyRef* served_key() const { return served_key_; }
  void ServeOnly(const KeyRef& key) { served_key_ = &key; }
  // Nothing there yet: waits at the keys until one of them holds something or the time is up
  // (timeout_ms, 0: never). Where nothing may block (MULTI) the answer is `timeout_reply`, at once.
  // `target`: another key that the command writes to once it is served. `served_as`: the request
  // that is run then, where it is not this one as it stands; its arguments are copied.
  ExecStatus Block(std::span<const KeyRef> keys, int64_t timeout_ms, TimeoutReply timeout_reply,
                   const KeyRef* target = nullptr, const Request* served_as = nullptr);

  // False inside a transaction: the handler runs to its end.
  bool may_yield() const;

  // For a handler that has so many elements before it, and has neither changed anything nor written
  // to the reply: when this is true it returns RunLong(), and is run again with turns in between
  // (long_command.h). False when it is short, and where there are no turns: in a transaction,
  // behind the gate, on behalf of a client that is blocked, and in that second run.
  bool IsLong(uint64_t elements) const {
    return __builtin_expect(elements > engine_.options().short_command_elements_max, 0) &&
           MayRunLong();
  }
  // The same for a command that goes over a whole value, whatever its type.
  bool IsLongValue(const Entry& entry) const;
  ExecStatus RunLong();

  // While not everything is in memory (cold/residency.h). The keys of the request are, and in a
  // transaction all that it comes upon; for handlers that find others. With the slot locked.
  bool IsInMemory(const KeyRef& key) const;
  bool IsInMemory(int db, uint16_t slot) const;
  // With nothing locked: ends this turn until that is there. kRefused: it cannot be read, and the
  // error is written.
  ExecStatus AwaitKeys(std::span<const KeyRef> keys);
  ExecStatus AwaitSlot(int db, uint16_t slot);

  // For slot-by-slot handlers. Locks the slot or returns false at once.
  bool TryLockSlot(uint16_t slot);
  void UnlockSlot(uint16_t slot);
  // Ends this turn: runs again when the slot is free / when other work of this thread had its turn.
  ExecStatus SuspendAtSlot(uint16_t slot);
  ExecStatus Yield();

 private:
  DatabaseUse Use(bool no_touch) const {
    return {.no_touch = no_touch, .read_only = request_.command->spec->access != Access::kWrite};
  }

  bool MayRunLong() const;
  ExecStatus RunRecorded();
  void MeasureKeys();

  Engine& engine_;
  EngineThread& thread_;
  Keyspace* keyspace_;
  const Request& request_;
  ClientState& client_;
  ReplyWriter& reply_;
  Database db_;
  const KeyRef* served_key_ = nullptr;
};

}  // namespace tidegate
