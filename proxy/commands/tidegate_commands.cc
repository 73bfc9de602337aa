// TIDEGATE: what this process knows that Redis has no command for. Its own words; all replies are
// maps, which grow: clients look for the fields they know.
#include <algorithm>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/hash.h"
#include "base/text.h"
#include "policy/flights.h"
#include "policy/route_policies.h"
#include "proxy/admin/hot_keys_page.h"
#include "proxy/commands/big_keys_commands.h"
#include "proxy/commands/families.h"
#include "proxy/commands/reply_help.h"
#include "proxy/observe/hot_key_service.h"
#include "proxy/observe/key_observer.h"
#include "proxy/route/rewritten_request.h"
#include "proxy/route/router.h"
#include "proxy/session/route_move.h"
#include "proxy/upstream/cluster_cache.h"
#include "proxy/upstream/replica_fanout.h"
#include "proxy/upstream/route_mirror.h"
#include "proxy/upstream/upstream_cluster.h"
#include "proxy/upstream/upstream_node.h"

namespace tidegate {
namespace {

constexpr int64_t kHotKeysDefault = 10;

constexpr std::string_view kTidegateHelp[] = {
    "BIGKEYS [COUNT <count>] [BY BYTES|ELEMENTS|RATE]",
    "    The keys that were found to be big, as BIGKEYS.",
    "EXPLAIN <key>",
    "    Where the key lives by the routes of now, whether it is hot, and which policies it meets.",
    "HOTKEYS [COUNT <count>]",
    "    The hot keys of now, those with the most accesses first (default: 10; -1: all).",
    "STATS",
    "    Traffic and hot keys of this process in numbers.",
};

ExecStatus CmdTidegateHelp(SessionCommand& c) { return ReplyHelp(c, kTidegateHelp); }

void ReplyNumber(ReplyWriter& reply, std::string_view name, uint64_t value) {
  reply.Bulk(name);
  reply.Integer(static_cast<int64_t>(value));
}

void ReplyRate(ReplyWriter& reply, std::string_view name, double value) {
  reply.Bulk(name);
  reply.Double(value);
}

void ReplyText(ReplyWriter& reply, std::string_view name, std::string_view value) {
  reply.Bulk(name);
  reply.Bulk(value);
}

void ReplyClasses(ReplyWriter& reply, hotkey::HotClasses classes) {
  size_t count = 0;
  for (size_t i = 0; i < hotkey::kHotClasses; ++i)
    count += classes.Has(static_cast<hotkey::HotClass>(i)) ? 1 : 0;
  reply.Bulk("classes");
  reply.Array(count);
  for (size_t i = 0; i < hotkey::kHotClasses; ++i) {
    const auto one = static_cast<hotkey::HotClass>(i);
    if (classes.Has(one)) reply.Bulk(PublicNameOf(one));
  }
}

void ReplyHotKey(ReplyWriter& reply, const hotkey::HotKey& key, const HotKeyFacts& facts) {
  reply.Map(11);
  ReplyText(reply, "key", key.name);
  ReplyText(reply, "cluster", facts.ClusterOf(key.keyspace));
  ReplyNumber(reply, "db", key.keyspace.database);
  ReplyClasses(reply, key.classes);
  ReplyRate(reply, "reads", key.reads);
  ReplyRate(reply, "writes", key.writes);
  ReplyRate(reply, "misses", key.misses);
  ReplyRate(reply, "reply-bytes", key.reply_bytes);
  ReplyRate(reply, "share", key.share);
  reply.Bulk("since-ms");
  reply.Integer(facts.UnixMillisOf(key.since_ns));
  reply.Bulk("clients");
  reply.Array(key.clients.size());
  for (const hotkey::HotKey::Client& client : key.clients) {
    reply.Map(4);
    ReplyText(reply, "address", client.text.address);
    ReplyText(reply, "name", client.text.name);
    ReplyText(reply, "user", client.text.user);
    ReplyRate(reply, "rate", client.rate);
  }
}

ExecStatus CmdTidegateHotkeys(SessionCommand& c) {
  int64_t count = kHotKeysDefault;
  if (c.argc() != 2) {
    if (c.argc() != 4 || !EqualsIgnoreCase(c.arg(2), "count")) return c.Fail(errors::kSyntax);
    constexpr std::string_view kBadCount = "ERR count should be greater than or equal to -1";
    const std::optional<int64_t> given = c.IntegerArg(3, kBadCount);
    if (!given) return ExecStatus::kDone;
    if (*given < -1) return c.Fail(kBadCount);
    count = *given;
  }
  const HotKeyFacts facts = c.server().hot_keys().Facts();
  const std::vector<hotkey::HotKey>& keys = facts.report->keys;
  const size_t shown = count < 0 ? keys.size() : std::min(keys.size(), static_cast<size_t>(count));
  c.reply().Array(shown);
  for (size_t i = 0; i < shown; ++i) ReplyHotKey(c.reply(), keys[i], facts);
  return ExecStatus::kDone;
}

ExecStatus CmdTidegateStats(SessionCommand& c) {
  const HotKeyFacts facts = c.server().hot_keys().Facts();
  const hotkey::HotKeyReport& report = *facts.report;
  const ServerTotals totals = c.server().Totals();
  ReplyWriter& reply = c.reply();
  reply.Map(14);
  ReplyNumber(reply, "commands-processed", totals.commands_processed);
  ReplyNumber(reply, "clients", totals.sessions);
  ReplyText(reply, "hot-keys", facts.enabled ? "yes" : "no");
  ReplyRate(reply, "reads", report.reads);
  ReplyRate(reply, "writes", report.writes);
  ReplyNumber(reply, "hot", report.keys.size());
  ReplyNumber(reply, "watched", report.watched);
  ReplyNumber(reply, "refused", report.refused);
  ReplyNumber(reply, "promotions", report.promotions);
  ReplyNumber(reply, "cool-downs", report.cool_downs);
  ReplyRate(reply, "top1-share", report.top1_share);
  ReplyRate(reply, "top10-share", report.top10_share);
  ReplyRate(reply, "top100-share", report.top100_share);
  ReplyText(reply, "channel", kHotKeyChannel);
  return ExecStatus::kDone;
}

// Where a read of the key would go now.
struct Place {
  std::string name;  // as its upstream knows the key
  uint16_t slot = 0;
  std::string node;     // empty: none can be asked
  std::string problem;  // then: why
};

Place PlaceOf(SessionCommand& c, std::string_view key, UpstreamCluster& cluster) {
  const std::string_view args[] = {"GET", key};
  const KeyRef keys[] = {KeyRef::Of(key)};
  const Request request{.command = c.server().commands().Find("get"), .args = args, .keys = keys};
  const RewrittenRequest sent(c.session().router(), request);
  Place place;
  place.name = sent.view().keys[0].name;
  place.slot = sent.view().keys[0].slot;
  place.problem = sent.refusal();
  if (!place.problem.empty()) return place;
  const UpstreamCluster::Choice choice =
      cluster.ChooseForKey(sent.view(), sent.view().keys[0], c.session().id(), place.problem);
  if (choice.node != nullptr) place.node = choice.node->address().ToText();
  return place;
}

const hotkey::HotKey* FindHot(const HotKeyFacts& facts, hotkey::KeyId id) {
  for (const hotkey::HotKey& key : facts.report->keys) {
    if (key.id == id) return &key;
  }
  return nullptr;
}

// Of this worker.
std::string CacheProblem(const Route& route, std::string_view key) {
  const bool caches = route.policies != nullptr && route.policies->local_cache() != nullptr &&
                      route.upstream != nullptr && route.upstream->cache() != nullptr;
  return caches ? route.upstream->cache()->ProblemOf(KeyRef::Of(key)) : "";
}

std::string CopyOf(const Route& route, std::string_view key, hotkey::Keyspace keyspace) {
  StaleCopies* const stale = route.policies == nullptr ? nullptr : route.policies->stale();
  if (stale == nullptr) return "";
  return stale->DescribeCopy({.name = key, .hash = KeyHash(key), .keyspace = keyspace},
                             MonotonicNanos());
}

// The same; empty: nothing is to be said.
std::string FanoutOf(const Route& route, std::string_view key) {
  const FanoutRule* const rule =
      route.policies != nullptr ? route.policies->replica_fanout() : nullptr;
  if (rule == nullptr || route.upstream == nullptr || route.upstream->fanout() == nullptr)
    return "";
  const KeyRef ref = KeyRef::Of(key);
  return route.upstream->fanout()->Describe(route.upstream->GroupNumberOf(ref.slot), ref, *rule);
}

void ReplyPolicies(ReplyWriter& reply, const Route& route, std::string_view key,
                   hotkey::Keyspace keyspace) {
  std::vector<std::string> lines;
  if (route.policies != nullptr) lines = route.policies->Describe();
  if (std::string copy = CopyOf(route, key, keyspace); !copy.empty())
    lines.push_back(std::move(copy));
  if (std::string problem = CacheProblem(route, key); !problem.empty())
    lines.push_back("local_cache is off: " + problem);
  if (std::string readers = FanoutOf(route, key); !readers.empty())
    lines.push_back(std::move(readers));
  reply.Bulk("policies");
  reply.Array(lines.size());
  for (const std::string& line : lines) reply.Bulk(line);
}

ExecStatus CmdTidegateExplain(SessionCommand& c) {
  const std::string_view key = c.arg(2);
  const Route& route = c.session().router().RouteOfKey(key);
  UpstreamCluster* const cluster = route.upstream;
  hotkey::Keyspace keyspace{.cluster = 0,
                            .database = static_cast<uint16_t>(c.session().client().db)};
  Place place{.name = std::string(key), .slot = KeySlot(key), .node = "", .problem = ""};
  if (cluster != nullptr) {
    keyspace.cluster = KeyspaceNumber(cluster->number());
    place = PlaceOf(c, key, *cluster);
  }
  const HotKeyFacts facts = c.server().hot_keys().Facts();
  const hotkey::HotKey* const hot = FindHot(facts, hotkey::IdOf(KeyHash(key), keyspace));
  ReplyWriter& reply = c.reply();
  reply.Map(14);
  ReplyText(reply, "key", key);
  ReplyNumber(reply, "db", keyspace.database);
  ReplyText(reply, "route", route.match);
  ReplyText(reply, "cluster", cluster != nullptr ? cluster->name() : route.cluster);
  ReplyText(reply, "kind", cluster != nullptr ? KindName(cluster->options().kind) : "engine");
  ReplyText(reply, "sent-as", place.name);
  ReplyNumber(reply, "slot", place.slot);
  ReplyText(reply, "node", place.node);
  ReplyText(reply, "problem", place.problem);
  ReplyText(reply, "mirror", route.mirror != nullptr ? route.mirror->cluster_name() : "");
  ReplyText(reply, "move-from", route.move != nullptr ? route.move->cluster_name() : "");
  ReplyClasses(reply, hot != nullptr ? hot->classes : hotkey::HotClasses());
  ReplyRate(reply, "accesses", hot != nullptr ? hot->reads + hot->writes : 0);
  ReplyPolicies(reply, route, key, keyspace);
  return ExecStatus::kDone;
}

constexpr uint32_t kTidegateFlags = kAdmin | kNoScript | kLoading | kStale;

ExecStatus CmdTidegateBigkeys(SessionCommand& c) { return ReplyBigKeys(c, 2); }

constexpr CommandSpec kTidegateSubcommands[] = {
    {.name = "BIGKEYS",
     .arity = AtLeast(2),
     .access = Access::kNone,
     .scope = Scope::kProcess,
     .flags = kTidegateFlags,
     .group = Group::kServer,
     .since = "0.1.0",
     .complexity = "O(N) in the number of keys that are listed",
     .summary = "The keys that were found to be big.",
     .session_handler = CmdTidegateBigkeys,
     .tips = "nondeterministic_output"},
    {.name = "EXPLAIN",
     .arity = Exactly(3),
     .access = Access::kNone,
     .scope = Scope::kProcess,
     .flags = kTidegateFlags,
     .group = Group::kServer,
     .since = "0.1.0",
     .complexity = "O(N) in the number of routes and of hot keys",
     .summary = "Where a key lives, and whether it is hot.",
     .session_handler = CmdTidegateExplain},
    {.name = "HELP",
     .arity = Exactly(2),
     .access = Access::kNone,
     .scope = Scope::kProcess,
     .flags = kLoading | kStale,
     .group = Group::kServer,
     .since = "0.1.0",
     .complexity = "O(1)",
     .summary = "The sub-commands of TIDEGATE.",
     .session_handler = CmdTidegateHelp},
    {.name = "HOTKEYS",
     .arity = AtLeast(2),
     .access = Access::kNone,
     .scope = Scope::kProcess,
     .flags = kTidegateFlags,
     .group = Group::kServer,
     .since = "0.1.0",
     .complexity = "O(N) in the number of keys that are shown",
     .summary = "The hot keys of now.",
     .session_handler = CmdTidegateHotkeys},
    {.name = "STATS",
     .arity = Exactly(2),
     .access = Access::kNone,
     .scope = Scope::kProcess,
     .flags = kTidegateFlags,
     .group = Group::kServer,
     .since = "0.1.0",
     .complexity = "O(N) in the number of workers",
     .summary = "Traffic and hot keys in numbers.",
     .session_handler = CmdTidegateStats},
};

constexpr CommandSpec kTidegateCommands[] = {
    {.name = "TIDEGATE",
     .arity = AtLeast(2),
     .access = Access::kNone,
     .scope = Scope::kProcess,
     .group = Group::kServer,
     .since = "0.1.0",
     .complexity = "Depends on the sub-command",
     .summary = "What this process knows that Redis has no command for.",
     .subcommands = kTidegateSubcommands},
};

}  // namespace

static_assert(IsValidFamily(kTidegateCommands));
const std::span<const CommandSpec> kTidegateFamily = kTidegateCommands;

}  // namespace tidegate
