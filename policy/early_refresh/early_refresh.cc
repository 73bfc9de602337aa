#include "policy/early_refresh/early_refresh.h"

#include <cmath>
#include <optional>

#include "base/shown_text.h"
#include "base/text.h"
#include "policy/ttl_jitter/ttl_jitter.h"
#include "storage/command.h"

namespace tidegate {
namespace {

// What ends a logarithm of a random number of 53 bits: -ln(2^-53).
constexpr double kLogMost = 36.8;

struct TtlArgument {
  size_t index = 0;
  int64_t unit_ms = 0;  // 0: there is none
};

TtlArgument ArgumentOfSet(const Request& request) {
  TtlArgument found;
  for (size_t i = 3; i < request.args.size(); ++i) {
    const bool seconds = EqualsIgnoreCase(request.args[i], "EX");
    if (!seconds && !EqualsIgnoreCase(request.args[i], "PX")) return {};
    found = {.index = ++i, .unit_ms = seconds ? 1000 : 1};
  }
  return found;
}

TtlArgument ArgumentOf(const Request& request) {
  const std::string_view name = request.command->full_name;
  if (name == "set") return ArgumentOfSet(request);
  if (name == "setex") return {.index = 2, .unit_ms = 1000};
  if (name == "psetex") return {.index = 2, .unit_ms = 1};
  return {};
}

}  // namespace

EarlyRefresh::EarlyRefresh(const EarlyRefreshOptions& options)
    : options_(options), keys_(ParsedPatterns(options.keys)) {}

bool EarlyRefresh::Draws(int64_t remaining_ms, int64_t load_ns, uint64_t lot) const {
  constexpr double kNanosPerMilli = 1e6;
  const double scale_ms = static_cast<double>(load_ns) / kNanosPerMilli *
                          static_cast<double>(options_.beta_percent) / 100;
  const auto remaining = static_cast<double>(remaining_ms);
  if (remaining > scale_ms * kLogMost) return false;
  // In (0, 1].
  const double random = std::ldexp(static_cast<double>((lot >> 11) + 1), -53);
  return load_ns > 0 && -scale_ms * std::log(random) >= remaining;
}

std::string EarlyRefresh::Describe() const {
  std::string line = "early_refresh " +
                     std::string(kPolicyModeNames[static_cast<size_t>(options_.mode)]) + ": keys";
  for (const KeyPattern& pattern : keys_) line += " " + Shown(pattern.text());
  const int64_t beta = options_.beta_percent;
  const std::string rest = std::to_string(beta % 100 + 100).substr(1);
  return line + " beta " + std::to_string(beta / 100) + "." + rest;
}

int64_t WrittenTtlMs(const Request& request, const ShorterTtl* shorter) {
  const TtlArgument argument = ArgumentOf(request);
  if (argument.unit_ms == 0 || argument.index >= request.args.size()) return 0;
  const std::optional<int64_t> said = ParseInt64(request.args[argument.index]);
  const bool is_shorter = shorter != nullptr && shorter->argument == argument.index;
  const int64_t value = is_shorter ? shorter->value : said.value_or(0);
  if (value <= 0) return 0;
  return value >= kKnownTtlMsMax / argument.unit_ms ? kKnownTtlMsMax : value * argument.unit_ms;
}

}  // namespace tidegate
