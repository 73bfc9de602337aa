// SessionCommand: what the handler of a command about the session or the process gets (scope
// kProcess: PING, CLIENT, CONFIG, INFO …). Made on the stack for each execution.
//
// It runs on the session's worker. Nothing waits: a handler that needs answers from other workers,
// or time to pass, returns kSuspended and is executed again from the start when it is woken:
//
//   ExecStatus CmdClientKill(SessionCommand& c) {
//     auto* killed = c.Gathered<int64_t>();
//     if (killed == nullptr) {
//       return c.Gather<int64_t>([id](Worker& w) { return w.KillSessions(…); });  // owns what it
//     }                                                                           // captures
//     c.reply().Integer(sum of *killed);
//     return ExecStatus::kDone;
//   }
//
// Contract: writes exactly one reply and returns kDone, or writes none and returns kSuspended.
// Wake-ups may be spurious: a handler looks at its condition again, as with a condition variable.
// Views (args) have the same bytes at the next execution but other addresses: never keep one over a
// suspension, nor give one to another thread.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "base/reply_writer.h"
#include "proxy/server.h"
#include "proxy/session/session.h"
#include "proxy/worker.h"
#include "storage/engine.h"
#include "storage/errors.h"
#include "storage/request.h"

namespace tidegate {

class SessionCommand final {
 public:
  SessionCommand(Session& session, const Request& request, ReplyWriter& reply, int64_t now_ms)
      : session_(session), request_(request), reply_(reply), now_ms_(now_ms) {}
  SessionCommand(const SessionCommand&) = delete;
  SessionCommand& operator=(const SessionCommand&) = delete;

  size_t argc() const { return request_.args.size(); }
  // [0] is the command's name; a sub-command's word is [1].
  std::string_view arg(size_t i) const { return request_.args[i]; }
  std::span<const std::string_view> args() const { return request_.args; }
  // The row of this command; command().container is set for a sub-command.
  const Command& command() const { return *request_.command; }

  ReplyWriter& reply() { return reply_; }
  Session& session() { return session_; }
  Worker& worker() { return session_.worker(); }
  Server& server() { return session_.worker().server(); }
  Engine& engine() { return server().engine(); }
  // The settings as this batch sees them.
  const Options& options() { return session_.worker().options(); }
  // Unix time of the batch.
  int64_t now_ms() const { return now_ms_; }

  // Replies with an error and ends the command.
  ExecStatus Fail(std::string_view error) {
    reply_.Error(error);
    return ExecStatus::kDone;
  }
  ExecStatus Ok() {
    reply_.Ok();
    return ExecStatus::kDone;
  }
  // Argument i as an integer; on failure the error is written and nothing returned.
  std::optional<int64_t> IntegerArg(size_t i, std::string_view error = errors::kNotInteger) {
    const std::optional<int64_t> value = ParseInt64(arg(i));
    if (!value) reply_.Error(error);
    return value;
  }

  // Argument i is a secret: SLOWLOG, MONITOR and crash reports show "(redacted)". For arguments
  // that the row's kSecretArguments does not cover already.
  void Redact(size_t i) { session_.RedactArgument(i); }

  // Ends this turn; the command is executed again when the time is over. resumed() is then true.
  ExecStatus SuspendFor(std::chrono::milliseconds time) {
    session_.worker().WakeAfter(session_.id(), time);
    return ExecStatus::kSuspended;
  }
  // Ends this turn until somebody calls Server::Wake(session().ticket()).
  ExecStatus Suspend() { return ExecStatus::kSuspended; }
  // Whether this command was executed before and suspended.
  bool resumed() const { return session_.resuming(); }

  // What a handler keeps between its turns. Gone when the command is done or its client is.
  using Continuation = ClientState::Continuation;
  Continuation* continuation() { return session_.client().continuation.get(); }
  void set_continuation(std::unique_ptr<Continuation> continuation) {
    session_.client().continuation = std::move(continuation);
  }

  // Calls `visit(Worker&)` on every worker's own thread; its results, by worker index, are given by
  // Gathered() when this command is executed again. `visit` is copied to the other threads: it owns
  // what it captures. T: default-constructible and movable.
  template <typename T, typename Visit>
  ExecStatus Gather(Visit visit);
  // Null until all workers have answered.
  template <typename T>
  std::vector<T>* Gathered();

 private:
  template <typename T>
  struct Gathering {
    explicit Gathering(size_t workers) : results(workers), missing(workers) {}
    std::vector<T> results;
    std::atomic<size_t> missing;
  };
  template <typename T>
  struct GatherContinuation final : Continuation {
    std::shared_ptr<Gathering<T>> gathering;
  };

  Session& session_;
  const Request& request_;
  ReplyWriter& reply_;
  int64_t now_ms_;
};

template <typename T, typename Visit>
ExecStatus SessionCommand::Gather(Visit visit) {
  if (continuation() != nullptr) return ExecStatus::kSuspended;  // woken before all have answered
  Server& server = this->server();
  auto gathering = std::make_shared<Gathering<T>>(server.workers().size());
  auto keeper = std::make_unique<GatherContinuation<T>>();
  keeper->gathering = gathering;
  set_continuation(std::move(keeper));
  const SessionTicket ticket = session_.ticket();
  for (const auto& worker : server.workers()) {
    worker->Post([gathering, ticket, visit](Worker& at) {
      gathering->results[static_cast<size_t>(at.index())] = visit(at);
      if (gathering->missing.fetch_sub(1, std::memory_order_acq_rel) == 1) at.server().Wake(ticket);
    });
  }
  return ExecStatus::kSuspended;
}

template <typename T>
std::vector<T>* SessionCommand::Gathered() {
  auto* keeper = static_cast<GatherContinuation<T>*>(continuation());
  if (keeper == nullptr) return nullptr;
  if (keeper->gathering->missing.load(std::memory_order_acquire) != 0) return nullptr;
  return &keeper->gathering->results;
}

}  // namespace tidegate
