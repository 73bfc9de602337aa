// XGROUP: consumer groups and their consumers.
#include <iterator>
#include <string>

#include "base/text.h"
#include "config/notify.h"
#include "storage/commands/stream_commands.h"

namespace tidegate {
namespace {

constexpr std::string_view kHelp[] = {
    "XGROUP <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
    "CREATE <key> <groupname> <id|$> [option]",
    "    Make a consumer group. Options are:",
    "    * MKSTREAM",
    "      Make an empty stream when there is none.",
    "    * ENTRIESREAD entries_read",
    "      How many entries the group counts as read.",
    "CREATECONSUMER <key> <groupname> <consumer>",
    "    Make a consumer in a group.",
    "DELCONSUMER <key> <groupname> <consumer>",
    "    Remove a consumer, with what is pending for it.",
    "DESTROY <key> <groupname>",
    "    Remove a group.",
    "SETID <key> <groupname> <id|$> [ENTRIESREAD entries_read]",
    "    Set the last entry that the group counts as delivered.",
    "HELP",
    "    Print this help.",
};

struct GroupOptions {
  bool may_create = false;
  int64_t entries_read = kEntriesReadUnknown;
};

ExecStatus FailSubcommand(CommandContext& context, std::string_view container) {
  return context.Fail("ERR unknown subcommand or wrong number of arguments for '" +
                      std::string(context.arg(1)) + "'. Try " + std::string(container) + " HELP.");
}

// What stands behind the ID of CREATE and SETID; nothing after the error was written.
std::optional<GroupOptions> ParseOptions(CommandContext& context, bool create) {
  GroupOptions options;
  for (size_t i = 5; i < context.argc(); ++i) {
    if (create && EqualsIgnoreCase(context.arg(i), "mkstream")) {
      options.may_create = true;
    } else if (i + 1 < context.argc() && EqualsIgnoreCase(context.arg(i), "entriesread")) {
      const std::optional<int64_t> entries = context.IntegerArg(++i);
      if (!entries) return std::nullopt;
      if (*entries < 0 && *entries != kEntriesReadUnknown) {
        context.Fail("ERR value for ENTRIESREAD must be positive or -1");
        return std::nullopt;
      }
      options.entries_read = *entries;
    } else {
      FailSubcommand(context, "XGROUP");
      return std::nullopt;
    }
  }
  return options;
}

ExecStatus FailNoKey(CommandContext& context) {
  return context.Fail(
      "ERR The XGROUP subcommand requires the key to exist. Note that for CREATE you may want to "
      "use the MKSTREAM option to create an empty stream automatically.");
}

// The stream of argument 2, and the group of argument 3 when it must be there. False after the
// error was written.
struct Target {
  StreamValue* stream = nullptr;
  StreamGroup* group = nullptr;
};

bool FindTarget(CommandContext& context, bool group_needed, Target& target) {
  if (!FindStream(context, context.key(), true, &target.stream)) return false;
  if (target.stream == nullptr) {
    FailNoKey(context);
    return false;
  }
  target.group = target.stream->FindGroup(context.arg(3));
  if (target.group != nullptr || !group_needed) return true;
  context.Fail("NOGROUP No such consumer group '" + std::string(context.arg(3)) +
               "' for key name '" + std::string(context.arg(2)) + "'");
  return false;
}

void Changed(CommandContext& context, std::string_view event) {
  context.db().Modified(context.key());
  context.db().Notify(notify::kStream, event, context.key());
}

}  // namespace

ExecStatus FailNoGroup(CommandContext& context, std::string_view key, std::string_view group,
                       std::string_view rest) {
  return context.Fail("NOGROUP No such key '" + std::string(key) + "' or consumer group '" +
                      std::string(group) + "'" + std::string(rest));
}

StreamConsumer& SeeConsumer(Database& db, const KeyRef& key, StreamGroup& group,
                            std::string_view name) {
  if (StreamConsumer* consumer = group.FindConsumer(name)) {
    consumer->seen_ms = db.thread().wall_ms;
    return *consumer;
  }
  db.Notify(notify::kStream, "xgroup-createconsumer", key);
  return group.AddConsumer(name, db.thread().wall_ms);
}

ExecStatus CmdXgroupCreate(CommandContext& context) {
  const std::optional<GroupOptions> options = ParseOptions(context, true);
  if (!options) return ExecStatus::kDone;
  StreamValue* stream = nullptr;
  if (!FindStream(context, context.key(), true, &stream)) return ExecStatus::kDone;
  if (stream == nullptr && !options->may_create) return FailNoKey(context);
  if (context.argc() > 8) return FailSubcommand(context, "XGROUP");
  StreamId id;
  if (context.arg(4) == "$") {
    if (stream != nullptr) id = stream->last_id();
  } else {
    const std::optional<StreamId> given = StreamIdArg(context, 4, 0);
    if (!given) return ExecStatus::kDone;
    id = *given;
  }
  Database& db = context.db();
  if (stream == nullptr) {
    stream = StreamValue::Create(db.epoch());
    db.PutObject(context.key(), nullptr, ValueType::kStream, Encoding::kStream, stream, kNoExpire);
  } else if (stream->FindGroup(context.arg(3)) != nullptr) {
    return context.Fail("BUSYGROUP Consumer Group name already exists");
  }
  stream->groups().try_emplace(std::string(context.arg(3)), id, options->entries_read);
  context.reply().Ok();
  Changed(context, "xgroup-create");
  return ExecStatus::kDone;
}

ExecStatus CmdXgroupSetid(CommandContext& context) {
  const std::optional<GroupOptions> options = ParseOptions(context, false);
  if (!options) return ExecStatus::kDone;
  Target target;
  if (!FindTarget(context, true, target)) return ExecStatus::kDone;
  if (context.argc() != 5 && context.argc() != 7) return FailSubcommand(context, "XGROUP");
  StreamId id = target.stream->last_id();
  if (context.arg(4) != "$") {
    const std::optional<StreamId> given = StreamIdArg(context, 4, 0, StreamIdForm::kRange);
    if (!given) return ExecStatus::kDone;
    id = *given;
  }
  target.group->last_id = id;
  target.group->entries_read = options->entries_read;
  context.reply().Ok();
  Changed(context, "xgroup-setid");
  return ExecStatus::kDone;
}

ExecStatus CmdXgroupDestroy(CommandContext& context) {
  Target target;
  if (!FindTarget(context, false, target)) return ExecStatus::kDone;
  if (target.group == nullptr) {
    context.reply().Integer(0);
    return ExecStatus::kDone;
  }
  if (context.IsLong(target.group->pending().size())) return context.RunLong();
  (void)target.group->DropSome(SIZE_MAX);
  target.stream->groups().erase(target.stream->groups().find(context.arg(3)));
  context.reply().Integer(1);
  Changed(context, "xgroup-destroy");
  // Consumers that wait must hear that there is nothing to wait for.
  context.db().SignalReady(context.key());
  return ExecStatus::kDone;
}

ExecStatus CmdXgroupCreateconsumer(CommandContext& context) {
  Target target;
  if (!FindTarget(context, true, target)) return ExecStatus::kDone;
  const bool is_new = target.group->FindConsumer(context.arg(4)) == nullptr;
  if (is_new) {
    target.group->AddConsumer(context.arg(4), context.thread().wall_ms);
    Changed(context, "xgroup-createconsumer");
  }
  context.reply().Integer(is_new ? 1 : 0);
  return ExecStatus::kDone;
}

ExecStatus CmdXgroupDelconsumer(CommandContext& context) {
  Target target;
  if (!FindTarget(context, true, target)) return ExecStatus::kDone;
  StreamConsumer* consumer = target.group->FindConsumer(context.arg(4));
  if (consumer == nullptr) {
    context.reply().Integer(0);
    return ExecStatus::kDone;
  }
  if (context.IsLong(consumer->pending.size())) return context.RunLong();
  context.reply().Integer(static_cast<int64_t>(target.group->RemoveConsumer(*consumer)));
  Changed(context, "xgroup-delconsumer");
  return ExecStatus::kDone;
}

ExecStatus CmdXgroupHelp(CommandContext& context) {
  context.reply().Array(std::size(kHelp));
  for (const std::string_view line : kHelp) context.reply().SimpleString(line);
  return ExecStatus::kDone;
}

}  // namespace tidegate
