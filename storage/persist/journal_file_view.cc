#include "storage/persist/journal_file_view.h"

#include <algorithm>
#include <utility>

namespace tidegate {

JournalFileView::Found JournalFileView::Next() {
  const std::string_view rest = bytes_.substr(end_);
  if (rest.empty()) return Found::kEnd;
  if (rest.size() < kJournalGroupHeaderBytes) return Found::kTorn;
  const uint64_t size = JournalGroupView::SizeOf(rest);
  if (size == 0) {
    if (RestIsZero()) return Found::kTorn;
    damage_ = "there is no header of a group";
    return Found::kDamaged;
  }
  if (size > rest.size()) return Found::kTorn;
  Result<JournalGroupView> group = JournalGroupView::Parse(rest.substr(0, size));
  if (!group.ok()) {
    damage_ = "of the group there " + group.error().message;
    return Found::kDamaged;
  }
  group_ = *group;
  begin_ = std::exchange(end_, end_ + size);
  return Found::kGroup;
}

bool JournalFileView::RestIsZero() const {
  const std::string_view rest = bytes_.substr(end_);
  return std::all_of(rest.begin(), rest.end(), [](char byte) { return byte == 0; });
}

bool JournalFileView::HasGroupBehind() const {
  for (size_t at = end_ + 1; at + kJournalGroupHeaderBytes <= bytes_.size(); ++at) {
    const std::string_view rest = bytes_.substr(at);
    const uint64_t size = JournalGroupView::SizeOf(rest);
    if (size == 0 || size > rest.size()) continue;
    if (JournalGroupView::Parse(rest.substr(0, size)).ok()) return true;
  }
  return false;
}

}  // namespace tidegate
