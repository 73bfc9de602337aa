#include "proxy/observe/hot_key_service.h"

#include <pthread.h>

#include <algorithm>
#include <chrono>
#include <optional>
#include <utility>

#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/text.h"
#include "proxy/admin/hot_keys_page.h"
#include "proxy/admin/json_writer.h"
#include "proxy/observe/key_observer.h"
#include "proxy/pubsub/pubsub_hub.h"
#include "proxy/route/router.h"
#include "proxy/server.h"
#include "proxy/upstream/upstream_counters.h"
#include "proxy/upstream/worker_upstreams.h"
#include "proxy/worker.h"

namespace tidegate {
namespace {

// A key's name in a line of the log.
constexpr size_t kLoggedNameBytesMax = 64;

// A second: workers look at the options at the end of their turns.
constexpr int kForgettingTurns = 10;

std::vector<hotkey::AccessRecorder*> RecordersOf(Server& server) {
  std::vector<hotkey::AccessRecorder*> recorders;
  for (const auto& worker : server.workers())
    recorders.push_back(&worker->key_observer().recorder());
  return recorders;
}

// As the configuration routes keys: which cluster's is it.
Router ClusterRouter(const Options& options) {
  std::vector<Route> routes;
  for (const RouteOptions& route : options.routes) {
    Route& made = routes.emplace_back();
    made.match = route.match;
    made.cluster = route.cluster;
  }
  return Router(std::move(routes));
}

bool IsEngine(const Options& options, std::string_view cluster) {
  return std::any_of(
      options.clusters.begin(), options.clusters.end(),
      [cluster](const ClusterOptions& one) { return one.name == cluster && !one.is_upstream(); });
}

std::string Quoted(std::string_view name) {
  std::string quoted;
  AppendQuoted(quoted, name.substr(0, kLoggedNameBytesMax));
  return quoted;
}

}  // namespace

HotKeyService::HotKeyService(Server& server) : server_(server), detector_({}, RecordersOf(server)) {
  enabled_.store(server.config().Snapshot()->hot_keys);
}

HotKeyService::~HotKeyService() { Stop(); }

void HotKeyService::Start() {
  thread_ = std::thread([this] { Run(); });
}

void HotKeyService::Stop() {
  {
    const MutexLock lock(mutex_);
    stop_ = true;
  }
  condition_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void HotKeyService::Run() {
  pthread_setname_np(pthread_self(), "hot-keys");
  constexpr std::chrono::nanoseconds kTurn{hotkey::kEpochNanos};
  for (;;) {
    {
      const MutexLock lock(mutex_);
      if (!stop_) condition_.wait_for(mutex_, kTurn);
      if (stop_) return;
    }
    Turn(MonotonicNanos());
  }
}

// When the DURATION of a session is over.
void HotKeyService::EndCosts() {
  const std::shared_ptr<const CostSession> ended = costs_.EndIfOver(UnixMillis());
  if (ended == nullptr) return;
  for (const auto& worker : server_.workers())
    worker->Post([ended](Worker& at) { StopTrackingCosts(at, *ended); });
}

void HotKeyService::Turn(int64_t now_ns) {
  EndCosts();
  const bool was_enabled = enabled_.load(std::memory_order_relaxed);
  FollowOptions(now_ns);
  const bool enabled = enabled_.load(std::memory_order_relaxed);
  if (!enabled) return Forget(was_enabled, now_ns);
  if (reset_.exchange(false, std::memory_order_relaxed)) detector_.Reset();
  const std::vector<hotkey::HotKeyChange> changes = detector_.Turn(now_ns);
  if (!changes.empty()) Tell(changes, now_ns);
}

// What workers note until they hear of it still comes in for a while.
void HotKeyService::Forget(bool was_enabled, int64_t now_ns) {
  if (was_enabled) forgetting_turns_ = kForgettingTurns;
  if (forgetting_turns_ == 0) return;
  --forgetting_turns_;
  static_cast<void>(detector_.Turn(now_ns));
  detector_.Reset();
  static_cast<void>(detector_.Turn(now_ns));  // shows that nothing is left
}

void HotKeyService::FollowOptions(int64_t /*now_ns*/) {
  const std::shared_ptr<const Options> options = server_.config().Snapshot();
  hotkey::DetectionOptions wanted{
      .rate = static_cast<double>(options->hot_key_rate),
      .share = static_cast<double>(options->hot_key_share_percent) / 100,
      .share_rate = static_cast<double>(options->hot_key_share_rate),
      .egress = static_cast<double>(options->hot_key_egress.count),
      .cool_time = options->hot_key_cool_time,
      .hot_max = static_cast<size_t>(options->hot_keys_max),
      .predicted = options->hot_keys ? PredictedNow(*options) : std::vector<hotkey::PredictedKey>(),
  };
  wanted.predicted.resize(std::min(wanted.predicted.size(), wanted.hot_max));
  if (wanted != detection_) {
    detection_ = wanted;
    detector_.SetOptions(std::move(wanted));
  }
  enabled_.store(options->hot_keys, std::memory_order_relaxed);
}

std::map<uint16_t, std::string> HotKeyService::ClusterNames() const {
  std::map<uint16_t, std::string> names;
  for (const auto& figures : server_.workers()[0]->worker_upstreams().Figures())
    names.emplace(KeyspaceNumber(figures->number), figures->name);
  return names;
}

std::vector<hotkey::PredictedKey> HotKeyService::PredictedNow(const Options& options) const {
  std::vector<hotkey::PredictedKey> predicted;
  if (options.hot_keys_predicted.empty()) return predicted;
  const int64_t now_ms = UnixMillis();
  Router router = ClusterRouter(options);
  const std::map<uint16_t, std::string> names = ClusterNames();
  for (const PredictedKeyOptions& key : options.hot_keys_predicted) {
    if (now_ms < key.from_ms || now_ms >= key.until_ms) continue;
    const std::string& cluster =
        key.cluster.empty() ? router.RouteOfKey(key.key).cluster : key.cluster;
    hotkey::Keyspace keyspace{.cluster = 0, .database = static_cast<uint16_t>(key.database)};
    if (!IsEngine(options, cluster)) {
      const auto named = std::find_if(names.begin(), names.end(),
                                      [&](const auto& one) { return one.second == cluster; });
      if (named == names.end()) continue;  // a reload has not come into force yet
      keyspace.cluster = named->first;
    }
    predicted.push_back(
        {.keyspace = keyspace, .id = hotkey::IdOf(KeyHash(key.key), keyspace), .name = key.key});
  }
  return predicted;
}

HotKeyFacts HotKeyService::Facts() const {
  return {.enabled = enabled_.load(std::memory_order_relaxed),
          .report = detector_.Report(),
          .clusters = ClusterNames(),
          .policies = &server_.policies(),
          .to_unix_ns = UnixMillis() * 1'000'000 - MonotonicNanos()};
}

void HotKeyService::Tell(const std::vector<hotkey::HotKeyChange>& changes, int64_t now_ns) {
  const HotKeyFacts facts = Facts();
  for (const hotkey::HotKeyChange& change : changes) Log(change, facts, now_ns);
  Publish(changes, facts);
}

void HotKeyService::Log(const hotkey::HotKeyChange& change, const HotKeyFacts& facts,
                        int64_t now_ns) {
  if (now_ns - log_since_ns_ >= kHotKeyLogNanos) {
    if (log_skipped_ > 0) {
      log::Notice("Hot keys: " + std::to_string(log_skipped_) +
                  " more changes in the last minute that are not logged");
    }
    log_since_ns_ = now_ns;
    log_lines_ = 0;
    log_skipped_ = 0;
  }
  if (log_lines_ >= kHotKeyLogLinesMax) {
    ++log_skipped_;
    return;
  }
  ++log_lines_;
  const hotkey::HotKey& key = change.key;
  std::string line = "Hot key " + Quoted(key.name) + " of " + facts.ClusterOf(key.keyspace) +
                     " db " + std::to_string(key.keyspace.database);
  if (!change.hot) return log::Notice(line + " has cooled down");
  line += " (" + key.classes.Text() + "): " + std::to_string(static_cast<int64_t>(key.reads)) +
          " reads and " + std::to_string(static_cast<int64_t>(key.writes)) + " writes a second";
  log::Notice(line);
}

// By a worker, for messages go out on workers.
void HotKeyService::Publish(const std::vector<hotkey::HotKeyChange>& changes,
                            const HotKeyFacts& facts) {
  PubSubHub& hub = server_.pubsub();
  if (hub.Subscribers(SubscriptionKind::kChannel, kHotKeyChannel) == 0 && hub.PatternCount() == 0)
    return;
  auto messages = std::make_shared<std::vector<std::string>>();
  const int64_t unix_ms = UnixMillis();
  for (const hotkey::HotKeyChange& change : changes) {
    if (messages->size() >= kHotKeyChangesPublishedMax) break;
    messages->push_back(HotKeyChangeJson(change, facts, unix_ms));
  }
  server_.workers()[0]->Post([messages](Worker& worker) {
    for (const std::string& message : *messages)
      worker.server().pubsub().Publish(worker, SubscriptionKind::kChannel, kHotKeyChannel, message);
  });
}

std::string HotKeyChangeJson(const hotkey::HotKeyChange& change, const HotKeyFacts& facts,
                             int64_t unix_ms) {
  JsonWriter json;
  json.BeginObject().Key("event").Text(change.hot ? "hot" : "cool").Key("at_ms").Int(unix_ms);
  WriteHotKey(json, change.key, facts);
  json.EndObject();
  return json.Take();
}

}  // namespace tidegate
