// The part of Session that tells the worker's KeyObserver of its requests: which keys they name,
// and what came of them.
#include <algorithm>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "proxy/observe/key_observer.h"
#include "proxy/server.h"
#include "proxy/session/session.h"
#include "proxy/session/session_upstream.h"
#include "proxy/upstream/upstream_cluster.h"
#include "proxy/worker.h"
#include "storage/engine_thread.h"

namespace tidegate {
namespace {

bool IsRead(const Command& command) { return command.spec->access == Access::kRead; }

hotkey::Keyspace KeyspaceOf(const UpstreamCluster& cluster, int database) {
  return {.cluster = KeyspaceNumber(cluster.number()), .database = static_cast<uint16_t>(database)};
}

}  // namespace

ExecStatus Session::ExecuteObserved(const Request& request, Alone alone) {
  Engine& engine = worker_.server().engine();
  EngineThread& thread = worker_.engine_thread();
  const size_t bytes_before = reply_.out().size();
  const int64_t misses_before = thread.counters.keyspace_misses.value();
  const uint32_t errors_before = errors_;
  const bool is_timed = worker_.observer()->costs() != nullptr;
  const uint64_t begin = is_timed ? Ticks() : 0;
  ExecStatus status = ExecStatus::kDone;
  if (alone == Alone::kYes) {
    status = engine.Execute(thread, request, client_, reply_);
  } else {
    engine.ExecuteAtomic(thread, request, client_, reply_);
  }
  if (status != ExecStatus::kDone || !KeyObserver::Counts(*request.command)) return status;
  const int64_t misses = thread.counters.keyspace_misses.value() - misses_before;
  // A long command may have sent some of its reply before: what there was is gone then.
  const size_t bytes = reply_.out().size();
  worker_.observer()->Answered(
      request,
      {.keyspace = {.cluster = 0, .database = static_cast<uint16_t>(client_.db)}, .client = id_},
      {.bytes = bytes - std::min(bytes, bytes_before),
       .missed = IsRead(*request.command) && misses > 0 &&
                 misses >= static_cast<int64_t>(request.keys.size()),
       .failed = errors_ != errors_before,
       .nanos = is_timed ? TicksToNanos(Ticks() - begin) : 0});
  return status;
}

void Session::ObserveWaiting(const Request& said, const UpstreamCluster& cluster,
                             UpstreamRequest& waiting) const {
  if (worker_.observer() == nullptr || said.keys.empty() || !KeyObserver::Counts(*said.command))
    return;
  waiting.keyspace = KeyspaceOf(cluster, client_.db);
  waiting.observed_keys = static_cast<uint32_t>(said.keys.size());
  waiting.key_id = hotkey::IdOf(said.keys[0].hash, waiting.keyspace);
}

void Session::ObserveSent(const Request& said, const UpstreamCluster& cluster, UpstreamLink& link,
                          uint32_t sequence) {
  KeyObserver* const observer = worker_.observer();
  if (observer == nullptr || said.keys.empty() || !KeyObserver::Counts(*said.command)) return;
  const Asked asked{.keyspace = KeyspaceOf(cluster, client_.db), .client = id_};
  observer->Requested(said, asked);
  if (said.keys.size() == 1) return;
  std::vector<hotkey::KeyId>& ids = link.key_ids[sequence];
  ids.clear();
  for (const KeyRef& key : said.keys.first(KeyObserver::CountedKeys(said)))
    ids.push_back(hotkey::IdOf(key.hash, asked.keyspace));
}

void Session::ObserveReply(const UpstreamRequest& request, std::string_view reply) {
  ObserveAnswer(request, {.bytes = reply.size(),
                          .missed = IsRead(*request.command) && SaysNothingIsThere(reply),
                          .failed = reply.starts_with('-')});
}

void Session::ObserveAnswer(const UpstreamRequest& request, const Answer& answer) {
  const Asked asked{.keyspace = request.keyspace, .client = id_};
  KeyObserver* const observer = worker_.observer();
  if (request.observed_keys == 1) {
    const std::string_view kept = request.kept_key();
    const std::string_view name = kept.size() == request.key_bytes ? kept : std::string_view();
    if (observer != nullptr)
      observer->Replied(*request.command, {&request.key_id, 1}, name, asked, answer);
    return;
  }
  auto& key_ids = request.link->key_ids;
  const auto found = key_ids.find(request.sequence);
  if (found == key_ids.end()) return;
  if (observer != nullptr) observer->Replied(*request.command, found->second, "", asked, answer);
  key_ids.erase(found);
}

void Session::ObserveSentQueue(const UpstreamCluster& cluster, const std::vector<bool>& sent) {
  KeyObserver* const observer = worker_.observer();
  if (observer == nullptr) return;
  const Asked asked{.keyspace = KeyspaceOf(cluster, client_.db), .client = id_};
  for (size_t i = 0; i < transaction_.size() && i < sent.size(); ++i) {
    const Request queued = transaction_.at(i).view();
    if (sent[i] && KeyObserver::Counts(*queued.command)) observer->Requested(queued, asked);
  }
}

// Which part of the reply is whose nobody has looked: each command has the same.
void Session::ObserveQueueReply(const UpstreamCluster& cluster, const std::vector<bool>& sent,
                                std::string_view reply) {
  KeyObserver* const observer = worker_.observer();
  if (observer == nullptr || transaction_.size() == 0) return;
  const Asked asked{.keyspace = KeyspaceOf(cluster, client_.db), .client = id_};
  const uint64_t bytes = reply.size() / transaction_.size();
  for (size_t i = 0; i < transaction_.size() && i < sent.size(); ++i) {
    const Request queued = transaction_.at(i).view();
    if (!sent[i] || !KeyObserver::Counts(*queued.command)) continue;
    std::vector<hotkey::KeyId> ids;
    for (const KeyRef& key : queued.keys.first(KeyObserver::CountedKeys(queued)))
      ids.push_back(hotkey::IdOf(key.hash, asked.keyspace));
    const std::string_view name = ids.size() == 1 ? queued.keys[0].name : std::string_view();
    observer->Replied(*queued.command, ids, name, asked, {.bytes = bytes});
  }
}

}  // namespace tidegate
