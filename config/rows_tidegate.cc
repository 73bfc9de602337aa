// Settings that Redis does not have.
#include <string>

#include "base/limits.h"
#include "base/text.h"
#include "config/option_value.h"
#include "config/rows.h"

namespace tidegate {
namespace {

using enum OptionType;

constexpr EnumName kProfiles[] = {
    {"observe", static_cast<int64_t>(Profile::kObserve)},
    {"standard", static_cast<int64_t>(Profile::kStandard)},
    {"strict", static_cast<int64_t>(Profile::kStrict)},
};

OptionFault ParseWorkers(Options& options, std::span<const std::string> words) {
  int64_t workers = 0;
  if (words[0] != "auto") {
    const std::optional<int64_t> number = ParseInt64(words[0]);
    if (!number || *number < 1 || *number > kWorkersMax) {
      return "argument must be 'auto' or between 1 and " + ToText(kWorkersMax) + " inclusive";
    }
    workers = *number;
  }
  options.workers = static_cast<int>(workers);
  return std::nullopt;
}

std::string PrintWorkers(const Options& options) {
  return options.workers == 0 ? "auto" : ToText(options.workers);
}

OptionFault ParseAdminAddress(Options& options, std::span<const std::string> words) {
  if (words[0] == "off") {
    options.admin_address.reset();
    return std::nullopt;
  }
  const std::optional<HostPort> address = ParseHostPort(words[0]);
  const std::optional<BindAddress> host =
      address ? ParseBindAddress(address->host) : std::optional<BindAddress>();
  if (!host || host->optional) return "argument must be 'off' or host:port with an IP address";
  options.admin_address = HostPort{host->host, address->port};
  return std::nullopt;
}

std::string PrintAdminAddress(const Options& options) {
  if (!options.admin_address) return "off";
  const HostPort& address = *options.admin_address;
  const std::string host = IsIpv6Literal(address.host) ? "[" + address.host + "]" : address.host;
  return host + ":" + ToText(address.port);
}

// Read once, by who opens the admin address: no place in Options, which everybody includes.
void KeepText(Options& options, std::string_view name, const std::string& text) {
  options.kept.erase(std::string(name));
  if (!text.empty()) options.kept.emplace(name, text);
}

OptionFault ParseAdminToken(Options& options, std::span<const std::string> words) {
  if (!words[0].empty()) {
    if (OptionFault fault = AdminTokenFault(words[0])) return fault;
  }
  KeepText(options, kAdminTokenOption, words[0]);
  return std::nullopt;
}

std::string PrintAdminToken(const Options& options) { return KeptText(options, kAdminTokenOption); }

OptionFault ParseAdminTokenFile(Options& options, std::span<const std::string> words) {
  KeepText(options, kAdminTokenFileOption, words[0]);
  return std::nullopt;
}

std::string PrintAdminTokenFile(const Options& options) {
  return KeptText(options, kAdminTokenFileOption);
}

OptionFault ParseConnectionAge(Options& options, std::span<const std::string> words) {
  const std::optional<std::chrono::milliseconds> age = ParseDuration(words[0]);
  if (!age) return "argument must be 0 or a duration with a unit (ms, s, m, h, d)";
  options.max_connection_age = *age;
  return std::nullopt;
}

std::string PrintConnectionAge(const Options& options) {
  return PrintDuration(options.max_connection_age);
}

OptionFault ParseJitter(Options& options, std::span<const std::string> words) {
  const std::optional<int64_t> percent = ParsePercent(words[0]);
  if (!percent || *percent > 100) return "argument must be between 0% and 100% inclusive";
  options.max_connection_age_jitter_percent = static_cast<int>(*percent);
  return std::nullopt;
}

std::string PrintJitter(const Options& options) {
  return ToText(options.max_connection_age_jitter_percent) + "%";
}

constexpr OptionRow kRows[] = {
    {.name = "profile",
     .type = kEnum,
     .initial = "standard",
     .names = kProfiles,
     .member = NumberMember<&Options::profile>(),
     .run_time = false,
     .help = "What guards do that do not say it themselves: `observe` counts what they would do, "
             "`standard` lets those act that change no reply, `strict` all of them. See "
             "docs/guards/index.md."},
    {.name = "workers",
     .type = kSpecial,
     .initial = "auto",
     .codec = {ParseWorkers, PrintWorkers},
     .run_time = false,
     .help = "Worker threads, 1 to 64. `auto`: as many as the cgroup's CPU limit allows, else one "
             "for each core."},
    {.name = "admin-address",
     .type = kSpecial,
     .initial = "127.0.0.1:9901",
     .codec = {ParseAdminAddress, PrintAdminAddress},
     .run_time = false,
     .yaml = YamlPlace::kNested,
     .help = "Where metrics and health are served over HTTP. Port 0 picks a free one, `off` for "
             "none. In YAML: `admin: {address: …}`."},
    {.name = kAdminTokenOption,
     .type = kSpecial,
     .initial = "",
     .codec = {ParseAdminToken, PrintAdminToken},
     .run_time = false,
     .secret = true,
     .yaml = YamlPlace::kNested,
     .help =
         "What the admin pages ask for (`Authorization: Bearer`, or the password in a browser); "
         "16 characters at least. Without one, other machines get /metrics, /healthz and "
         "/readyz only. In YAML: `token` of `admin`."},
    {.name = kAdminTokenFileOption,
     .type = kSpecial,
     .initial = "",
     .codec = {ParseAdminTokenFile, PrintAdminTokenFile},
     .run_time = false,
     .yaml = YamlPlace::kNested,
     .help = "File whose first line is that token, read at the start. In YAML: `token_file` of "
             "`admin`."},
    {.name = "max-connection-age",
     .type = kSpecial,
     .initial = "0",
     .codec = {ParseConnectionAge, PrintConnectionAge},
     .help = "Client connections older than this are closed between two requests, so that clients "
             "spread again after a scale-out. 0: no limit."},
    {.name = "max-connection-age-jitter",
     .type = kSpecial,
     .initial = "10%",
     .codec = {ParseJitter, PrintJitter},
     .help = "By how much the age limit of each connection varies, so that they do not all "
             "reconnect at once."},
    {.name = "proxy-protocol",
     .type = kYesNo,
     .initial = "no",
     .member = NumberMember<&Options::proxy_protocol>(),
     .run_time = false,
     .yaml = YamlPlace::kListener,
     .help =
         "Connections to `bind` and `port` must begin with a PROXY protocol v2 header. In YAML: "
         "`proxy_protocol` of a listener."},
};

}  // namespace

const OptionGroup kTidegateOptions = {"Tidegate", "Settings that Redis does not have.", kRows};

}  // namespace tidegate
