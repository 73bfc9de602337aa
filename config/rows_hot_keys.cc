// Hot keys: when a key is one.
#include "base/text.h"
#include "config/option_value.h"
#include "config/rows.h"

namespace tidegate {
namespace {

using enum OptionType;

// Hot keys at a time: half of what hotkey/watch_list.h has room for.
constexpr int64_t kHotKeysMax = 1024;
constexpr int64_t kRateMax = 1'000'000'000;

OptionFault ParseShare(Options& options, std::span<const std::string> words) {
  const std::optional<int64_t> percent = ParsePercent(words[0]);
  if (!percent || *percent < 1 || *percent > 100)
    return "argument must be between 1% and 100% inclusive";
  options.hot_key_share_percent = *percent;
  return std::nullopt;
}

std::string PrintShare(const Options& options) {
  return ToText(options.hot_key_share_percent) + "%";
}

OptionFault ParseCoolTime(Options& options, std::span<const std::string> words) {
  const std::optional<std::chrono::milliseconds> time = ParseDuration(words[0]);
  if (!time) return "argument must be 0 or a duration with a unit (ms, s, m, h, d)";
  options.hot_key_cool_time = *time;
  return std::nullopt;
}

std::string PrintCoolTime(const Options& options) {
  return PrintDuration(options.hot_key_cool_time);
}

constexpr OptionRow kRows[] = {
    {.name = "hot-keys",
     .type = kYesNo,
     .initial = "yes",
     .member = NumberMember<&Options::hot_keys>(),
     .help = "Count accesses of keys and find the hot ones."},
    {.name = "hot-key-rate",
     .type = kInteger,
     .initial = "500",
     .min = 1,
     .max = kRateMax,
     .member = NumberMember<&Options::hot_key_rate>(),
     .help = "Reads a second, or writes a second, from which a key is hot."},
    {.name = "hot-key-share",
     .type = kSpecial,
     .initial = "1%",
     .codec = {ParseShare, PrintShare},
     .help = "The part of all reads, or of all writes, from which a key is hot, if it has "
             "`hot-key-share-rate`."},
    {.name = "hot-key-share-rate",
     .type = kInteger,
     .initial = "100",
     .min = 1,
     .max = kRateMax,
     .member = NumberMember<&Options::hot_key_share_rate>(),
     .help = "Reads a second, or writes, below which no key is hot for its share."},
    {.name = "hot-key-egress",
     .type = kMemory,
     .initial = "10485760",
     .min = 1,
     .member = NumberMember<&Options::hot_key_egress>(),
     .help = "Bytes of replies a second from which a key is hot."},
    {.name = "hot-key-cool-time",
     .type = kSpecial,
     .initial = "30s",
     .codec = {ParseCoolTime, PrintCoolTime},
     .help = "How long a key stays hot after it was last at a quarter of what makes one hot."},
    {.name = "hot-keys-max",
     .type = kInteger,
     .initial = "1024",
     .min = 1,
     .max = kHotKeysMax,
     .member = NumberMember<&Options::hot_keys_max>(),
     .help = "Hot keys at a time. Those that would be more are counted in "
             "`tidegate_hot_keys_refused`."},
};

}  // namespace

const OptionGroup kHotKeyOptions = {"Hot keys", "When a key counts as hot; see docs/hot-keys.md.",
                                    kRows};

}  // namespace tidegate
