#include "proxy/admin/policies_page.h"

#include "base/clock.h"
#include "base/shown_text.h"
#include "policy/policy_registry.h"
#include "proxy/admin/json_writer.h"

namespace tidegate {
namespace {

// Those that have done something.
void WriteCounters(JsonWriter& json, const PolicyCounters& counters) {
  for (size_t i = 0; i < kPolicyKindNames.size(); ++i) {
    const PolicyFigures& figures = counters.of(static_cast<PolicyKind>(i));
    const uint64_t refused = figures.refused.load(std::memory_order_relaxed);
    const uint64_t delayed = figures.delayed.load(std::memory_order_relaxed);
    const uint64_t rewritten = figures.rewritten.load(std::memory_order_relaxed);
    const uint64_t observed = figures.observed.load(std::memory_order_relaxed);
    if (refused + delayed + rewritten + observed == 0) continue;
    json.BeginObject().Key("policy").Text(kPolicyKindNames[i]);
    json.Key("refused").Int(refused).Key("delayed").Int(delayed);
    json.Key("rewritten").Int(rewritten).Key("observed").Int(observed).EndObject();
  }
}

void WriteRoute(JsonWriter& json, RoutePolicies& policies) {
  json.BeginObject().Key("route").Text(Shown(policies.route()));
  json.Key("rules").BeginArray();
  for (const std::string& line : policies.Describe()) json.Text(line);
  json.EndArray().Key("learned").BeginArray();
  for (const std::string& kind : policies.Learned(MonotonicNanos())) json.Text(Shown(kind) + "*");
  json.EndArray().Key("acted").BeginArray();
  WriteCounters(json, policies.counters());
  json.EndArray().EndObject();
}

}  // namespace

std::string PoliciesJson(const AdminSources& sources) {
  JsonWriter json;
  json.BeginObject().Key("routes").BeginArray();
  if (sources.policies != nullptr) {
    for (const std::shared_ptr<RoutePolicies>& policies : sources.policies->Now())
      WriteRoute(json, *policies);
  }
  json.EndArray().EndObject();
  return json.Take() + '\n';
}

}  // namespace tidegate
