// ListValue: the list in a key, whichever way it is held: a listpack in its entry or in a block, or
// a PagedList.
//
// Handlers of commands say what they want of the list and nothing about how it is held. A list
// becomes paged when an addition would take it over list-max-listpack-size, and packed again when
// what is left fits into half of that, as in Redis 7.2, so that a list around the limit does not go
// back and forth. Made on the stack for one command; `entry` may be null, then the first addition
// creates the key. Commit() after the changes: it says Modified once, and deletes the key of a list
// that is empty now. Views of elements are valid until the next change; values to add must not
// borrow from this list. Needs the slot's lock.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "storage/keyspace/database.h"
#include "storage/keyspace/entry_buffer.h"
#include "storage/value/paged_list.h"

namespace tidegate {

class ListValue final {
 public:
  // `entry`: of type list, or null.
  ListValue(Database& db, const KeyRef& key, Entry* entry) : db_(db), key_(key), entry_(entry) {}
  // A new list in place of whatever the key holds, from the first addition on; `existing`: what
  // Find gave for it, or null.
  static ListValue Instead(Database& db, const KeyRef& key, Entry* existing) {
    return {db, key, nullptr, existing};
  }
  ListValue(const ListValue&) = delete;
  ListValue& operator=(const ListValue&) = delete;

  bool exists() const { return entry_ != nullptr; }
  uint64_t size() const {
    if (entry_ == nullptr) return 0;
    return paged() ? pages().size() : packed().count();
  }

  // Calls fn(ListpackValue) for the elements from this index on, towards the tail or the head,
  // until it returns false.
  template <typename Fn>
  void Visit(uint64_t from, Fn&& fn) const {
    if (entry_ == nullptr) return;
    if (paged()) return pages().Visit(from, fn);
    const ListpackView list = packed();
    for (size_t at = list.Seek(static_cast<int64_t>(from)); at != list.End(); at = list.Next(at)) {
      if (!fn(list.Get(at))) return;
    }
  }
  template <typename Fn>
  void VisitBackward(uint64_t from, Fn&& fn) const {
    if (entry_ == nullptr) return;
    if (paged()) return pages().VisitBackward(from, fn);
    const ListpackView list = packed();
    for (size_t at = list.Seek(static_cast<int64_t>(from)); at != list.End(); at = list.Prev(at)) {
      if (!fn(list.Get(at))) return;
    }
  }
  // The element at an index below size().
  ListpackValue Get(uint64_t index) const;

  // Adds them one after the other, so that the last one is at the end.
  void Push(ListEnd end, std::span<const std::string_view> texts);
  void Push(ListEnd end, const ListpackValue& value);
  // Takes up to `n` elements off an end.
  void Pop(ListEnd end, uint64_t n);
  void Set(uint64_t index, std::string_view text);
  // `index` may be size().
  void InsertBefore(uint64_t index, std::string_view text);
  // Takes out `n` elements, which must be there.
  void Erase(uint64_t from, uint64_t n);
  // Takes out up to `max` elements of this text, looking from one end; returns how many.
  uint64_t EraseMatches(std::string_view text, ListEnd from, uint64_t max);

  // After changes. True when the list is empty and its key gone.
  bool Commit();

 private:
  ListValue(Database& db, const KeyRef& key, Entry* entry, Entry* replaced)
      : db_(db), key_(key), entry_(entry), replaced_(replaced) {}

  // What list-max-listpack-size says: when a list is packed, and how pages are filled.
  struct Shape {
    size_t packed_bytes_max;
    uint64_t packed_entries_max;
    PagedList::Limits page;
  };
  Shape shape() const;

  bool paged() const { return entry_->encoding() == Encoding::kPagedList; }
  ListpackView packed() const { return ListpackView(PackedBytes(*entry_)); }
  PagedList& pages() const { return *entry_->object<PagedList>(); }
  // Makes the list paged when so much more would not fit.
  void MakeRoom(const Shape& shape, size_t bytes, size_t entries);
  void PushPaged(ListEnd end, std::span<const std::string_view> texts, const Shape& shape);
  void PrependPacked(std::span<const std::string_view> texts);
  void CreateWith(ListEnd end, std::span<const std::string_view> texts, const Shape& shape);
  void PackIfSmall();

  Database& db_;
  const KeyRef& key_;
  Entry* entry_;
  Entry* replaced_ = nullptr;  // what the first addition takes the place of
};

}  // namespace tidegate
