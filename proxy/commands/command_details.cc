#include "proxy/commands/command_details.h"

#include <algorithm>

#include "base/text.h"

namespace tidegate {
namespace {

struct FlagWord {
  uint32_t flag;
  std::string_view word;
};

constexpr FlagWord kFlagWords[] = {
    {kDenyOom, "denyoom"},
    {kAdmin, "admin"},
    {kPubSubCommand, "pubsub"},
    {kNoScript, "noscript"},
    {kBlocking, "blocking"},
    {kLoading, "loading"},
    {kStale, "stale"},
    {kSkipMonitor, "skip_monitor"},
    {kSkipSlowlog, "skip_slowlog"},
    {kFast, "fast"},
    {kNoAuth, "no_auth"},
    {kNoMandatoryKeys, "no_mandatory_keys"},
    {kNoAsyncLoading, "no_async_loading"},
    {kNoMulti, "no_multi"},
};

// The category of a command's group; "": it has none.
std::string_view GroupCategory(const CommandSpec& spec) {
  switch (spec.group) {
    case Group::kString:
      return "string";
    case Group::kBitmap:
      return "bitmap";
    case Group::kGeneric:
      return "keyspace";
    case Group::kConnection:
      return "connection";
    case Group::kServer:  // those about all keys: DBSIZE, FLUSHALL
      return spec.access != Access::kNone && spec.scope != Scope::kProcess && !HasKeys(spec)
                 ? "keyspace"
                 : "";
    case Group::kList:
      return "list";
    case Group::kHash:
      return "hash";
    case Group::kSet:
      return "set";
    case Group::kSortedSet:
      return "sortedset";
    case Group::kStream:
      return "stream";
    case Group::kGeo:
      return "geo";
    case Group::kHyperLogLog:
      return "hyperloglog";
    case Group::kPubSub:
      return "pubsub";
    case Group::kTransactions:
      return "transaction";
    case Group::kScripting:
      return "scripting";
    case Group::kBloom:
      return "bloom";
    case Group::kCluster:
    case Group::kUnset:
      return "";
  }
  return "";
}

// All categories, in the order in which Redis names them.
constexpr std::string_view kCategoryOrder[] = {
    "keyspace", "read",        "write",      "set",         "sortedset", "list",  "hash", "string",
    "bitmap",   "hyperloglog", "geo",        "stream",      "pubsub",    "admin", "fast", "slow",
    "blocking", "dangerous",   "connection", "transaction", "scripting", "bloom",
};

Words KeyFlagWords(const CommandSpec& spec, std::string_view flags) {
  if (!flags.empty()) return SplitWords(flags);
  return spec.access == Access::kWrite ? Words{"RW", "update"} : Words{"RO", "access"};
}

// What a script does its commands say: by itself it is of neither category, and of the two flags it
// has the one that it promises.
bool CallsScript(const CommandSpec& spec) {
  return spec.group == Group::kScripting && spec.find_keys != nullptr;
}

// Those of keys whose places do not depend on keywords.
std::vector<KeySpecification> PlacedKeys(const CommandSpec& spec) {
  constexpr int kCountOfScript = 2;  // behind the script's text, or its name
  const int count_argument = CallsScript(spec) ? kCountOfScript : KeyCountArgument(spec);
  std::vector<KeySpecification> specifications;
  if (spec.keys.first == 0 && count_argument == 0) return specifications;
  int index = spec.keys.first;
  std::string_view rest = spec.key_flags;
  for (size_t bar = rest.find('|'); bar != std::string_view::npos; bar = rest.find('|')) {
    specifications.push_back({KeyFlagWords(spec, rest.substr(0, bar)), index, 0, 1});
    index += spec.keys.step;
    rest.remove_prefix(bar + 1);
  }
  if (count_argument != 0) {
    specifications.push_back({KeyFlagWords(spec, rest), count_argument, 0, 1, true});
    return specifications;
  }
  // Keys beyond the range that a finder finds (GEORADIUS … STORE key) are behind keywords.
  if (spec.find_keys != nullptr && !specifications.empty()) return specifications;
  const int last = spec.keys.last < 0 ? spec.keys.last : spec.keys.last - index;
  specifications.push_back({KeyFlagWords(spec, rest), index, last, spec.keys.step});
  return specifications;
}

}  // namespace

Words SplitWords(std::string_view text) {
  Words words;
  while (!text.empty()) {
    const size_t space = std::min(text.find(' '), text.size());
    if (space > 0) words.push_back(text.substr(0, space));
    text.remove_prefix(std::min(space + 1, text.size()));
  }
  return words;
}

Words CommandFlagWords(const CommandSpec& spec) {
  Words words;
  const bool container = !spec.subcommands.empty();
  if (spec.access == Access::kWrite && !container && !CallsScript(spec)) words.push_back("write");
  if (spec.access == Access::kRead && !container) words.push_back("readonly");
  for (const FlagWord& row : kFlagWords) {
    if ((spec.flags & row.flag) != 0) words.push_back(row.word);
  }
  if (spec.find_keys != nullptr) words.push_back("movablekeys");
  if ((spec.flags & kAllowBusy) != 0) words.push_back("allow_busy");
  return words;
}

Words CommandCategories(const CommandSpec& spec) {
  Words found;
  const bool admin = (spec.flags & kAdmin) != 0;
  if (spec.subcommands.empty()) {
    if (spec.access == Access::kWrite && !CallsScript(spec)) found.push_back("write");
    if (spec.access == Access::kRead && !CallsScript(spec)) found.push_back("read");
    const Words chosen = SplitWords(spec.acl_categories);
    found.insert(found.end(), chosen.begin(), chosen.end());
    if (chosen.empty()) {
      found.push_back((spec.flags & kAclConnection) != 0 ? "connection" : GroupCategory(spec));
    }
  } else if ((spec.flags & kAclConnection) != 0) {
    found.push_back("connection");
  }
  if (admin || (spec.flags & kAclAdmin) != 0) found.push_back("admin");
  if (admin || (spec.flags & (kDangerous | kAclAdmin)) != 0) found.push_back("dangerous");
  if ((spec.flags & kBlocking) != 0) found.push_back("blocking");
  found.push_back((spec.flags & kFast) != 0 ? "fast" : "slow");

  Words ordered;
  for (const std::string_view category : kCategoryOrder) {
    if (std::find(found.begin(), found.end(), category) != found.end()) ordered.push_back(category);
  }
  return ordered;
}

std::string_view CommandGroupName(Group group) {
  constexpr std::string_view kNames[] = {
      "",          "string",  "bitmap",      "generic", "connection",
      "server",    "list",    "hash",        "set",     "sorted-set",
      "stream",    "geo",     "hyperloglog", "pubsub",  "transactions",
      "scripting", "cluster", "bloom"};
  return kNames[static_cast<size_t>(group)];
}

bool HasKeys(const CommandSpec& spec) { return spec.keys.first != 0 || spec.find_keys != nullptr; }

std::vector<KeySpecification> KeySpecifications(const CommandSpec& spec) {
  std::vector<KeySpecification> specifications = PlacedKeys(spec);
  for (const KeywordKeys& keys : spec.keyword_keys)
    specifications.push_back(
        {.flags = SplitWords(keys.flags), .last = keys.last, .keyword = &keys});
  return specifications;
}

Words KeyFlagsOfCall(const CommandSpec& spec, std::span<const std::string_view> args, int index) {
  if (spec.key_flags_of_call != nullptr) return SplitWords(spec.key_flags_of_call(args));
  Words flags;
  if (spec.find_keys != nullptr && KeyCountArgument(spec) == 0 && index > spec.keys.last) {
    const size_t bar = spec.key_flags.rfind('|');
    return KeyFlagWords(spec, spec.key_flags.substr(bar == std::string_view::npos ? 0 : bar + 1));
  }
  for (const KeySpecification& keys : PlacedKeys(spec)) {
    if (keys.index <= index) flags = keys.flags;
  }
  return flags.empty() ? KeyFlagWords(spec, "") : flags;
}

}  // namespace tidegate
