// The part of Engine for blocked requests: serving them, and ending their wait. See blocking.h.
#include <utility>

#include "base/check.h"
#include "base/output_buffer.h"
#include "storage/command_context.h"
#include "storage/engine.h"
#include "storage/engine_thread.h"
#include "storage/keyspace/keyspace.h"
#include "storage/keyspace/slot_extras.h"

namespace tidegate {
namespace {

constexpr std::string_view kUnblocked = "UNBLOCKED client unblocked via CLIENT UNBLOCK";

// Claims a request that waits. One that is claimed right now waits at another key too, whose holder
// is looking at it: it is served there, or waits again in a moment. The holder waits for nothing.
bool ClaimOrSeeItEnded(BlockedRequest& request) {
  for (;;) {
    if (request.Claim()) return true;
    const BlockedRequest::State state = request.state.load(std::memory_order_acquire);
    if (state == BlockedRequest::kServed || state == BlockedRequest::kEnded) return false;
  }
}

}  // namespace

// Requests that move what they get push to another key, which makes that one ready in turn: the
// list grows while it is worked through.
void Engine::ServeReady(EngineThread& thread) {
  for (size_t i = 0; i < thread.ready.size(); ++i) {
    const EngineThread::ReadyKey key = std::move(thread.ready[i]);
    ServeKey(thread, key.db, {key.name, KeyHash(key.name), key.slot});
  }
  thread.ready.clear();
}

void Engine::ServeKey(EngineThread& thread, int db, const KeyRef& key) {
  if ((keyspace_->slot(key.slot).flags & Slot::kBlocked) == 0) return;
  BlockedQueues& queues = keyspace_->extras(key.slot).blocked;
  BlockedQueues::Queue* queue = queues.Find(db, key.name);
  if (queue == nullptr) return;
  Database database(*keyspace_, thread, db, thread.now_ms, {.no_touch = true});
  // A key that is gone already is of interest to consumers of a stream, and each request knows.
  const bool gone = database.Peek(key) == nullptr;
  for (auto it = queue->begin(); it != queue->end() && (gone || database.Peek(key) != nullptr);) {
    const std::shared_ptr<BlockedRequest> request = *it;
    if (!ClaimOrSeeItEnded(*request) || ServeOne(thread, *request, key)) {
      it = queue->erase(it);
    } else {
      ++it;
    }
  }
  queues.DropIfEmpty(db, key.name);
  keyspace_->UpdateFlags(key.slot);
}

// Runs a claimed request on behalf of its client. False: the key has nothing for it.
bool Engine::ServeOne(EngineThread& thread, BlockedRequest& blocked, const KeyRef& key) {
  OutputBlockPool pool;
  OutputBuffer out(pool);
  ReplyWriter reply(out);
  reply.set_protocol(blocked.protocol);
  ClientState client;
  client.db = blocked.db;
  client.no_touch = blocked.no_touch;
  const Request request = blocked.request.view();
  CommandContext context(*this, thread, request, client, reply);
  context.ServeOnly(key);
  if (context.Run() == ExecStatus::kSuspended) {
    blocked.PutBack();
    return false;
  }
  blocked.reply = out.CopyFrom(0);
  blocked.state.store(BlockedRequest::kServed, std::memory_order_release);
  thread.wakes.push_back(blocked.waiter);
  return true;
}

// The slots of other keys that must be held to serve who waits at the given slots, as far as they
// are not held. Needs the slots' locks.
std::vector<uint16_t> Engine::MissingTargets(std::span<const uint16_t> held) const {
  std::vector<uint16_t> missing;
  for (const uint16_t slot : held) {
    if ((keyspace_->slot(slot).flags & Slot::kBlockedMoves) != 0)
      keyspace_->extras(slot).blocked.CollectTargets(missing);
  }
  std::erase_if(missing,
                [&](uint16_t slot) { return std::binary_search(held.begin(), held.end(), slot); });
  return missing;
}

ExecStatus Engine::ResumeBlocked(EngineThread& thread, ClientState& client, ReplyWriter& reply) {
  BlockedRequest& blocked = *client.blocked;
  const bool late = blocked.deadline_ms != 0 && thread.now_ms >= blocked.deadline_ms;
  const bool served = blocked.state.load(std::memory_order_acquire) == BlockedRequest::kServed;
  if (!served) {
    if (!late && client.unblock == ClientState::Unblock::kNo) return ExecStatus::kSuspended;
    if (!blocked.End()) {
      // Somebody serves it at this moment: look again in the next turn.
      thread.Wake(client.ticket);
      return ExecStatus::kSuspended;
    }
  }
  if (served) {
    reply.Replay(blocked.reply);
  } else if (client.unblock == ClientState::Unblock::kError) {
    reply.Error(kUnblocked);
  } else {
    reply.NullArray();
  }
  client.blocked.reset();
  client.unblock = ClientState::Unblock::kNo;
  return ExecStatus::kDone;
}

}  // namespace tidegate
