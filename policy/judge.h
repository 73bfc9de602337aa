// Judge: what the policies of its routes make of one request, or of a whole transaction.
//
//   Begin --> Ask (route 1) --> Ask (route 2) ... --> End: it may go, now or later, or it gets this
//
// The order within a route is that of what it costs to find out, and of what is certain: key_shape,
// big_key, absent keys, rate_limit; ttl_jitter refuses nothing. The first that refuses decides, and
// what rates took until then is given back, so a refused request is charged nowhere. A transaction
// is asked about command by command and decided once, so it is executed whole or not at all. It
// knows no session and no clock. Owner: one worker, which uses it again for each request.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "config/policy_options.h"
#include "hotkey/access_recorder.h"
#include "hotkey/big_key_table.h"
#include "hotkey/key_id.h"
#include "policy/absence_watch.h"
#include "policy/command_access.h"
#include "policy/load_backlog.h"
#include "policy/rate_limit/rate_limit.h"
#include "policy/refusal_pace.h"
#include "policy/route_policies.h"
#include "policy/ttl_jitter/ttl_jitter.h"
#include "storage/request.h"

namespace tidegate {

// Who asks, and what is known.
struct JudgeContext {
  uint64_t client = 0;  // hash of the address, without the port
  uint64_t user = 0;    // hash of the name
  int64_t now_ns = 0;   // monotonic
  int64_t unix_ms = 0;
  const hotkey::AccessRecorder* hot = nullptr;  // null: no key is hot
  hotkey::BigKeyTable* big_keys = nullptr;      // null: no key is big
  bool in_transaction = false;
  bool watches = false;  // keys, since WATCH: what its reads find has to be of the data
};

struct Verdict {
  enum class Kind : uint8_t { kPass, kAnswer };
  Kind kind = Kind::kPass;
  // kPass: not before this time has gone by; and in which form.
  int64_t wait_ns = 0;
  bool unlink = false;
  std::optional<CappedRange> cap = {};
  std::optional<ShorterTtl> ttl = {};
  // kAnswer: the error, or what stands for it if the command has that.
  PolicyAnswer answer = PolicyAnswer::kError;
  std::string error = {};
  std::string blank = {};  // in place of strings, with PolicyAnswer::kBlank
  std::string copy = {};   // a whole reply, in place of all of these; empty: none
  // kPass: what lives until the reply has come, or the request is gone; null: nothing.
  std::unique_ptr<AbsenceWatch> absence = {};
};

class Judge final {
 public:
  void Begin(const JudgeContext& context);
  // `keys`: those of the request that are the route's. False: it is decided.
  bool Ask(RoutePolicies& policies, const Request& request, std::span<const KeyRef> keys,
           hotkey::Keyspace keyspace);
  // The request may write keys that it does not name: so this route is told.
  void NoteWriteOfAny(const RoutePolicies& policies);
  // Once.
  Verdict End();

  // What the worker has put aside and has refused, for load shedding, which asks before Begin.
  LoadBacklog& backlog() { return backlog_; }
  RefusalPace& refusals() { return refusals_; }

 private:
  bool AskKeyShape(RoutePolicies& policies, std::span<const KeyRef> keys);
  bool AskBigKey(RoutePolicies& policies, const Request& request, std::span<const KeyRef> keys,
                 hotkey::Keyspace keyspace);
  bool AskAbsentKeys(RoutePolicies& policies, const Request& request, DataAccess access,
                     std::span<const KeyRef> keys, hotkey::Keyspace keyspace);
  bool AskRateLimit(RoutePolicies& policies, const Request& request, DataAccess access,
                    std::span<const KeyRef> keys, hotkey::Keyspace keyspace);
  bool AnswersWithCopy(RoutePolicies& policies, const Request& request,
                       std::span<const KeyRef> keys, hotkey::Keyspace keyspace);
  void AskTtlJitter(RoutePolicies& policies, const Request& request, DataAccess access,
                    std::span<const KeyRef> keys);
  AbsenceWatch& Absence();
  void Refuse(PolicyAnswer answer, std::string error);

  JudgeContext context_;
  RateCharges charges_;
  Verdict verdict_;
  RoutePolicies* delays_ = nullptr;  // the route that the wait is of
  uint64_t lot_ = 1;
  LoadBacklog backlog_;
  RefusalPace refusals_;
};

}  // namespace tidegate
