// SUBSCRIBE and its relatives, PUBLISH, and PUBSUB, which tells who subscribes.
#include "proxy/commands/families.h"
#include "proxy/commands/reply_help.h"
#include "proxy/pubsub/pubsub_hub.h"
#include "proxy/pubsub/session_subscriptions.h"
#include "proxy/session/session_command.h"

namespace tidegate {
namespace {

// How long PUBLISH waits before it looks again whether the subscribers' workers keep up.
constexpr std::chrono::milliseconds kPublishRetry{1};

std::string_view SubscribedWord(SubscriptionKind kind) {
  switch (kind) {
    case SubscriptionKind::kPattern:
      return "psubscribe";
    case SubscriptionKind::kShardChannel:
      return "ssubscribe";
    case SubscriptionKind::kChannel:
      break;
  }
  return "subscribe";
}

std::string_view UnsubscribedWord(SubscriptionKind kind) {
  switch (kind) {
    case SubscriptionKind::kPattern:
      return "punsubscribe";
    case SubscriptionKind::kShardChannel:
      return "sunsubscribe";
    case SubscriptionKind::kChannel:
      break;
  }
  return "unsubscribe";
}

// [word, name, how many are left]. No name: there was nothing to end.
void Confirm(SessionCommand& c, std::string_view word, const std::string_view* name,
             SubscriptionKind kind) {
  const Session::Heard heard(c.session());
  c.reply().Push(3);
  c.reply().Bulk(word);
  if (name != nullptr) {
    c.reply().Bulk(*name);
  } else {
    c.reply().Null();
  }
  c.reply().Integer(static_cast<int64_t>(c.session().CountSubscriptions(kind)));
}

template <SubscriptionKind kKind>
ExecStatus CmdSubscribe(SessionCommand& c) {
  for (const std::string_view& name : c.args().subspan(1)) {
    c.session().Subscribe(kKind, name);
    Confirm(c, SubscribedWord(kKind), &name, kKind);
  }
  return ExecStatus::kDone;
}

template <SubscriptionKind kKind>
ExecStatus CmdUnsubscribe(SessionCommand& c) {
  if (c.argc() > 1) {
    for (const std::string_view& name : c.args().subspan(1)) {
      c.session().Unsubscribe(kKind, name);
      Confirm(c, UnsubscribedWord(kKind), &name, kKind);
    }
    return ExecStatus::kDone;
  }
  const std::vector<std::string> names = c.session().SubscribedNames(kKind);
  for (const std::string& name : names) {
    c.session().Unsubscribe(kKind, name);
    const std::string_view text = name;
    Confirm(c, UnsubscribedWord(kKind), &text, kKind);
  }
  if (names.empty()) Confirm(c, UnsubscribedWord(kKind), nullptr, kKind);
  return ExecStatus::kDone;
}

template <SubscriptionKind kKind>
ExecStatus CmdPublish(SessionCommand& c) {
  PubSubHub& hub = c.server().pubsub();
  // A transaction does not wait: what it publishes goes through whatever waits already.
  if (!c.session().client().in_multi && !hub.HasRoom(c.worker(), kKind, c.arg(1)))
    return c.SuspendFor(kPublishRetry);
  c.reply().Integer(static_cast<int64_t>(hub.Publish(c.worker(), kKind, c.arg(1), c.arg(2))));
  return ExecStatus::kDone;
}

template <SubscriptionKind kKind>
ExecStatus CmdPubSubChannels(SessionCommand& c) {
  if (c.argc() > 3) return FailSubcommand(c);
  const auto names =
      c.server().pubsub().Channels(kKind, c.argc() == 3 ? c.arg(2) : std::string_view("*"));
  c.reply().Array(names.size());
  for (const std::string& name : names) c.reply().Bulk(name);
  return ExecStatus::kDone;
}

template <SubscriptionKind kKind>
ExecStatus CmdPubSubNumSub(SessionCommand& c) {
  const auto names = c.args().subspan(2);
  c.reply().Array(names.size() * 2);
  for (const std::string_view name : names) {
    c.reply().Bulk(name);
    c.reply().Integer(static_cast<int64_t>(c.server().pubsub().Subscribers(kKind, name)));
  }
  return ExecStatus::kDone;
}

ExecStatus CmdPubSubNumPat(SessionCommand& c) {
  c.reply().Integer(static_cast<int64_t>(c.server().pubsub().PatternCount()));
  return ExecStatus::kDone;
}

ExecStatus CmdPubSubHelp(SessionCommand& c) {
  static constexpr std::string_view kLines[] = {
      "PUBSUB <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
      "CHANNELS [<pattern>]",
      "    The channels with subscribers, all or those that match a pattern.",
      "NUMPAT",
      "    How many patterns are subscribed to.",
      "NUMSUB [<channel> ...]",
      "    How many subscribers each channel has; patterns do not count.",
      "SHARDCHANNELS [<pattern>]",
      "    The shard channels with subscribers, all or those that match a pattern.",
      "SHARDNUMSUB [<shardchannel> ...]",
      "    How many subscribers each shard channel has.",
      "HELP",
      "    Print this help.",
  };
  return ReplyHelp(c, kLines);
}

constexpr uint32_t kSubscribeFlags =
    kPubSubCommand | kNoScript | kLoading | kStale | kRunsSubscribed;
constexpr uint32_t kPublishFlags = kPubSubCommand | kLoading | kStale | kFast | kMayReplicate;
constexpr uint32_t kAskFlags = kPubSubCommand | kLoading | kStale;

constexpr CommandSpec kPubSubSubcommands[] = {
    {.name = "CHANNELS",
     .arity = AtLeast(2),
     .access = Access::kNone,
     .scope = Scope::kProcess,
     .flags = kAskFlags,
     .group = Group::kPubSub,
     .since = "2.8.0",
     .complexity = "O(n) for n channels",
     .summary = "Tells which channels have subscribers.",
     .session_handler = CmdPubSubChannels<SubscriptionKind::kChannel>},
    {.name = "HELP",
     .arity = Exactly(2),
     .access = Access::kNone,
     .scope = Scope::kProcess,
     .flags = kLoading | kStale,
     .group = Group::kPubSub,
     .since = "6.2.0",
     .complexity = "O(1)",
     .summary = "Prints the sub-commands of PUBSUB.",
     .session_handler = CmdPubSubHelp,
     .acl_categories = "slow"},
    {.name = "NUMPAT",
     .arity = Exactly(2),
     .access = Access::kNone,
     .scope = Scope::kProcess,
     .flags = kAskFlags,
     .group = Group::kPubSub,
     .since = "2.8.0",
     .complexity = "O(1)",
     .summary = "Tells how many patterns are subscribed to.",
     .session_handler = CmdPubSubNumPat},
    {.name = "NUMSUB",
     .arity = AtLeast(2),
     .access = Access::kNone,
     .scope = Scope::kProcess,
     .flags = kAskFlags,
     .group = Group::kPubSub,
     .since = "2.8.0",
     .complexity = "O(n) for n channels asked for",
     .summary = "Tells how many subscribers each channel has.",
     .session_handler = CmdPubSubNumSub<SubscriptionKind::kChannel>},
    {.name = "SHARDCHANNELS",
     .arity = AtLeast(2),
     .access = Access::kNone,
     .scope = Scope::kProcess,
     .flags = kAskFlags,
     .group = Group::kPubSub,
     .since = "7.0.0",
     .complexity = "O(n) for n shard channels",
     .summary = "Tells which shard channels have subscribers.",
     .session_handler = CmdPubSubChannels<SubscriptionKind::kShardChannel>},
    {.name = "SHARDNUMSUB",
     .arity = AtLeast(2),
     .access = Access::kNone,
     .scope = Scope::kProcess,
     .flags = kAskFlags,
     .group = Group::kPubSub,
     .since = "7.0.0",
     .complexity = "O(n) for n shard channels asked for",
     .summary = "Tells how many subscribers each shard channel has.",
     .session_handler = CmdPubSubNumSub<SubscriptionKind::kShardChannel>},
};

constexpr CommandSpec kPubSubCommands[] = {
    {.name = "PSUBSCRIBE",
     .arity = AtLeast(2),
     .access = Access::kNone,
     .scope = Scope::kProcess,
     .flags = kSubscribeFlags,
     .group = Group::kPubSub,
     .since = "2.0.0",
     .complexity = "O(n) for n patterns given",
     .summary = "Listens to all channels whose names match a pattern.",
     .session_handler = CmdSubscribe<SubscriptionKind::kPattern>},
    {.name = "PUBLISH",
     .arity = Exactly(3),
     .access = Access::kNone,
     .scope = Scope::kProcess,
     .flags = kPublishFlags,
     .group = Group::kPubSub,
     .since = "2.0.0",
     .complexity =
         "O(n + m) for n subscribers and m patterns that share the channel's beginning or end",
     .summary = "Sends a message to all that listen to a channel.",
     .session_handler = CmdPublish<SubscriptionKind::kChannel>},
    {.name = "PUBSUB",
     .arity = AtLeast(2),
     .access = Access::kNone,
     .scope = Scope::kProcess,
     .group = Group::kPubSub,
     .since = "2.8.0",
     .summary = "Tells about channels and subscribers.",
     .subcommands = kPubSubSubcommands},
    {.name = "PUNSUBSCRIBE",
     .arity = AtLeast(1),
     .access = Access::kNone,
     .scope = Scope::kProcess,
     .flags = kSubscribeFlags,
     .group = Group::kPubSub,
     .since = "2.0.0",
     .complexity = "O(n) for n patterns",
     .summary = "Stops listening to channels by patterns: these, or all.",
     .session_handler = CmdUnsubscribe<SubscriptionKind::kPattern>},
    {.name = "SPUBLISH",
     .arity = Exactly(3),
     .keys = {1, 1, 1},
     .access = Access::kNone,
     .scope = Scope::kProcess,
     .flags = kPublishFlags,
     .group = Group::kPubSub,
     .since = "7.0.0",
     .complexity = "O(n) for n subscribers",
     .summary = "Sends a message to all that listen to a shard channel.",
     .session_handler = CmdPublish<SubscriptionKind::kShardChannel>,
     .key_flags = "not_key"},
    {.name = "SSUBSCRIBE",
     .arity = AtLeast(2),
     .keys = {1, -1, 1},
     .access = Access::kNone,
     .scope = Scope::kProcess,
     .flags = kSubscribeFlags,
     .group = Group::kPubSub,
     .since = "7.0.0",
     .complexity = "O(n) for n channels given",
     .summary = "Listens to shard channels.",
     .session_handler = CmdSubscribe<SubscriptionKind::kShardChannel>,
     .key_flags = "not_key"},
    {.name = "SUBSCRIBE",
     .arity = AtLeast(2),
     .access = Access::kNone,
     .scope = Scope::kProcess,
     .flags = kSubscribeFlags,
     .group = Group::kPubSub,
     .since = "2.0.0",
     .complexity = "O(n) for n channels given",
     .summary = "Listens to channels.",
     .session_handler = CmdSubscribe<SubscriptionKind::kChannel>},
    {.name = "SUNSUBSCRIBE",
     .arity = AtLeast(1),
     .keys = {1, -1, 1},
     .access = Access::kNone,
     .scope = Scope::kProcess,
     .flags = kSubscribeFlags,
     .group = Group::kPubSub,
     .since = "7.0.0",
     .complexity = "O(n) for n channels",
     .summary = "Stops listening to shard channels: these, or all.",
     .session_handler = CmdUnsubscribe<SubscriptionKind::kShardChannel>,
     .key_flags = "not_key"},
    {.name = "UNSUBSCRIBE",
     .arity = AtLeast(1),
     .access = Access::kNone,
     .scope = Scope::kProcess,
     .flags = kSubscribeFlags,
     .group = Group::kPubSub,
     .since = "2.0.0",
     .complexity = "O(n) for n channels",
     .summary = "Stops listening to channels: these, or all.",
     .session_handler = CmdUnsubscribe<SubscriptionKind::kChannel>},
};

}  // namespace

static_assert(IsValidFamily(kPubSubCommands));
const std::span<const CommandSpec> kPubSubFamily = kPubSubCommands;

}  // namespace tidegate
