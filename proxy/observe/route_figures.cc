#include "proxy/observe/route_figures.h"

#include "storage/command.h"
#include "storage/engine_thread.h"

namespace tidegate {

namespace {

// The null of a value, in RESP2 and RESP3, and of an array.
bool IsNull(std::string_view reply) {
  const bool may_be = reply.size() > 1 && (reply[1] == '-' || reply[0] == '_');
  if (__builtin_expect(!may_be, 1)) return false;
  return reply.starts_with("$-1\r\n") || reply.starts_with("_\r\n") || reply.starts_with("*-1\r\n");
}

// Elements of an array of strings and nulls: from header to header.
ReplyHits HitsOfElements(std::string_view reply) {
  ReplyHits found;
  size_t at = reply.find('\n') + 1;
  while (at != 0 && at < reply.size()) {
    const std::string_view element = reply.substr(at);
    if (IsNull(element)) {
      ++found.misses;
      at = reply.find('\n', at) + 1;
      continue;
    }
    ++found.hits;
    if (element.front() != '$') break;  // nothing that an MGET gives
    size_t bytes = 0;
    for (size_t i = 1; i < element.size() && element[i] >= '0' && element[i] <= '9'; ++i)
      bytes = bytes * 10 + static_cast<size_t>(element[i] - '0');
    const size_t header = element.find('\n');
    if (header == std::string_view::npos || bytes > element.size()) break;
    at += header + 1 + bytes + 2;
  }
  return found;
}

}  // namespace

ReplyHits HitsOfReply(std::string_view reply, bool per_element) {
  if (reply.empty()) return {.hits = 1};  // it was handed on in pieces: there is much of it
  if (reply.front() == '-') return {};
  if (IsNull(reply)) return {.misses = 1};
  if (per_element && reply.front() == '*') return HitsOfElements(reply);
  return {.hits = 1};
}

RouteMeter::RouteMeter() { NumberOf("*", kEngineClusterName); }

uint16_t RouteMeter::NumberOf(std::string_view route, std::string_view cluster) {
  for (size_t i = 0; i < owned_.size(); ++i) {
    if (owned_[i]->route == route && owned_[i]->cluster == cluster) return static_cast<uint16_t>(i);
  }
  if (owned_.size() >= kRouteFiguresMax) return 0;
  owned_.push_back(std::make_shared<RouteFigures>(std::string(route), std::string(cluster)));
  const MutexLock lock(mutex_);
  published_.push_back(owned_.back());
  return static_cast<uint16_t>(owned_.size() - 1);
}

void RouteMeter::BeginCounting(uint64_t requests, const CommandStats& commands,
                               const EngineCounters& engine) {
  if (counts()) return;
  RouteFigures& figures = *owned_[0];
  Begin(engine);
  figures.requests.Add(requests);
  figures.hits.Add(static_cast<uint64_t>(hits_seen_));
  figures.misses.Add(static_cast<uint64_t>(misses_seen_));
  for (uint32_t id = 0; id < commands.size(); ++id) {
    const LatencyHistogram* latency = commands.of(id).latency.load(std::memory_order_relaxed);
    if (latency != nullptr) figures.latency.Add(*latency);
  }
  counts_.store(true, std::memory_order_release);
}

void RouteMeter::Begin(const EngineCounters& engine) {
  hits_seen_ = engine.keyspace_hits.value();
  misses_seen_ = engine.keyspace_misses.value();
}

void RouteMeter::CountHere(uint16_t number, uint64_t ticks, bool with_latency,
                           const EngineCounters& engine) {
  RouteFigures& figures = *owned_[number];
  const int64_t hits = engine.keyspace_hits.value();
  const int64_t misses = engine.keyspace_misses.value();
  figures.requests.Add(1);
  if (hits > hits_seen_) figures.hits.Add(static_cast<uint64_t>(hits - hits_seen_));
  if (misses > misses_seen_) figures.misses.Add(static_cast<uint64_t>(misses - misses_seen_));
  hits_seen_ = hits;
  misses_seen_ = misses;
  if (with_latency) figures.latency.Record(static_cast<uint64_t>(TicksToNanos(ticks)));
}

void RouteMeter::CountReply(uint16_t number, const Command& command, uint64_t ticks,
                            bool with_latency, std::string_view reply) {
  RouteFigures& figures = *owned_[number];
  figures.requests.Add(1);
  if (with_latency) figures.latency.Record(static_cast<uint64_t>(TicksToNanos(ticks)));
  if (command.spec->access != Access::kRead) return;
  const bool is_mget = command.full_name.size() == 4 && command.full_name == "mget";
  const ReplyHits found = HitsOfReply(reply, is_mget);
  figures.hits.Add(found.hits);
  figures.misses.Add(found.misses);
}

RouteMeter::List RouteMeter::Figures() const {
  const MutexLock lock(mutex_);
  return published_;
}

}  // namespace tidegate
