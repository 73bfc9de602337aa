#include "policy/ttl_jitter/ttl_jitter.h"

#include <algorithm>
#include <array>

#include "base/shown_text.h"
#include "base/text.h"
#include "storage/command.h"

namespace tidegate {
namespace {

constexpr int kCountBits = 24;
constexpr uint64_t kCountMax = (uint64_t{1} << kCountBits) - 1;

uint64_t TagOf(int64_t second) { return static_cast<uint64_t>(second) << kCountBits; }

// Where a command says when its key expires.
struct Expiry {
  size_t argument = 0;
  int64_t unit_ms = 1;
  bool absolute = false;
};

std::optional<Expiry> ByName(std::string_view name, size_t argument) {
  struct Form {
    std::string_view name;
    Expiry expiry;
  };
  constexpr std::array<Form, 10> kForms = {{{"EX", {0, 1000, false}},
                                            {"PX", {0, 1, false}},
                                            {"EXAT", {0, 1000, true}},
                                            {"PXAT", {0, 1, true}},
                                            {"SETEX", {0, 1000, false}},
                                            {"PSETEX", {0, 1, false}},
                                            {"EXPIRE", {0, 1000, false}},
                                            {"PEXPIRE", {0, 1, false}},
                                            {"EXPIREAT", {0, 1000, true}},
                                            {"PEXPIREAT", {0, 1, true}}}};
  for (const Form& form : kForms) {
    if (!EqualsIgnoreCase(form.name, name)) continue;
    Expiry expiry = form.expiry;
    expiry.argument = argument;
    return expiry;
  }
  return std::nullopt;
}

// EXPIRE with NX, GT and its kind means what it says.
std::optional<Expiry> ExpiryOf(const Request& request) {
  const std::string_view name = request.command->full_name;
  const size_t size = request.args.size();
  if (name == "set" || name == "getex") {
    for (size_t i = name == "set" ? 3 : 2; i + 1 < size; ++i) {
      const std::string_view word = request.args[i];
      if (word.size() > 4) continue;
      if (const std::optional<Expiry> expiry = ByName(word, i + 1)) return expiry;
    }
    return std::nullopt;
  }
  if (name == "setex" || name == "psetex") return ByName(name, 2);
  return size == 3 ? ByName(name, 2) : std::nullopt;
}

}  // namespace

TtlJitter::TtlJitter(const TtlJitterOptions& options, PolicyMode mode)
    : options_(options),
      mode_(mode),
      keys_(ParsedPatterns(options.keys)),
      wheel_(new std::atomic<Cell>[kExpiryWheelSeconds]()) {}

std::optional<ShorterTtl> TtlJitter::Rule(const Request& request, int64_t unix_ms, uint64_t lot) {
  const std::optional<Expiry> expiry = ExpiryOf(request);
  if (!expiry) return std::nullopt;
  const std::optional<int64_t> said = ParseInt64(request.args[expiry->argument]);
  // What overflows, and what has expired already, is for whoever executes it.
  if (!said || *said <= 0 || *said > INT64_MAX / 2 / expiry->unit_ms) return std::nullopt;
  const int64_t at_ms = *said * expiry->unit_ms + (expiry->absolute ? 0 : unix_ms);
  const int64_t ttl_ms = at_ms - unix_ms;
  const int64_t second = at_ms / 1000;
  const int64_t spread = ttl_ms / 1000 * options_.share_percent / 100;
  if (ttl_ms < kJitteredTtlMsMin || spread < 1) return std::nullopt;
  if (CountOf(second) < static_cast<uint64_t>(options_.per_second)) {
    Add(second);
    return std::nullopt;
  }
  const int64_t earlier = EarlierThan(second, spread, lot);
  Add(earlier);
  if (earlier == second) return std::nullopt;
  return ShorterTtl{.argument = expiry->argument,
                    .value = *said - (second - earlier) * 1000 / expiry->unit_ms};
}

// Of a few by lot the one with the fewest: all of them fill up evenly.
int64_t TtlJitter::EarlierThan(int64_t second, int64_t spread, uint64_t lot) const {
  int64_t best = second;
  uint32_t fewest = CountOf(second);
  for (int i = 0; i < kExpiryChoices; ++i) {
    lot = lot * 6364136223846793005u + 1442695040888963407u;
    const int64_t back = 1 + static_cast<int64_t>((lot >> 33) % static_cast<uint64_t>(spread));
    const uint32_t count = CountOf(second - back);
    if (count >= fewest) continue;
    fewest = count;
    best = second - back;
  }
  return best;
}

uint32_t TtlJitter::CountOf(int64_t second) const {
  const Cell cell = CellOf(second).load(std::memory_order_relaxed);
  return cell >> kCountBits == TagOf(second) >> kCountBits ? static_cast<uint32_t>(cell & kCountMax)
                                                           : 0;
}

void TtlJitter::Add(int64_t second) {
  std::atomic<Cell>& cell = CellOf(second);
  Cell before = cell.load(std::memory_order_relaxed);
  Cell after = 0;
  do {
    const bool same = before >> kCountBits == TagOf(second) >> kCountBits;
    after = !same ? TagOf(second) + 1 : (before & kCountMax) == kCountMax ? before : before + 1;
  } while (!cell.compare_exchange_weak(before, after, std::memory_order_relaxed));
}

std::string TtlJitter::Describe() const {
  std::string line =
      "ttl_jitter " + std::string(kPolicyModeNames[static_cast<size_t>(mode_)]) + ": keys";
  for (const KeyPattern& pattern : keys_) line += " " + Shown(pattern.text());
  if (options_.learned) line += " learned";
  return line + " share " + std::to_string(options_.share_percent) + "% per-second " +
         std::to_string(options_.per_second);
}

}  // namespace tidegate
