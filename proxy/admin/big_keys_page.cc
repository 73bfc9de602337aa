#include "proxy/admin/big_keys_page.h"

#include <limits>

#include "base/shown_text.h"
#include "proxy/admin/json_writer.h"

namespace tidegate {

std::string BigKeysJson(const BigKeyFacts& facts, int64_t now_ms) {
  JsonWriter json;
  json.BeginObject().Key("at_ms").Int(now_ms).Key("enabled").Bool(facts.enabled);
  json.Key("big").Int(facts.counts.big).Key("listed").Int(facts.counts.listed);
  json.Key("keys").BeginArray();
  for (const hotkey::BigKey& key : facts.keys) {
    json.BeginObject().Key("key").Text(Shown(key.name));
    json.Key("key_base64").Text(Base64(key.name));
    json.Key("cluster").Text(key.cluster).Key("db").Int(key.database);
    json.Key("type").Text(key.type).Key("bytes").Int(key.bytes).Key("elements");
    if (key.elements) {
      json.Int(*key.elements);
    } else {
      json.Real(std::numeric_limits<double>::quiet_NaN());  // null
    }
    json.Key("bytes_per_second").Int(key.bytes_per_second);
    json.Key("source").Text(hotkey::BigKeySourceName(key.source));
    json.Key("seen_ms").Int(key.seen_ms).Key("big").Bool(key.big).EndObject();
  }
  json.EndArray().EndObject();
  return json.Take() + '\n';
}

}  // namespace tidegate
