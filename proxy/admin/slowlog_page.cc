#include "proxy/admin/slowlog_page.h"

#include "base/shown_text.h"
#include "proxy/admin/json_writer.h"

namespace tidegate {

std::string SlowlogJson(const AdminSources& sources) {
  JsonWriter json;
  json.BeginObject().Key("entries").BeginArray();
  const std::vector<SlowlogEntry> entries =
      sources.slowlog ? sources.slowlog() : std::vector<SlowlogEntry>();
  for (const SlowlogEntry& entry : entries) {
    json.BeginObject().Key("id").Int(entry.id);
    json.Key("time_ms").Int(entry.unix_ms);
    json.Key("duration_us").Int(entry.duration_us);
    json.Key("command").BeginArray();
    for (const std::string& argument : entry.arguments) json.Text(Shown(argument));
    json.EndArray();
    json.Key("client").Text(Shown(entry.client_address));
    json.Key("name").Text(Shown(entry.client_name));
    json.Key("node").Text(entry.node).EndObject();
  }
  json.EndArray().EndObject();
  return json.Take() + '\n';
}

}  // namespace tidegate
