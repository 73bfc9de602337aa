// RateLimit: the rates of one route. A rule says which requests share a rate (those for one key, of
// one client …), how many may pass, and what becomes of the rest.
//
//   request --> each rule that covers it: take from its rate --> all taken: it may go, now or after
//                     |                                          the longest wait
//                     +-- not to be had: refused; what was taken from other rules is given back
//
// Rates are shared by all workers (GcraTable), so a limit is that of the process. In mode observe
// the same is reckoned, and nobody waits or is refused.
// A request is charged once, when it is first looked at: whoever waits for a busy slot, for a reply
// or in BLPOP pays nothing more. Threads: any. Cost: one cache line for each rule and key.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "base/key_pattern.h"
#include "config/policy_options.h"
#include "hotkey/access_recorder.h"
#include "hotkey/key_id.h"
#include "policy/command_access.h"
#include "policy/policy_counters.h"
#include "policy/rate_limit/gcra.h"
#include "policy/rate_limit/gcra_table.h"
#include "storage/request.h"

namespace tidegate {

// A request as rates see it.
struct RatedRequest {
  DataAccess access = DataAccess::kNone;
  std::span<const KeyRef> keys;  // those of the route
  hotkey::Keyspace keyspace = {};
  uint64_t client = 0;                          // hash of its address
  uint64_t user = 0;                            // hash of its name
  int64_t now_ns = 0;                           // monotonic
  const hotkey::AccessRecorder* hot = nullptr;  // who knows which keys are hot; null: none is
};

// What was taken for one request, or for all of a transaction. A transaction is let in when each of
// its rates has room for one more, and then pays for all of its commands: it is executed whole or
// not at all, and if it needed room for all of them a long one might never come in.
class RateCharges final {
 public:
  void Begin(bool in_transaction) {
    charges_.clear();
    paying_.clear();
    in_transaction_ = in_transaction;
    wait_ns_ = 0;
    wants_copy_ = false;
  }
  // False: another command of the transaction was let in by this rate.
  bool MustAsk(const std::atomic<int64_t>& tat_ns) {
    return !in_transaction_ || paying_.insert(&tat_ns).second;
  }
  void Add(const Gcra& gcra, std::atomic<int64_t>& tat_ns) { charges_.push_back({&gcra, &tat_ns}); }
  void Wait(int64_t wait_ns) { wait_ns_ = std::max(wait_ns_, wait_ns); }
  int64_t wait_ns() const { return wait_ns_; }
  // A rule by which it has to wait would rather have it answered with a copy.
  void WantCopy() { wants_copy_ = true; }
  bool wants_copy() const { return wants_copy_; }
  void GiveBack() {
    for (const Charge& charge : charges_) charge.gcra->GiveBack(*charge.tat_ns);
    charges_.clear();
  }

 private:
  struct Charge {
    const Gcra* gcra;
    std::atomic<int64_t>* tat_ns;
  };
  std::vector<Charge> charges_;
  std::unordered_set<const std::atomic<int64_t>*> paying_;
  bool in_transaction_ = false;
  int64_t wait_ns_ = 0;
  bool wants_copy_ = false;
};

class RateLimit final {
 public:
  // `before`: that of the same route before a reload; rules that stay go on where they are.
  RateLimit(const RateLimitOptions& options, PolicyMode mode, PolicyCounters& counters,
            const RateLimit* before);

  // The rule that it is over, and for how long; none: it may go, after `charges.wait_ns()`.
  struct Over {
    const RateLimitRule* rule = nullptr;
    int64_t wait_ns = 0;
  };
  std::optional<Over> Take(const RatedRequest& request, RateCharges& charges);

  PolicyMode mode() const { return mode_; }
  // Whether a key is at a limit now.
  bool IsPressed(std::string_view name, hotkey::KeyId id, int64_t now_ns) const;
  // A line for each rule.
  std::vector<std::string> Describe() const;

 private:
  struct Rule {
    RateLimitRule options;
    std::optional<KeyPattern> match;
    Gcra gcra;
    std::shared_ptr<GcraTable> table;
  };
  static Rule MakeRule(const RateLimitRule& options, const RateLimit* before);

  std::optional<Over> TakeByRule(Rule& rule, const RatedRequest& request, RateCharges& charges);
  std::optional<Over> TakeOne(Rule& rule, uint64_t id, const RatedRequest& request,
                              RateCharges& charges);

  std::vector<Rule> rules_;
  const PolicyMode mode_;
  PolicyCounters& counters_;
};

}  // namespace tidegate
