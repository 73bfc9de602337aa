#include "storage/commands/stream_effects.h"

#include "storage/commands/effect_words.h"

namespace tidegate {

void PendingEffects::NoteClaimed(StreamId id, const StreamPending& pending) {
  if (!claimed_.empty() &&
      (pending.delivered_ms != delivered_ms_ || pending.deliveries != deliveries_)) {
    RecordClaims();
  }
  delivered_ms_ = pending.delivered_ms;
  deliveries_ = pending.deliveries;
  claimed_.push_back(id);
}

void PendingEffects::Words(const std::vector<StreamId>& ids) const {
  char text[kStreamIdTextBytesMax];
  for (const StreamId& id : ids) context_.thread().effects.Word(FormatStreamId(id, text));
}

void PendingEffects::RecordClaims() {
  if (claimed_.empty()) return;
  EffectLog& effects = context_.thread().effects;
  context_.BeginRecordAs(11 + claimed_.size());
  for (const std::string_view word : {std::string_view("XCLAIM"), key_, group_, consumer_})
    effects.Word(word);
  effects.Word("0");
  Words(claimed_);
  effects.Word("TIME");
  effects.Word(DecimalWord(delivered_ms_));
  effects.Word("RETRYCOUNT");
  effects.Word(DecimalWord(static_cast<int64_t>(deliveries_)));
  effects.Word("FORCE");
  effects.Word("JUSTID");
  claimed_.clear();
}

void PendingEffects::RecordPending() {
  RecordClaims();
  if (gone_.empty()) return;
  context_.BeginRecordAs(3 + gone_.size());
  for (const std::string_view word : {std::string_view("XACK"), key_, group_})
    context_.thread().effects.Word(word);
  Words(gone_);
  gone_.clear();
}

void PendingEffects::RecordProgress(const StreamGroup& group) const {
  char text[kStreamIdTextBytesMax];
  context_.RecordAs({"XGROUP", "SETID", key_, group_, FormatStreamId(group.last_id, text),
                     "ENTRIESREAD", DecimalWord(group.entries_read)});
}

}  // namespace tidegate
