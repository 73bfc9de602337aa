#include "policy/absent_keys.h"

#include <algorithm>
#include <array>
#include <utility>

#include "base/shown_text.h"
#include "config/option_value.h"
#include "policy/single_flight/lease_table.h"

namespace tidegate {
namespace {

// A key with nothing in it does not exist, but for strings and streams, which may be empty.
constexpr std::array<std::string_view, 9> kProofs = {"exists", "get",   "hgetall",  "hkeys", "hlen",
                                                     "llen",   "scard", "smembers", "zcard"};
constexpr std::array<std::string_view, 19> kPlain = {
    "exists",   "get",     "hexists", "hget", "hgetall", "hkeys", "hlen",
    "hmget",    "hstrlen", "hvals",   "llen", "mget",    "scard", "sismember",
    "smembers", "strlen",  "touch",   "xlen", "zcard"};

template <size_t kSize>
bool Has(const std::array<std::string_view, kSize>& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

std::string_view ModeName(PolicyMode mode) { return kPolicyModeNames[static_cast<size_t>(mode)]; }

std::string AnswerText(const AbsentAnswer& answer) {
  std::string text(kOnAbsentNames[static_cast<size_t>(answer.kind)]);
  if (!answer.text.empty()) text += " " + Shown(answer.text);
  return text;
}

}  // namespace

std::string AbsentError(const AbsentAnswer& answer) {
  return "ABSENT " + (answer.text.empty() ? std::string("there is no such key") : answer.text);
}

std::shared_ptr<AbsentKeys> AbsentKeys::Create(const Setting& setting,
                                               std::shared_ptr<PolicyCounters> counters,
                                               const std::shared_ptr<AbsentKeys>& before) {
  const RoutePolicyOptions& policies = setting.policies;
  const bool negative =
      policies.negative_cache.any && policies.negative_cache.mode != PolicyMode::kOff;
  const bool bloom = policies.bloom.any && policies.bloom.mode != PolicyMode::kOff;
  if (!negative && !bloom) return nullptr;
  if (before != nullptr && before->negative_options_ == policies.negative_cache &&
      before->bloom_options_ == policies.bloom && before->is_upstream_ == setting.is_upstream &&
      before->leases_ == setting.leases)
    return before;
  return std::make_shared<AbsentKeys>(setting, std::move(counters));
}

AbsentKeys::AbsentKeys(const Setting& setting, std::shared_ptr<PolicyCounters> counters)
    : negative_options_(setting.policies.negative_cache),
      bloom_options_(setting.policies.bloom),
      is_upstream_(setting.is_upstream),
      leases_(setting.leases),
      counters_(std::move(counters)) {
  if (negative_options_.any && negative_options_.mode != PolicyMode::kOff) {
    negative_cache_ =
        std::make_unique<NegativeCache>(static_cast<size_t>(negative_options_.keys_max),
                                        NegativeTtl(negative_options_, is_upstream_));
  }
  if (bloom_options_.any && bloom_options_.mode != PolicyMode::kOff)
    known_keys_ = std::make_unique<KnownKeys>();
  for (const Command* command : setting.commands.all()) {
    if (command->id >= roles_.size()) roles_.resize(command->id + 1);
    const NothingReply nothing = NothingReplyOf(*command);
    const bool is_string =
        nothing == NothingReply::kNull && command->spec->group != Group::kSortedSet;
    roles_[command->id] = {.nothing = nothing,
                           .proves = Has(kProofs, command->full_name),
                           .is_string = is_string,
                           .plain = Has(kPlain, command->full_name)};
  }
}

bool AbsentKeys::Concerns(const Request& request) const {
  return request.keys.size() == 1 && RoleOf(*request.command).nothing != NothingReply::kNone;
}

AbsentRuling AbsentKeys::Answer(Read& read, const Request& request, bool may_answer,
                                int64_t now_ns) {
  const Role role = RoleOf(*request.command);
  if (negative_cache_ != nullptr) {
    const bool absent = negative_cache_->IsAbsent(read.key, read.keyspace, now_ns, read.version);
    if (absent && may_answer && role.plain) {
      const AbsentRuling ruling =
          Rule(PolicyKind::kNegativeCache, negative_options_.mode, negative_options_.answer, role);
      if (ruling.answer != nullptr) return ruling;
    }
  }
  const bool spares = bloom_options_.spare && bloom_options_.on_absent.kind != OnAbsent::kObserve &&
                      bloom_options_.mode == PolicyMode::kEnforce;
  if (known_keys_ == nullptr || !spares || !may_answer || !role.plain || !IsUnknownToFilter(read))
    return {};
  return Rule(PolicyKind::kBloom, bloom_options_.mode, bloom_options_.on_absent, role);
}

AbsentRuling AbsentKeys::Found(const Read& read, std::string_view reply, int64_t now_ns) {
  const Role role = RoleOf(*read.command);
  if (!IsNothing(role.nothing, reply)) return {};
  const bool may_come =
      leases_ != nullptr && leases_->Has(hotkey::IdOf(read.key.hash, read.keyspace), now_ns);
  if (negative_cache_ != nullptr && role.proves && !may_come)
    negative_cache_->Missed(read.key.name, read.key.hash, read.keyspace, read.version, now_ns);
  if (known_keys_ == nullptr || !IsUnknownToFilter(read)) return {};
  const AbsentAnswer& answer = bloom_options_.on_absent;
  // Nothing is what it gets anyway: it is counted as looked at.
  const bool replaces =
      (answer.kind == OnAbsent::kSentinel || answer.kind == OnAbsent::kError) && Fits(answer, role);
  const PolicyMode mode = replaces ? bloom_options_.mode : PolicyMode::kObserve;
  return Rule(PolicyKind::kBloom, mode, answer, role);
}

// A count of nothing is 0, whatever stands for values; a sentinel is a string.
bool AbsentKeys::Fits(const AbsentAnswer& answer, const Role& role) {
  if (answer.kind == OnAbsent::kSentinel) return role.is_string;
  if (answer.kind == OnAbsent::kError) return role.nothing != NothingReply::kZero;
  return answer.kind == OnAbsent::kNil;
}

AbsentRuling AbsentKeys::Rule(PolicyKind kind, PolicyMode mode, const AbsentAnswer& answer,
                              const Role& role) {
  if (answer.kind == OnAbsent::kObserve) mode = PolicyMode::kObserve;
  counters_->Count(kind, PolicyAct::kRefused, mode);
  if (mode != PolicyMode::kEnforce) return {};
  return {.answer = Fits(answer, role) ? &answer : &nothing_, .kind = kind};
}

// Only keys of database 0 were walked through.
bool AbsentKeys::IsUnknownToFilter(const Read& read) const {
  return read.keyspace.database == 0 &&
         known_keys_->Ask(read.key.hash, read.keyspace.cluster) == KnownKeys::Answer::kAbsent;
}

void AbsentKeys::BeginWrite(std::span<const uint64_t> hashes, bool deletes) {
  for (const uint64_t hash : hashes) {
    if (negative_cache_ != nullptr) negative_cache_->BeginWrite(hash);
    if (known_keys_ != nullptr) known_keys_->Add(hash);
  }
  if (deletes && known_keys_ != nullptr) known_keys_->NoteDeleted(hashes.size());
}

void AbsentKeys::EndWrite(std::span<const uint64_t> hashes) {
  for (const uint64_t hash : hashes) {
    if (known_keys_ != nullptr) known_keys_->Add(hash);
    if (negative_cache_ != nullptr) negative_cache_->EndWrite(hash);
  }
}

void AbsentKeys::BeginWriteOfAny() {
  if (negative_cache_ != nullptr) negative_cache_->BeginWriteOfAny();
  if (known_keys_ != nullptr && !bloom_options_.scripts_name_keys) known_keys_->Lose();
}

void AbsentKeys::EndWriteOfAny() {
  if (known_keys_ != nullptr && !bloom_options_.scripts_name_keys) known_keys_->Lose();
  if (negative_cache_ != nullptr) negative_cache_->EndWriteOfAny();
}

std::vector<std::string> AbsentKeys::Describe() const {
  std::vector<std::string> lines;
  if (negative_cache_ != nullptr) {
    lines.push_back("negative_cache " + std::string(ModeName(negative_options_.mode)) + ": ttl " +
                    PrintDuration(NegativeTtl(negative_options_, is_upstream_)) + " keys " +
                    std::to_string(negative_options_.keys_max) + " answer " +
                    AnswerText(negative_options_.answer));
  }
  if (known_keys_ == nullptr) return lines;
  lines.push_back("bloom " + std::string(ModeName(bloom_options_.mode)) + ": " +
                  (bloom_options_.file.empty() ? "scan" : "file " + Shown(bloom_options_.file)) +
                  (known_keys_->complete()
                       ? " complete with " + std::to_string(known_keys_->size()) + " keys"
                       : " not complete") +
                  " on-absent " + AnswerText(bloom_options_.on_absent) +
                  (bloom_options_.spare ? " spare" : ""));
  return lines;
}

}  // namespace tidegate
