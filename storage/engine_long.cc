// The part of Engine for long commands: see long_command.h.
#include <optional>
#include <utility>

#include "base/bytes.h"
#include "base/check.h"
#include "storage/engine.h"
#include "storage/engine_thread.h"
#include "storage/gate.h"
#include "storage/keyspace/keyspace.h"
#include "storage/long_command.h"

namespace tidegate {
namespace {

// Of a request that are copied in one turn.
constexpr size_t kCopiedBytesPerTurn = (1_MiB).count;

// A request that is being copied. Its handler keeps nothing between turns itself.
struct RequestCopy final : ClientState::Continuation {
  explicit RequestCopy(const Request& from) : request(from, OwnedRequest::Pieces::kBegin) {}
  OwnedRequest request;
};

size_t BytesOf(const Request& request) {
  size_t bytes = 0;
  for (const std::string_view arg : request.args) bytes += arg.size();
  return bytes;
}

bool IsCopiedInPieces(const Request& request) {
  const Scope scope = request.command->spec->scope;
  return (scope == Scope::kOneKey || scope == Scope::kManyKeys) &&
         BytesOf(request) > kCopiedBytesPerTurn;
}

// Nothing: not all is copied yet.
std::optional<OwnedRequest> CopyOf(const Request& request, ClientState& client) {
  if (!IsCopiedInPieces(request)) return OwnedRequest(request);
  if (client.continuation == nullptr) client.continuation = std::make_unique<RequestCopy>(request);
  auto& copy = static_cast<RequestCopy&>(*client.continuation);
  if (!copy.request.CopySome(request, kCopiedBytesPerTurn)) return std::nullopt;
  OwnedRequest whole = std::move(copy.request);
  client.continuation.reset();
  return whole;
}

}  // namespace

ExecStatus Engine::StartLong(EngineThread& thread, const Request& request, ClientState& client,
                             ReplyWriter& reply, std::vector<uint16_t> slots) {
  thread.wants_long = false;
  // What the first run has met on its way: keys whose time was over, and who is told of them.
  if (!thread.ready.empty()) ServeReady(thread);
  Record(thread);
  std::optional<OwnedRequest> copy = CopyOf(request, client);
  if (!copy) thread.Wake(client.ticket);
  if (!copy || !gate_->BeginHold({&thread, client.ticket})) {
    for (const uint16_t slot : slots) Unlock(slot);
    client.parked = true;
    Deliver(thread);
    return ExecStatus::kSuspended;
  }
  for (const uint16_t slot : slots) keyspace_->slot(slot).HoldLong();
  Deliver(thread);
  client.long_command = std::make_shared<LongCommand>(*this, thread, std::move(*copy), client,
                                                      reply, std::move(slots));
  return TurnOfLong(thread, client, reply);
}

ExecStatus Engine::TurnOfLong(EngineThread& thread, ClientState& client, ReplyWriter& reply) {
  if (!client.long_command->Turn()) {
    client.parked = true;
    thread.Wake(client.ticket);
    return ExecStatus::kSuspended;
  }
  const std::shared_ptr<LongCommand> command = std::exchange(client.long_command, nullptr);
  EndLong(thread, *command);
  if (command->status() == ExecStatus::kSuspended) {
    ClientState& state = command->client();
    client.parked = state.parked;
    client.rounds = state.rounds;
    client.continuation = std::move(state.continuation);
    client.blocked = std::move(state.blocked);
    client.cold_wait = std::move(state.cold_wait);
    return ExecStatus::kSuspended;
  }
  command->ReplyTo(reply);
  return Finish(client, command->status());
}

// What follows when the handler is through.
void Engine::EndLong(EngineThread& thread, LongCommand& command) {
  if (!thread.ready.empty()) ServeReady(thread);
  Record(thread);
  for (const uint16_t slot : command.slots()) Unlock(slot);
  gate_->EndHold();
  Deliver(thread);
}

void Engine::EndAbandoned(EngineThread& thread, LongCommand& command) {
  EndLong(thread, command);
  // It may have been put somewhere to wait.
  if (command.status() == ExecStatus::kSuspended) Cancel(thread, command.client());
}

void Engine::StepAbandoned(EngineThread& thread, int64_t now_ms) {
  if (thread.abandoned.empty()) return;
  FollowSettings(thread, now_ms);
  uint64_t ticket = 0;
  for (auto it = thread.abandoned.begin(); it != thread.abandoned.end();) {
    LongCommand& command = **it;
    ticket = command.client().ticket;
    if (command.Turn()) {
      EndAbandoned(thread, command);
      it = thread.abandoned.erase(it);
    } else {
      ++it;
    }
  }
  if (!thread.abandoned.empty()) thread.Wake(ticket);
}

void Engine::FinishAbandoned(EngineThread& thread, int64_t now_ms) {
  if (thread.abandoned.empty()) return;
  FollowSettings(thread, now_ms);
  for (const auto& command : std::exchange(thread.abandoned, {})) {
    command->Finish();
    EndAbandoned(thread, *command);
  }
}

}  // namespace tidegate
