#include "storage/command.h"

#include <algorithm>

#include "base/check.h"
#include "base/text.h"
#include "storage/key_finders.h"

namespace tidegate {

std::unique_ptr<CommandTable> CommandTable::Create(
    std::span<const std::span<const CommandSpec>> families) {
  std::unique_ptr<CommandTable> table(new CommandTable);
  for (const auto& family : families) {
    for (const CommandSpec& spec : family) {
      TG_CHECK(table->FindExactly(spec.name) == nullptr);
      TG_CHECK(spec.name.size() <= kNameBytesMax);
      const Command* command = table->Add(spec, nullptr);
      if (spec.name.ends_with('*')) {
        table->patterns_.push_back(command);
        continue;
      }
      uint32_t index = Probe(spec.name);
      while (table->index_[index] != nullptr) index = (index + 1) & kIndexMask;
      table->index_[index] = command;
      table->top_level_.push_back(command);
    }
  }
  static_assert(kTopLevelMax * 2 < kIndexSize);
  TG_CHECK(table->top_level_.size() <= kTopLevelMax);
  std::stable_sort(table->patterns_.begin(), table->patterns_.end(),
                   [](const Command* a, const Command* b) {
                     return a->spec->name.size() > b->spec->name.size();
                   });
  std::sort(table->top_level_.begin(), table->top_level_.end(),
            [](const Command* a, const Command* b) { return a->spec->name < b->spec->name; });
  return table;
}

const Command* CommandTable::Add(const CommandSpec& spec, const Command* container) {
  auto owned = std::make_unique<Command>();
  Command* command = owned.get();
  command->spec = &spec;
  command->container = container;
  command->id = static_cast<uint32_t>(commands_.size());
  command->full_name = ToLowerAscii(spec.name);
  if (container != nullptr) command->full_name = container->full_name + "|" + command->full_name;
  commands_.push_back(std::move(owned));
  all_.push_back(command);
  for (const CommandSpec& sub : spec.subcommands) command->subcommands.push_back(Add(sub, command));
  return command;
}

const Command* CommandTable::FindPattern(std::string_view name) const {
  for (const Command* command : patterns_) {
    const std::string_view prefix = command->spec->name.substr(0, command->spec->name.size() - 1);
    if (name.size() >= prefix.size() && EqualsIgnoreCase(name.substr(0, prefix.size()), prefix))
      return command;
  }
  return nullptr;
}

const Command* CommandTable::FindSubcommand(const Command& container, std::string_view name) {
  for (const Command* sub : container.subcommands) {
    if (SameName(sub->spec->name, name)) return sub;
  }
  return nullptr;
}

bool FindKeyArguments(const CommandSpec& spec, std::span<const std::string_view> args,
                      std::vector<int>& out) {
  if (spec.find_keys != nullptr) return spec.find_keys(args, out);
  if (spec.keys.first == 0) return true;
  const int argc = static_cast<int>(args.size());
  const int last = spec.keys.last >= 0 ? spec.keys.last : argc + spec.keys.last;
  for (int i = spec.keys.first; i <= last; i += spec.keys.step) {
    if (i >= argc) return false;
    out.push_back(i);
  }
  return true;
}

int KeyCountArgument(const CommandSpec& spec) {
  if (spec.find_keys == nullptr) return 0;
  if (spec.find_keys == FindCountedKeys<1>) return 1;
  const bool second =
      spec.find_keys == FindCountedKeys<2> || spec.find_keys == FindTargetAndCountedKeys<2>;
  return second ? 2 : 0;
}

}  // namespace tidegate
