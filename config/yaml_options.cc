#include "config/yaml_options.h"

#include <algorithm>
#include <array>

#include "base/text.h"
#include "config/near_miss.h"
#include "config/option_value.h"
#include "config/yaml_clusters.h"
#include "config/yaml_commands.h"
#include "config/yaml_context.h"
#include "config/yaml_hot_keys.h"
#include "config/yaml_routes.h"

namespace tidegate {
namespace {

constexpr std::array<std::string_view, 6> kTopKeys = {
    "listeners", "admin", "clusters", "routes", "commands", "hot-keys-predicted"};
constexpr std::array<std::string_view, 7> kListenerKeys = {
    "name", "address", "unixsocket", "unixsocketperm", "proxy_protocol", "cluster", "tls"};

// For the engine that the file does not mention: a name that none of its clusters has.
std::string FreeClusterName(std::span<const ClusterOptions> clusters) {
  std::string name = "local";
  const auto is_taken = [&](const ClusterOptions& c) { return c.name == name; };
  while (std::any_of(clusters.begin(), clusters.end(), is_taken)) name.insert(0, "engine-");
  return name;
}

// The keys that may stand at one place of the file: fixed ones and the settings that belong there.
std::vector<std::string_view> KeysOf(YamlPlace place, std::span<const std::string_view> fixed) {
  std::vector<std::string_view> keys(fixed.begin(), fixed.end());
  ForEachOption([&](const OptionRow& row) {
    if (row.yaml != place || row.hidden) return;
    keys.push_back(row.name);
    if (!row.alias.empty()) keys.push_back(row.alias);
  });
  return keys;
}

// Where a setting that stands in the wrong place belongs.
std::string RightPlace(const OptionRow& row) {
  switch (row.yaml) {
    case YamlPlace::kTop:
      return "it belongs at the top of the file";
    case YamlPlace::kEngine:
      return "it belongs into the cluster of kind engine";
    case YamlPlace::kListener:
      return "it is said by 'listeners' (address, unixsocket, unixsocketperm, proxy_protocol)";
    case YamlPlace::kNested:
      return "it is said by 'admin: {address: ..., token: ..., token_file: ...}'";
  }
  return "";
}

// YAML editors write true and on where Redis has yes.
std::string_view AsYesNo(std::string_view text) {
  if (EqualsIgnoreCase(text, "true") || EqualsIgnoreCase(text, "on")) return "yes";
  if (EqualsIgnoreCase(text, "false") || EqualsIgnoreCase(text, "off")) return "no";
  return text;
}

class YamlReader : private YamlContext {
 public:
  YamlReader(std::string_view name, OptionsBuilder& builder)
      : YamlContext(name, builder), builder_(builder) {}

  void ReadTop(const ConfigNode& root);

 private:
  void UnknownKey(const ConfigNode& entry, YamlPlace place,
                  std::span<const std::string_view> fixed);
  bool ReadSetting(const ConfigNode& entry, YamlPlace place);
  void AssignSetting(const OptionRow& row, const ConfigNode& entry);

  void ReadAdmin(const ConfigNode& node);
  void ReadListeners(const ConfigNode& node);
  void ReadListener(const ConfigNode& node);
  void ReadListenerEntry(const ConfigNode& entry, ListenerOptions& listener);
  void ReadAddress(const ConfigNode& entry, ListenerOptions& listener);
  void AddListener(const ConfigNode& node, ListenerOptions listener);
  void ReadClusters(const ConfigNode& node);
  void ReadCluster(const ConfigNode& node);
  std::optional<ClusterKind> ReadKind(const ConfigNode& node);
  void ReadEngine(const ConfigNode& node, ClusterOptions& cluster);
  void ReadRoutes(const ConfigNode& node);

  OptionsBuilder& builder_;
  std::vector<std::string> bind_words_;  // hosts of the listener being read, as in `bind`
  bool has_tcp_ = false;
  bool has_unix_ = false;
  std::vector<std::string> listener_names_;
};

void YamlReader::UnknownKey(const ConfigNode& entry, YamlPlace place,
                            std::span<const std::string_view> fixed) {
  const OptionRow* row = FindOption(entry.key);
  if (row != nullptr) {
    Fail(entry, "'" + Excerpt(entry.key) + "' has no meaning here: " + RightPlace(*row));
    return;
  }
  Fail(entry, "unknown key '" + Excerpt(entry.key) + "'" +
                  DidYouMean(NearestName(entry.key, KeysOf(place, fixed))));
}

// A setting with its redis.conf name, when it may stand here.
bool YamlReader::ReadSetting(const ConfigNode& entry, YamlPlace place) {
  const OptionRow* row = FindOption(entry.key);
  if (row == nullptr || row->yaml != place) return false;
  AssignSetting(*row, entry);
  return true;
}

void YamlReader::AssignSetting(const OptionRow& row, const ConfigNode& entry) {
  std::vector<std::string> words;
  if (entry.is_list() && row.many_words) {
    for (const ConfigNode& item : entry.items) words.push_back(ScalarOf(item));
    words = {JoinWords(words)};
  } else if (entry.is_scalar()) {
    words.emplace_back(row.type == OptionType::kYesNo ? AsYesNo(entry.scalar) : entry.scalar);
  } else {
    Fail(entry, "'" + Excerpt(entry.key) + "' needs a value; \"\" for an empty one");
    return;
  }
  builder_.Assign(row.name, words, At(entry));
}

void YamlReader::ReadTop(const ConfigNode& root) {
  if (root.kind == ConfigNode::Kind::kNothing) return;  // an empty file: all defaults
  if (!ExpectMap(root, "the file")) return;
  // Clusters first: routes name them, in whatever order the file has them.
  for (const ConfigNode& entry : root.items) {
    if (entry.key == "clusters") ReadClusters(entry);
  }
  for (const ConfigNode& entry : root.items) {
    if (entry.key == "clusters") continue;
    if (entry.key == "listeners") {
      ReadListeners(entry);
    } else if (entry.key == "admin") {
      ReadAdmin(entry);
    } else if (entry.key == "routes") {
      ReadRoutes(entry);
    } else if (entry.key == "commands") {
      ReadDeclaredCommands(entry, *this);
    } else if (entry.key == "hot-keys-predicted") {
      ReadPredictedKeys(entry, *this);
    } else if (!ReadSetting(entry, YamlPlace::kTop)) {
      UnknownKey(entry, YamlPlace::kTop, kTopKeys);
    }
  }
}

void YamlReader::ReadAdmin(const ConfigNode& node) {
  static constexpr std::array<std::string_view, 3> kAdminKeys = {"address", "token", "token_file"};
  static constexpr std::array<std::string_view, 3> kNames = {"admin-address", "admin-token",
                                                             "admin-token-file"};
  if (node.is_scalar()) return AssignSetting(*FindOption(kNames[0]), node);
  if (!ExpectMap(node, "'admin'")) return;
  for (const ConfigNode& entry : node.items) {
    const auto key = std::find(kAdminKeys.begin(), kAdminKeys.end(), entry.key);
    if (key == kAdminKeys.end()) {
      Fail(entry, "unknown key '" + Excerpt(entry.key) + "' in admin" +
                      DidYouMean(NearestName(entry.key, kAdminKeys)));
      continue;
    }
    AssignSetting(*FindOption(kNames[static_cast<size_t>(key - kAdminKeys.begin())]), entry);
  }
}

void YamlReader::ReadListeners(const ConfigNode& node) {
  if (!node.is_list() || node.items.empty()) {
    Fail(node, "'listeners' must be a list with at least one listener");
    return;
  }
  Options& options = builder_.options();
  options.port = 0;  // the file says where to listen, all of it
  options.bind.clear();
  options.unixsocket.clear();
  options.extra_listeners.clear();
  for (const ConfigNode& item : node.items) ReadListener(item);
}

void YamlReader::ReadListener(const ConfigNode& node) {
  if (!ExpectMap(node, "a listener")) return;
  ListenerOptions listener;
  bind_words_.clear();
  for (const ConfigNode& entry : node.items) ReadListenerEntry(entry, listener);
  if (listener.name.empty()) Fail(node, "a listener needs a name");
  if (listener.addresses.empty() && !listener.is_unix()) {
    Fail(node, "a listener needs an address (\"0.0.0.0:6379\") or a unixsocket");
    return;
  }
  if (!listener.addresses.empty() && listener.is_unix()) {
    Fail(node, "a listener has an address or a unixsocket, not both; make it two listeners");
    return;
  }
  const auto same = std::find(listener_names_.begin(), listener_names_.end(), listener.name);
  if (same != listener_names_.end()) {
    Fail(node, "two listeners have the name '" + Excerpt(listener.name) + "'");
  }
  listener_names_.push_back(listener.name);
  AddListener(node, std::move(listener));
}

void YamlReader::ReadListenerEntry(const ConfigNode& entry, ListenerOptions& listener) {
  if (entry.key == "name") {
    listener.name = ScalarOf(entry);
  } else if (entry.key == "address") {
    ReadAddress(entry, listener);
  } else if (entry.key == "unixsocket") {
    listener.unixsocket = ScalarOf(entry);
  } else if (entry.key == "unixsocketperm") {
    Options scratch;
    const OptionFault fault =
        SetOption(*FindOption(entry.key), scratch, std::array{ScalarOf(entry)});
    if (fault) Fail(entry, "unixsocketperm: " + *fault);
    listener.unixsocketperm = scratch.unixsocketperm;
  } else if (entry.key == "proxy_protocol") {
    const std::string value(AsYesNo(ScalarOf(entry)));
    if (value != "yes" && value != "no") Fail(entry, "proxy_protocol must be yes or no");
    listener.proxy_protocol = value == "yes";
  } else if (entry.key == "cluster") {
    listener.cluster = ReadClusterName(*this, entry);
  } else if (entry.key == "tls") {
    Fail(entry, "tls: this version of Tidegate has no TLS");
  } else {
    UnknownKey(entry, YamlPlace::kListener, kListenerKeys);
  }
}

// One address, or a list of them with one port; `-` before one: it may be missing.
void YamlReader::ReadAddress(const ConfigNode& entry, ListenerOptions& listener) {
  const std::span<const ConfigNode> all =
      entry.is_list() ? std::span(entry.items) : std::span(&entry, 1);
  for (const ConfigNode& one : all) {
    std::string_view text = one.scalar;
    const bool optional = !text.empty() && text.front() == '-';
    if (optional) text.remove_prefix(1);
    const std::optional<HostPort> address = ParseHostPort(text);
    std::string word = optional ? "-" : "";
    if (address) word += address->host == "::" ? "::*" : address->host;
    const std::optional<BindAddress> host = ParseBindAddress(word);
    if (!host || address->port == 0) {
      Fail(entry, "address must be host:port with an IP address, * or [::]");
      return;
    }
    if (!bind_words_.empty() && address->port != listener.port) {
      Fail(entry, "the addresses of one listener have one port; make it two listeners");
    }
    bind_words_.push_back(word);
    listener.addresses.push_back(*host);
    listener.port = address->port;
  }
}

// The first TCP and the first unix listener become the classic settings, so that flags can change
// them; the others stand beside them.
void YamlReader::AddListener(const ConfigNode& node, ListenerOptions listener) {
  Options& options = builder_.options();
  if (listener.is_unix() && listener.proxy_protocol) {
    Fail(node, "proxy_protocol is for TCP listeners");
  } else if (listener.is_unix() && !has_unix_) {
    has_unix_ = true;
    options.unix_listener_name = listener.name;
    options.unixsocket = listener.unixsocket;
    options.unixsocketperm = listener.unixsocketperm;
    options.unix_listener_cluster = listener.cluster;
  } else if (!listener.is_unix() && !has_tcp_) {
    has_tcp_ = true;
    options.first_listener_name = listener.name;
    options.bind = bind_words_;
    options.port = listener.port;
    options.proxy_protocol = listener.proxy_protocol;
    options.first_listener_cluster = listener.cluster;
  } else {
    options.extra_listeners.push_back(std::move(listener));
  }
}

void YamlReader::ReadClusters(const ConfigNode& node) {
  if (!node.is_list() || node.items.empty()) {
    Fail(node, "'clusters' must be a list with at least one cluster");
    return;
  }
  std::vector<ClusterOptions>& clusters = builder_.options().clusters;
  clusters.clear();
  for (const ConfigNode& item : node.items) ReadCluster(item);
  const auto is_engine = [](const ClusterOptions& c) { return !c.is_upstream(); };
  const auto engines = std::count_if(clusters.begin(), clusters.end(), is_engine);
  if (engines > 1) Fail(node, "there is one engine, so only one cluster of kind engine");
  // It is there also when nothing is said of it, and then nothing goes to it.
  if (engines == 0) clusters.push_back({FreeClusterName(clusters), ClusterKind::kEngine});
  builder_.options().routes.clear();  // the default one names a cluster that may be gone
}

// None after a mistake.
std::optional<ClusterKind> YamlReader::ReadKind(const ConfigNode& node) {
  for (const ConfigNode& entry : node.items) {
    if (entry.key != "kind") continue;
    const std::string kind = ScalarOf(entry);
    const auto found = std::find(kClusterKindNames.begin(), kClusterKindNames.end(), kind);
    if (found != kClusterKindNames.end())
      return static_cast<ClusterKind>(found - kClusterKindNames.begin());
    Fail(entry, "unknown kind of cluster '" + Excerpt(kind) + "'" +
                    DidYouMean(NearestName(kind, kClusterKindNames)));
    return std::nullopt;
  }
  Fail(node, "a cluster needs a kind: engine, redis, replicas, sentinel, redis_cluster or ring");
  return std::nullopt;
}

void YamlReader::ReadCluster(const ConfigNode& node) {
  if (!ExpectMap(node, "a cluster")) return;
  const std::optional<ClusterKind> kind = ReadKind(node);
  if (!kind) return;
  ClusterOptions cluster;
  if (*kind == ClusterKind::kEngine) {
    ReadEngine(node, cluster);
  } else {
    cluster = ReadUpstreamCluster(*this, node, *kind);
  }
  if (cluster.name.empty()) Fail(node, "a cluster needs a name");
  for (const ClusterOptions& other : builder_.options().clusters) {
    if (!cluster.name.empty() && other.name == cluster.name)
      Fail(node, "two clusters have the name '" + Excerpt(cluster.name) + "'");
  }
  builder_.options().clusters.push_back(std::move(cluster));
}

void YamlReader::ReadEngine(const ConfigNode& node, ClusterOptions& cluster) {
  static constexpr std::array<std::string_view, 2> kClusterKeys = {"name", "kind"};
  for (const ConfigNode& entry : node.items) {
    if (entry.key == "kind") continue;
    if (entry.key == "name") {
      cluster.name = ScalarOf(entry);
    } else if (!ReadSetting(entry, YamlPlace::kEngine)) {
      UnknownKey(entry, YamlPlace::kEngine, kClusterKeys);
    }
  }
}

void YamlReader::ReadRoutes(const ConfigNode& node) {
  if (!node.is_list()) {
    Fail(node, "'routes' must be a list");
    return;
  }
  builder_.options().routes.clear();
  for (const ConfigNode& item : node.items) ReadYamlRoute(*this, item);
}

}  // namespace

void ReadYamlOptions(const ConfigNode& root, std::string_view name, OptionsBuilder& builder) {
  YamlReader(name, builder).ReadTop(root);
}

}  // namespace tidegate
