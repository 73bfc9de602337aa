// ExtraSlots: slots that a command locks while it runs, beside those of the keys it names: a script
// finds out on its way what it uses.
//
// Each is tried, never waited for. With a slot come those that serving clients blocked there needs
// (BLMOVE's target). They are unlocked when the command is through, and before that what waits at
// their keys is served and what was done is recorded, so that the order of records is that of the
// changes. Inside a long command they count as held long. Owner: the handler.
#pragma once

#include <cstdint>
#include <vector>

#include "storage/command_context.h"

namespace tidegate {

class ExtraSlots final {
 public:
  explicit ExtraSlots(CommandContext& context) : context_(context) {}
  ~ExtraSlots() { UnlockAll(); }
  ExtraSlots(const ExtraSlots&) = delete;
  ExtraSlots& operator=(const ExtraSlots&) = delete;

  // Whether the command has it, one way or the other.
  bool Holds(uint16_t slot) const;
  // Locks it, unless it is busy. All that comes with it or none.
  bool TryLock(uint16_t slot);
  void UnlockAll() { Unlock(slots_); }

 private:
  void Unlock(std::vector<uint16_t>& slots);

  CommandContext& context_;
  std::vector<uint16_t> slots_;
};

}  // namespace tidegate
