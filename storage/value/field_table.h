// FieldTable: many fields under one key. The large encoding of hashes and sets, and the index from
// member to score of large sorted sets.
//
//   FieldTable --> directory (field_directory.h) --> pages (field_page.h) --> items (field_item.h)
//                  nodes of <= 512 references        <= 4 KiB each            field, value, expiry
//
// A field's hash leads through one or two nodes to a page, and within the page to the slot with its
// tag. Everything is in the order of the hash, which is what makes SCAN's cursor a position that
// means the same whatever the table did in between.
//
// Why not a hash table of allocated fields, as the keyspace is (table.h): a key's entry is worth an
// allocation of its own, a field of ten bytes is not. Here a field costs its bytes, four bytes of
// slot, one or two of lengths, and its share of what pages leave free, all in all about twelve more
// than its bytes. A page is also what snapshots copy, what is written when it changed, and what is
// freed at a time, so that nothing is ever done for the whole table at once.
//
// Invariants: no operation does more than a page's or a node's worth of work (4 KiB copied, a few
// microseconds), whatever the table's size; but for fields above 1 KiB, which cost their bytes, and
// fields whose hashes share 32 bits, which are searched one page after the other. Memory follows
// the number of fields down as well as up. Every change stamps its page, or the one that takes its
// place, with the table's epoch: that is how a checkpoint finds what it has to write.
//
// Pages grow by whole KiB, split at 3 or 4 KiB, which differs from page to page lest all split at
// the same time, and merge when two would fill a little over half a page together. Finer sizes
// waste less within pages, and more between them: when all pages of a table outgrow a size, some of
// it stays behind everywhere (measured at 2 million fields: 56 resident bytes a field with steps of
// 1.14 to 1.25, 48 with these).
//
// Owner: the slot of its key; every call needs its lock. Arguments must not be views into the table
// itself, but the field that is to be erased may. Cost at 2 million fields: a look-up misses the
// cache about three times (the node's entry, the slot, the item); see
// tests/bench/field_table_bench.cc.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <optional>
#include <string_view>

#include "base/hash.h"
#include "storage/value/field_directory.h"
#include "storage/value/field_item.h"
#include "storage/value/field_page.h"

namespace tidegate {

class FieldTable final {
 public:
  // What becomes of a field's expiry when its value is set.
  enum class OnSet : uint8_t { kDropExpiry, kKeepExpiry };

  static constexpr int64_t kNoExpiry = std::numeric_limits<int64_t>::max();

  // An empty table; given back to Destroy or FreeSome by its owner. `hash` is for tests.
  static FieldTable* Create(FieldValues values, FieldHash hash = KeyHash);
  static void Destroy(FieldTable* table);
  // Frees about so many allocations of the table; true when it is gone altogether. Nothing else may
  // be called in between. For a background thread.
  static bool FreeSome(FieldTable* table, size_t allocations);
  // A deep copy, with the epochs of its pages.
  FieldTable* Clone() const;
  // All fields in a table of their own, for freeing elsewhere; this one is empty then. O(1).
  FieldTable* TakeAll();

  FieldTable(const FieldTable&) = delete;
  FieldTable& operator=(const FieldTable&) = delete;

  FieldValues values() const { return values_; }
  uint64_t size() const { return size_; }
  // Moves pages that lie where memory is sparse (memory.h): looks at so many, from this hash on (0
  // first), and returns the hash to go on from; 0: through.
  uint64_t CompactSome(uint64_t from_hash, size_t pages_max);
  // Memory that the table takes, as MemoryUsedBytes counts it.
  size_t allocated_bytes() const { return sizeof(FieldTable) + allocated_bytes_; }

  // Look-up. Calls with a hash want what Hash says of the field.
  uint64_t Hash(std::string_view field) const { return hash_(field); }
  FieldView Find(uint64_t hash, std::string_view field) const;
  FieldView Find(std::string_view field) const { return Find(hash_(field), field); }
  // Brings near what Find will look at first; and, called a little later, the item that it will
  // probably find.
  void Prefetch(uint64_t hash) const;
  void PrefetchItem(uint64_t hash) const;

  // Sets the value of a field; true when the field is new. In place when the size is the same.
  // Set: kBytes. SetNumber: kDouble. Add: kNone.
  bool Set(uint64_t hash, std::string_view field, std::string_view value,
           OnSet on_set = OnSet::kDropExpiry);
  bool Set(std::string_view field, std::string_view value, OnSet on_set = OnSet::kDropExpiry) {
    return Set(hash_(field), field, value, on_set);
  }
  bool SetNumber(uint64_t hash, std::string_view field, double number);
  bool SetNumber(std::string_view field, double number) {
    return SetNumber(hash_(field), field, number);
  }
  bool Add(uint64_t hash, std::string_view field);
  bool Add(std::string_view field) { return Add(hash_(field), field); }

  // True when the field was there.
  bool Erase(uint64_t hash, std::string_view field);
  bool Erase(std::string_view field) { return Erase(hash_(field), field); }

  // Unix time in milliseconds at which the field expires, or none. False when there is no such
  // field. The table itself removes nothing and finds expired fields like others.
  bool SetExpiry(uint64_t hash, std::string_view field, std::optional<int64_t> expiry_ms);
  bool SetExpiry(std::string_view field, std::optional<int64_t> expiry_ms) {
    return SetExpiry(hash_(field), field, expiry_ms);
  }
  // Fields with an expiry, and a time before which none of them expires: kNoExpiry when there are
  // none. Removals leave it as it is; a sweep raises it, which looks at all expiring fields, maybe
  // with changes in between, and then says when the earliest of those expires that it left.
  uint64_t expires() const { return expires_; }
  int64_t earliest_expiry_ms() const { return earliest_expiry_ms_; }
  void BeginSweep() { earliest_set_in_sweep_ms_ = kNoExpiry; }
  void EndSweep(int64_t earliest_seen_ms) {
    if (expires_ > 0) {
      earliest_expiry_ms_ = std::min(earliest_seen_ms, earliest_set_in_sweep_ms_);
    }
    earliest_set_in_sweep_ms_ = 0;
  }

  // SCAN. Visits about `count` fields from the cursor on, and returns the cursor of the next call;
  // 0 begins, and 0 means through. A field that is there from the first call to the last is visited
  // at least once, whatever else comes and goes between calls. Cursors are below 2^48 and outlive
  // any change. The visitor must not change the table.
  using Visitor = std::function<void(const FieldView&)>;
  uint64_t Scan(uint64_t cursor, size_t count, const Visitor& visit) const;
  // The same over fields that have an expiry; pages without one are passed over, of which a call
  // looks at about `count`, too.
  uint64_t ScanExpiring(uint64_t cursor, size_t count, const Visitor& visit) const;

  // A field, each with the same probability; empty when there is none. `random` gives 64 random
  // bits, a handful of times.
  FieldView Random(const std::function<uint64_t()>& random) const;

  // All fields in the order of SCAN, which stays the same as long as nothing changes.
  template <typename Fn>
  void ForEach(Fn&& fn) const {
    Iterator it(*this);
    while (const FieldView field = it.Next()) fn(field);
  }

  // Walks fields in that order, page by page; valid until the table changes. To go on after a
  // change, stop AtPageEnd() and begin again at cursor().
  class Iterator final {
   public:
    explicit Iterator(const FieldTable& table, uint64_t cursor = 0) : root_(table.root_) {
      Enter(cursor << 16);
    }
    // The next field, or an empty view at the end.
    FieldView Next() {
      while (index_ == page_->count) {
        if (!NextPage()) return {};
      }
      return page_->view(index_++);
    }
    // Passes over the rest of the page. False at the end.
    bool NextPage();
    const FieldPage& page() const { return *page_; }
    // True when Next() would go to another page; never between pages that are chained.
    bool AtPageEnd() const { return index_ == page_->count && page_->next == nullptr; }
    // Where the fields behind this page begin; 0 when there are none.
    uint64_t cursor() const { return behind_ >> 16; }

   private:
    void Enter(uint64_t position);

    PageRef root_;
    const FieldPage* page_ = nullptr;
    uint64_t behind_ = 0;
    uint32_t from_tag_ = 0;
    uint32_t index_ = 0;
  };

  // Changes from now on are of this epoch.
  void set_epoch(uint32_t epoch) { epoch_ = epoch; }
  uint32_t epoch() const { return epoch_; }

  // For checkpoints, which write the table in parts, and then those in which something has changed
  // (checkpoint/table_parts.h). The object on disk that the parts are of; 0: none.
  uint64_t object() const { return object_; }
  // It will be that one, of which nothing is written yet.
  void BeginObject(uint64_t object) {
    object_ = object;
    saved_below_ = 0;
  }
  // Everything has been written as it is now; and what was written is known to be on disk.
  void NoteWritten() { ++epoch_; }
  void NoteSaved() { saved_below_ = epoch_; }
  // Calls visit with the stretches of the hash that may have changed since what is on disk: with
  // the first hash and the last, in ascending order, page by page.
  using StretchVisitor = std::function<void(uint64_t first, uint64_t last)>;
  void ForEachUnsaved(const StretchVisitor& visit) const;
  // The fields whose hashes lie in a stretch.
  void VisitStretch(uint64_t first, uint64_t last, const Visitor& visit) const;

 private:
  struct Spot {
    FieldPage* page = nullptr;
    uint32_t index = 0;
  };

  explicit FieldTable(FieldValues values, FieldHash hash);
  ~FieldTable() = default;
  Spot Locate(uint64_t hash, std::string_view field) const;

  // field_table.cc
  bool Put(uint64_t hash, std::string_view field, std::string_view value, OnSet on_set);
  void Insert(uint64_t hash, std::string_view field, std::string_view value,
              std::optional<int64_t> expiry_ms);
  bool OverwriteInPlace(Spot spot, std::string_view field, std::string_view value, OnSet on_set);
  void DropExpiry(Spot spot);
  void CountExpiry(int64_t expiry_ms);
  void NoteExpiry(int64_t expiry_ms) {
    earliest_expiry_ms_ = std::min(earliest_expiry_ms_, expiry_ms);
    earliest_set_in_sweep_ms_ = std::min(earliest_set_in_sweep_ms_, expiry_ms);
  }
  void UncountExpiry();
  void FreeLarge(LargeField* large);

  // field_table_shape.cc: what moves pages
  char* MakeRoom(uint64_t hash, uint32_t flags, size_t bytes);
  void GrowOrSplit(const PagePath& path, uint64_t hash, size_t bytes);
  void Split(uint64_t hash);
  FieldPage* RoomInChain(const PagePath& path, size_t bytes);
  void EraseSlot(const PagePath& path, Spot spot);
  void Tidy(uint64_t hash, const FieldPage& page);
  void TidyChain(const PagePath& path);
  bool TryMerge(uint64_t hash, size_t& moved);
  FieldPage* Resized(FieldPage* page, size_t capacity);
  FieldPage* Adopted(FieldPage* page);
  void Discard(FieldPage* page);
  PageRef CloneRef(PageRef ref);
  FieldPage* ClonePage(const FieldPage& page);

  PageRef root_;
  uint64_t size_ = 0;
  uint64_t expires_ = 0;
  int64_t earliest_expiry_ms_ = kNoExpiry;
  // 0 while nobody sweeps: then the end of a sweep that began with another table raises nothing.
  int64_t earliest_set_in_sweep_ms_ = 0;
  size_t allocated_bytes_ = 0;
  uint64_t freed_to_ = 0;  // FreeSome: hashes below are gone
  uint64_t object_ = 0;
  FieldHash hash_;
  uint32_t epoch_ = 0;
  uint32_t saved_below_ = 0;  // pages of earlier epochs are in the object
  FieldValues values_;
  bool freeing_ = false;
};

}  // namespace tidegate
