#include "proxy/session/worker_flights.h"

#include <algorithm>
#include <array>
#include <string>
#include <utility>

#include "base/clock.h"
#include "policy/policy_registry.h"
#include "policy/route_policies.h"
#include "proxy/server.h"
#include "proxy/session/session.h"
#include "proxy/session/session_flights.h"
#include "proxy/upstream/upstream_cluster.h"
#include "proxy/upstream/upstream_connection.h"
#include "proxy/upstream/upstream_node.h"
#include "proxy/worker.h"

namespace tidegate {
namespace {

// As the upstream knows it.
std::string NameAt(const KeyPrefixes& prefixes, std::string_view name) {
  return prefixes.add + std::string(name.substr(std::min(prefixes.strip.size(), name.size())));
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

void WorkerFlights::NoteWritten(const std::vector<FlightWrite>& writes) {
  if (stopped_) return;
  const int64_t now_ns = MonotonicNanos();
  for (const FlightWrite& write : writes) {
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
  Session* const session = worker_.FindSession(SessionOfTicket(client));
  if (session == nullptr) return false;
  const Route& route = session->router().RouteOfKey(key.name);
  UpstreamCluster* const cluster = route.upstream;
  if (cluster == nullptr || !cluster->Refusal(key.keyspace.database, Protocol::kResp2).empty())
    return false;
  const std::string name = NameAt(route.prefixes, key.name);
  const std::array<std::string_view, 2> args = {"GET", name};
  const std::array<KeyRef, 1> keys = {KeyRef::Of(name)};
  const Request request{
      .command = worker_.server().commands().Find("get"), .args = args, .keys = keys};
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
  asked_.emplace(next_read_++, key.id);
  return true;
}

void WorkerFlights::OnUpstreamReply(const UpstreamRequest& request, std::string_view reply) {
  const auto asked = asked_.find(request.sequence);
  if (asked == asked_.end() || stopped_) return;
  const hotkey::KeyId id = asked->second;
  asked_.erase(asked);
  parking_.TakeReply(id, reply, IsNilReply(reply), MonotonicNanos());
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
