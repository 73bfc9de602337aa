#include "storage/value/stream_page.h"

namespace tidegate {

StreamPage::StreamPage(ListpackView view, StreamId id) : view_(view), id_(id) {
  size_t at = view_.First();
  count_ = Number(at);
  at = view_.Next(at);
  deleted_ = Number(at);
  at = view_.Next(at);
  field_count_ = Number(at);
  fields_at_ = at = view_.Next(at);
  for (uint64_t i = 0; i < field_count_; ++i) at = view_.Next(at);
  begin_ = view_.Next(at);
}

StreamEntry StreamPage::Read(size_t at) const {
  StreamEntry entry(view_);
  entry.at = at;
  entry.flags = view_.Get(at).integer();
  at = view_.Next(at);
  entry.id.ms = id_.ms + Number(at);
  at = view_.Next(at);
  entry.id.seq = id_.seq + Number(at);
  at = view_.Next(at);
  uint64_t elements = 0;
  if (entry.same_fields()) {
    entry.field_count = elements = field_count_;
    entry.fields_at = fields_at_;
    entry.values_at = at;
  } else {
    entry.field_count = Number(at);
    elements = 2 * entry.field_count;
    entry.fields_at = at = view_.Next(at);
    if (elements > 0) entry.values_at = view_.Next(at);
  }
  for (uint64_t i = 0; i < elements; ++i) at = view_.Next(at);
  entry.next = view_.Next(at);
  return entry;
}

size_t StreamPage::Before(size_t at) const {
  at = view_.Prev(at);
  for (uint64_t pieces = Number(at); pieces > 0; --pieces) at = view_.Prev(at);
  return at;
}

}  // namespace tidegate
