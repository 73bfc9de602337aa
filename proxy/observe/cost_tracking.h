// CostTracking: the session of HOTKEYS START … STOP: which keys cost the most time and bytes, from
// one moment to another. At most one at a time; its result stays until the next one or a RESET.
//
// A session is an immutable value with a KeyCosts for each worker; who begins and ends it has the
// workers take these (KeyObserver::set_costs), so a session that is not there costs nothing.
// Threads: any.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/thread_annotations.h"
#include "proxy/observe/key_costs.h"

namespace tidegate {

class Worker;

// What HOTKEYS START asks for.
struct CostOptions {
  bool by_time = false;     // METRICS CPU
  bool by_bytes = false;    // METRICS NET
  size_t keys = 10;         // COUNT
  int64_t duration_ms = 0;  // 0: until it is stopped
  CostSelection selection = {};
};

struct CostSession {
  CostOptions options;
  int64_t begin_unix_ms = 0;
  // Processor time of the process when it began, in milliseconds.
  int64_t user_ms = 0;
  int64_t system_ms = 0;
  std::vector<std::shared_ptr<KeyCosts>> workers;  // by index
};

// What HOTKEYS GET shows.
struct CostReport {
  bool active = false;
  CostOptions options;
  int64_t begin_unix_ms = 0;
  int64_t duration_ms = 0;
  int64_t user_ms = 0;  // of the process, meanwhile
  int64_t system_ms = 0;
  KeyCosts::Sums sums;  // of all workers; keys in no order
};

class CostTracking final {
 public:
  // Null: one is under way. Its tables are still to be given to the workers.
  std::shared_ptr<const CostSession> Begin(CostOptions options, size_t workers, int64_t unix_ms)
      TG_EXCLUDES(mutex_);
  // False: none is under way. The tables are still to be taken from the workers.
  bool End(int64_t unix_ms) TG_EXCLUDES(mutex_);
  // The same when its time is over; null: it is not, or was ended before.
  std::shared_ptr<const CostSession> EndIfOver(int64_t unix_ms) TG_EXCLUDES(mutex_);
  // False: one is under way.
  bool Reset(int64_t unix_ms) TG_EXCLUDES(mutex_);
  // Null: there is none.
  std::unique_ptr<CostReport> Report(int64_t unix_ms) const TG_EXCLUDES(mutex_);

 private:
  bool IsActive(int64_t unix_ms) const TG_REQUIRES(mutex_);
  // When it ends, or ended.
  int64_t EndTime(int64_t unix_ms) const TG_REQUIRES(mutex_);

  mutable Mutex mutex_;
  std::shared_ptr<const CostSession> session_ TG_GUARDED_BY(mutex_);
  int64_t end_unix_ms_ TG_GUARDED_BY(mutex_) = 0;  // 0: it is not ended
};

// On the worker's thread: it adds up costs for the session from now on; null: for none.
void TrackCosts(Worker& worker, const CostSession* session);
// The same: for that session not any more; for another that has begun meanwhile it goes on.
void StopTrackingCosts(Worker& worker, const CostSession& session);

}  // namespace tidegate
