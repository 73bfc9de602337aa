// SingleFlight: which reads of a route wait for one another's load, and for how long.
//
// A plain GET that finds nothing sends its application to the database. Of many that miss a key at
// once the first one gets its nil, and is expected to write the key; the others are kept until it
// has, and then get the value. What a policy cannot know is whether a missing key will be loaded at
// all (a lock, a flag, a session that has ended is missing for good): so it acts on keys that the
// route names, or whose kind is seen to be a cache's (CacheClasses).
//
//   lease   4 x the average load, from 50 ms to `lease-max`; a second while that is not known
//   wait    2 x the average load, from 500 ms to `wait-max`; `wait-max` while it is not known
//
// Threads: any. LeaseTable has who loads what, ReadParking those that wait.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/key_pattern.h"
#include "config/policy_options.h"
#include "hotkey/key_id.h"
#include "policy/single_flight/cache_classes.h"
#include "policy/single_flight/lease_table.h"
#include "policy/single_flight/load_times.h"
#include "storage/request.h"

namespace tidegate {

inline constexpr int64_t kLeaseNanosMin = 50'000'000;
inline constexpr int64_t kLeaseNanosUnknown = 1'000'000'000;
inline constexpr int64_t kWaitNanosMin = 500'000'000;
// What a read may wait whose client could not say meanwhile what others wait for: one that has sent
// more behind it, or that itself is loading something.
inline constexpr int64_t kShortWaitNanos = 20'000'000;
// Unanswered requests of a client from which on it is one that many share.
inline constexpr uint32_t kUnansweredOfOne = 8;

class SingleFlight final {
 public:
  SingleFlight(const SingleFlightOptions& options, Profile profile, LeaseTable& leases,
               const SingleFlight* before);

  LeaseTable& leases() { return leases_; }
  bool learns() const { return classes_ != nullptr; }
  // Keys like this are seen to be used as a cache's.
  bool HasLearned(std::string_view key, int64_t now_ns) const {
    return classes_ != nullptr && classes_->Has(key, now_ns);
  }
  bool wants_error() const { return options_.over == PolicyAnswer::kError; }

  // Of reads of this key that find nothing; kOff: nothing is done.
  PolicyMode ModeFor(std::string_view key, int64_t now_ns) const;
  // Whether reads of such keys may have to be looked at, and writes that make them.
  bool Looks(std::string_view key) const;

  // How long a load takes on average; 0: not known.
  int64_t LoadNanos(uint16_t place) const { return times_->NanosOf(place); }
  int64_t LeaseNanos(uint16_t place) const;
  int64_t WaitNanos(uint16_t place) const;
  void NoteLoad(uint16_t place, int64_t load_ns) { times_->Note(place, load_ns); }

  // What a kind of keys is learned from; nothing, where it is not.
  void NoteNil(std::string_view key, hotkey::KeyId id, int64_t now_ns);
  void NoteUse(const Request& request, const KeyRef& key, hotkey::Keyspace keyspace,
               int64_t now_ns);

  // A line for TIDEGATE EXPLAIN.
  std::string Describe(int64_t now_ns) const;
  // The kinds of keys that are a cache's by what is seen.
  std::vector<std::string> Learned(int64_t now_ns) const;

 private:
  const SingleFlightOptions options_;
  const Profile profile_;
  const std::vector<KeyPattern> keys_;
  LeaseTable& leases_;
  // What is known goes on when a reload changes the route.
  const std::shared_ptr<LoadTimes> times_;
  const std::shared_ptr<CacheClasses> classes_;  // null: does not learn
};

// Whether a write may make keys that were not there.
bool MayMakeKeys(const Command& command);

}  // namespace tidegate
