#include "proxy/admin/hot_keys_page.h"

#include <cmath>

#include "base/clock.h"
#include "base/shown_text.h"
#include "policy/policy_registry.h"

namespace tidegate {
namespace {

// A rate, to a tenth: more is noise.
double Rounded(double rate) { return std::round(rate * 10) / 10; }

void WriteClients(JsonWriter& json, const hotkey::HotKey& key) {
  json.Key("clients").BeginArray();
  for (const hotkey::HotKey::Client& client : key.clients) {
    json.BeginObject().Key("address").Text(client.text.address);
    json.Key("name").Text(Shown(client.text.name));
    json.Key("user").Text(Shown(client.text.user));
    json.Key("rate").Real(Rounded(client.rate)).EndObject();
  }
  json.EndArray();
}

void WriteActions(JsonWriter& json, const hotkey::HotKey& key, const HotKeyFacts& facts) {
  json.Key("actions").BeginArray();
  std::shared_ptr<RoutePolicies> policies;
  if (facts.policies != nullptr) policies = facts.policies->Of(key.name);
  if (policies != nullptr) {
    for (const std::string& action : policies->ActionsOn(key.name, key.id, MonotonicNanos()))
      json.Text(action);
  }
  json.EndArray();
}

}  // namespace

std::string_view PublicNameOf(hotkey::HotClass hot_class) {
  switch (hot_class) {
    case hotkey::HotClass::kReads:
      return "read-hot";
    case hotkey::HotClass::kWrites:
      return "write-hot";
    case hotkey::HotClass::kMisses:
      return "miss-hot";
    case hotkey::HotClass::kBytes:
      return "byte-hot";
    case hotkey::HotClass::kPredicted:
      break;
  }
  return "predicted";
}

void WriteHotKey(JsonWriter& json, const hotkey::HotKey& key, const HotKeyFacts& facts) {
  json.Key("key").Text(Shown(key.name)).Key("key_base64").Text(Base64(key.name));
  json.Key("cluster").Text(facts.ClusterOf(key.keyspace)).Key("db").Int(key.keyspace.database);
  json.Key("classes").BeginArray();
  for (size_t i = 0; i < hotkey::kHotClasses; ++i) {
    const auto one = static_cast<hotkey::HotClass>(i);
    if (key.classes.Has(one)) json.Text(PublicNameOf(one));
  }
  json.EndArray();
  json.Key("reads").Real(Rounded(key.reads)).Key("writes").Real(Rounded(key.writes));
  json.Key("misses").Real(Rounded(key.misses));
  json.Key("reply_bytes").Real(std::round(key.reply_bytes));
  json.Key("share").Real(key.share);
  json.Key("since_ms").Int(facts.UnixMillisOf(key.since_ns));
  WriteActions(json, key, facts);
  WriteClients(json, key);
}

std::string HotKeysJson(const HotKeyFacts& facts) {
  const hotkey::HotKeyReport& report = *facts.report;
  JsonWriter json;
  json.BeginObject();
  json.Key("at_ms").Int(report.at_ns == 0 ? 0 : facts.UnixMillisOf(report.at_ns));
  json.Key("enabled").Bool(facts.enabled);
  json.Key("reads").Real(Rounded(report.reads)).Key("writes").Real(Rounded(report.writes));
  json.Key("watched").Int(report.watched);
  json.Key("top1_share").Real(report.top1_share).Key("top10_share").Real(report.top10_share);
  json.Key("top100_share").Real(report.top100_share);
  json.Key("promotions").Int(report.promotions).Key("cool_downs").Int(report.cool_downs);
  json.Key("refused").Int(report.refused);
  json.Key("keys").BeginArray();
  for (const hotkey::HotKey& key : report.keys) {
    json.BeginObject();
    WriteHotKey(json, key, facts);
    json.EndObject();
  }
  json.EndArray().EndObject();
  return json.Take() + '\n';
}

}  // namespace tidegate
