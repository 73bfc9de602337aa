#include "proxy/admin/stats_page.h"

#include <algorithm>

#include "base/clock.h"
#include "base/version.h"
#include "proxy/admin/json_writer.h"
#include "proxy/admin/request_figures.h"
#include "proxy/admin/stats_collector.h"

namespace tidegate {

namespace {

double TickSeconds(uint64_t ticks) { return static_cast<double>(TicksToNanos(ticks)) / 1e9; }

void WriteConnections(JsonWriter& json, const AdminSources& sources, const ServerFacts& facts) {
  const auto sum = [&](WorkerCounter WorkerCounters::*value) {
    return SumOfWorkers(sources, value);
  };
  json.Key("connections").BeginObject();
  json.Key("current").Int(sum(&WorkerCounters::sessions));
  json.Key("max").Int(facts.connections_max);
  json.Key("suspended").Int(sum(&WorkerCounters::sessions_suspended));
  json.Key("accepted").Int(sum(&WorkerCounters::connections_received));
  json.Key("rejected").Int(facts.connections_rejected);
  json.EndObject();
  json.Key("requests").Int(sum(&WorkerCounters::commands_processed));
  json.Key("error_replies").Int(facts.error_replies);
  json.Key("received_bytes").Int(sum(&WorkerCounters::net_input_bytes));
  json.Key("sent_bytes").Int(sum(&WorkerCounters::net_output_bytes));
}

void WriteWorkers(JsonWriter& json, const AdminSources& sources) {
  json.Key("workers").BeginArray();
  for (const WorkerSource& worker : sources.workers) {
    const WorkerCounters& counters = *worker.counters;
    json.BeginObject();
    json.Key("connections").Int(counters.sessions.Get());
    json.Key("requests").Int(counters.commands_processed.Get());
    json.Key("busy_seconds").Real(TickSeconds(counters.loop_busy_ticks.Get()));
    json.Key("loop_turn_max_seconds").Real(TickSeconds(counters.loop_turn_ticks_max.Get()));
    json.EndObject();
  }
  json.EndArray();
}

void WriteKeyspace(JsonWriter& json, Engine& engine) {
  const EngineStats stats = engine.StatsSinceStart();
  json.Key("hits").Int(stats.keyspace_hits);
  json.Key("misses").Int(stats.keyspace_misses);
  json.Key("expired").Int(stats.expired_keys);
  json.Key("evicted").Int(stats.evicted_keys);
  json.Key("lock_parks").Int(stats.lock_parks);
  json.Key("gate_closings").Int(stats.gate_closings);
  json.Key("databases").BeginArray();
  for (int db = 0; db < engine.databases(); ++db) {
    const DbStats db_stats = engine.StatsOfDb(db);
    if (db != 0 && db_stats.keys == 0) continue;
    json.BeginObject().Key("db").Int(db).Key("keys").Int(db_stats.keys);
    json.Key("with_expiry").Int(db_stats.expires).EndObject();
  }
  json.EndArray();
}

void WriteMemory(JsonWriter& json, const AdminSources& sources, const ServerFacts& facts) {
  json.Key("memory").BeginObject();
  json.Key("used_bytes").Int(sources.engine->UsedMemoryBytes());
  json.Key("limit_bytes").Int(facts.memory_limit_bytes);
  json.Key("resident_bytes").Int(facts.memory.resident_bytes);
  json.EndObject();
}

void WriteCommands(JsonWriter& json, const AdminSources& sources) {
  json.Key("commands").BeginArray();
  for (const Command* command : sources.commands().all()) {
    const uint64_t calls = SumOfCommand(sources, command->id, &CommandCounters::calls);
    const uint64_t rejected = SumOfCommand(sources, command->id, &CommandCounters::rejected);
    if (calls + rejected == 0) continue;
    json.BeginObject().Key("name").Text(command->full_name);
    json.Key("calls").Int(calls);
    json.Key("failed").Int(SumOfCommand(sources, command->id, &CommandCounters::failed));
    json.Key("rejected").Int(rejected);
    json.Key("seconds").Real(
        TickSeconds(SumOfCommand(sources, command->id, &CommandCounters::ticks)));
    json.EndObject();
  }
  json.EndArray();
}

void WriteLatency(JsonWriter& json, const AdminSources& sources) {
  const auto latency = LatencyByClass(sources);
  json.Key("latency").BeginArray();
  for (size_t i = 0; i < latency.size(); ++i) {
    json.BeginObject().Key("class").Text(kRequestClassNames[i]);
    json.Key("bounds_seconds").BeginArray();
    for (const int64_t bound : kLatencyBounds) json.Real(static_cast<double>(bound) / 1e9);
    json.EndArray().Key("counts").BeginArray();
    const HistogramFold fold(kLatencyBounds, latency[i]);
    for (const uint64_t count : fold.counts()) json.Int(count);
    json.EndArray().EndObject();
  }
  json.EndArray();
}

void WriteRoutes(JsonWriter& json, const AdminSources& sources) {
  json.Key("routes").BeginArray();
  for (const RouteOfWorkers& route : RoutesOf(sources)) {
    json.BeginObject().Key("route").Text(route.route).Key("cluster").Text(route.cluster);
    json.Key("requests").Int(route.requests);
    json.Key("hits").Int(route.hits);
    json.Key("misses").Int(route.misses).EndObject();
  }
  json.EndArray();
}

std::string_view NameOf(Readiness readiness) {
  switch (readiness) {
    case Readiness::kStarting:
      return "starting";
    case Readiness::kReady:
      return "ready";
    case Readiness::kDraining:
      break;
  }
  return "draining";
}

}  // namespace

std::string StatsJson(const AdminSources& sources) {
  const ServerFacts facts = GatherFacts(sources);
  JsonWriter json;
  json.BeginObject();
  json.Key("version").Text(kTidegateVersion);
  json.Key("state").Text(NameOf(sources.readiness()));
  json.Key("uptime_seconds").Real(static_cast<double>(facts.uptime_ms) / 1000);
  json.Key("cpu_seconds").Real(facts.process.cpu_user_seconds + facts.process.cpu_system_seconds);
  WriteConnections(json, sources, facts);
  WriteMemory(json, sources, facts);
  WriteKeyspace(json, *sources.engine);
  WriteWorkers(json, sources);
  WriteCommands(json, sources);
  WriteLatency(json, sources);
  WriteRoutes(json, sources);
  json.EndObject();
  return json.Take() + '\n';
}

}  // namespace tidegate
