#include "policy/big_key/big_key_guard.h"

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

#include "base/text.h"

namespace tidegate {
namespace {

constexpr std::array<std::pair<std::string_view, BigKeyRole>, 29> kRoles = {{
    {"del", BigKeyRole::kDelete},        {"dump", BigKeyRole::kString},
    {"get", BigKeyRole::kString},        {"getex", BigKeyRole::kString},
    {"getset", BigKeyRole::kString},     {"hgetall", BigKeyRole::kWhole},
    {"hkeys", BigKeyRole::kWhole},       {"hvals", BigKeyRole::kWhole},
    {"keys", BigKeyRole::kKeys},         {"lrange", BigKeyRole::kIndexes},
    {"mget", BigKeyRole::kString},       {"sdiff", BigKeyRole::kWhole},
    {"sdiffstore", BigKeyRole::kWhole},  {"sinter", BigKeyRole::kWhole},
    {"sinterstore", BigKeyRole::kWhole}, {"smembers", BigKeyRole::kWhole},
    {"sort", BigKeyRole::kWhole},        {"sort_ro", BigKeyRole::kWhole},
    {"sunion", BigKeyRole::kWhole},      {"sunionstore", BigKeyRole::kWhole},
    {"xrange", BigKeyRole::kScores},     {"xrevrange", BigKeyRole::kScores},
    {"zdiff", BigKeyRole::kWhole},       {"zinter", BigKeyRole::kWhole},
    {"zrange", BigKeyRole::kIndexes},    {"zrangebyscore", BigKeyRole::kScores},
    {"zrevrange", BigKeyRole::kIndexes}, {"zrevrangebyscore", BigKeyRole::kScores},
    {"zunion", BigKeyRole::kWhole},
}};

bool IsOpenBound(std::string_view bound) {
  return bound == "-" || bound == "+" || EqualsIgnoreCase(bound, "-inf") ||
         EqualsIgnoreCase(bound, "+inf") || EqualsIgnoreCase(bound, "inf");
}

bool HasWord(const Request& request, std::string_view word) {
  return std::any_of(request.args.begin() + std::min<size_t>(request.args.size(), 4),
                     request.args.end(),
                     [word](std::string_view arg) { return EqualsIgnoreCase(arg, word); });
}

// How many of `size` elements LRANGE and its kind give, and where they begin; none: the arguments
// are no places.
struct Places {
  int64_t start = 0;
  uint64_t count = 0;
};
std::optional<Places> PlacesOf(const Request& request, uint64_t size) {
  if (request.args.size() < 4 || HasWord(request, "byscore") || HasWord(request, "bylex"))
    return std::nullopt;
  const std::optional<int64_t> start = ParseInt64(request.args[2]);
  const std::optional<int64_t> stop = ParseInt64(request.args[3]);
  if (!start || !stop) return std::nullopt;
  const auto n = static_cast<int64_t>(size);
  const int64_t first = *start < 0 ? std::max<int64_t>(*start + n, 0) : *start;
  const int64_t last = std::min(*stop < 0 ? *stop + n : *stop, n - 1);
  const int64_t count = last < first ? 0 : last - first + 1;
  return Places{.start = *start, .count = static_cast<uint64_t>(count)};
}

bool ReadsAllScores(const Request& request) {
  return request.args.size() >= 4 && IsOpenBound(request.args[2]) && IsOpenBound(request.args[3]) &&
         !HasWord(request, "limit") && !HasWord(request, "count");
}

}  // namespace

BigKeyGuard::BigKeyGuard(const BigKeyOptions& options, PolicyMode mode, PolicyMode unlink,
                         const CommandTable& commands)
    : options_(options), mode_(options.any() ? mode : PolicyMode::kOff), unlink_(unlink) {
  for (const Command* command : commands.all()) {
    const BigKeyRole role = NeededRole(*command);
    if (role == BigKeyRole::kNone) continue;
    if (roles_.size() <= command->id) roles_.resize(command->id + 1, BigKeyRole::kNone);
    roles_[command->id] = role;
  }
}

BigKeyRole BigKeyGuard::NeededRole(const Command& command) const {
  const auto found = std::find_if(kRoles.begin(), kRoles.end(), [&command](const auto& known) {
    return known.first == command.full_name;
  });
  if (found == kRoles.end()) return BigKeyRole::kNone;
  const BigKeyRole role = found->second;
  bool needed = mode_ != PolicyMode::kOff;
  if (role == BigKeyRole::kDelete) {
    needed = unlink_ != PolicyMode::kOff;
  } else if (role == BigKeyRole::kKeys) {
    needed = needed && options_.refuse_keys;
  } else {
    needed = needed && (options_.elements_max > 0 || options_.bytes_max.count > 0);
  }
  return needed ? role : BigKeyRole::kNone;
}

BigKeyGuard::Ruling BigKeyGuard::Rule(const Request& request, std::span<const KeyRef> keys,
                                      hotkey::Keyspace keyspace, hotkey::BigKeyTable* table) const {
  const BigKeyRole role = RoleOf(*request.command);
  if (role == BigKeyRole::kKeys) return {.refusal = "KEYS looks at every key: use SCAN"};
  if (table == nullptr) return {};
  for (const KeyRef& key : keys) {
    const std::optional<hotkey::BigKeySize> size = table->Find(hotkey::IdOf(key.hash, keyspace));
    if (!size) continue;
    if (role == BigKeyRole::kDelete) {
      if (size->big) return {.unlink = true};
      continue;
    }
    Ruling ruling = RuleOnRead(role, request, *size);
    if (!ruling.refusal.empty() || ruling.cap) return ruling;
  }
  return {};
}

BigKeyGuard::Ruling BigKeyGuard::RuleOnRead(BigKeyRole role, const Request& request,
                                            const hotkey::BigKeySize& size) const {
  uint64_t elements = size.elements;
  bool is_whole = true;
  std::optional<CappedRange> cap;
  if (role == BigKeyRole::kString) {
    elements = 0;
  } else if (role == BigKeyRole::kIndexes) {
    const std::optional<Places> places = PlacesOf(request, size.elements);
    if (!places) return {};
    is_whole = places->count >= size.elements;
    elements = places->count;
    if (options_.whole_reads == WholeReads::kCap)
      cap = CappedRange{.stop = places->start + options_.elements_max - 1};
  } else if (role == BigKeyRole::kScores) {
    if (!ReadsAllScores(request)) return {};
  }
  const auto elements_max = static_cast<uint64_t>(options_.elements_max);
  if (elements_max > 0 && elements > elements_max) {
    if (cap) return {.cap = cap};
    return {.refusal = "'" + request.command->full_name + "' would read " +
                       std::to_string(elements) + " elements, more than " +
                       std::to_string(elements_max) + ": read them in parts"};
  }
  if (is_whole && options_.bytes_max.count > 0 && size.bytes > options_.bytes_max.count) {
    return {.refusal = "'" + request.command->full_name + "' would read " +
                       std::to_string(size.bytes) + " bytes, more than " +
                       std::to_string(options_.bytes_max.count) + ": read them in parts"};
  }
  return {};
}

std::vector<std::string> BigKeyGuard::Describe() const {
  const auto named = [](PolicyMode mode) {
    return std::string(kPolicyModeNames[static_cast<size_t>(mode)]);
  };
  std::vector<std::string> lines;
  if (unlink_ != PolicyMode::kOff) lines.push_back("big_key unlink " + named(unlink_));
  if (mode_ == PolicyMode::kOff) return lines;
  std::string line = "big_key " + named(mode_) + ":";
  if (options_.refuse_keys) line += " keys refuse";
  if (options_.elements_max > 0) line += " elements " + std::to_string(options_.elements_max);
  if (options_.bytes_max.count > 0) line += " bytes " + std::to_string(options_.bytes_max.count);
  if (options_.elements_max > 0 || options_.bytes_max.count > 0)
    line +=
        " whole-reads " + std::string(kWholeReadsNames[static_cast<size_t>(options_.whole_reads)]);
  lines.push_back(std::move(line));
  return lines;
}

}  // namespace tidegate
