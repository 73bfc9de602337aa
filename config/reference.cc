#include "config/reference.h"

#include <limits>

#include "base/text.h"
#include "config/option_table.h"
#include "config/option_value.h"
#include "config/yaml_clusters.h"
#include "config/yaml_routes.h"

namespace tidegate {
namespace {

// Columns of a comment line in the generated YAML.
constexpr size_t kCommentColumnsMax = 98;

bool HasEffect(const OptionRow& row) { return !row.is_kept() || !row.fixed.empty(); }

std::string Code(std::string_view text) {
  return text.empty() ? std::string("empty") : "`" + std::string(text) + "`";
}

std::string Range(const OptionRow& row) {
  const bool to_the_end = row.max == std::numeric_limits<int64_t>::max() ||
                          row.max == std::numeric_limits<int32_t>::max() ||
                          row.max == std::numeric_limits<uint32_t>::max();
  const bool from_the_end = row.min == std::numeric_limits<int32_t>::min();
  if (to_the_end && from_the_end) return "";
  if (to_the_end) return ", " + ToText(row.min) + " or more";
  return ", " + ToText(row.min) + " to " + ToText(row.max);
}

// What a value may be, for people.
std::string Values(const OptionRow& row) {
  switch (row.type) {
    case OptionType::kYesNo:
      return "yes, no";
    case OptionType::kInteger:
      return "integer" + Range(row);
    case OptionType::kMemory:
      return "bytes" + Range(row);
    case OptionType::kOctal:
      return "octal, up to 777";
    case OptionType::kEnum: {
      std::string names;
      for (const EnumName& known : row.names) {
        if (!names.empty()) names += ", ";
        names += known.name;
      }
      return names;
    }
    case OptionType::kText:
      return "text";
    case OptionType::kSpecial:
    case OptionType::kUnset:
      break;
  }
  return row.many_words ? "words" : "see text";
}

std::string_view YamlColumn(const OptionRow& row) {
  switch (row.yaml) {
    case YamlPlace::kTop:
      return "top";
    case YamlPlace::kEngine:
      return "engine";
    case YamlPlace::kListener:
      return "listeners";
    case YamlPlace::kNested:
      return "admin";
  }
  return "";
}

void AppendRow(std::string& page, const OptionRow& row) {
  std::string name = Code(row.name);
  if (!row.alias.empty()) name += ", " + Code(row.alias);
  std::string help(row.help);
  if (!row.fixed.empty()) {
    help += " Any other value is an error: " + std::string(row.fixed) + ".";
  }
  const char* run_time = row.protected_config            ? "protected"
                         : row.run_time && !row.at_start ? "yes"
                                                         : "no";
  page += "| " + name + " | " + Code(row.initial) + " | " + Values(row) + " | " + run_time + " | " +
          std::string(YamlColumn(row)) + " | " + help + " |\n";
}

void AppendTable(std::string& page, const OptionGroup& group, bool with_effect) {
  bool begun = false;
  for (const OptionRow& row : group.rows) {
    if (row.hidden || HasEffect(row) != with_effect) continue;
    if (!begun) {
      if (!with_effect) page += "Accepted, checked and reported, without effect in Tidegate:\n\n";
      page += "| name | default | values | CONFIG SET | YAML | what |\n|---|---|---|---|---|---|\n";
      begun = true;
    }
    AppendRow(page, row);
  }
  if (begun) page += '\n';
}

// `text` as comment lines, broken at spaces.
void AppendComment(std::string& out, std::string_view indent, std::string_view text) {
  const std::string prefix = std::string(indent) + "# ";
  while (!text.empty()) {
    const size_t room = kCommentColumnsMax - prefix.size();
    size_t end = text.size();
    if (end > room) {
      end = text.rfind(' ', room);
      if (end == std::string_view::npos) end = text.size();
    }
    out += prefix;
    out += text.substr(0, end);
    out += '\n';
    text.remove_prefix(std::min(text.size(), end + 1));
  }
}

// A YAML scalar that reads back as `text`.
std::string YamlScalar(std::string_view text) {
  const bool plain =
      !text.empty() && text.find_first_of("#:*&!|>'\"%@`{}[],") == std::string_view::npos;
  return plain ? std::string(text) : "\"" + std::string(text) + "\"";
}

// The settings of one place, each as a comment that can be uncommented.
void AppendSettings(std::string& out, YamlPlace place, std::string_view indent) {
  ForEachOption([&](const OptionRow& row) {
    const bool shown = row.name == "profile" || row.name == "workers" || row.name == "dir";
    if (row.yaml != place || row.is_kept() || !row.fixed.empty() || shown) return;
    AppendComment(out, indent, row.help);
    out +=
        std::string(indent) + "# " + std::string(row.name) + ": " + YamlScalar(row.initial) + "\n";
  });
}

std::string UpstreamKeysReference() {
  std::string page =
      "## Clusters of other kinds\n\n"
      "Keys of a cluster in the YAML file whose kind is not engine; beside them each has `name` "
      "and `kind`. A time is a\nnumber with a unit, as `250ms` or `5s`. They are read at start. "
      "What they mean together: [upstreams](../upstreams.md).\n\n"
      "| key | kinds | default | values | what |\n|---|---|---|---|---|\n";
  for (const UpstreamKey& key : UpstreamKeys()) {
    page += "| " + Code(key.name) + " | " + KindsOf(key) + " | " + std::string(key.initial) +
            " | " + std::string(key.values) + " | " + std::string(key.help) + " |\n";
  }
  return page;
}

std::string RoutesReference() {
  std::string page =
      "\n## Routes\n\n"
      "Keys of a route in the YAML file. They are read at start. What they mean together: "
      "[upstreams](../upstreams.md),\n[migration](../migration.md).\n\n"
      "| key | default | values | what |\n|---|---|---|---|\n";
  for (const RouteKey& key : RouteKeys()) {
    page += "| " + Code(key.name) + " | " + std::string(key.initial) + " | " +
            std::string(key.values) + " | " + std::string(key.help) + " |\n";
  }
  return page;
}

// Clusters of other kinds, the routes, commands that the file may declare.
void AppendUpstreamExamples(std::string& out) {
  out +=
      "  # Redis servers that run already (docs/upstreams.md); all keys are in\n"
      "  # docs/reference/options.md, those but nodes and primary-name are optional.\n"
      "  # - name: cache\n"
      "  #   kind: redis            # one node\n"
      "  #   nodes: [\"127.0.0.1:6379\"]\n"
      "  #   username: app\n"
      "  #   password: secret\n"
      "  #   database: 0            # the only one that clients have; without it all are\n"
      "  #   protocol: 3            # 2: the nodes do not know HELLO 3\n"
      "  #   connect-timeout: 1s\n"
      "  #   request-timeout: 5s\n"
      "  #   connections: 1         # of each worker, for each database and protocol in use\n"
      "  #   private-connections: 256   # for WATCH, BLPOP, SUBSCRIBE: one client each\n"
      "  #   private-queue: 1024    # clients that may wait for one\n"
      "  #   max-in-flight: 65536   # of each worker at each node\n"
      "  #   probe-big-keys: 0      # keys a second that are asked for their size\n"
      "  #   health-check-interval: 1s\n"
      "  #   breaker-failures: 5    # in a row, until a node is left alone for a while; 0: never\n"
      "  #   breaker-error-percent: 50  # the same by the share of its requests\n"
      "  # - name: pair             # a primary and its replicas, whichever is which\n"
      "  #   kind: replicas\n"
      "  #   nodes: [\"10.0.0.1:6379\", \"10.0.0.2:6379\"]\n"
      "  #   read-from: primary     # or prefer-replica, any\n"
      "  #   replica-lag-max: 10s\n"
      "  #   retry-percent: 20      # reads that failed are sent to another node: at most so many\n"
      "  #   refresh-interval: 5s\n"
      "  # - name: watched          # the same, followed through failovers by asking sentinels\n"
      "  #   kind: sentinel\n"
      "  #   nodes: [\"10.0.0.1:26379\", \"10.0.0.2:26379\", \"10.0.0.3:26379\"]\n"
      "  #   primary-name: mymaster\n"
      "  #   sentinel-username: app\n"
      "  #   sentinel-password: secret\n"
      "  # - name: sharded          # a Redis Cluster; nodes are where to begin asking\n"
      "  #   kind: redis_cluster\n"
      "  #   nodes: [\"10.0.0.1:6379\", \"10.0.0.2:6379\"]\n"
      "  # - name: pool             # independent nodes, keys spread over them as twemproxy does\n"
      "  #   kind: ring\n"
      "  #   nodes: [\"10.0.0.1:6379:1 a\", {address: \"10.0.0.2:6379\", weight: 1, name: b}]\n"
      "  #   hash: fnv1a_64\n"
      "  #   distribution: ketama\n"
      "  #   hash-tag: \"{}\"\n"
      "  #   eject-after-failures: 0\n"
      "  #   eject-time: 30s\n";
  out +=
      "\nroutes:   # the longest match wins\n"
      "  - {match: \"*\", cluster: local}\n"
      "  # - {match: \"app1:*\", cluster: cache, strip-prefix: \"app1:\", add-prefix: \"t7:\"}\n"
      "  # - {match: \"new:*\", cluster: cache, mirror: {cluster: pair, percent: 10}}\n"
      "  # - {match: \"old:*\", cluster: local, move-from: cache}   # docs/migration.md\n"
      "\n"
      "# Commands that Tidegate does not know and upstreams do, those of modules for example, and\n"
      "# where their keys stand (docs/upstreams.md).\n"
      "# commands:\n"
      "#   - {name: \"JSON.*\", keys: 1}\n"
      "#   - {name: JSON.MGET, keys: \"1..-2\", access: read}\n\n";
}

}  // namespace

std::string OptionsReference() {
  std::string page =
      "# Options\n\n"
      "Generated from the option table (`tidegate --print-options-doc`); do not edit by hand.\n\n"
      "Every setting has its redis.conf name. It can stand in a redis.conf (`maxmemory 1gb`), on "
      "the command line\n(`--maxmemory 1gb` or `--maxmemory=1gb`) and in the YAML file, in the "
      "place named below: `top` is the top of the\nfile, `engine` the cluster of kind engine, "
      "`listeners` and `admin` the keys of those. Files are read first, YAML\nbefore redis.conf, "
      "then the command line; later wins. CONFIG GET reads every setting; the column CONFIG SET "
      "says\nwhether it can change while running (`protected`: only with "
      "`enable-protected-configs`).\n\n"
      "Memory is bytes, or a number with `k` `m` `g` (powers of 1000) or `kb` `mb` `gb` (powers "
      "of 1024).\n\n";
  for (const OptionGroup& group : OptionGroups()) {
    page += "## " + std::string(group.title) + "\n\n" + std::string(group.intro) + "\n\n";
    AppendTable(page, group, true);
    AppendTable(page, group, false);
  }
  page += UpstreamKeysReference();
  page += RoutesReference();
  return page;
}

std::string DefaultConfig() {
  std::string out =
      "# Tidegate's configuration, with every setting at its default.\n"
      "# Generated from the option table (tidegate --print-default-config). Unknown keys and bad\n"
      "# values are errors; check a file with: tidegate --check-config FILE\n"
      "# All settings, also those of Redis that are accepted without effect:\n"
      "# docs/reference/options.md\n\n"
      "profile: standard\n"
      "workers: auto\n\n"
      "listeners:\n"
      "  # One address or a list with one port. A - before an address: it may be missing.\n"
      "  - {name: tcp, address: [\"*:6379\", \"-[::]:6379\"]}\n"
      "  # - {name: balanced, address: \"0.0.0.0:6380\", proxy_protocol: \"yes\"}\n"
      "  # - {name: other, address: \"0.0.0.0:6381\", cluster: cache}   # its \"*\"\n"
      "  # - {name: local, unixsocket: /run/tidegate/tidegate.sock, unixsocketperm: \"770\"}\n\n"
      "admin: {address: \"127.0.0.1:9901\"}   # \"off\" for none\n"
      "# For other machines: admin: {address: \"0.0.0.0:9901\", token_file: PATH}\n\n"
      "clusters:\n"
      "  - name: local\n"
      "    kind: engine\n"
      "    dir: ./data\n";
  AppendSettings(out, YamlPlace::kEngine, "    ");
  AppendUpstreamExamples(out);
  AppendSettings(out, YamlPlace::kTop, "");
  return out;
}

}  // namespace tidegate
