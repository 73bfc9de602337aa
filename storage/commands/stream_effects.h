// PendingEffects: what is recorded of commands that deliver entries of a stream to the consumers of
// a group, or let pending ones change hands.
//
//   XREADGROUP, XCLAIM, XAUTOCLAIM
//     XCLAIM key group consumer 0 id … TIME ms RETRYCOUNT n FORCE JUSTID   what is his now
//     XACK key group id …                                                  entries that are gone
//     XGROUP SETID key group id ENTRIESREAD n                              how far it has read
//     XGROUP CREATECONSUMER key group consumer                             who is new
//
// As Redis tells its replicas, but that entries with the same time and count share one XCLAIM. The
// time of a delivery and how often there was one are data here: XPENDING shows them, and XAUTOCLAIM
// goes by them. When a consumer was last seen is not recorded, as in Redis: it begins anew with the
// process. Made on the stack for one stream of one command; only when records(). Ids are noted in
// the order in which they were changed, after each change.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "storage/command_context.h"
#include "storage/value/stream_group.h"
#include "storage/value/stream_id.h"

namespace tidegate {

class PendingEffects final {
 public:
  PendingEffects(CommandContext& context, const KeyRef& key, std::string_view group,
                 std::string_view consumer)
      : context_(context), key_(key.name), group_(group), consumer_(consumer) {
    context.RecordNothing();
  }

  // The entry is the consumer's now, as `pending` says.
  void NoteClaimed(StreamId id, const StreamPending& pending);
  // The entry is pending no more.
  void NoteGone(StreamId id) { gone_.push_back(id); }

  // At the end of each: of the notes so far.
  void RecordPending();
  void RecordProgress(const StreamGroup& group) const;
  void RecordNewConsumer() const {
    context_.RecordAs({"XGROUP", "CREATECONSUMER", key_, group_, consumer_});
  }

 private:
  void RecordClaims();
  void Words(const std::vector<StreamId>& ids) const;

  CommandContext& context_;
  std::string_view key_;
  std::string_view group_;
  std::string_view consumer_;
  // The last ones claimed, all at the same time and equally often.
  std::vector<StreamId> claimed_;
  int64_t delivered_ms_ = 0;
  uint64_t deliveries_ = 0;
  std::vector<StreamId> gone_;
};

}  // namespace tidegate
