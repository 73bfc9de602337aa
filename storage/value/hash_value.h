// A hash, whichever way it is held: a listpack of field, value, field, value … in or beside its
// entry, or a FieldTable once it is too large for that, or once one of its fields expires.
//
//   HashView   reads. Fields whose time has come are not there for it, although they still are in
//              the table: what reads has no business to remove them, and finding them all costs.
//   HashValue  changes one key's hash, and makes the key when there is none.
//
// What a write finds expired at its own field it removes; all others are the background sweep's.
// After its changes a writer calls Finish, which says Modified, notifies, and deletes the key when
// nothing is left. Owner: the slot of the key.
// Views are valid until the next change; arguments are never views into the hash. Cost: O(fields)
// of a listpack, some 2 ns each; O(1) of a table. As Redis, but that its listpacks hold expiring
// fields as well.
#pragma once

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/reply_writer.h"
#include "storage/keyspace/database.h"
#include "storage/keyspace/entry_buffer.h"
#include "storage/value/field_table.h"
#include "storage/value/listpack.h"

namespace tidegate {

struct EngineSettings;

// One field and its value.
struct HashItem {
  ListpackValue field{int64_t{0}};
  ListpackValue value{int64_t{0}};
  const ChunkedString* chunks = nullptr;  // holds the value instead when it is large
  int64_t expire_at_ms = kNoExpire;
};

void ReplyHashValue(ReplyWriter& reply, const HashItem& item);
// Bytes of the value as text.
size_t HashValueBytes(const HashItem& item);
// The value as text, in `scratch` when it is not there in one piece.
std::string_view HashValueText(const HashItem& item, std::string& scratch);

class HashView final {
 public:
  HashView(const Entry& entry, int64_t now_ms) : now_ms_(now_ms) {
    if (entry.encoding() == Encoding::kFieldTable) {
      table_ = entry.object<FieldTable>();
    } else {
      bytes_ = PackedBytes(entry);
    }
  }

  // Live fields. O(1) unless some have expired just now, which are then counted.
  uint64_t size() const;
  std::optional<HashItem> Find(std::string_view field) const;
  bool Contains(std::string_view field) const { return Find(field).has_value(); }

  // Calls fn(const HashItem&) for each, in an order that stays the same while nothing changes.
  template <typename Fn>
  void ForEach(Fn&& fn) const {
    if (table_ == nullptr) return ForEachPacked(fn);
    table_->ForEach([&](const FieldView& field) {
      if (IsLive(field)) fn(ItemOf(field));
    });
  }
  // A step of SCAN: calls fn for about `count` fields from the cursor on (a packed hash: for all of
  // them) and returns where to go on, 0 at the end.
  template <typename Fn>
  uint64_t Scan(uint64_t cursor, size_t count, Fn&& fn) const {
    if (table_ == nullptr) {
      ForEachPacked(fn);
      return 0;
    }
    return table_->Scan(cursor, count, [&](const FieldView& field) {
      if (IsLive(field)) fn(ItemOf(field));
    });
  }

  // A random field, each with the same probability; nothing when none is live. `random` gives 64
  // random bits.
  std::optional<HashItem> Random(const std::function<uint64_t()>& random) const;
  // Whether drawing costs the same however many fields there are.
  bool DrawsInConstantTime() const { return table_ != nullptr && !MayHaveExpired(); }

 private:
  bool MayHaveExpired() const { return table_->earliest_expiry_ms() <= now_ms_; }
  bool IsLive(const FieldView& field) const {
    return !field.has_expiry() || *field.expiry_ms() > now_ms_;
  }
  static HashItem ItemOf(const FieldView& field);
  template <typename Fn>
  void ForEachPacked(Fn& fn) const {
    const ListpackView list(bytes_);
    for (size_t at = list.First(); at != list.End();) {
      HashItem item;
      item.field = list.Get(at);
      at = list.Next(at);
      item.value = list.Get(at);
      at = list.Next(at);
      fn(item);
    }
  }

  const FieldTable* table_ = nullptr;
  std::string_view bytes_;
  int64_t now_ms_;
};

class HashValue final {
 public:
  using OnSet = FieldTable::OnSet;

  // `entry` is what Find gave for the key, a hash or null.
  HashValue(Database& db, const KeyRef& key, Entry* entry) : db_(db), key_(key), entry_(entry) {}

  bool exists() const { return entry_ != nullptr; }
  // Only when it exists.
  HashView view() const { return HashView(*entry_, db_.now_ms()); }

  // Sets field, value, field, value …; returns how many fields are new.
  size_t Set(std::span<const std::string_view> pairs, OnSet on_set = OnSet::kDropExpiry);
  size_t Set(std::string_view field, std::string_view value, OnSet on_set = OnSet::kDropExpiry) {
    const std::string_view pair[] = {field, value};
    return Set(pair, on_set);
  }
  // True when the field was there and alive.
  bool Erase(std::string_view field);

  // Gives a field that is there a time at which it expires, which the sweep will know of, or
  // (kNoExpire) takes it away.
  void SetExpiry(std::string_view field, int64_t at_ms);

  // After all changes: notifies of what happened (`events`; empty ones are passed over) and of
  // fields that turned out to have expired, says that the key was modified if any of this is so,
  // and deletes it when no field is left.
  void Finish(std::initializer_list<std::string_view> events);

  // Removes what has expired among about `count` expiring fields from the cursor on; the cursor to
  // go on from, 0 at the end. Lowers `earliest_ms` to when the rest of them expires. The hash must
  // be a table.
  uint64_t ExpireSome(uint64_t cursor, size_t count, int64_t& earliest_ms);

 private:
  FieldTable* table() const { return entry_->object<FieldTable>(); }
  bool is_table() const { return entry_->encoding() == Encoding::kFieldTable; }
  bool empty() const;
  bool NeedsTable(std::span<const std::string_view> pairs) const;
  void CreateTable();
  void ConvertToTable();
  size_t SetPacked(std::span<const std::string_view> pairs);
  size_t SetInTable(std::span<const std::string_view> pairs, OnSet on_set);
  enum class Then : uint8_t { kSet, kErase };  // what is done to the field next
  bool DropIfExpired(uint64_t hash, std::string_view field, Then then);
  void RecordDrop(std::string_view field, Then then);

  Database& db_;
  const KeyRef& key_;
  Entry* entry_;
  uint64_t expired_ = 0;  // fields whose time had come, and which are gone
};

}  // namespace tidegate
