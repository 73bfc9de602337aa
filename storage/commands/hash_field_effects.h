// FieldEffects: which fields of a hash a command really changed, for what is recorded of it.
//
// Commands about times of fields cannot be recorded as they were sent: their times may count from
// now, their conditions look at times, and a field whose time has come is absent for them although
// it is still there, and is alive again when the record is applied. So their effect names the
// fields that were changed and the absolute time: HPEXPIREAT, HPERSIST or HDEL, and nothing when
// there are none. Made on the stack for one command. Cost: nothing but a branch when nothing is
// recorded.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "storage/command_context.h"
#include "storage/commands/effect_words.h"

namespace tidegate {

class FieldEffects final {
 public:
  explicit FieldEffects(CommandContext& context) : context_(context) { context.RecordNothing(); }

  // The field was changed. It is an argument of the command.
  void Note(std::string_view field) {
    if (context_.records()) fields_.push_back(field);
  }

  void RecordDeleted() const {
    if (!fields_.empty()) context_.RecordAs({"HDEL", context_.key().name}, fields_);
  }
  void RecordExpiry(int64_t at_ms) const {
    if (fields_.empty()) return;
    const DecimalWord count(static_cast<int64_t>(fields_.size()));
    context_.RecordAs({"HPEXPIREAT", context_.key().name, DecimalWord(at_ms), "FIELDS", count},
                      fields_);
  }
  void RecordPersisted() const {
    if (fields_.empty()) return;
    const DecimalWord count(static_cast<int64_t>(fields_.size()));
    context_.RecordAs({"HPERSIST", context_.key().name, "FIELDS", count}, fields_);
  }

 private:
  CommandContext& context_;
  std::vector<std::string_view> fields_;
};

}  // namespace tidegate
