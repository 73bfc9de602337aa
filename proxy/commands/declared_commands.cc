#include "proxy/commands/declared_commands.h"

#include <algorithm>

#include "base/check.h"
#include "base/log.h"
#include "storage/command_context.h"
#include "storage/errors.h"
#include "storage/key_finders.h"

namespace tidegate {
namespace {

KeyFinder CountedKeys(int argument) {
  constexpr KeyFinder kFinders[] = {FindCountedKeys<1>, FindCountedKeys<2>, FindCountedKeys<3>};
  static_assert(std::size(kFinders) == kKeyCountArgumentMax);
  TG_CHECK(argument >= 1 && argument <= kKeyCountArgumentMax);
  return kFinders[argument - 1];
}

KeyFinder TargetAndCountedKeys(int argument) {
  constexpr KeyFinder kFinders[] = {FindTargetAndCountedKeys<2>, FindTargetAndCountedKeys<3>};
  static_assert(std::size(kFinders) == kKeyCountArgumentMax - 1);
  TG_CHECK(argument >= 2 && argument <= kKeyCountArgumentMax);
  return kFinders[argument - 2];
}

void SetKeys(const KeyRuleOptions& keys, CommandSpec& row) {
  switch (keys.kind) {
    case KeyRuleOptions::Kind::kNone:
      break;
    case KeyRuleOptions::Kind::kRange:
      row.keys = {static_cast<int16_t>(keys.first), static_cast<int16_t>(keys.last),
                  static_cast<int16_t>(keys.step)};
      // Redis has a wrong number of arguments where there is no key.
      row.arity = AtLeast(static_cast<int8_t>(keys.first + 1));
      break;
    case KeyRuleOptions::Kind::kCounted:
      row.find_keys = CountedKeys(keys.first);
      break;
    case KeyRuleOptions::Kind::kTargetAndCounted:
      row.find_keys = TargetAndCountedKeys(keys.first);
      break;
  }
}

bool IsKnown(std::string_view name, std::span<const std::span<const CommandSpec>> known) {
  return std::any_of(known.begin(), known.end(), [name](const auto& family) {
    return std::any_of(family.begin(), family.end(),
                       [name](const CommandSpec& row) { return row.name == name; });
  });
}

}  // namespace

ExecStatus RefuseAsUnknown(CommandContext& context) {
  context.reply().Error(errors::UnknownCommand(context.args()));
  return ExecStatus::kDone;
}

DeclaredCommands::DeclaredCommands(std::span<const DeclaredCommandOptions> options,
                                   std::span<const std::span<const CommandSpec>> known) {
  static_assert(kDeclaredNameBytesMax < CommandTable::kNameBytesMax);
  for (const DeclaredCommandOptions& declared : options) {
    if (IsKnown(declared.name, known)) {
      log::Warning(
          "commands: '" + declared.name +
          "' is a command of Tidegate's own; what the configuration says of it is not used");
      continue;
    }
    const std::string_view name = names_.emplace_back(declared.name);
    CommandSpec row = {.name = name,
                       .arity = AtLeast(1),
                       .access = declared.is_read ? Access::kRead : Access::kWrite,
                       .scope = Scope::kManyKeys,
                       .group = Group::kGeneric,
                       .since = "0.0.0",
                       .complexity = "As the upstream executes it",
                       .summary = "A command of upstreams, from the configuration.",
                       .handler = RefuseAsUnknown};
    SetKeys(declared.keys, row);
    rows_.push_back(row);
  }
}

}  // namespace tidegate
