// AbsentKeys: what one route knows of keys that are not there (negative_cache, bloom), and what it
// makes of reads and writes.
//
//   a read    Answer: here, if that is known; else it goes to the data, and AbsenceWatch looks at
//             what it found: nothing is counted, and perhaps answered otherwise
//   a write   AbsenceWatch: told of before it is sent, and again before its client hears of it
//
// The data are asked first and the filter second, so no key that is there is ever hidden; only with
// `spare`, and for keys that the negative cache knows, nobody is asked.
// Outlives a reload that changes nothing about it. Threads: any.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "config/policy_options.h"
#include "hotkey/key_id.h"
#include "policy/blank_reply.h"
#include "policy/bloom/known_keys.h"
#include "policy/negative_cache/negative_cache.h"
#include "policy/policy_counters.h"
#include "storage/command.h"
#include "storage/request.h"

namespace tidegate {

class LeaseTable;

// What becomes of a read: nothing (null), or this, instead of its reply.
struct AbsentRuling {
  const AbsentAnswer* answer = nullptr;
  PolicyKind kind = PolicyKind::kBloom;
};

class AbsentKeys final {
 public:
  struct Setting {
    const RoutePolicyOptions& policies;
    bool is_upstream = false;
    const CommandTable& commands;
    const LeaseTable* leases = nullptr;  // what is being loaded may come; null: nothing is
  };
  // Null: the route has neither.
  static std::shared_ptr<AbsentKeys> Create(const Setting& setting,
                                            std::shared_ptr<PolicyCounters> counters,
                                            const std::shared_ptr<AbsentKeys>& before);
  AbsentKeys(const Setting& setting, std::shared_ptr<PolicyCounters> counters);
  AbsentKeys(const AbsentKeys&) = delete;
  AbsentKeys& operator=(const AbsentKeys&) = delete;

  const BloomOptions& bloom_options() const { return bloom_options_; }
  // Null: off.
  NegativeCache* negative_cache() { return negative_cache_.get(); }
  KnownKeys* known_keys() { return known_keys_.get(); }
  const KnownKeys* known_keys() const { return known_keys_.get(); }

  // A read as it is looked at.
  struct Read {
    const Command* command = nullptr;
    KeyRef key;
    hotkey::Keyspace keyspace = {};
    NegativeCache::Version version = {};
  };
  // Whether it is a read of one key that this is about.
  bool Concerns(const Request& request) const;
  // Before it goes to the data; `may_answer`: else it only becomes part of what is watched. Counts.
  AbsentRuling Answer(Read& read, const Request& request, bool may_answer, int64_t now_ns);
  // What it found there: counts, and says what its client gets instead.
  AbsentRuling Found(const Read& read, std::string_view reply, int64_t now_ns);

  void BeginWrite(std::span<const uint64_t> hashes, bool deletes);
  void EndWrite(std::span<const uint64_t> hashes);
  void BeginWriteOfAny();
  void EndWriteOfAny();

  // A line for each, for TIDEGATE EXPLAIN.
  std::vector<std::string> Describe() const;

 private:
  struct Role {
    NothingReply nothing = NothingReply::kNone;
    bool proves = false;     // nothing means that there is no key
    bool is_string = false;  // the reply is one, if there is something
    bool plain = false;      // nothing but the key and names in it: no argument can be wrong
  };

  Role RoleOf(const Command& command) const {
    return command.id < roles_.size() ? roles_[command.id] : Role{};
  }
  // Whether the answer is one for the command.
  static bool Fits(const AbsentAnswer& answer, const Role& role);
  AbsentRuling Rule(PolicyKind kind, PolicyMode mode, const AbsentAnswer& answer, const Role& role);
  bool IsUnknownToFilter(const Read& read) const;

  const NegativeCacheOptions negative_options_;
  const BloomOptions bloom_options_;
  const AbsentAnswer nothing_ = {};
  const bool is_upstream_;
  const LeaseTable* const leases_;
  const std::shared_ptr<PolicyCounters> counters_;
  std::unique_ptr<NegativeCache> negative_cache_;
  std::unique_ptr<KnownKeys> known_keys_;
  std::vector<Role> roles_;  // by command
};

// The text of an error answer, with a code in front.
std::string AbsentError(const AbsentAnswer& answer);

}  // namespace tidegate
