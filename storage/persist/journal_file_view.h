// JournalFileView: what the bytes of one file of the journal say: group after group
// (storage/journal/journal_group.h), and where that ends.
//
// It trusts nothing. A file that was not synced may end anywhere after a power loss: within a
// group, or in zeros, where room was made that nothing had been written to yet. That is a torn end,
// and no harm: nobody was promised what stood there. Anything else that is not a group is damage,
// which is harmless too when nothing whole comes behind it, and otherwise a loss of what was
// promised. Pure; views into the bytes, which outlive it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "storage/journal/journal_group.h"

namespace tidegate {

class JournalFileView final {
 public:
  explicit JournalFileView(std::string_view bytes) : bytes_(bytes) {}

  enum class Found : uint8_t { kGroup, kEnd, kTorn, kDamaged };
  // The next group. After anything but a group that is what it finds again.
  Found Next();
  // The group that Next() has found, and how long it is.
  JournalGroupView group() const { return group_; }
  size_t group_bytes() const { return end_ - begin_; }
  // Behind the last group that was found: where the file ends, or goes wrong.
  size_t end() const { return end_; }
  // What is wrong there, after kDamaged.
  const std::string& damage() const { return damage_; }
  // Whether any group is whole behind that place. Looks at every byte.
  bool HasGroupBehind() const;

 private:
  bool RestIsZero() const;

  const std::string_view bytes_;
  size_t begin_ = 0;
  size_t end_ = 0;
  JournalGroupView group_;
  std::string damage_;
};

}  // namespace tidegate
