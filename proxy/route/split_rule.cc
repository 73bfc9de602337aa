#include "proxy/route/split_rule.h"

#include <span>

#include "storage/command.h"

namespace tidegate {
namespace {

struct Row {
  std::string_view name;
  SplitRule rule;
};

constexpr Row kByKeys[] = {
    {"mget", SplitRule::kByKey}, {"del", SplitRule::kSum},    {"mset", SplitRule::kSame},
    {"exists", SplitRule::kSum}, {"unlink", SplitRule::kSum}, {"touch", SplitRule::kSum},
};

constexpr Row kByNodes[] = {
    {"scan", SplitRule::kOneByOne},
    {"dbsize", SplitRule::kSum},
    {"keys", SplitRule::kConcat},
    {"randomkey", SplitRule::kAnyKey},
    {"flushall", SplitRule::kSame},
    {"flushdb", SplitRule::kSame},
    {"swapdb", SplitRule::kSame},
    {"pubsub|channels", SplitRule::kUnion},
    {"pubsub|shardchannels", SplitRule::kUnion},
    {"pubsub|numsub", SplitRule::kSumEach},
    {"pubsub|shardnumsub", SplitRule::kSumEach},
    {"pubsub|numpat", SplitRule::kSum},
    {"script|load", SplitRule::kSame},
    {"script|flush", SplitRule::kSame},
    {"script|exists", SplitRule::kLeastEach},
    {"script|kill", SplitRule::kAnyDone},
    {"function|load", SplitRule::kSame},
    {"function|delete", SplitRule::kSame},
    {"function|flush", SplitRule::kSame},
    {"function|restore", SplitRule::kSame},
    {"function|kill", SplitRule::kAnyDone},
};

std::optional<SplitRule> Find(std::span<const Row> rows, std::string_view name) {
  for (const Row& row : rows) {
    if (row.name == name) return row.rule;
  }
  return std::nullopt;
}

}  // namespace

std::optional<SplitRule> SplitByKeys(const Request& request) {
  return Find(kByKeys, request.command->full_name);
}

Request PartArguments::Of(const Request& whole, std::span<const uint32_t> key_places) {
  const KeyRange& range = whole.command->spec->keys;
  const auto each = static_cast<size_t>(range.step);  // the key and what belongs to it: 2 of MSET
  args_.assign(1, whole.args[0]);
  keys_.clear();
  for (const uint32_t place : key_places) {
    const auto from = whole.args.subspan(static_cast<size_t>(range.first) + place * each, each);
    args_.insert(args_.end(), from.begin(), from.end());
    keys_.push_back(whole.keys[place]);
  }
  return {whole.command, args_, keys_};
}

bool MeansAnyNode(const Request& request) {
  const CommandSpec& spec = *request.command->spec;
  return spec.find_keys != nullptr || (spec.group == Group::kScripting && !SplitByNodes(request));
}

std::optional<SplitRule> SplitByNodes(const Request& request) {
  return Find(kByNodes, request.command->full_name);
}

}  // namespace tidegate
