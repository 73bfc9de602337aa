// COMMAND: the command table as clients see it. Shapes are those of Redis 7.0; argument syntax
// trees and histories of COMMAND DOCS are not kept, which the protocol allows.
#include <algorithm>

#include "proxy/commands/command_details.h"
#include "proxy/commands/families.h"
#include "proxy/commands/reply_help.h"

namespace tidegate {
namespace {

constexpr std::string_view kCommandHelp[] = {
    "(no subcommand)",
    "    Details of all commands.",
    "COUNT",
    "    How many commands there are.",
    "DOCS [<command-name> ...]",
    "    Descriptions of the given commands, or of all.",
    "GETKEYS <full-command>",
    "    The keys in a command.",
    "GETKEYSANDFLAGS <full-command>",
    "    The keys in a command and what it does to them.",
    "INFO [<command-name> ...]",
    "    Details of the given commands, or of all.",
    "LIST [FILTERBY (MODULE <name>|ACLCAT <category>|PATTERN <pattern>)]",
    "    The names of all commands, or of those that fit.",
};

ExecStatus CmdCommandHelp(SessionCommand& c) { return ReplyHelp(c, kCommandHelp); }

void ReplyWordSet(ReplyWriter& reply, const Words& words, std::string_view prefix = "") {
  reply.Set(words.size());
  for (const std::string_view word : words)
    reply.SimpleString(std::string(prefix) + std::string(word));
}

// The keys are behind the argument that was found, which says how many there are.
void ReplyCountedKeys(ReplyWriter& reply) {
  reply.Bulk("keynum");
  reply.Bulk("spec");
  reply.Map(3);
  reply.Bulk("keynumidx");
  reply.Integer(0);
  reply.Bulk("firstkey");
  reply.Integer(1);
  reply.Bulk("keystep");
  reply.Integer(1);
}

// Where the keys of one specification begin.
void ReplyBeginSearch(ReplyWriter& reply, const KeySpecification& keys) {
  reply.Bulk("begin_search");
  reply.Map(2);
  reply.Bulk("type");
  if (keys.keyword == nullptr) {
    reply.Bulk("index");
    reply.Bulk("spec");
    reply.Map(1);
    reply.Bulk("index");
    reply.Integer(keys.index);
  } else if (keys.keyword->keyword.empty()) {
    reply.Bulk("unknown");
    reply.Bulk("spec");
    reply.Map(0);
  } else {
    reply.Bulk("keyword");
    reply.Bulk("spec");
    reply.Map(2);
    reply.Bulk("keyword");
    reply.Bulk(keys.keyword->keyword);
    reply.Bulk("startfrom");
    reply.Integer(keys.keyword->from);
  }
}

// And how they go on from there.
void ReplyFindKeys(ReplyWriter& reply, const KeySpecification& keys) {
  reply.Bulk("find_keys");
  reply.Map(2);
  reply.Bulk("type");
  if (keys.counted) return ReplyCountedKeys(reply);
  if (keys.keyword != nullptr && keys.keyword->keyword.empty()) {
    reply.Bulk("unknown");
    reply.Bulk("spec");
    return reply.Map(0);
  }
  reply.Bulk("range");
  reply.Bulk("spec");
  reply.Map(3);
  reply.Bulk("lastkey");
  reply.Integer(keys.last);
  reply.Bulk("keystep");
  reply.Integer(keys.step);
  reply.Bulk("limit");
  reply.Integer(keys.keyword == nullptr ? 0 : keys.keyword->limit);
}

void ReplyKeySpecifications(ReplyWriter& reply, const CommandSpec& spec) {
  const std::vector<KeySpecification> all = KeySpecifications(spec);
  reply.Set(all.size());
  for (const KeySpecification& keys : all) {
    reply.Map(3);
    reply.Bulk("flags");
    ReplyWordSet(reply, keys.flags);
    ReplyBeginSearch(reply, keys);
    ReplyFindKeys(reply, keys);
  }
}

void ReplyInfo(ReplyWriter& reply, const Command& command) {
  const CommandSpec& spec = *command.spec;
  reply.Array(10);
  reply.Bulk(command.full_name);
  reply.Integer(spec.arity.value);
  ReplyWordSet(reply, CommandFlagWords(spec));
  reply.Integer(spec.keys.first);
  reply.Integer(spec.keys.last);
  reply.Integer(spec.keys.step);
  ReplyWordSet(reply, CommandCategories(spec), "@");
  const Words tips = SplitWords(spec.tips);
  reply.Set(tips.size());
  for (const std::string_view tip : tips) reply.Bulk(tip);
  ReplyKeySpecifications(reply, spec);
  if (command.subcommands.empty()) return reply.Set(0);
  reply.Array(command.subcommands.size());
  for (const Command* sub : command.subcommands) ReplyInfo(reply, *sub);
}

void ReplyPair(ReplyWriter& reply, std::string_view name, std::string_view value) {
  reply.Bulk(name);
  reply.Bulk(value);
}

Words DocFlags(const CommandSpec& spec) {
  Words flags;
  if (!spec.deprecated_since.empty()) flags.push_back("deprecated");
  if ((spec.flags & (kProtected | kSystemCommand)) != 0) flags.push_back("syscmd");
  return flags;
}

void ReplyDocs(ReplyWriter& reply, const Command& command) {
  const CommandSpec& spec = *command.spec;
  const Words flags = DocFlags(spec);
  const bool has_subcommands = !command.subcommands.empty();
  const bool deprecated = !spec.deprecated_since.empty();
  reply.Map(3 + (spec.complexity.empty() ? 0 : 1) + (flags.empty() ? 0 : 1) + (deprecated ? 1 : 0) +
            (spec.replaced_by.empty() ? 0 : 1) + (has_subcommands ? 1 : 0));
  ReplyPair(reply, "summary", spec.summary);
  ReplyPair(reply, "since", spec.since);
  ReplyPair(reply, "group", CommandGroupName(spec.group));
  if (!spec.complexity.empty()) ReplyPair(reply, "complexity", spec.complexity);
  if (!flags.empty()) {
    reply.Bulk("doc_flags");
    ReplyWordSet(reply, flags);
  }
  if (deprecated) ReplyPair(reply, "deprecated_since", spec.deprecated_since);
  if (!spec.replaced_by.empty()) ReplyPair(reply, "replaced_by", spec.replaced_by);
  if (!has_subcommands) return;
  reply.Bulk("subcommands");
  reply.Map(command.subcommands.size());
  for (const Command* sub : command.subcommands) {
    reply.Bulk(sub->full_name);
    ReplyDocs(reply, *sub);
  }
}

// "get" or "config|get"; null: unknown.
const Command* FindByFullName(const CommandTable& table, std::string_view name) {
  const size_t bar = name.find('|');
  const Command* command = table.Find(name.substr(0, bar));
  if (command == nullptr || bar == std::string_view::npos) return command;
  return CommandTable::FindSubcommand(*command, name.substr(bar + 1));
}

ExecStatus CmdCommandCount(SessionCommand& c) {
  c.reply().Integer(static_cast<int64_t>(c.server().commands().top_level().size()));
  return ExecStatus::kDone;
}

ExecStatus CmdCommandInfo(SessionCommand& c) {
  const CommandTable& table = c.server().commands();
  if (c.argc() <= 2) {
    c.reply().Array(table.top_level().size());
    for (const Command* command : table.top_level()) ReplyInfo(c.reply(), *command);
    return ExecStatus::kDone;
  }
  c.reply().Array(c.argc() - 2);
  for (size_t i = 2; i < c.argc(); ++i) {
    if (const Command* command = FindByFullName(table, c.arg(i))) {
      ReplyInfo(c.reply(), *command);
    } else {
      c.reply().Null();
    }
  }
  return ExecStatus::kDone;
}

ExecStatus CmdCommandDocs(SessionCommand& c) {
  const CommandTable& table = c.server().commands();
  std::vector<const Command*> commands;
  for (size_t i = 2; i < c.argc(); ++i) {
    if (const Command* command = FindByFullName(table, c.arg(i))) commands.push_back(command);
  }
  if (c.argc() == 2) commands.assign(table.top_level().begin(), table.top_level().end());
  c.reply().Map(commands.size());
  for (const Command* command : commands) {
    c.reply().Bulk(command->full_name);
    ReplyDocs(c.reply(), *command);
  }
  return ExecStatus::kDone;
}

// Which commands COMMAND LIST names.
struct ListFilter {
  enum class Kind : uint8_t { kAll, kModule, kCategory, kPattern } kind = Kind::kAll;
  std::string argument;

  bool Accepts(const Command& command) const {
    switch (kind) {
      case Kind::kAll:
        return true;
      case Kind::kModule:  // no command comes from a module
        return false;
      case Kind::kCategory: {
        const Words categories = CommandCategories(*command.spec);
        return std::find(categories.begin(), categories.end(), argument) != categories.end();
      }
      case Kind::kPattern:
        return GlobMatch(argument, command.full_name, true);
    }
    return false;
  }
};

std::optional<ListFilter> ParseListFilter(SessionCommand& c) {
  using Kind = ListFilter::Kind;
  if (c.argc() == 2) return ListFilter{};
  if (c.argc() == 5 && EqualsIgnoreCase(c.arg(2), "filterby")) {
    if (EqualsIgnoreCase(c.arg(3), "module")) return ListFilter{Kind::kModule, ""};
    if (EqualsIgnoreCase(c.arg(3), "aclcat")) {
      return ListFilter{Kind::kCategory, ToLowerAscii(c.arg(4))};
    }
    if (EqualsIgnoreCase(c.arg(3), "pattern")) {
      return ListFilter{Kind::kPattern, std::string(c.arg(4))};
    }
  }
  c.Fail(errors::kSyntax);
  return std::nullopt;
}

ExecStatus CmdCommandList(SessionCommand& c) {
  const std::optional<ListFilter> filter = ParseListFilter(c);
  if (!filter) return ExecStatus::kDone;
  std::vector<const Command*> found;
  for (const Command* command : c.server().commands().all()) {
    if (filter->Accepts(*command)) found.push_back(command);
  }
  c.reply().Array(found.size());
  for (const Command* command : found) c.reply().Bulk(command->full_name);
  return ExecStatus::kDone;
}

ExecStatus ReplyKeys(SessionCommand& c, bool with_flags) {
  const std::span<const std::string_view> call = c.args().subspan(2);
  const Command* command = c.server().commands().Find(call[0]);
  if (command != nullptr && command->is_container() && call.size() > 1) {
    command = CommandTable::FindSubcommand(*command, call[1]);
  }
  if (command == nullptr) return c.Fail("ERR Invalid command specified");
  const CommandSpec& spec = *command->spec;
  if (!HasKeys(spec)) return c.Fail("ERR The command has no key arguments");
  if (!spec.arity.Accepts(call.size())) {
    return c.Fail("ERR Invalid number of arguments specified for command");
  }
  std::vector<int> keys;
  const bool valid = FindKeyArguments(spec, call, keys);
  if (!valid || keys.empty()) {
    if ((spec.flags & kNoMandatoryKeys) == 0) {
      return c.Fail("ERR Invalid arguments specified for command");
    }
    keys.clear();
  }
  c.reply().Array(keys.size());
  for (const int key : keys) {
    if (with_flags) c.reply().Array(2);
    c.reply().Bulk(call[static_cast<size_t>(key)]);
    if (with_flags) ReplyWordSet(c.reply(), KeyFlagsOfCall(spec, call, key));
  }
  return ExecStatus::kDone;
}

ExecStatus CmdCommandGetKeys(SessionCommand& c) { return ReplyKeys(c, false); }
ExecStatus CmdCommandGetKeysAndFlags(SessionCommand& c) { return ReplyKeys(c, true); }

constexpr uint32_t kCommandFlags = kLoading | kStale | kAclConnection;

constexpr CommandSpec kCommandSubcommands[] = {
    {.name = "COUNT",
     .arity = Exactly(2),
     .access = Access::kNone,
     .scope = Scope::kProcess,
     .flags = kCommandFlags,
     .group = Group::kServer,
     .since = "2.8.13",
     .complexity = "O(1)",
     .summary = "How many commands there are.",
     .session_handler = CmdCommandCount},
    {.name = "DOCS",
     .arity = AtLeast(2),
     .access = Access::kNone,
     .scope = Scope::kProcess,
     .flags = kCommandFlags,
     .group = Group::kServer,
     .since = "7.0.0",
     .complexity = "O(N) in the number of commands asked for",
     .summary = "Descriptions of commands.",
     .session_handler = CmdCommandDocs,
     .tips = "nondeterministic_output_order"},
    {.name = "GETKEYS",
     .arity = AtLeast(4),
     .access = Access::kNone,
     .scope = Scope::kProcess,
     .flags = kCommandFlags,
     .group = Group::kServer,
     .since = "2.8.13",
     .complexity = "O(N) in the number of arguments",
     .summary = "The keys in a command.",
     .session_handler = CmdCommandGetKeys},
    {.name = "GETKEYSANDFLAGS",
     .arity = AtLeast(4),
     .access = Access::kNone,
     .scope = Scope::kProcess,
     .flags = kCommandFlags,
     .group = Group::kServer,
     .since = "7.0.0",
     .complexity = "O(N) in the number of arguments",
     .summary = "The keys in a command and what it does to them.",
     .session_handler = CmdCommandGetKeysAndFlags},
    {.name = "HELP",
     .arity = Exactly(2),
     .access = Access::kNone,
     .scope = Scope::kProcess,
     .flags = kCommandFlags,
     .group = Group::kServer,
     .since = "5.0.0",
     .complexity = "O(1)",
     .summary = "The sub-commands of COMMAND.",
     .session_handler = CmdCommandHelp},
    {.name = "INFO",
     .arity = AtLeast(2),
     .access = Access::kNone,
     .scope = Scope::kProcess,
     .flags = kCommandFlags,
     .group = Group::kServer,
     .since = "2.8.13",
     .complexity = "O(N) in the number of commands asked for",
     .summary = "Details of commands.",
     .session_handler = CmdCommandInfo,
     .tips = "nondeterministic_output_order"},
    {.name = "LIST",
     .arity = AtLeast(2),
     .access = Access::kNone,
     .scope = Scope::kProcess,
     .flags = kCommandFlags,
     .group = Group::kServer,
     .since = "7.0.0",
     .complexity = "O(N) in the number of commands",
     .summary = "The names of commands.",
     .session_handler = CmdCommandList,
     .tips = "nondeterministic_output_order"},
};

constexpr CommandSpec kCommandCommands[] = {
    {.name = "COMMAND",
     .arity = AtLeast(1),
     .access = Access::kNone,
     .scope = Scope::kProcess,
     .flags = kCommandFlags,
     .group = Group::kServer,
     .since = "2.8.13",
     .complexity = "O(N) in the number of commands",
     .summary = "Details of all commands.",
     .session_handler = CmdCommandInfo,
     .subcommands = kCommandSubcommands,
     .tips = "nondeterministic_output_order"},
};

}  // namespace

static_assert(IsValidFamily(kCommandCommands));
const std::span<const CommandSpec> kCommandFamily = kCommandCommands;

}  // namespace tidegate
