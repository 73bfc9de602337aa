#include "policy/single_flight/single_flight.h"

#include <algorithm>
#include <array>

#include "base/shown_text.h"
#include "base/text.h"
#include "config/option_value.h"
#include "storage/command.h"

namespace tidegate {
namespace {

int64_t NanosOf(std::chrono::milliseconds time) { return std::chrono::nanoseconds(time).count(); }

template <size_t N>
bool IsOneOf(std::string_view name, const std::array<std::string_view, N>& names) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

enum class Use : uint8_t { kNone, kFill, kPrimary };

// SET key value [NX | XX] [GET] [EX s | PX ms | EXAT t | PXAT t | KEEPTTL]
Use UseOfSet(const Request& request) {
  Use use = Use::kNone;
  constexpr std::array<std::string_view, 4> kExpiries = {"EX", "PX", "EXAT", "PXAT"};
  for (size_t i = 3; i < request.args.size(); ++i) {
    if (EqualsIgnoreCase(request.args[i], "NX")) return Use::kPrimary;
    for (const std::string_view expiry : kExpiries) {
      if (EqualsIgnoreCase(request.args[i], expiry)) use = Use::kFill;
    }
  }
  return use;
}

Use UseOf(const Request& request) {
  constexpr std::array<std::string_view, 2> kFills = {"setex", "psetex"};
  constexpr std::array<std::string_view, 15> kPrimaries = {
      "setnx", "msetnx",  "incr",    "incrby",     "incrbyfloat", "decr",   "decrby",  "watch",
      "eval",  "evalsha", "eval_ro", "evalsha_ro", "fcall",       "append", "fcall_ro"};
  const std::string_view name = request.command->full_name;
  if (name == "set") return UseOfSet(request);
  if (IsOneOf(name, kFills)) return Use::kFill;
  return IsOneOf(name, kPrimaries) ? Use::kPrimary : Use::kNone;
}

}  // namespace

bool MayMakeKeys(const Command& command) {
  constexpr std::array<std::string_view, 14> kNever = {
      "del",     "unlink",   "getdel",  "expire", "expireat", "pexpire", "pexpireat",
      "persist", "flushall", "flushdb", "getex",  "hdel",     "srem",    "zrem"};
  return command.spec->access == Access::kWrite
             ? !IsOneOf(command.full_name, kNever)
             : (command.spec->flags & kMayReplicate) != 0 && !command.full_name.ends_with("_ro");
}

SingleFlight::SingleFlight(const SingleFlightOptions& options, Profile profile, LeaseTable& leases,
                           const SingleFlight* before)
    : options_(options),
      profile_(profile),
      keys_(ParsedPatterns(options.keys)),
      leases_(leases),
      times_(before != nullptr ? before->times_ : std::make_shared<LoadTimes>()),
      classes_(!options.learned ? nullptr
               : before != nullptr && before->classes_ != nullptr
                   ? before->classes_
                   : std::make_shared<CacheClasses>()) {}

// Reads of what the route names wait in `standard`, as that changes no reply; of what is only
// learned when that was said, or in `strict`.
PolicyMode SingleFlight::ModeFor(std::string_view key, int64_t now_ns) const {
  if (MatchesAny(keys_, key)) return SafeModeOf(options_.mode, profile_);
  if (!HasLearned(key, now_ns)) return PolicyMode::kOff;
  return ModeOf(options_.mode, profile_);
}

bool SingleFlight::Looks(std::string_view key) const {
  return classes_ != nullptr || MatchesAny(keys_, key);
}

int64_t SingleFlight::LeaseNanos(uint16_t place) const {
  const int64_t load_ns = times_->NanosOf(place);
  const int64_t most = NanosOf(options_.lease_max);
  if (load_ns == 0) return std::min(kLeaseNanosUnknown, most);
  return std::min(std::max(4 * load_ns, kLeaseNanosMin), most);
}

int64_t SingleFlight::WaitNanos(uint16_t place) const {
  const int64_t load_ns = times_->NanosOf(place);
  const int64_t most = NanosOf(options_.wait_max);
  return load_ns == 0 ? most : std::min(std::max(2 * load_ns, kWaitNanosMin), most);
}

void SingleFlight::NoteNil(std::string_view key, hotkey::KeyId id, int64_t now_ns) {
  if (classes_ != nullptr) classes_->NoteNil(key, id, now_ns);
}

void SingleFlight::NoteUse(const Request& request, const KeyRef& key, hotkey::Keyspace keyspace,
                           int64_t now_ns) {
  if (classes_ == nullptr) return;
  const Use use = UseOf(request);
  if (use == Use::kFill)
    classes_->NoteFill(key.name, hotkey::IdOf(key.hash, keyspace), now_ns);
  else if (use == Use::kPrimary)
    classes_->NotePrimary(key.name, now_ns);
}

std::string SingleFlight::Describe(int64_t now_ns) const {
  const PolicyMode mode =
      classes_ == nullptr ? SafeModeOf(options_.mode, profile_) : ModeOf(options_.mode, profile_);
  std::string line =
      "single_flight " + std::string(kPolicyModeNames[static_cast<size_t>(mode)]) + ": keys";
  for (const KeyPattern& pattern : keys_) line += " " + Shown(pattern.text());
  if (classes_ != nullptr) {
    line += " learned (";
    const std::vector<std::string> names = classes_->Names(now_ns);
    constexpr size_t kShownMax = 8;
    for (size_t i = 0; i < names.size() && i < kShownMax; ++i)
      line += (i == 0 ? "" : " ") + Shown(names[i]) + "*";
    if (names.size() > kShownMax) line += " and " + std::to_string(names.size() - kShownMax);
    line += names.empty() ? "none yet)" : ")";
  }
  return line + " lease-max " + PrintDuration(options_.lease_max) + " wait-max " +
         PrintDuration(options_.wait_max) + " over " +
         std::string(kPolicyAnswerNames[static_cast<size_t>(options_.over)]);
}

std::vector<std::string> SingleFlight::Learned(int64_t now_ns) const {
  return classes_ == nullptr ? std::vector<std::string>() : classes_->Names(now_ns);
}

}  // namespace tidegate
