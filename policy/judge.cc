#include "policy/judge.h"

#include <utility>

#include "base/shown_text.h"
#include "config/yaml_policies.h"
#include "policy/flights.h"
#include "policy/stale/stale_copies.h"

namespace tidegate {
namespace {

std::string OfRoute(const RoutePolicies& policies) {
  return "route '" + Shown(policies.route()) + "'";
}

// In whole milliseconds, so that a client that comes after them is let in.
int64_t MillisCovering(int64_t nanos) { return (nanos + 999'999) / 1'000'000; }

std::string_view NounOf(RatePer per) {
  switch (per) {
    case RatePer::kKey:
      return "key";
    case RatePer::kHotKey:
      return "hot key";
    case RatePer::kRoute:
      return "route";
    case RatePer::kClient:
      return "client address";
    case RatePer::kUser:
      break;
  }
  return "user";
}

bool Deletes(const Command& command) {
  return command.full_name == "del" || command.full_name == "unlink";
}

}  // namespace

void Judge::Begin(const JudgeContext& context) {
  context_ = context;
  charges_.Begin(context.in_transaction);
  verdict_ = {};
  delays_ = nullptr;
}

bool Judge::Ask(RoutePolicies& policies, const Request& request, std::span<const KeyRef> keys,
                hotkey::Keyspace keyspace) {
  if (verdict_.kind == Verdict::Kind::kAnswer) return false;
  const DataAccess access = DataAccessOf(*request.command);
  if (access == DataAccess::kNone) return true;
  const bool passes = AskKeyShape(policies, keys) && AskBigKey(policies, request, keys, keyspace) &&
                      AskAbsentKeys(policies, request, access, keys, keyspace) &&
                      AskRateLimit(policies, request, access, keys, keyspace);
  if (passes && policies.ttl_jitter() != nullptr) AskTtlJitter(policies, request, access, keys);
  return passes;
}

Verdict Judge::End() {
  if (verdict_.kind == Verdict::Kind::kAnswer) {
    charges_.GiveBack();
    verdict_.absence.reset();
  } else if (charges_.wait_ns() > 0) {
    verdict_.wait_ns = charges_.wait_ns();
    delays_->counters().Count(PolicyKind::kRateLimit, PolicyAct::kDelayed, PolicyMode::kEnforce);
  }
  return std::move(verdict_);
}

void Judge::Refuse(PolicyAnswer answer, std::string error) {
  verdict_ = {.kind = Verdict::Kind::kAnswer,
              .answer = context_.in_transaction ? PolicyAnswer::kError : answer,
              .error = std::move(error)};
}

bool Judge::AskKeyShape(RoutePolicies& policies, std::span<const KeyRef> keys) {
  const KeyShape* const shape = policies.key_shape();
  if (shape == nullptr) return true;
  for (const KeyRef& key : keys) {
    const std::string_view fault = shape->FaultOf(key.name);
    if (fault.empty()) continue;
    policies.counters().Count(PolicyKind::kKeyShape, PolicyAct::kRefused, shape->mode());
    if (shape->mode() == PolicyMode::kObserve) return true;
    Refuse(shape->answer(),
           "DENIED the key " + std::string(fault) + " (key_shape of " + OfRoute(policies) + ")");
    return false;
  }
  return true;
}

bool Judge::AskBigKey(RoutePolicies& policies, const Request& request, std::span<const KeyRef> keys,
                      hotkey::Keyspace keyspace) {
  const BigKeyGuard* const guard = policies.big_key();
  if (guard == nullptr || guard->RoleOf(*request.command) == BigKeyRole::kNone) return true;
  BigKeyGuard::Ruling ruling = guard->Rule(request, keys, keyspace, context_.big_keys);
  PolicyCounters& counters = policies.counters();
  if (ruling.unlink) {
    if (context_.in_transaction) return true;
    counters.Count(PolicyKind::kBigKey, PolicyAct::kRewritten, guard->unlink_mode());
    verdict_.unlink = verdict_.unlink || guard->unlink_mode() == PolicyMode::kEnforce;
    return true;
  }
  // A queue is executed as it was said, or not.
  if (ruling.cap && context_.in_transaction)
    ruling = {.refusal = "'" + request.command->full_name + "' would read too many elements"};
  if (ruling.cap) {
    counters.Count(PolicyKind::kBigKey, PolicyAct::kRewritten, guard->mode());
    if (guard->mode() == PolicyMode::kEnforce) verdict_.cap = ruling.cap;
    return true;
  }
  if (ruling.refusal.empty()) return true;
  counters.Count(PolicyKind::kBigKey, PolicyAct::kRefused, guard->mode());
  if (guard->mode() == PolicyMode::kObserve) return true;
  Refuse(PolicyAnswer::kError,
         "TOOBIG " + ruling.refusal + " (big_key of " + OfRoute(policies) + ")");
  return false;
}

AbsenceWatch& Judge::Absence() {
  if (verdict_.absence == nullptr) verdict_.absence = std::make_unique<AbsenceWatch>();
  return *verdict_.absence;
}

void Judge::NoteWriteOfAny(const RoutePolicies& policies) {
  if (verdict_.kind == Verdict::Kind::kAnswer || policies.absent_keys() == nullptr) return;
  Absence().AddWriteOfAny(policies.absent_keys());
}

// In a transaction only writes are looked at: what its reads find is the data's alone.
bool Judge::AskAbsentKeys(RoutePolicies& policies, const Request& request, DataAccess access,
                          std::span<const KeyRef> keys, hotkey::Keyspace keyspace) {
  const std::shared_ptr<AbsentKeys>& absent = policies.absent_keys();
  if (absent == nullptr || keys.empty()) return true;
  if (access == DataAccess::kWrite) {
    Absence().AddWrite(absent, keys, Deletes(*request.command));
    return true;
  }
  if (context_.in_transaction || !absent->Concerns(request)) return true;
  AbsentKeys::Read read{.command = request.command, .key = keys[0], .keyspace = keyspace};
  const AbsentRuling ruling = absent->Answer(read, request, !context_.watches, context_.now_ns);
  if (ruling.answer == nullptr) {
    Absence().AddRead(absent, read);
    return true;
  }
  switch (ruling.answer->kind) {
    case OnAbsent::kError:
      Refuse(PolicyAnswer::kError, AbsentError(*ruling.answer));
      break;
    case OnAbsent::kSentinel:
      Refuse(PolicyAnswer::kBlank, "");
      verdict_.blank = ruling.answer->text;
      break;
    case OnAbsent::kNil:
    case OnAbsent::kObserve:
      Refuse(PolicyAnswer::kNil, "");
      break;
  }
  return false;
}

// A queue is executed as it was said.
void Judge::AskTtlJitter(RoutePolicies& policies, const Request& request, DataAccess access,
                         std::span<const KeyRef> keys) {
  TtlJitter& jitter = *policies.ttl_jitter();
  if (access != DataAccess::kWrite || keys.size() != 1 || context_.in_transaction) return;
  const std::string_view key = keys[0].name;
  const bool is_one =
      jitter.Names(key) || (jitter.of_learned_keys() && policies.single_flight() != nullptr &&
                            policies.single_flight()->HasLearned(key, context_.now_ns));
  if (!is_one) return;
  lot_ = lot_ * 6364136223846793005u + static_cast<uint64_t>(context_.now_ns);
  const std::optional<ShorterTtl> shorter = jitter.Rule(request, context_.unix_ms, lot_);
  if (!shorter) return;
  policies.counters().Count(PolicyKind::kTtlJitter, PolicyAct::kRewritten, jitter.mode());
  if (jitter.mode() == PolicyMode::kEnforce) verdict_.ttl = shorter;
}

// What its client watches has to be of the data.
bool Judge::AnswersWithCopy(RoutePolicies& policies, const Request& request,
                            std::span<const KeyRef> keys, hotkey::Keyspace keyspace) {
  StaleCopies* const stale = policies.stale();
  const bool may_be = stale != nullptr && !context_.in_transaction && !context_.watches &&
                      request.command->full_name == "get" && keys.size() == 1 &&
                      stale->Names(keys[0].name);
  if (!may_be) return false;
  std::optional<StaleCopies::Copy> copy =
      stale->Give({.name = keys[0].name, .hash = keys[0].hash, .keyspace = keyspace},
                  &StaleFigures::limited, context_.now_ns);
  if (!copy) return false;
  Refuse(PolicyAnswer::kError, "");
  verdict_.copy = std::move(copy->reply);
  return true;
}

bool Judge::AskRateLimit(RoutePolicies& policies, const Request& request, DataAccess access,
                         std::span<const KeyRef> keys, hotkey::Keyspace keyspace) {
  RateLimit* const limit = policies.rate_limit();
  if (limit == nullptr) return true;
  const int64_t waited = charges_.wait_ns();
  const std::optional<RateLimit::Over> over = limit->Take({.access = access,
                                                           .keys = keys,
                                                           .keyspace = keyspace,
                                                           .client = context_.client,
                                                           .user = context_.user,
                                                           .now_ns = context_.now_ns,
                                                           .hot = context_.hot},
                                                          charges_);
  if (charges_.wait_ns() > waited) delays_ = &policies;
  const bool wants_copy = over ? over->rule->stale : charges_.wants_copy();
  if (wants_copy && AnswersWithCopy(policies, request, keys, keyspace)) return false;
  if (!over) return true;
  policies.counters().Count(PolicyKind::kRateLimit, PolicyAct::kRefused, PolicyMode::kEnforce);
  Refuse(over->rule->over, "THROTTLED " + PrintRate(over->rule->rate) + " per " +
                               std::string(NounOf(over->rule->per)) + " (rate_limit of " +
                               OfRoute(policies) + "): retry after " +
                               std::to_string(MillisCovering(over->wait_ns)) + " ms");
  return false;
}

}  // namespace tidegate
