#include "proxy/admin/config_page.h"

#include "base/version.h"
#include "config/option_table.h"
#include "proxy/admin/json_writer.h"

namespace tidegate {

namespace {

void WriteListener(JsonWriter& json, const ListenerOptions& listener) {
  json.BeginObject().Key("name").Text(listener.name);
  if (listener.is_unix()) {
    json.Key("unixsocket").Text(listener.unixsocket);
  } else {
    json.Key("addresses").BeginArray();
    for (const BindAddress& address : listener.addresses) json.Text(address.host);
    json.EndArray().Key("port").Int(listener.port);
    json.Key("proxy_protocol").Bool(listener.proxy_protocol);
  }
  if (!listener.cluster.empty()) json.Key("cluster").Text(listener.cluster);
  json.EndObject();
}

void WriteRoute(JsonWriter& json, const RouteOptions& route) {
  json.BeginObject().Key("match").Text(route.match);
  json.Key("cluster").Text(route.cluster);
  if (!route.strip_prefix.empty()) json.Key("strip-prefix").Text(route.strip_prefix);
  if (!route.add_prefix.empty()) json.Key("add-prefix").Text(route.add_prefix);
  if (!route.mirror.cluster.empty()) {
    json.Key("mirror").BeginObject().Key("cluster").Text(route.mirror.cluster);
    json.Key("percent").Int(route.mirror.percent).EndObject();
  }
  if (!route.move_from.empty()) json.Key("move-from").Text(route.move_from);
  json.EndObject();
}

}  // namespace

std::string ConfigJson(const Options& options) {
  JsonWriter json;
  json.BeginObject().Key("version").Text(kTidegateVersion);
  json.Key("listeners").BeginArray();
  for (const ListenerOptions& listener : options.listeners) WriteListener(json, listener);
  json.EndArray();
  json.Key("clusters").BeginArray();
  for (const ClusterOptions& cluster : options.clusters) {
    json.BeginObject().Key("name").Text(cluster.name);
    json.Key("kind").Text(KindName(cluster.kind)).EndObject();
  }
  json.EndArray();
  json.Key("routes").BeginArray();
  for (const RouteOptions& route : options.routes) WriteRoute(json, route);
  json.EndArray();
  json.Key("options").BeginObject();
  ForEachOption([&](const OptionRow& row) {
    if (row.hidden) return;
    const std::string value = PrintOption(row, options);
    json.Key(row.name).Text(row.secret && !value.empty() ? kRedacted : std::string_view(value));
  });
  json.EndObject().EndObject();
  return json.Take() + '\n';
}

}  // namespace tidegate
