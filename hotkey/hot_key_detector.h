// HotKeyDetector: which keys of the whole instance are hot now. It merges what the workers noted,
// ten times a second, decides, and hands the workers the next watch list.
//
//   recorders --epochs--> [merge] --> summaries: who may become hot --> watched
//                                 --> exact counts of the watched   --> windows of a second --> hot
//
// A key that no list has yet becomes watched when an epoch's lower bounds, summed over the workers,
// are a quarter of what makes a key hot; from then on it is counted exactly, everywhere. So it is
// never called hot for accesses that others had, and a key that jumps from nothing to ten times the
// threshold is hot within two epochs. A threshold is crossed upwards at once; a key stays hot until
// it was below a quarter for `cool_time`, so that none flaps and no policy starts from nothing each
// time.
// Owner: one thread, which calls Turn ten times a second; what it publishes is for any thread.
// Time is a parameter. Cost of a turn: the summaries' size, about 0.1 ms a worker.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/thread_annotations.h"
#include "hotkey/access_epoch.h"
#include "hotkey/access_recorder.h"
#include "hotkey/access_window.h"
#include "hotkey/detection_options.h"
#include "hotkey/watch_list.h"

namespace tidegate::hotkey {

// How often Turn is called.
inline constexpr int64_t kEpochNanos = 100'000'000;
// How long is known who a client is that is not described again.
inline constexpr int64_t kClientKnownNanos = 5'000'000'000;

// A hot key, for people.
struct HotKey {
  KeyId id = 0;
  Keyspace keyspace = {};
  std::string name;
  HotClasses classes;
  // A second, over the last one.
  double reads = 0;
  double writes = 0;
  double misses = 0;
  double reply_bytes = 0;
  double share = 0;      // of the instance's accesses
  int64_t since_ns = 0;  // when it became hot
  // Who asks most, as the workers call them, with accesses a second; at most kClientsPerKey.
  struct Client {
    size_t worker = 0;  // index of its recorder
    uint64_t client = 0;
    double rate = 0;
    ClientText text = {};  // empty: it was gone before it could be asked
  };
  std::vector<Client> clients;
};

// What there is to see, as of one turn.
struct HotKeyReport {
  int64_t at_ns = 0;
  std::vector<HotKey> keys;  // the most accesses first
  size_t watched = 0;        // keys counted exactly, the hot ones among them
  double reads = 0;          // of the instance, a second
  double writes = 0;
  // The part of all accesses that the most accessed 1, 10 and 100 keys have, of those watched.
  double top1_share = 0;
  double top10_share = 0;
  double top100_share = 0;
  uint64_t promotions = 0;  // since the start
  uint64_t cool_downs = 0;
  size_t refused = 0;  // keys that would be hot now, but hot_max are
};

// It has become hot, or cooled down.
struct HotKeyChange {
  bool hot = false;
  HotKey key;
};

class HotKeyDetector final {
 public:
  // The recorders outlive it.
  HotKeyDetector(DetectionOptions options, std::vector<AccessRecorder*> recorders);
  ~HotKeyDetector();

  void SetOptions(DetectionOptions options);

  // Returns who has become hot or cooled down since the last turn.
  std::vector<HotKeyChange> Turn(int64_t now_ns);
  // Forgets everything but what is predicted.
  void Reset();

  // Any thread.
  std::shared_ptr<const HotKeyReport> Report() const TG_EXCLUDES(mutex_);

 private:
  struct Tracked;
  struct Seen;  // a key that is not watched, in this turn
  // What makes a key hot now, a second.
  struct Thresholds {
    double reads;
    double writes;
    double egress;
  };

  void Merge(size_t worker, AccessEpoch& epoch, int64_t now_ns);
  void MergeSummary(const SpaceSaving& summary, uint32_t scale, uint64_t AccessCounts::*counted);
  Thresholds ThresholdsNow() const;
  double SecondsMeasured() const;
  double SecondsOfWindow() const;
  void WatchCandidates(const Thresholds& thresholds, int64_t now_ns);
  Tracked& Watch(KeyId id, Keyspace keyspace, std::string_view name, int64_t now_ns);
  void TakePredicted(int64_t now_ns);
  void Judge(const Thresholds& thresholds, int64_t now_ns, std::vector<HotKeyChange>& changes);
  void Classify(Tracked& key, const Thresholds& thresholds, int64_t now_ns) const;
  void DropCold(int64_t now_ns);
  std::shared_ptr<const WatchList> MakeList() const;
  HotKey Describe(const Tracked& key) const;
  void Publish(int64_t now_ns);
  void ForgetClients(int64_t now_ns);
  void Advance();

  DetectionOptions options_;
  const std::vector<AccessRecorder*> recorders_;
  // By WatchedKey::slot. A slot whose key has gone is free for another when no epoch that is still
  // with a worker can name it: such an epoch names the key's id, too.
  std::vector<std::unique_ptr<Tracked>> slots_;
  std::unordered_map<KeyId, Tracked*> tracked_;
  std::unordered_map<KeyId, Seen> seen_;
  // By worker and the number it has there.
  struct KnownClient {
    ClientText text;
    int64_t at_ns = 0;
  };
  std::map<std::pair<size_t, uint64_t>, KnownClient> known_clients_;
  AccessWindow total_;
  std::array<double, kWindowCells> spans_{};  // seconds of each cell, mean of the workers
  size_t cell_ = 0;
  size_t hot_ = 0;
  bool list_changed_ = false;
  std::shared_ptr<const WatchList> list_;
  uint64_t promotions_ = 0;
  uint64_t cool_downs_ = 0;
  size_t refused_ = 0;  // in this turn
  mutable Mutex mutex_;
  std::shared_ptr<const HotKeyReport> report_ TG_GUARDED_BY(mutex_);
};

}  // namespace tidegate::hotkey
