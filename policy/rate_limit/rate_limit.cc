#include "policy/rate_limit/rate_limit.h"

#include <algorithm>

#include "base/shown_text.h"
#include "config/option_value.h"
#include "config/yaml_policies.h"

namespace tidegate {
namespace {

bool IsPerKey(RatePer per) { return per == RatePer::kKey || per == RatePer::kHotKey; }

size_t CellsOf(RatePer per) {
  if (per == RatePer::kRoute) return kGcraCellsOne;
  return per == RatePer::kHotKey ? kGcraCellsHot : kGcraCellsMany;
}

bool IsHot(const RatedRequest& request, hotkey::KeyId id) {
  if (request.hot == nullptr) return false;
  const hotkey::WatchedKey* const watched = request.hot->Find(id);
  return watched != nullptr && watched->classes.any();
}

uint64_t IdOfAsker(RatePer per, const RatedRequest& request) {
  if (per == RatePer::kClient) return request.client;
  return per == RatePer::kUser ? request.user : 1;
}

}  // namespace

RateLimit::Rule RateLimit::MakeRule(const RateLimitRule& options, const RateLimit* before) {
  std::optional<KeyPattern> match;
  if (!options.match.empty()) match = KeyPattern::Parse(options.match).value();
  Rule rule{.options = options,
            .match = std::move(match),
            .gcra = Gcra(options.rate, options.burst),
            .table = nullptr};
  if (before != nullptr) {
    for (const Rule& known : before->rules_) {
      if (known.options == options) rule.table = known.table;
    }
  }
  if (rule.table == nullptr) rule.table = std::make_shared<GcraTable>(CellsOf(options.per));
  return rule;
}

RateLimit::RateLimit(const RateLimitOptions& options, PolicyMode mode, PolicyCounters& counters,
                     const RateLimit* before)
    : mode_(mode), counters_(counters) {
  for (const RateLimitRule& rule : options.rules) rules_.push_back(MakeRule(rule, before));
}

std::optional<RateLimit::Over> RateLimit::Take(const RatedRequest& request, RateCharges& charges) {
  for (Rule& rule : rules_) {
    if (!Covers(rule.options.access, request.access)) continue;
    if (const std::optional<Over> over = TakeByRule(rule, request, charges)) return over;
  }
  return std::nullopt;
}

std::optional<RateLimit::Over> RateLimit::TakeByRule(Rule& rule, const RatedRequest& request,
                                                     RateCharges& charges) {
  const auto covers = [&rule](const KeyRef& key) {
    return !rule.match || rule.match->Matches(key.name);
  };
  if (!IsPerKey(rule.options.per)) {
    if (rule.match && std::none_of(request.keys.begin(), request.keys.end(), covers))
      return std::nullopt;
    return TakeOne(rule, IdOfAsker(rule.options.per, request), request, charges);
  }
  for (const KeyRef& key : request.keys) {
    const hotkey::KeyId id = hotkey::IdOf(key.hash, request.keyspace);
    if (rule.options.per == RatePer::kHotKey && !IsHot(request, id)) continue;
    if (!covers(key)) continue;
    if (const std::optional<Over> over = TakeOne(rule, id, request, charges)) return over;
  }
  return std::nullopt;
}

std::optional<RateLimit::Over> RateLimit::TakeOne(Rule& rule, uint64_t id,
                                                  const RatedRequest& request,
                                                  RateCharges& charges) {
  bool forgotten = false;
  std::atomic<int64_t>& tat_ns = rule.table->Of(id, request.now_ns, forgotten);
  if (__builtin_expect(forgotten, 0)) {
    counters_.of(PolicyKind::kRateLimit).forgotten.fetch_add(1, std::memory_order_relaxed);
  }
  const int64_t park_ns = std::chrono::nanoseconds(rule.options.park).count();
  if (!charges.MustAsk(tat_ns)) {
    rule.gcra.TakeAnyway(tat_ns);
    charges.Add(rule.gcra, tat_ns);
    return std::nullopt;
  }
  const GcraOutcome outcome = rule.gcra.Take(tat_ns, request.now_ns, park_ns);
  if (mode_ == PolicyMode::kObserve) {
    if (!outcome.taken || outcome.wait_ns > 0) {
      const PolicyAct act = outcome.taken ? PolicyAct::kDelayed : PolicyAct::kRefused;
      counters_.Count(PolicyKind::kRateLimit, act, mode_);
    }
    return std::nullopt;
  }
  if (!outcome.taken) return Over{.rule = &rule.options, .wait_ns = outcome.wait_ns};
  charges.Add(rule.gcra, tat_ns);
  charges.Wait(outcome.wait_ns);
  if (rule.options.stale && outcome.wait_ns > 0) charges.WantCopy();
  return std::nullopt;
}

bool RateLimit::IsPressed(std::string_view name, hotkey::KeyId id, int64_t now_ns) const {
  return std::any_of(rules_.begin(), rules_.end(), [name, id, now_ns](const Rule& rule) {
    if (!IsPerKey(rule.options.per)) return false;
    if (rule.match && !rule.match->Matches(name)) return false;
    const std::optional<int64_t> tat_ns = rule.table->Find(id);
    return tat_ns && rule.gcra.IsPressed(*tat_ns, now_ns);
  });
}

std::vector<std::string> RateLimit::Describe() const {
  std::vector<std::string> lines;
  for (const Rule& rule : rules_) {
    const RateLimitRule& is = rule.options;
    std::string line = "rate_limit " + std::string(kPolicyModeNames[static_cast<size_t>(mode_)]) +
                       ": " + std::string(kPolicyAccessNames[static_cast<size_t>(is.access)]) +
                       " per " + std::string(kRatePerNames[static_cast<size_t>(is.per)]) + " " +
                       PrintRate(is.rate) + " burst " + std::to_string(is.burst);
    if (!is.match.empty()) line += " match " + Shown(is.match);
    if (is.park.count() > 0) line += " park " + PrintDuration(is.park);
    const std::string_view over =
        is.stale ? "stale" : kPolicyAnswerNames[static_cast<size_t>(is.over)];
    lines.push_back(line + " over " + std::string(over));
  }
  return lines;
}

}  // namespace tidegate
