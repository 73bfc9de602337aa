// Changing sets. Which form a set takes is decided here, by Redis 7.2's rules: an intset while all
// members are integers and few, a listpack while they are few and short, else a FieldTable; never
// back.
//
//   SetValue    one key's set, changed in place
//   SetBuilder  a set without a key, for the results of SUNIONSTORE and its kind, and for new keys
//
// Whoever changes a key's set says Modified, notifies, and deletes the key when no member is left.
// Owner: the slot of the key; a builder is its maker's. Arguments are never views into the set.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string_view>
#include <utility>

#include "storage/keyspace/database.h"
#include "storage/keyspace/entry_buffer.h"
#include "storage/value/packed_scratch.h"
#include "storage/value/set_view.h"

namespace tidegate {

struct EngineSettings;

// When a set leaves its packed forms.
struct SetLimits {
  uint64_t intset_entries_max;
  uint64_t listpack_entries_max;
  uint64_t listpack_value_bytes_max;

  static SetLimits Of(const EngineSettings& settings);
};

class SetBuilder final {
 public:
  // `epoch`: of the database that it is for.
  SetBuilder(const SetLimits& limits, uint32_t epoch) : limits_(limits), epoch_(epoch) {
    Intset(buffer_).Create();
  }
  ~SetBuilder() {
    if (table_ != nullptr) FieldTable::Destroy(table_);
  }
  SetBuilder(const SetBuilder&) = delete;
  SetBuilder& operator=(const SetBuilder&) = delete;

  // Before the first member: about so many are coming, of which this is one.
  void Expect(std::string_view member, size_t members);
  // True when it is new.
  bool Add(std::string_view member);

  SetView view() {
    return form_ == SetForm::kTable ? SetView(*table_) : SetView(form_, buffer_.bytes());
  }
  // Puts the set, which must not be empty, into the place of whatever the key holds (`existing`),
  // without an expiry. The builder is empty then.
  Entry* Store(Database& db, const KeyRef& key, Entry* existing);

  // For the rules that both kinds of set share (set_value.cc).
  SetForm form() const { return form_; }
  PackedBuffer& buffer() { return buffer_; }
  FieldTable& table() { return *table_; }
  void ToListpack();
  void ToTable();

 private:
  SetLimits limits_;
  uint32_t epoch_;
  SetForm form_ = SetForm::kIntset;
  PackedScratch buffer_;
  FieldTable* table_ = nullptr;
};

class SetValue final {
 public:
  // `entry` is what Find gave for the key, a set or null.
  SetValue(Database& db, const KeyRef& key, Entry* entry)
      : db_(db), key_(key), entry_(entry), buffer_(db, key, entry_) {}
  SetValue(const SetValue&) = delete;
  SetValue& operator=(const SetValue&) = delete;

  bool exists() const { return entry_ != nullptr; }
  // Only when it exists.
  SetView view() const { return SetView(*entry_); }
  bool empty() const { return view().size() == 0; }

  // Adds members, creating the key when it is absent; returns how many are new.
  size_t Add(std::span<const std::string_view> members);
  bool Add(std::string_view member) { return Add({&member, 1}) == 1; }
  // True when it was there.
  bool Erase(std::string_view member);
  // Takes a random member out: calls fn(const ListpackValue&) with it before it is gone. The set
  // must not be empty.
  template <typename Fn>
  void Pop(const std::function<uint64_t()>& random, Fn&& fn) {
    const ListpackValue member = view().Random(random);
    fn(member);
    char digits[kListpackDigitsBytes];
    Erase(member.Render(digits));  // only looked for: a view into the set will do
  }

  // For the rules that both kinds of set share (set_value.cc).
  SetForm form() const { return SetView::FormOf(*entry_); }
  PackedBuffer& buffer() { return buffer_; }
  FieldTable& table() { return *entry_->object<FieldTable>(); }
  void ToListpack();
  void ToTable();

 private:
  Database& db_;
  const KeyRef& key_;
  Entry* entry_;
  EntryBuffer buffer_;
};

}  // namespace tidegate
