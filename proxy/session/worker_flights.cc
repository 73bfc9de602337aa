#include "proxy/session/worker_flights.h"

#include <algorithm>
#include <array>
#include <string>
#include <utility>

#include "base/clock.h"
#include "base/output_buffer.h"
#include "base/reply_writer.h"
#include "base/text.h"
#include "policy/policy_registry.h"
#include "policy/route_policies.h"
#include "proxy/server.h"
#include "proxy/session/session.h"
#include "proxy/session/session_flights.h"
#include "proxy/upstream/upstream_cluster.h"
#include "proxy/upstream/upstream_connection.h"
#include "proxy/upstream/upstream_node.h"
#include "proxy/worker.h"
#include "storage/engine.h"

namespace tidegate {
namespace {

// As the upstream knows it.
std::string NameAt(const KeyPrefixes& prefixes, std::string_view name) {
  return prefixes.add + std::string(name.substr(std::min(prefixes.strip.size(), name.size())));
}

// ":12"; none: it is something else.
std::optional<int64_t> IntegerOf(std::string_view reply) {
  if (!reply.starts_with(':')) return std::nullopt;
  return ParseInt64(reply.substr(1, reply.find('\r') - 1));
}

}  // namespace

WorkerFlights::WorkerFlights(Worker& worker)
    : worker_(worker),
      leases_(worker.server().policies().leases()),
      parking_(leases_, *this, worker.index()),
      timer_(worker.loop(),
             [this] {
               if (!stopped_) parking_.Tick(MonotonicNanos());
             }),
      link_(new UpstreamLink) {
  link_->client = this;
}

WorkerFlights::~WorkerFlights() { link_->Leave(); }

void WorkerFlights::NoteWritten(const std::vector<FlightWrite>& writes, bool failed) {
  if (stopped_) return;
  const int64_t now_ns = MonotonicNanos();
  for (const FlightWrite& write : writes) {
    if (write.ttl_ms > 0 && !failed)
      write.policies->early_refresh()->expiries().Set(write.id, write.begun_ms, write.ttl_ms);
    if (!write.makes) continue;
    const LeaseTable::Ended ended = leases_.Write(write.id, now_ns);
    write.policies->single_flight()->NoteLoad(write.place, ended.load_ns);
    Tell(ended.workers, write.id, What::kWritten);
  }
}

void WorkerFlights::NoteFound(hotkey::KeyId id) {
  if (leases_.MayHave(id)) Tell(leases_.Found(id, MonotonicNanos()).workers, id, What::kWritten);
}

void WorkerFlights::Abandon(hotkey::KeyId id, uint64_t client) {
  if (stopped_ || !leases_.MayHave(id)) return;
  Tell(leases_.Abandon(id, client, MonotonicNanos()), id, What::kAbandoned);
}

void WorkerFlights::TellAbandoned(uint64_t workers, hotkey::KeyId id) {
  Tell(workers, id, What::kAbandoned);
}

void WorkerFlights::Tell(uint64_t workers, hotkey::KeyId id, What what) {
  if (workers == 0) return;
  for (const auto& worker : worker_.server().workers()) {
    if ((workers >> worker->index() & 1) == 0) continue;
    if (worker.get() == &worker_) {
      Take(id, what);
    } else {
      worker->Post([id, what](Worker& other) { other.flights().Take(id, what); });
    }
  }
}

void WorkerFlights::Take(hotkey::KeyId id, What what) {
  const int64_t now_ns = MonotonicNanos();
  if (what == What::kWritten) return parking_.TellWritten(id, now_ns);
  parking_.TellAbandoned(id, now_ns);
}

// The routes are those of now: a reload may have sent the key elsewhere while it was waited for.
bool WorkerFlights::Read(const ParkedKey& key, uint64_t client) {
  if (!Place("get", key, client)) return false;
  asked_.emplace(next_read_++, Asked{.id = key.id, .ttl = std::nullopt});
  return true;
}

bool WorkerFlights::Place(std::string_view command, const ParkedKey& key, uint64_t client) {
  Session* const session = worker_.FindSession(SessionOfTicket(client));
  if (session == nullptr) return false;
  const Route& route = session->router().RouteOfKey(key.name);
  UpstreamCluster* const cluster = route.upstream;
  if (cluster == nullptr || !cluster->Refusal(key.keyspace.database, Protocol::kResp2).empty())
    return false;
  const std::string name = NameAt(route.prefixes, key.name);
  const std::array<std::string_view, 2> args = {command, name};
  const std::array<KeyRef, 1> keys = {KeyRef::Of(name)};
  const Request request{
      .command = worker_.server().commands().Find(command), .args = args, .keys = keys};
  std::string refusal;
  UpstreamNode* const node = cluster->ChooseWriter(request, session->id(), refusal);
  if (node == nullptr || !refusal.empty()) return false;
  UpstreamConnection& connection = node->ConnectionFor({.database = key.keyspace.database,
                                                        .protocol = Protocol::kResp2,
                                                        .reads_replica = false,
                                                        .lane = cluster->BackgroundLane()});
  const UpstreamRequest waiting{.link = link_,
                                .command = request.command,
                                .begin_ticks = Ticks(),
                                .sequence = next_read_,
                                .slot = keys[0].slot};
  if (!connection.Place(request, waiting)) return false;
  ++link_->outstanding;
  return true;
}

// --- when keys expire ---

void WorkerFlights::AskTtl(std::shared_ptr<RoutePolicies> policies, const ParkedKey& key,
                           uint64_t client) {
  const bool is_full = ttl_asks_.size() + asked_.size() >= kTtlAsksMax;
  if (is_full || stopped_) return policies->early_refresh()->expiries().Forget(key.id);
  ttl_asks_.push_back({.policies = std::move(policies), .key = key, .client = client});
  if (ttl_asks_.size() > 1) return;
  worker_.Post([](Worker& worker) { worker.flights().AskTtls(); });
}

// Here requests may be placed.
void WorkerFlights::AskTtls() {
  for (TtlAsk& ask : std::exchange(ttl_asks_, {})) {
    if (stopped_) return;
    ask.generation = leases_.GenerationOf(ask.key.id);
    ask.asked_ms = MonotonicNanos() / 1'000'000;
    if (ask.key.keyspace.cluster == 0) {
      TakeTtl(ask, TtlHere(ask.key));
    } else if (Place("pttl", ask.key, ask.client)) {
      asked_.emplace(next_read_++, Asked{.id = ask.key.id, .ttl = std::move(ask)});
    } else {
      TakeTtl(ask, std::nullopt);
    }
  }
}

std::optional<int64_t> WorkerFlights::TtlHere(const ParkedKey& key) {
  const std::array<std::string_view, 2> args = {"PTTL", key.name};
  const std::array<KeyRef, 1> keys = {KeyRef::Of(key.name)};
  const Request request{
      .command = worker_.server().commands().Find("pttl"), .args = args, .keys = keys};
  Engine& engine = worker_.server().engine();
  EngineThread& thread = worker_.engine_thread();
  ClientState asker;
  asker.db = key.keyspace.database;
  OutputBuffer output(worker_.output_blocks());
  ReplyWriter reply(output);
  engine.BeginBatch(thread, UnixMillis());
  const ExecStatus status = engine.Execute(thread, request, asker, reply);
  engine.EndBatch(thread);
  if (status == ExecStatus::kSuspended) engine.Cancel(thread, asker);
  return status == ExecStatus::kDone ? IntegerOf(output.CopyFrom(0)) : std::nullopt;
}

// What was written meanwhile has another one.
void WorkerFlights::TakeTtl(const TtlAsk& ask, std::optional<int64_t> ttl_ms) {
  ExpiryTimes& expiries = ask.policies->early_refresh()->expiries();
  constexpr int64_t kNoKey = -2;
  const bool is_same = ask.generation == leases_.GenerationOf(ask.key.id);
  if (!ttl_ms || *ttl_ms == kNoKey || !is_same) return expiries.Forget(ask.key.id);
  expiries.Set(ask.key.id, ask.asked_ms, *ttl_ms);
}

void WorkerFlights::OnUpstreamReply(const UpstreamRequest& request, std::string_view reply) {
  const auto asked = asked_.find(request.sequence);
  if (asked == asked_.end() || stopped_) return;
  const Asked was = std::move(asked->second);
  asked_.erase(asked);
  if (was.ttl) return TakeTtl(*was.ttl, IntegerOf(reply));
  parking_.TakeReply(was.id, reply, IsNilReply(reply), MonotonicNanos());
}

bool WorkerFlights::End(const ParkedRead& read, ParkEnd end, const ParkedKey& key,
                        std::string_view reply) {
  Session* const session = worker_.FindSession(SessionOfTicket(read.client));
  if (session == nullptr || session->flights() == nullptr) return false;
  session->flights()->EndRead(read, end, key, reply);
  return true;
}

void WorkerFlights::StepSoon() {
  if (stopped_) return;
  worker_.Post([](Worker& worker) { worker.flights().parking().Step(MonotonicNanos()); });
}

// Rounded up: who comes early would come again.
void WorkerFlights::TickAt(int64_t at_ns) {
  if (stopped_) return;
  constexpr int64_t kMillisecond = 1'000'000;
  const int64_t wait_ns = std::max<int64_t>(at_ns - MonotonicNanos(), 0);
  timer_.StartOnce(static_cast<uint64_t>((wait_ns + kMillisecond - 1) / kMillisecond));
}

}  // namespace tidegate
