#include "hotkey/hot_key_detector.h"

#include <algorithm>
#include <optional>

#include "base/check.h"

namespace tidegate::hotkey {

namespace {

constexpr double kSecondsPerNano = 1e-9;
// A key is watched from this part of what makes it hot, and stays hot down to it.
constexpr double kQuarter = 0.25;
// A watched key that is not hot is given up below this part.
constexpr double kGiveUp = 0.125;
constexpr int64_t kGiveUpNanos = 1'000'000'000;
// Reads to a write from which on a key counts as read.
constexpr double kReadsPerWrite = 10;
constexpr double kMostlyMissed = 0.5;

double PerSecond(uint64_t count, double seconds) { return static_cast<double>(count) / seconds; }

}  // namespace

// A watched key.
struct HotKeyDetector::Tracked {
  KeyId id = 0;
  Keyspace keyspace = {};
  std::string name;
  uint32_t slot = 0;
  bool predicted = false;
  HotClasses classes;
  // When it was last above what keeps it in that class.
  std::array<int64_t, kHotClasses> kept_ns{};
  int64_t since_ns = 0;   // hot, or, while it is not, watched
  int64_t needed_ns = 0;  // when it was last worth watching
  AccessWindow window;
  AccessCounts sum;  // of the window, as of this turn
  // Of the last epochs in which it was hot, one entry for each worker.
  std::vector<std::pair<size_t, ClientShares>> clients;
};

struct HotKeyDetector::Seen {
  Keyspace keyspace = {};
  AccessCounts counts;  // at least
  std::string name;
};

HotKeyDetector::HotKeyDetector(DetectionOptions options, std::vector<AccessRecorder*> recorders)
    : recorders_(std::move(recorders)),
      list_(std::make_shared<const WatchList>(std::vector<WatchedKey>{})),
      report_(std::make_shared<const HotKeyReport>()) {
  SetOptions(std::move(options));
}

HotKeyDetector::~HotKeyDetector() = default;

void HotKeyDetector::SetOptions(DetectionOptions options) {
  TG_CHECK(options.hot_max <= kWatchedMax / 2 && options.predicted.size() <= options.hot_max);
  options_ = std::move(options);
  for (auto& [id, key] : tracked_) key->predicted = false;
}

std::vector<HotKeyChange> HotKeyDetector::Turn(int64_t now_ns) {
  Advance();
  seen_.clear();
  struct Taken {
    AccessRecorder* recorder;
    std::unique_ptr<AccessEpoch> epoch;
  };
  std::vector<Taken> taken;
  double span_s = 0;
  for (size_t worker = 0; worker < recorders_.size(); ++worker) {
    std::unique_ptr<AccessEpoch> epoch = recorders_[worker]->Take();
    if (epoch == nullptr) continue;
    Merge(worker, *epoch, now_ns);
    span_s += static_cast<double>(epoch->end_ns - epoch->begin_ns) * kSecondsPerNano;
    taken.push_back({recorders_[worker], std::move(epoch)});
  }
  spans_[cell_] = span_s / static_cast<double>(recorders_.size());
  const Thresholds thresholds = ThresholdsNow();
  TakePredicted(now_ns);
  WatchCandidates(thresholds, now_ns);
  std::vector<HotKeyChange> changes;
  Judge(thresholds, now_ns, changes);
  DropCold(now_ns);
  ForgetClients(now_ns);
  if (list_changed_) list_ = MakeList();
  list_changed_ = false;
  for (Taken& one : taken) one.recorder->GiveBack(std::move(one.epoch), list_);
  Publish(now_ns);
  return changes;
}

void HotKeyDetector::Advance() {
  total_.Advance();
  cell_ = (cell_ + 1) % kWindowCells;
  spans_[cell_] = 0;
  for (auto& [id, key] : tracked_) {
    key->window.Advance();
    key->clients.clear();
  }
}

void HotKeyDetector::Merge(size_t worker, AccessEpoch& epoch, int64_t now_ns) {
  total_.Add(epoch.total);
  for (auto& [client, text] : epoch.described)
    known_clients_[{worker, client}] = {std::move(text), now_ns};
  const WatchList& list = *epoch.watched;
  const auto find = [&](size_t index) -> Tracked* {
    const WatchedKey& watched = list[index];
    if (watched.slot >= slots_.size()) return nullptr;
    Tracked* const key = slots_[watched.slot].get();
    return key != nullptr && key->id == watched.id ? key : nullptr;
  };
  for (size_t i = 0; i < list.size(); ++i) {
    if (!epoch.counts[i].any()) continue;
    Tracked* const key = find(i);
    if (key == nullptr) continue;  // given up meanwhile
    key->window.Add(epoch.counts[i]);
    if (i < list.hot()) key->clients.emplace_back(worker, epoch.clients[i]);
  }
  for (const auto& [index, name] : epoch.names) {
    Tracked* const key = find(index);
    if (key == nullptr || !key->name.empty()) continue;
    key->name = name;
    list_changed_ = true;
  }
  MergeSummary(epoch.reads, epoch.sampled, &AccessCounts::reads);
  MergeSummary(epoch.writes, epoch.sampled, &AccessCounts::writes);
  MergeSummary(epoch.egress, kEgressUnitBytes, &AccessCounts::reply_bytes);
}

// Lower bounds only: what a counter took over from another key is not this key's.
void HotKeyDetector::MergeSummary(const SpaceSaving& summary, uint32_t scale,
                                  uint64_t AccessCounts::*counted) {
  summary.ForEach([&](const SpaceSaving::Entry& entry) {
    if (entry.at_least() < 2 && counted != &AccessCounts::reply_bytes) return;
    Seen& seen = seen_[entry.id];
    seen.keyspace = entry.keyspace;
    seen.counts.*counted += static_cast<uint64_t>(entry.at_least()) * scale;
    if (seen.name.empty()) seen.name = entry.name->view();
  });
}

double HotKeyDetector::SecondsMeasured() const {
  double seconds = 0;
  for (const double span : spans_) seconds += span;
  return std::max(seconds, static_cast<double>(kEpochNanos) * kSecondsPerNano);
}

// Of a key: what has just begun is not yet a rate.
double HotKeyDetector::SecondsOfWindow() const { return std::max(SecondsMeasured(), 1.0); }

HotKeyDetector::Thresholds HotKeyDetector::ThresholdsNow() const {
  const AccessCounts total = total_.Sum();
  const double seconds = SecondsMeasured();  // a share needs the whole, also of a short time
  const auto of = [&](uint64_t count) {
    const double by_share =
        std::max(options_.share_rate, options_.share * PerSecond(count, seconds));
    return std::min(options_.rate, by_share);
  };
  return {.reads = of(total.reads), .writes = of(total.writes), .egress = options_.egress};
}

// Those of this turn that are worth it; when there is no room for all, those with the most.
void HotKeyDetector::WatchCandidates(const Thresholds& thresholds, int64_t now_ns) {
  const double seconds = static_cast<double>(kEpochNanos) * kSecondsPerNano * kQuarter;
  const auto weight = [&](const Seen& seen) {
    return std::max({static_cast<double>(seen.counts.reads) / thresholds.reads,
                     static_cast<double>(seen.counts.writes) / thresholds.writes,
                     static_cast<double>(seen.counts.reply_bytes) / thresholds.egress});
  };
  std::vector<std::pair<double, KeyId>> candidates;
  for (const auto& [id, seen] : seen_) {
    const double share = weight(seen);
    if (share < seconds) continue;
    // An epoch from before the key was watched: its accesses count all the same.
    if (const auto found = tracked_.find(id); found != tracked_.end())
      found->second->window.Add(seen.counts);
    else
      candidates.emplace_back(share, id);
  }
  std::sort(candidates.begin(), candidates.end(), std::greater<>());
  for (const auto& [share, id] : candidates) {
    if (tracked_.size() >= kWatchedMax) break;
    const Seen& seen = seen_.at(id);
    Watch(id, seen.keyspace, seen.name, now_ns).window.Add(seen.counts);
  }
}

HotKeyDetector::Tracked& HotKeyDetector::Watch(KeyId id, Keyspace keyspace, std::string_view name,
                                               int64_t now_ns) {
  auto slot = std::find(slots_.begin(), slots_.end(), nullptr);
  if (slot == slots_.end()) slot = slots_.insert(slot, nullptr);
  *slot = std::make_unique<Tracked>();
  Tracked& key = **slot;
  key.id = id;
  key.keyspace = keyspace;
  key.name = name;
  key.slot = static_cast<uint32_t>(slot - slots_.begin());
  key.since_ns = now_ns;
  key.needed_ns = now_ns;
  tracked_[id] = &key;
  list_changed_ = true;
  return key;
}

void HotKeyDetector::TakePredicted(int64_t now_ns) {
  for (const PredictedKey& predicted : options_.predicted) {
    const auto found = tracked_.find(predicted.id);
    if (found == tracked_.end() && tracked_.size() >= kWatchedMax) continue;  // the next turn
    Tracked& key = found != tracked_.end()
                       ? *found->second
                       : Watch(predicted.id, predicted.keyspace, predicted.name, now_ns);
    key.predicted = true;
  }
}

void HotKeyDetector::Judge(const Thresholds& thresholds, int64_t now_ns,
                           std::vector<HotKeyChange>& changes) {
  refused_ = 0;
  for (auto& [id, tracked] : tracked_) {
    Tracked& key = *tracked;
    key.sum = key.window.Sum();
    const HotClasses before = key.classes;
    Classify(key, thresholds, now_ns);
    if (key.classes == before) continue;
    if (!before.any() && hot_ >= options_.hot_max) {
      key.classes = {};
      ++refused_;
      continue;
    }
    list_changed_ = true;
    if (before.any() == key.classes.any()) continue;
    const bool hot = key.classes.any();
    hot_ = hot ? hot_ + 1 : hot_ - 1;
    ++(hot ? promotions_ : cool_downs_);
    if (hot) key.since_ns = now_ns;
    changes.push_back({.hot = hot, .key = Describe(key)});
    if (!hot) key.needed_ns = now_ns;
  }
}

void HotKeyDetector::Classify(Tracked& key, const Thresholds& thresholds, int64_t now_ns) const {
  const double seconds = SecondsOfWindow();
  const double reads = PerSecond(key.sum.reads, seconds);
  const double writes = PerSecond(key.sum.writes, seconds);
  const double misses = PerSecond(key.sum.misses, seconds);
  const double egress = PerSecond(key.sum.reply_bytes, seconds);
  // How far above what makes it hot it is, by the class; at a part of 1 it stays what it is.
  const double rate = std::max(reads / thresholds.reads, writes / thresholds.writes);
  const bool is_read = reads >= kReadsPerWrite * writes;
  const std::array<double, kHotClasses> part = {
      is_read ? rate : 0, is_read ? 0 : rate,
      misses >= kMostlyMissed * reads ? reads / thresholds.reads : 0, egress / thresholds.egress,
      key.predicted ? 1.0 : 0.0};
  for (size_t i = 0; i < kHotClasses; ++i) {
    const auto one = static_cast<HotClass>(i);
    if (part[i] >= kQuarter) key.kept_ns[i] = now_ns;
    if (part[i] >= 1) {
      key.classes.Set(one, true);
    } else if (key.classes.Has(one)) {
      const bool at_once = one == HotClass::kPredicted;
      const int64_t cool_ns = std::chrono::nanoseconds(options_.cool_time).count();
      key.classes.Set(one, !at_once && now_ns - key.kept_ns[i] < cool_ns);
    }
  }
  if (std::max(rate, egress / thresholds.egress) >= kGiveUp || key.predicted)
    key.needed_ns = now_ns;
}

void HotKeyDetector::DropCold(int64_t now_ns) {
  for (auto at = tracked_.begin(); at != tracked_.end();) {
    const Tracked& key = *at->second;
    if (key.classes.any() || now_ns - key.needed_ns < kGiveUpNanos) {
      ++at;
      continue;
    }
    slots_[key.slot].reset();
    at = tracked_.erase(at);
    list_changed_ = true;
  }
}

void HotKeyDetector::ForgetClients(int64_t now_ns) {
  std::erase_if(known_clients_, [now_ns](const auto& known) {
    return now_ns - known.second.at_ns > kClientKnownNanos;
  });
}

std::shared_ptr<const WatchList> HotKeyDetector::MakeList() const {
  std::vector<WatchedKey> keys;
  keys.reserve(tracked_.size());
  for (const auto& [id, key] : tracked_) {
    keys.push_back({.id = id,
                    .keyspace = key->keyspace,
                    .classes = key->classes,
                    .slot = key->slot,
                    .name = key->name});
  }
  std::stable_partition(keys.begin(), keys.end(),
                        [](const WatchedKey& key) { return key.classes.any(); });
  return std::make_shared<const WatchList>(std::move(keys));
}

HotKey HotKeyDetector::Describe(const Tracked& key) const {
  const double seconds = SecondsOfWindow();
  const AccessCounts total = total_.Sum();
  const auto all = static_cast<double>(std::max<uint64_t>(total.reads + total.writes, 1));
  HotKey hot = {.id = key.id,
                .keyspace = key.keyspace,
                .name = key.name,
                .classes = key.classes,
                .reads = PerSecond(key.sum.reads, seconds),
                .writes = PerSecond(key.sum.writes, seconds),
                .misses = PerSecond(key.sum.misses, seconds),
                .reply_bytes = PerSecond(key.sum.reply_bytes, seconds),
                .share = static_cast<double>(key.sum.reads + key.sum.writes) / all,
                .since_ns = key.since_ns,
                .clients = {}};
  const double epoch_s = std::max(spans_[cell_], kSecondsPerNano * kEpochNanos);
  for (const auto& [worker, shares] : key.clients) {
    for (const ClientShares::Share& share : shares.shares()) {
      if (share.count == 0) continue;
      hot.clients.push_back({worker, share.client, PerSecond(share.count, epoch_s)});
    }
  }
  std::sort(hot.clients.begin(), hot.clients.end(),
            [](const HotKey::Client& a, const HotKey::Client& b) { return a.rate > b.rate; });
  if (hot.clients.size() > kClientsPerKey) hot.clients.resize(kClientsPerKey);
  for (HotKey::Client& client : hot.clients) {
    const auto known = known_clients_.find({client.worker, client.client});
    if (known != known_clients_.end()) client.text = known->second.text;
  }
  return hot;
}

void HotKeyDetector::Publish(int64_t now_ns) {
  auto report = std::make_shared<HotKeyReport>();
  const double seconds = SecondsOfWindow();
  const AccessCounts total = total_.Sum();
  report->at_ns = now_ns;
  report->watched = tracked_.size();
  report->reads = PerSecond(total.reads, seconds);
  report->writes = PerSecond(total.writes, seconds);
  report->promotions = promotions_;
  report->cool_downs = cool_downs_;
  report->refused = refused_;
  std::vector<uint64_t> accesses;
  accesses.reserve(tracked_.size());
  for (const auto& [id, key] : tracked_) {
    accesses.push_back(key->sum.reads + key->sum.writes);
    if (key->classes.any()) report->keys.push_back(Describe(*key));
  }
  std::sort(report->keys.begin(), report->keys.end(), [](const HotKey& a, const HotKey& b) {
    return a.reads + a.writes > b.reads + b.writes;
  });
  std::sort(accesses.begin(), accesses.end(), std::greater<>());
  const auto all = static_cast<double>(std::max<uint64_t>(total.reads + total.writes, 1));
  uint64_t sum = 0;
  for (size_t i = 0; i < accesses.size() && i < 100; ++i) {
    sum += accesses[i];
    const double share = static_cast<double>(sum) / all;
    if (i < 1) report->top1_share = share;
    if (i < 10) report->top10_share = share;
    report->top100_share = share;
  }
  MutexLock lock(mutex_);
  report_ = std::move(report);
}

std::shared_ptr<const HotKeyReport> HotKeyDetector::Report() const {
  MutexLock lock(mutex_);
  return report_;
}

void HotKeyDetector::Reset() {
  tracked_.clear();
  slots_.clear();
  hot_ = 0;
  list_changed_ = true;
  total_ = {};
  spans_ = {};
}

}  // namespace tidegate::hotkey
