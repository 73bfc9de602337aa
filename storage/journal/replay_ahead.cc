#include "storage/journal/replay_ahead.h"

#include <algorithm>
#include <tuple>

#include "storage/journal/effect_record.h"

namespace tidegate {

Status ReplayAhead::Add(std::string_view record, int64_t now_ms) {
  if (!engine_.IsCold()) {
    TG_RETURN_IF_ERROR(Finish(now_ms));
    return applier_.Apply(record, now_ms);
  }
  records_.emplace_back(record);
  bytes_ += record.size();
  const bool full =
      records_.size() >= kReplayAheadRecordsMax || bytes_ >= kReplayAheadBytesMax.count;
  return full ? Finish(now_ms) : Status();
}

Status ReplayAhead::Finish(int64_t now_ms) {
  for (const std::string& record : records_) FindKeys(record);
  const auto place = [](const Engine::KeyOfDatabase& one) {
    return std::tuple(one.db, one.key.hash, one.key.name);
  };
  std::sort(keys_.begin(), keys_.end(),
            [&](const auto& a, const auto& b) { return place(a) < place(b); });
  const auto end = std::unique(keys_.begin(), keys_.end(),
                               [&](const auto& a, const auto& b) { return place(a) == place(b); });
  engine_.LoadAhead({keys_.begin(), end});
  keys_.clear();
  Status status;
  for (const std::string& record : records_) {
    status = applier_.Apply(record, now_ms);
    if (!status.ok()) break;
  }
  records_.clear();
  bytes_ = 0;
  return status;
}

// A record that is broken has none from there on: the applier says what is wrong with it.
void ReplayAhead::FindKeys(std::string_view record) {
  EffectReader reader(record);
  for (;;) {
    const Result<bool> more = reader.Next(effect_);
    if (!more.ok() || !more.value()) return;
    if (effect_.args.empty() || effect_.db >= engine_.databases()) continue;
    const Command* command = table_.Find(effect_.args[0]);
    if (command != nullptr && command->is_container() && effect_.args.size() > 1)
      command = CommandTable::FindSubcommand(*command, effect_.args[1]);
    if (command == nullptr || command->is_container()) continue;
    positions_.clear();
    if (!command->spec->arity.Accepts(effect_.args.size()) ||
        !FindKeyArguments(*command->spec, effect_.args, positions_))
      continue;
    if (RecordApplier::Overwrites(*command->spec, effect_.args)) continue;
    for (const int position : positions_)
      keys_.push_back({effect_.db, KeyRef::Of(effect_.args[static_cast<size_t>(position)])});
  }
}

}  // namespace tidegate
