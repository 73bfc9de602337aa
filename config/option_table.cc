#include "config/option_table.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <filesystem>
#include <unordered_map>

#include "base/check.h"
#include "base/text.h"
#include "config/near_miss.h"
#include "config/option_value.h"
#include "config/rows.h"

namespace tidegate {
namespace {

// Bounds of the background rounds each second. As Redis's CONFIG_MIN_HZ and CONFIG_MAX_HZ.
constexpr int kHzMin = 1;
constexpr int kHzMax = 500;

using OptionIndex = std::unordered_map<std::string_view, const OptionRow*>;

OptionIndex BuildIndex() {
  OptionIndex index;
  ForEachOption([&index](const OptionRow& row) {
    TG_CHECK(index.emplace(row.name, &row).second);
    if (!row.alias.empty()) TG_CHECK(index.emplace(row.alias, &row).second);
  });
  return index;
}

std::string RangeFault(const OptionRow& row) {
  std::array<char, 96> text;
  const char* format = row.type == OptionType::kOctal
                           ? "argument must be between %llo and %llo inclusive"
                           : "argument must be between %lld and %lld inclusive";
  const int length =
      std::snprintf(text.data(), text.size(), format, static_cast<long long>(row.min),
                    static_cast<long long>(row.max));
  return std::string(text.data(), static_cast<size_t>(length));
}

std::optional<int64_t> ParseOctal(std::string_view text) {
  if (text.empty() || text.size() > 12) return std::nullopt;
  int64_t value = 0;
  for (const char c : text) {
    if (c < '0' || c > '7') return std::nullopt;
    value = value * 8 + (c - '0');
  }
  return value;
}

std::string EnumFault(const OptionRow& row) {
  std::string text = "argument(s) must be one of the following: ";
  for (const EnumName& known : row.names) {
    if (&known != row.names.data()) text += ", ";
    text += known.name;
  }
  return text;
}

std::optional<int64_t> ParseEnum(const OptionRow& row, std::string_view word) {
  for (const EnumName& known : row.names) {
    if (EqualsIgnoreCase(word, known.name)) return known.value;
  }
  return std::nullopt;
}

// The value of a row that is a number inside; or what is wrong with it.
OptionFault ParseNumber(const OptionRow& row, std::string_view word, int64_t& number) {
  std::optional<int64_t> parsed;
  switch (row.type) {
    case OptionType::kYesNo:
      if (EqualsIgnoreCase(word, "yes")) parsed = 1;
      if (EqualsIgnoreCase(word, "no")) parsed = 0;
      if (!parsed) return "argument must be 'yes' or 'no'";
      break;
    case OptionType::kEnum:
      parsed = ParseEnum(row, word);
      if (!parsed) return EnumFault(row);
      break;
    case OptionType::kMemory:
      parsed = ParseMemory(word);
      if (!parsed) return "argument must be a memory value";
      break;
    case OptionType::kOctal:
      parsed = ParseOctal(word);
      if (!parsed) return "argument couldn't be parsed as an octal number";
      break;
    default:
      parsed = ParseInt64(word);
      if (!parsed) return "argument couldn't be parsed into an integer";
      break;
  }
  const bool ranged = row.type != OptionType::kYesNo && row.type != OptionType::kEnum;
  if (ranged && (*parsed < row.min || *parsed > row.max)) return RangeFault(row);
  number = *parsed;
  return std::nullopt;
}

std::string PrintNumber(const OptionRow& row, int64_t number) {
  switch (row.type) {
    case OptionType::kYesNo:
      return number != 0 ? "yes" : "no";
    case OptionType::kEnum:
      for (const EnumName& known : row.names) {
        if (known.value == number) return std::string(known.name);
      }
      return "unknown";
    case OptionType::kOctal: {
      std::array<char, 32> text;
      const int length =
          std::snprintf(text.data(), text.size(), "%llo", static_cast<unsigned long long>(number));
      return std::string(text.data(), static_cast<size_t>(length));
    }
    default:
      return ToText(number);
  }
}

bool IsNumber(OptionType type) { return type != OptionType::kText && type != OptionType::kSpecial; }

// Rows without a place in Options: the canonical text goes to `kept`, unless it is the default.
OptionFault SetKept(const OptionRow& row, Options& options, std::span<const std::string> words) {
  std::string text;
  if (row.keep != nullptr) {
    if (OptionFault fault = row.keep(words, text)) return fault;
  } else if (IsNumber(row.type)) {
    int64_t number = 0;
    if (OptionFault fault = ParseNumber(row, words[0], number)) return fault;
    text = PrintNumber(row, number);
  } else {
    text = words[0];
  }
  if (text == row.initial) {
    options.kept.erase(std::string(row.name));
  } else {
    options.kept.insert_or_assign(std::string(row.name), std::move(text));
  }
  return std::nullopt;
}

OptionFault SetValue(const OptionRow& row, Options& options, std::span<const std::string> words) {
  if (row.codec.parse != nullptr) return row.codec.parse(options, words);
  if (row.is_kept()) return SetKept(row, options, words);
  if (row.member.text != nullptr) {
    options.*row.member.text = words[0];
    return std::nullopt;
  }
  int64_t number = 0;
  if (OptionFault fault = ParseNumber(row, words[0], number)) return fault;
  row.member.set(options, number);
  return std::nullopt;
}

}  // namespace

std::span<const OptionGroup> OptionGroups() {
  static const std::array<OptionGroup, 15> kGroups = {
      kTidegateOptions,    kNetworkOptions,      kSecurityOptions,     kProcessOptions,
      kMemoryOptions,      kKeyspaceOptions,     kPersistenceOptions,  kObservabilityOptions,
      kHotKeyOptions,      kBigKeyOptions,       kLoadSheddingOptions, kLocalCacheOptions,
      kReplicationOptions, kRedisClusterOptions, kTlsOptions};
  return kGroups;
}

const OptionRow* FindOption(std::string_view name) {
  static const OptionIndex kIndex = BuildIndex();
  const auto found = kIndex.find(ToLowerAscii(name));
  return found == kIndex.end() ? nullptr : found->second;
}

bool IsSecretOption(std::string_view name) {
  const OptionRow* row = FindOption(name);
  return row != nullptr && row->secret;
}

OptionFault SetOption(const OptionRow& row, Options& options, std::span<const std::string> words) {
  std::vector<std::string> split;
  if (row.many_words && words.size() == 1 && !words[0].empty()) {
    std::optional<std::vector<std::string>> parts = SplitWords(words[0]);
    if (!parts) return "Unbalanced quotes in configuration line";
    split = std::move(*parts);
    words = split;
  }
  if (words.empty() || (!row.many_words && words.size() != 1)) return "wrong number of arguments";
  if (row.fixed.empty()) return SetValue(row, options, words);
  Options changed = options;
  if (OptionFault fault = SetValue(row, changed, words)) return fault;
  if (PrintOption(row, changed) != row.initial) return std::string(row.fixed);
  options = std::move(changed);
  return std::nullopt;
}

std::string PrintOption(const OptionRow& row, const Options& options) {
  if (row.codec.print != nullptr) return row.codec.print(options);
  if (row.member.text != nullptr) return options.*row.member.text;
  if (row.member.get != nullptr) return PrintNumber(row, row.member.get(options));
  const auto kept = options.kept.find(row.name);
  return kept == options.kept.end() ? std::string(row.initial) : kept->second;
}

std::optional<std::string> NearestOption(std::string_view name) {
  std::vector<std::string_view> names;
  ForEachOption([&names](const OptionRow& row) {
    if (row.hidden) return;
    names.push_back(row.name);
    if (!row.alias.empty()) names.push_back(row.alias);
  });
  return NearestName(name, names);
}

OptionFault FinishOptions(Options& options) {
  options.listeners.clear();
  ListenerOptions tcp{.name = options.first_listener_name,
                      .port = static_cast<uint16_t>(options.port),
                      .proxy_protocol = options.proxy_protocol,
                      .cluster = options.first_listener_cluster};
  for (const std::string& word : options.bind) {
    const std::optional<BindAddress> address = ParseBindAddress(word);
    TG_CHECK(address.has_value());
    tcp.addresses.push_back(*address);
  }
  if (options.port != 0 && !tcp.addresses.empty()) options.listeners.push_back(std::move(tcp));
  if (!options.unixsocket.empty()) {
    options.listeners.push_back({.name = options.unix_listener_name,
                                 .unixsocket = options.unixsocket,
                                 .unixsocketperm = options.unixsocketperm,
                                 .cluster = options.unix_listener_cluster});
  }
  options.listeners.insert(options.listeners.end(), options.extra_listeners.begin(),
                           options.extra_listeners.end());

  if (options.kept.contains(kAdminTokenOption) && options.kept.contains(kAdminTokenFileOption))
    return "admin-token and admin-token-file: only one of them can be given";
  bool has_default_route = false;
  for (const RouteOptions& route : options.routes) has_default_route |= route.match == "*";
  if (!has_default_route) options.routes.push_back({"*", options.clusters.front().name});

  options.hz = std::clamp(options.hz, kHzMin, kHzMax);
  std::error_code ignored;  // without a working directory the relative path is as good as any
  const std::filesystem::path absolute = std::filesystem::absolute(options.dir, ignored);
  if (!ignored) options.dir = absolute.lexically_normal().string();
  if (options.listeners.empty()) return "nothing to listen on: no port and no unix socket";
  if (options.tiered && !options.appendonly)
    return "tiered yes needs appendonly yes: what leaves memory has to be on disk";
  if (options.tiered && options.maxmemory_policy == MaxmemoryPolicy::kNoeviction) {
    return "tiered yes needs a maxmemory-policy that evicts, as allkeys-lru: with noeviction "
           "nothing "
           "may leave memory";
  }
  return std::nullopt;
}

void TakeListeners(Options& options, const Options& from) {
  options.extra_listeners = from.extra_listeners;
  options.first_listener_name = from.first_listener_name;
  options.first_listener_cluster = from.first_listener_cluster;
  options.unix_listener_name = from.unix_listener_name;
  options.unix_listener_cluster = from.unix_listener_cluster;
  options.bind = from.bind;
  options.port = from.port;
  options.proxy_protocol = from.proxy_protocol;
  options.unixsocket = from.unixsocket;
  options.unixsocketperm = from.unixsocketperm;
}

bool IsListenerOption(std::string_view name) {
  constexpr std::string_view kNames[] = {"bind", "port", "proxy-protocol", "unixsocket",
                                         "unixsocketperm"};
  return std::find(std::begin(kNames), std::end(kNames), name) != std::end(kNames);
}

bool ServesAsCluster(const Options& options) {
  for (const RouteOptions& route : options.routes) {
    if (route.match != "*") continue;
    for (const ClusterOptions& cluster : options.clusters) {
      if (cluster.name == route.cluster) return cluster.kind == ClusterKind::kRedisCluster;
    }
  }
  return false;
}

}  // namespace tidegate
