#include "config/yaml_hot_keys.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <string>

#include "base/text.h"
#include "config/near_miss.h"
#include "config/options.h"

namespace tidegate {
namespace {

constexpr std::array<std::string_view, 5> kPredictedKeys = {"key", "cluster", "db", "from",
                                                            "until"};
// Database numbers are 16 bits where keys are observed.
constexpr int64_t kDatabaseMax = 65535;
// The year 5138: seconds that fit into milliseconds, and what nobody means.
constexpr int64_t kUnixSecondsMax = 100'000'000'000;

// The number that `digits` of these bytes are; none: they are something else.
std::optional<int64_t> Digits(std::string_view text, size_t at, size_t digits) {
  int64_t number = 0;
  for (const char c : text.substr(at, digits)) {
    if (c < '0' || c > '9') return std::nullopt;
    number = number * 10 + (c - '0');
  }
  return number;
}

class PredictedKeysReader {
 public:
  explicit PredictedKeysReader(YamlContext& context) : context_(context) {}

  void Read(const ConfigNode& node) {
    std::vector<PredictedKeyOptions>& all = context_.builder().options().hot_keys_predicted;
    all.clear();
    if (!node.is_list()) return Fail(node, "'hot-keys-predicted' must be a list");
    if (node.items.size() > kPredictedKeysMax) {
      return Fail(node, "'hot-keys-predicted' has more than " + std::to_string(kPredictedKeysMax) +
                            " entries");
    }
    for (const ConfigNode& item : node.items) ReadOne(item, all);
  }

 private:
  void Fail(const ConfigNode& node, std::string_view what) { context_.Fail(node, what); }

  void ReadOne(const ConfigNode& node, std::vector<PredictedKeyOptions>& all) {
    if (!context_.ExpectMap(node, "a predicted key")) return;
    PredictedKeyOptions key;
    bool has_key = false;
    for (const ConfigNode& entry : node.items) {
      has_key = has_key || entry.key == "key";
      ReadEntry(entry, key);
    }
    if (!has_key) return Fail(node, "a predicted key needs a key: its name");
    if (key.until_ms <= key.from_ms) return Fail(node, "'until' must be behind 'from'");
    all.push_back(std::move(key));
  }

  void ReadEntry(const ConfigNode& entry, PredictedKeyOptions& key) {
    if (entry.key == "key") {
      key.key = context_.ScalarOf(entry);
    } else if (entry.key == "cluster") {
      key.cluster = context_.ScalarOf(entry);
      const auto& clusters = context_.builder().options().clusters;
      const bool known = std::any_of(clusters.begin(), clusters.end(),
                                     [&key](const auto& one) { return one.name == key.cluster; });
      if (!known) Fail(entry, "there is no cluster '" + Excerpt(key.cluster) + "'");
    } else if (entry.key == "db") {
      const std::optional<int64_t> db = ParseInt64(context_.ScalarOf(entry));
      if (!db || *db < 0 || *db > kDatabaseMax)
        return Fail(entry, "db must be between 0 and " + std::to_string(kDatabaseMax));
      key.database = static_cast<int>(*db);
    } else if (entry.key == "from") {
      ReadMoment(entry, key.from_ms);
    } else if (entry.key == "until") {
      ReadMoment(entry, key.until_ms);
    } else {
      Fail(entry, "unknown key '" + Excerpt(entry.key) + "' in a predicted key" +
                      DidYouMean(NearestName(entry.key, kPredictedKeys)));
    }
  }

  void ReadMoment(const ConfigNode& entry, int64_t& at_ms) {
    const std::string text = context_.ScalarOf(entry);
    const std::optional<int64_t> moment = ParseMoment(text);
    if (moment) {
      at_ms = *moment;
    } else {
      Fail(entry,
           "'" + Excerpt(text) + "' is no time: 2026-11-27T12:00:00Z (UTC), or Unix seconds");
    }
  }

  YamlContext& context_;
};

}  // namespace

std::optional<int64_t> ParseMoment(std::string_view text) {
  if (const std::optional<int64_t> seconds = ParseInt64(text)) {
    if (*seconds < 0 || *seconds > kUnixSecondsMax) return std::nullopt;
    return *seconds * 1000;
  }
  constexpr std::string_view kForm = "0000-00-00T00:00:00Z";
  if (text.size() != kForm.size()) return std::nullopt;
  for (size_t i = 0; i < text.size(); ++i) {
    if (kForm[i] != '0' && text[i] != kForm[i]) return std::nullopt;
  }
  const auto year = Digits(text, 0, 4);
  const auto month = Digits(text, 5, 2);
  const auto day = Digits(text, 8, 2);
  const auto hour = Digits(text, 11, 2);
  const auto minute = Digits(text, 14, 2);
  const auto second = Digits(text, 17, 2);
  if (!year || !month || !day || !hour || !minute || !second) return std::nullopt;
  const std::chrono::year_month_day date{std::chrono::year(static_cast<int>(*year)),
                                         std::chrono::month(static_cast<unsigned>(*month)),
                                         std::chrono::day(static_cast<unsigned>(*day))};
  if (!date.ok() || *hour > 23 || *minute > 59 || *second > 59) return std::nullopt;
  const int64_t days = std::chrono::sys_days(date).time_since_epoch().count();
  if (days < 0) return std::nullopt;
  return (((days * 24 + *hour) * 60 + *minute) * 60 + *second) * 1000;
}

void ReadPredictedKeys(const ConfigNode& node, YamlContext& context) {
  PredictedKeysReader(context).Read(node);
}

}  // namespace tidegate
