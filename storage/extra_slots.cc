#include "storage/extra_slots.h"

#include <algorithm>
#include <utility>

#include "storage/breathe.h"
#include "storage/keyspace/slot_extras.h"
#include "storage/long_command.h"

namespace tidegate {
namespace {

bool Contains(const std::vector<uint16_t>& slots, uint16_t slot) {
  return std::find(slots.begin(), slots.end(), slot) != slots.end();
}

}  // namespace

bool ExtraSlots::Holds(uint16_t slot) const {
  const std::span<const KeyRef> named = context_.keys();
  if (std::any_of(named.begin(), named.end(),
                  [slot](const KeyRef& key) { return key.slot == slot; }))
    return true;
  if (Contains(slots_, slot)) return true;
  const LongCommand* long_command = internal::t_long_command;
  return long_command != nullptr && Contains(long_command->slots(), slot);
}

bool ExtraSlots::TryLock(uint16_t slot) {
  if (!context_.TryLockSlot(slot)) return false;
  std::vector<uint16_t> taken{slot};
  if (__builtin_expect((context_.keyspace().slot(slot).flags & Slot::kBlockedMoves) != 0, 0)) {
    std::vector<uint16_t> targets;
    context_.keyspace().extras(slot).blocked.CollectTargets(targets);
    for (const uint16_t target : targets) {
      if (Holds(target) || Contains(taken, target)) continue;
      if (!context_.TryLockSlot(target)) {
        Unlock(taken);
        return false;
      }
      taken.push_back(target);
    }
  }
  slots_.insert(slots_.end(), taken.begin(), taken.end());
  return true;
}

// Whoever is served here has no turns.
void ExtraSlots::Unlock(std::vector<uint16_t>& slots) {
  if (slots.empty()) return;
  LongCommand* const long_command = std::exchange(internal::t_long_command, nullptr);
  for (const uint16_t slot : std::exchange(slots, {})) context_.UnlockSlot(slot);
  internal::t_long_command = long_command;
}

}  // namespace tidegate
