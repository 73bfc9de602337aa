// StreamPage: some entries of a stream, in one listpack of Redis's layout.
//
//   master:  | count | deleted | fields n | field 1 | … | field n | 0 |
//   entry:   | flags | ms - master's | seq - master's | value 1 | … | value n | pieces |
//   or       | flags | ms - master's | seq - master's | fields m | field | value | … | pieces |
//
// The master entry holds the fields of the first entry; those that have the same ones leave them
// out, which is most of a stream of one kind of events. IDs are differences to the page's own ID,
// which is that of its first entry and its key in the tree. `pieces` is how many elements to go
// back to the flags, so that a page can be read from its end. An entry that is deleted is only
// marked, and the page goes with its last entry.
//
// The layout is Redis's byte for byte, so that DUMP and RDB files can carry pages as they are. This
// class reads; StreamValue writes. Borrows the listpack.
#pragma once

#include <cstdint>

#include "storage/value/listpack_view.h"
#include "storage/value/stream_id.h"

namespace tidegate {

struct StreamEntryFlags {
  static constexpr int64_t kNone = 0;
  static constexpr int64_t kDeleted = 1;
  static constexpr int64_t kSameFields = 2;
};

// One entry, where it stands in its page. Valid as long as the page is not changed.
struct StreamEntry {
  StreamId id;
  ListpackView page;
  size_t at = 0;  // of its flags
  int64_t flags = 0;
  uint64_t field_count = 0;
  size_t fields_at = 0;  // of the master's fields, or of its own, which alternate with the values
  size_t values_at = 0;
  size_t next = 0;  // what is behind it

  explicit StreamEntry(ListpackView view) : page(view) {}
  bool deleted() const { return (flags & StreamEntryFlags::kDeleted) != 0; }
  bool same_fields() const { return (flags & StreamEntryFlags::kSameFields) != 0; }

  // Calls fn(ListpackValue field, ListpackValue value) for each pair.
  template <typename Fn>
  void ForEachField(Fn&& fn) const {
    size_t field = fields_at;
    size_t value = values_at;
    for (uint64_t i = 0; i < field_count; ++i) {
      fn(page.Get(field), page.Get(value));
      field = same_fields() ? page.Next(field) : page.Next(value);
      if (i + 1 < field_count) value = page.Next(same_fields() ? value : field);
    }
  }
};

class StreamPage final {
 public:
  StreamPage(ListpackView view, StreamId id);

  StreamId id() const { return id_; }
  const ListpackView& view() const { return view_; }
  uint64_t count() const { return count_; }
  uint64_t deleted() const { return deleted_; }
  uint64_t field_count() const { return field_count_; }
  size_t count_at() const { return view_.First(); }
  size_t deleted_at() const { return view_.Next(view_.First()); }
  size_t fields_at() const { return fields_at_; }

  // for (at = Begin(); at != End(); at = entry.next) { entry = Read(at); … }, deleted ones among
  // them.
  size_t Begin() const { return begin_; }
  size_t End() const { return view_.End(); }
  StreamEntry Read(size_t at) const;
  // The entry in front of this one, or of End(); there must be one.
  size_t Before(size_t at) const;

 private:
  uint64_t Number(size_t at) const { return static_cast<uint64_t>(view_.Get(at).integer()); }

  ListpackView view_;
  StreamId id_;
  uint64_t count_;
  uint64_t deleted_;
  uint64_t field_count_;
  size_t fields_at_;
  size_t begin_;
};

}  // namespace tidegate
