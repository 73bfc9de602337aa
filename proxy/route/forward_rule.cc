#include "proxy/route/forward_rule.h"

#include <algorithm>
#include <string_view>

#include "base/text.h"
#include "storage/command.h"

namespace tidegate {
namespace {

bool HasWord(const Request& request, std::string_view word) {
  return std::any_of(request.args.begin() + 1, request.args.end(),
                     [word](std::string_view arg) { return EqualsIgnoreCase(arg, word); });
}

// XREAD and XREADGROUP wait only when they are told to; a word that looks like it behind STREAMS is
// a key or an ID.
bool Blocks(const Request& request) {
  if (request.command->spec->group != Group::kStream) return true;
  for (const std::string_view arg : request.args.subspan(1)) {
    if (EqualsIgnoreCase(arg, "streams")) return false;
    if (EqualsIgnoreCase(arg, "block")) return true;
  }
  return false;
}

// Who publishes and who asks about channels means the node; who subscribes needs a connection
// there. To have subscribed to nothing is the same everywhere. What this process itself tells is
// heard here alone.
ForwardRule PubSubRule(const Request& request) {
  const std::string_view name = request.command->full_name;
  if (name.ends_with("unsubscribe") || name == "pubsub|help") return ForwardRule::kHere;
  if (name == "subscribe" || name == "psubscribe") {
    const auto names = request.args.subspan(1);
    const bool own = std::all_of(names.begin(), names.end(), [](std::string_view channel) {
      return channel.starts_with(kOwnChannelPrefix);
    });
    if (own) return ForwardRule::kHere;
  }
  if (name.ends_with("subscribe")) return ForwardRule::kPrivateByCatchAll;
  return ForwardRule::kByCatchAll;
}

// FCALL and what loads functions need nothing but their way.
ForwardRule ScriptRule(const Request& request) {
  const std::string_view name = request.command->full_name;
  if (name.starts_with("eval")) return ForwardRule::kScriptByKey;
  if (name.starts_with("fcall")) return ForwardRule::kByKey;
  return ForwardRule::kScriptByCatchAll;
}

ForwardRule ProcessRule(const Request& request) {
  const std::string_view name = request.command->full_name;
  if (name == "wait" || name == "waitaof") return ForwardRule::kPrivateByCatchAll;
  if (name == "memory|usage") return ForwardRule::kByKey;
  return ForwardRule::kHere;
}

}  // namespace

ForwardRule ForwardRuleOf(const Request& request) {
  const CommandSpec& spec = *request.command->spec;
  if (__builtin_expect(spec.group == Group::kPubSub, 0)) return PubSubRule(request);
  if (__builtin_expect(spec.group == Group::kTransactions, 0))
    return request.command->full_name == "watch" ? ForwardRule::kPrivateByKey : ForwardRule::kHere;
  if (__builtin_expect(spec.group == Group::kScripting, 0)) return ScriptRule(request);
  if (spec.scope == Scope::kProcess) return ProcessRule(request);
  if (__builtin_expect((spec.flags & kBlocking) != 0, 0) && Blocks(request))
    return ForwardRule::kPrivateByKey;
  if (spec.keys.first != 0 || spec.find_keys != nullptr) return ForwardRule::kByKey;
  const bool for_admins = (spec.flags & (kAdmin | kProtected)) != 0;
  return for_admins ? ForwardRule::kHere : ForwardRule::kByCatchAll;
}

bool MeetsUnnamedKeys(const Request& request) {
  const CommandSpec& spec = *request.command->spec;
  return (spec.flags & kMeetsAnyKey) != 0 && ScopeOfCall(spec, request.args) != Scope::kManyKeys;
}

bool TouchesOtherDatabases(const Request& request) {
  const std::string_view name = request.command->full_name;
  if (name == "flushall" || name == "swapdb" || name == "move") return true;
  return (request.command->spec->flags & kOtherDatabases) != 0 && HasWord(request, "db");
}

}  // namespace tidegate
