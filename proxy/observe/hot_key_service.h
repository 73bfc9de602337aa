// HotKeyService: runs the HotKeyDetector for the whole server, ten times a second on a thread of
// its own: gives it the options as they are now, tells the log and the subscribers of
// kHotKeyChannel what has changed, and keeps what commands and pages show.
//
// While `hot-keys` is no the workers note nothing and the thread only looks whether that changes.
// Owner: the server. Facts and Reset are for any thread.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "base/thread_annotations.h"
#include "config/options.h"
#include "hotkey/hot_key_detector.h"
#include "proxy/observe/cost_tracking.h"
#include "proxy/observe/hot_key_facts.h"

namespace tidegate {

class Server;

// Where promotions and cool-downs are published, to clients of this process alone.
inline constexpr std::string_view kHotKeyChannel = "__tidegate__:hotkeys";

// Lines about hot keys in the log, in a minute; what is beyond is counted, and said then.
inline constexpr int kHotKeyLogLinesMax = 10;
inline constexpr int64_t kHotKeyLogNanos = 60'000'000'000;

// Changes that one turn publishes. A turn has more when everything becomes hot at once: then the
// report tells it better.
inline constexpr size_t kHotKeyChangesPublishedMax = 256;

class HotKeyService final {
 public:
  // When the server's workers are made, and before they run.
  explicit HotKeyService(Server& server);
  ~HotKeyService();
  HotKeyService(const HotKeyService&) = delete;
  HotKeyService& operator=(const HotKeyService&) = delete;

  void Start();
  // Before the workers end.
  void Stop();

  HotKeyFacts Facts() const;
  // Forgets all keys but the predicted ones, in the next turn.
  void Reset() { reset_.store(true, std::memory_order_relaxed); }
  // HOTKEYS START … STOP.
  CostTracking& costs() { return costs_; }

 private:
  void Run();
  void Turn(int64_t now_ns);
  void EndCosts();
  void Forget(bool was_enabled, int64_t now_ns);
  void FollowOptions(int64_t now_ns);
  std::map<uint16_t, std::string> ClusterNames() const;
  // Those whose time it is, as ids.
  std::vector<hotkey::PredictedKey> PredictedNow(const Options& options) const;
  void Tell(const std::vector<hotkey::HotKeyChange>& changes, int64_t now_ns);
  void Log(const hotkey::HotKeyChange& change, const HotKeyFacts& facts, int64_t now_ns);
  void Publish(const std::vector<hotkey::HotKeyChange>& changes, const HotKeyFacts& facts);

  Server& server_;
  hotkey::HotKeyDetector detector_;
  CostTracking costs_;
  std::atomic<bool> enabled_{false};
  std::atomic<bool> reset_{false};
  int forgetting_turns_ = 0;  // left, since it was switched off

  // The thread's.
  hotkey::DetectionOptions detection_;
  int64_t log_since_ns_ = 0;
  int log_lines_ = 0;
  uint64_t log_skipped_ = 0;

  std::thread thread_;
  Mutex mutex_;
  std::condition_variable_any condition_;
  bool stop_ TG_GUARDED_BY(mutex_) = false;
};

// One change, as it is published.
std::string HotKeyChangeJson(const hotkey::HotKeyChange& change, const HotKeyFacts& facts,
                             int64_t unix_ms);

}  // namespace tidegate
