// BIGKEYS: the keys that are big, of the engine and of all upstreams. Tidegate's own; how they are
// found is proxy/observe/big_keys.h.
#include "proxy/commands/big_keys_commands.h"

#include <optional>
#include <vector>

#include "base/text.h"
#include "proxy/commands/families.h"
#include "proxy/observe/big_keys.h"
#include "proxy/session/session_command.h"

namespace tidegate {
namespace {

using hotkey::BigKeyOrder;

constexpr int64_t kListedDefault = 10;

struct Wish {
  int64_t count = kListedDefault;
  BigKeyOrder order = BigKeyOrder::kBytes;
};

std::optional<BigKeyOrder> OrderOf(std::string_view word) {
  if (EqualsIgnoreCase(word, "bytes")) return BigKeyOrder::kBytes;
  if (EqualsIgnoreCase(word, "elements")) return BigKeyOrder::kElements;
  if (EqualsIgnoreCase(word, "rate")) return BigKeyOrder::kRate;
  return std::nullopt;
}

// Nothing when the error is written.
std::optional<Wish> ReadWish(SessionCommand& c, size_t options) {
  Wish wish;
  for (size_t i = options; i < c.argc(); i += 2) {
    const bool more = i + 1 < c.argc();
    if (more && EqualsIgnoreCase(c.arg(i), "count")) {
      constexpr std::string_view kBadCount = "ERR COUNT should be greater than 0";
      const std::optional<int64_t> count = c.IntegerArg(i + 1, kBadCount);
      if (!count) return std::nullopt;
      if (*count <= 0) {
        c.reply().Error(kBadCount);
        return std::nullopt;
      }
      wish.count = *count;
    } else if (const auto order = more && EqualsIgnoreCase(c.arg(i), "by") ? OrderOf(c.arg(i + 1))
                                                                           : std::nullopt) {
      wish.order = *order;
    } else {
      c.reply().Error(errors::kSyntax);
      return std::nullopt;
    }
  }
  return wish;
}

void ReplyKey(ReplyWriter& reply, const hotkey::BigKey& key) {
  reply.Map(10);
  reply.Bulk("key");
  reply.Bulk(key.name);
  reply.Bulk("cluster");
  reply.Bulk(key.cluster);
  reply.Bulk("db");
  reply.Integer(key.database);
  reply.Bulk("type");
  reply.Bulk(key.type);
  reply.Bulk("level");
  reply.Bulk(key.big ? "big" : "warn");
  reply.Bulk("bytes");
  reply.Integer(static_cast<int64_t>(key.bytes));
  reply.Bulk("elements");
  if (key.elements) {
    reply.Integer(static_cast<int64_t>(*key.elements));
  } else {
    reply.Null();
  }
  reply.Bulk("bytes-per-second");
  reply.Integer(static_cast<int64_t>(key.bytes_per_second));
  reply.Bulk("source");
  reply.Bulk(hotkey::BigKeySourceName(key.source));
  reply.Bulk("seen-ms");
  reply.Integer(key.seen_ms);
}

ExecStatus CmdBigKeys(SessionCommand& c) { return ReplyBigKeys(c, 1); }

constexpr CommandSpec kBigKeysCommands[] = {
    {.name = "BIGKEYS",
     .arity = AtLeast(1),
     .access = Access::kNone,
     .scope = Scope::kProcess,
     .flags = kAdmin | kNoScript | kLoading | kStale,
     .group = Group::kServer,
     .since = "0.1.0",
     .complexity = "O(N) in the number of keys that are listed",
     .summary = "The keys that were found to be big.",
     .session_handler = CmdBigKeys,
     .tips = "nondeterministic_output"},
};

}  // namespace

ExecStatus ReplyBigKeys(SessionCommand& c, size_t options) {
  const std::optional<Wish> wish = ReadWish(c, options);
  if (!wish) return ExecStatus::kDone;
  BigKeys& big_keys = c.server().big_keys();
  if (!big_keys.enabled()) return c.Fail("ERR big keys are not looked for: big-keys is 'no'");
  const std::vector<hotkey::BigKey> keys =
      big_keys.table().List(wish->order, static_cast<size_t>(wish->count), c.now_ms());
  c.reply().Array(keys.size());
  for (const hotkey::BigKey& key : keys) ReplyKey(c.reply(), key);
  return ExecStatus::kDone;
}

static_assert(IsValidFamily(kBigKeysCommands));
const std::span<const CommandSpec> kBigKeysFamily = kBigKeysCommands;

}  // namespace tidegate
