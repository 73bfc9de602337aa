// Listening, connections, and what one client may cost.
#include "base/text.h"
#include "config/option_value.h"
#include "config/rows.h"

namespace tidegate {
namespace {

using enum OptionType;

// Addresses of one `bind`. As Redis's CONFIG_BINDADDR_MAX.
constexpr size_t kBindAddressesMax = 16;

constexpr std::string_view kClassNames[kClientClasses] = {"normal", "slave", "pubsub"};

OptionFault ParseBind(Options& options, std::span<const std::string> words) {
  if (words.size() > kBindAddressesMax) return "Too many bind addresses specified.";
  std::vector<std::string> addresses;
  if (!(words.size() == 1 && words[0].empty())) addresses.assign(words.begin(), words.end());
  for (const std::string& word : addresses) {
    if (!ParseBindAddress(word)) return "'" + word + "' is not an IP address, * or ::*";
  }
  options.bind = std::move(addresses);
  return std::nullopt;
}

std::string PrintBind(const Options& options) { return JoinWords(options.bind); }

std::optional<size_t> FindClientClass(std::string_view name) {
  if (EqualsIgnoreCase(name, "replica")) name = "slave";
  for (size_t i = 0; i < kClientClasses; ++i) {
    if (EqualsIgnoreCase(name, kClassNames[i])) return i;
  }
  return std::nullopt;
}

// Groups of four words: class, hard limit, soft limit, soft seconds. Classes not named keep theirs.
OptionFault ParseOutputBufferLimits(Options& options, std::span<const std::string> words) {
  if (words.size() % 4 != 0) return "Wrong number of arguments in buffer limit configuration.";
  auto limits = options.client_output_buffer_limits;
  for (size_t i = 0; i < words.size(); i += 4) {
    const std::optional<size_t> client_class = FindClientClass(words[i]);
    if (!client_class) return "Invalid client class specified in buffer limit configuration.";
    const std::optional<int64_t> hard = ParseMemory(words[i + 1]);
    const std::optional<int64_t> soft = ParseMemory(words[i + 2]);
    const std::optional<int64_t> seconds = ParseInt64(words[i + 3]);
    if (!hard || !soft || !seconds || *seconds < 0 || *seconds > kInt32Max) {
      return "Error in hard, soft or soft_seconds setting in buffer limit configuration.";
    }
    limits[*client_class] = {Bytes{static_cast<uint64_t>(*hard)},
                             Bytes{static_cast<uint64_t>(*soft)}, std::chrono::seconds(*seconds)};
  }
  options.client_output_buffer_limits = limits;
  return std::nullopt;
}

std::string PrintOutputBufferLimits(const Options& options) {
  std::vector<std::string> words;
  for (size_t i = 0; i < kClientClasses; ++i) {
    const OutputBufferLimit& limit = options.client_output_buffer_limits[i];
    words.emplace_back(kClassNames[i]);
    words.push_back(std::to_string(limit.hard.count));
    words.push_back(std::to_string(limit.soft.count));
    words.push_back(std::to_string(limit.soft_time.count()));
  }
  return JoinWords(words);
}

// Of Redis: a number of bytes, or a share of maxmemory.
OptionFault KeepMaxmemoryClients(std::span<const std::string> words, std::string& text) {
  if (const std::optional<int64_t> percent = ParsePercent(words[0])) {
    if (*percent > 100) return "percentage argument must be less or equal to 100";
    text = words[0];
    return std::nullopt;
  }
  const std::optional<int64_t> bytes = ParseMemory(words[0]);
  if (!bytes) return "argument must be a memory or percent value";
  text = ToText(*bytes);
  return std::nullopt;
}

constexpr OptionRow kRows[] = {
    {.name = "bind",
     .type = kSpecial,
     .initial = "* -::*",
     .codec = {ParseBind, PrintBind},
     .run_time = false,
     .many_words = true,
     .yaml = YamlPlace::kListener,
     .help = "Addresses to listen on, IPv4 or IPv6. `*` and `::*` mean all; `-` before an address: "
             "it may be missing. In YAML: `address` of a listener."},
    {.name = "port",
     .type = kInteger,
     .initial = "6379",
     .max = kPortMax,
     .member = NumberMember<&Options::port>(),
     .run_time = false,
     .yaml = YamlPlace::kListener,
     .help = "TCP port of `bind`. 0: no TCP. In YAML: `address` of a listener."},
    {.name = "unixsocket",
     .type = kText,
     .initial = "",
     .member = TextMember(&Options::unixsocket),
     .run_time = false,
     .yaml = YamlPlace::kListener,
     .help = "Path of a unix socket to listen on. In YAML: `unixsocket` of a listener."},
    {.name = "unixsocketperm",
     .type = kOctal,
     .initial = "0",
     .max = 0777,
     .member = NumberMember<&Options::unixsocketperm>(),
     .run_time = false,
     .yaml = YamlPlace::kListener,
     .help = "File mode of the unix socket, octal. 0 leaves what the umask gives."},
    {.name = "tcp-backlog",
     .type = kInteger,
     .initial = "511",
     .max = kInt32Max,
     .member = NumberMember<&Options::tcp_backlog>(),
     .run_time = false,
     .help = "Connections that may wait to be accepted; the kernel caps it at "
             "net.core.somaxconn."},
    {.name = "tcp-keepalive",
     .type = kInteger,
     .initial = "300",
     .max = kInt32Max,
     .member = NumberMember<&Options::tcp_keepalive>(),
     .help = "Seconds of silence after which the kernel probes a client. 0: off."},
    {.name = "timeout",
     .type = kInteger,
     .initial = "0",
     .max = kInt32Max,
     .member = NumberMember<&Options::timeout>(),
     .help = "Seconds after which an idle client is closed. 0: never."},
    {.name = "maxclients",
     .type = kInteger,
     .initial = "10000",
     .min = 1,
     .max = std::numeric_limits<uint32_t>::max(),
     .member = NumberMember<&Options::maxclients>(),
     .help = "Client connections at one time; more are refused."},
    {.name = "client-output-buffer-limit",
     .type = kSpecial,
     .initial = "normal 0 0 0 slave 268435456 67108864 60 pubsub 33554432 8388608 60",
     .codec = {ParseOutputBufferLimits, PrintOutputBufferLimits},
     .many_words = true,
     .help =
         "Reply bytes that may wait for a client of a class before it is cut off: class, hard "
         "limit, soft limit, seconds beyond the soft one. 0: no limit. A client in MONITOR mode "
         "counts as pubsub."},
    {.name = "client-query-buffer-limit",
     .type = kMemory,
     .initial = "1073741824",
     .min = 1024 * 1024,
     .member = NumberMember<&Options::client_query_buffer_limit>(),
     .help = "Unparsed request bytes of one client before it is cut off."},
    {.name = "proto-max-bulk-len",
     .type = kMemory,
     .initial = "536870912",
     .min = 1024 * 1024,
     .member = NumberMember<&Options::proto_max_bulk_len>(),
     .help = "Longest single argument and longest string value."},
    {.name = "maxmemory-clients",
     .type = kSpecial,
     .initial = "0",
     .fixed = "this version of Tidegate does not close clients by their memory",
     .keep = KeepMaxmemoryClients,
     .help = "Memory of all clients together."},
    {.name = "bind-source-addr",
     .type = kText,
     .initial = "",
     .help = "Source address of outgoing connections."},
    {.name = "socket-mark-id",
     .type = kInteger,
     .initial = "0",
     .max = std::numeric_limits<uint32_t>::max(),
     .run_time = false,
     .help = "Mark of listening sockets, for packet filters."},
    {.name = "io-threads",
     .type = kInteger,
     .initial = "1",
     .min = 1,
     .max = 128,
     .run_time = false,
     .help = "Redis's threads for reading and writing. See `workers`."},
    {.name = "io-threads-do-reads",
     .type = kYesNo,
     .initial = "no",
     .run_time = false,
     .help = "Whether Redis's threads read as well. See `workers`."},
};

}  // namespace

const OptionGroup kNetworkOptions = {
    "Network", "Listening, connections, and what one client may cost.", kRows};

}  // namespace tidegate
