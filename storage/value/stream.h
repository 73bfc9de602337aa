// StreamValue: a log of entries, each a list of fields and values under an ID that only grows; and
// the consumer groups that read it.
//
// Entries are held in pages of Redis's layout (stream_page.h) under a tree by the ID of their first
// entry, so that a range begins in logarithmic time, an addition edits the last page, and trimming
// drops whole pages. The tree counts the entries that are not deleted. Pages fill up to
// stream-node-max-bytes and -entries.
//
// Invariants: no page is without a live entry; last_id() never falls; first_id() is that of the
// first live entry, zero when there is none. Owner: the slot of the key. Views of entries are valid
// until the next change.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "storage/memory/memory_allocator.h"
#include "storage/value/listpack.h"
#include "storage/value/packed_block.h"
#include "storage/value/page_tree.h"
#include "storage/value/stream_group.h"
#include "storage/value/stream_id.h"
#include "storage/value/stream_page.h"

namespace tidegate {

class StreamValue final {
 public:
  using Groups = std::map<std::string, StreamGroup, std::less<>,
                          MemoryAllocator<std::pair<const std::string, StreamGroup>>>;

  // When a page is full; 0: no limit.
  struct Limits {
    uint64_t page_bytes_max;
    uint64_t page_entries_max;
  };

  // What XTRIM and XADD ask for. `limit`: entries that may go at most; 0: any number.
  struct Trim {
    enum class By : uint8_t { kNothing, kLength, kId } by = By::kNothing;
    bool approximately = false;  // whole pages only
    uint64_t length_max = 0;
    StreamId id_min;
    uint64_t limit = 0;
  };

  static StreamValue* Create(uint32_t epoch);
  static void Destroy(StreamValue* stream) { (void)FreeSome(stream, SIZE_MAX); }
  // Frees about so many allocations; true when the stream is gone.
  static bool FreeSome(StreamValue* stream, size_t allocations);
  StreamValue* Clone() const;

  StreamValue(const StreamValue&) = delete;
  StreamValue& operator=(const StreamValue&) = delete;

  uint64_t length() const { return tree_.element_count(); }
  uint64_t page_count() const { return tree_.page_count(); }
  // Nodes of the tree in which Redis would hold the pages. Of a long stream only the first pages
  // are counted, and the others estimated by them.
  uint64_t RadixNodeCount() const;
  StreamId first_id() const { return first_id_; }
  StreamId last_id() const { return last_id_; }
  StreamId max_deleted_id() const { return max_deleted_id_; }
  // Entries that were ever added.
  uint64_t entries_added() const { return entries_added_; }
  size_t allocated_bytes() const;
  // The ID of the last entry that is still there; zero when there is none.
  StreamId LastLiveId() const;

  // The ID of the next entry that gets one from the clock; nothing when there is none left.
  std::optional<StreamId> NextId(int64_t now_ms) const;
  // `id` must be greater than last_id(); `fields` alternate with values.
  void Append(StreamId id, std::span<const std::string_view> fields, const Limits& limits);
  // At most so many entries are there from `first` to `last`: those of whole pages.
  uint64_t CountBetweenMax(StreamId first, StreamId last) const;
  // False: there is no such entry.
  bool Erase(StreamId id);
  // How many entries went.
  uint64_t TrimTo(const Trim& trim);
  // XSETID.
  void SetLastId(StreamId id) { last_id_ = id; }
  void SetEntriesAdded(uint64_t n) { entries_added_ = n; }
  void SetMaxDeletedId(StreamId id) { max_deleted_id_ = id; }

  bool Contains(StreamId id) const;

  Groups& groups() { return groups_; }
  const Groups& groups() const { return groups_; }
  StreamGroup* FindGroup(std::string_view name);

  // Whether entries from `from` on may have been deleted out of their order.
  bool HasGapsFrom(StreamId from) const;
  // How many entries came up to this one since the stream began; kEntriesReadUnknown.
  int64_t CountUpTo(StreamId id) const;
  // What a group has still to read; nothing when that is not known.
  std::optional<int64_t> LagOf(const StreamGroup& group) const;

  // Calls fn(StreamId, std::string_view listpack) for each page in order.
  template <typename Fn>
  void ForEachPage(Fn&& fn) const {
    for (PageTree::Path path = tree_.First(); path.valid();) {
      fn(PageAt(path).id(), BlockOf(path)->bytes());
      if (!tree_.Next(path)) return;
    }
  }

  // For cuts. Changes from now on are of this epoch.
  void set_epoch(uint32_t epoch) { epoch_ = epoch; }

  // For tests: ends the process when an invariant is broken.
  void Check() const;

 private:
  friend class StreamCursor;

  explicit StreamValue(uint32_t epoch) : epoch_(epoch) {}
  ~StreamValue() = default;

  static PackedBlock* BlockOf(const PageTree::Path& path) {
    return static_cast<PackedBlock*>(path.page());
  }
  StreamPage PageAt(const PageTree::Path& path) const {
    const PageKey key = tree_.KeyOf(path);
    return {ListpackView(BlockOf(path)->bytes()), {key.hi, key.lo}};
  }
  template <typename Fn>
  void Edit(PageTree::Path& path, Fn&& fn);
  void NewPage(StreamId id, std::span<const std::string_view> fields);
  void AppendToPage(PageTree::Path& path, const StreamPage& page, StreamId id,
                    std::span<const std::string_view> fields);
  void RemovePage(const PageTree::Path& path);
  void MarkDeleted(PageTree::Path& path, size_t at);
  bool PageGoesWhole(const PageTree::Path& path, const Trim& trim) const;
  uint64_t TrimPage(PageTree::Path& path, const Trim& trim);
  void FindFirstId();

  PageTree tree_;
  size_t page_bytes_ = 0;
  StreamId first_id_;
  StreamId last_id_;
  StreamId max_deleted_id_;
  uint64_t entries_added_ = 0;
  Groups groups_;
  uint32_t epoch_;
};

// Walks the live entries of [first, last] in either direction. Valid until the stream changes.
class StreamCursor final {
 public:
  enum class Direction : uint8_t { kForward, kBackward };

  StreamCursor(const StreamValue& stream, StreamId first, StreamId last,
               Direction direction = Direction::kForward);

  // The next entry, or nothing at the end.
  std::optional<StreamEntry> Next() {
    return direction_ == Direction::kForward ? NextForward() : NextBackward();
  }

 private:
  std::optional<StreamEntry> NextForward();
  std::optional<StreamEntry> NextBackward();
  void Enter();

  const StreamValue& stream_;
  StreamId first_;
  StreamId last_;
  Direction direction_;
  PageTree::Path path_;
  std::optional<StreamPage> page_;
  size_t at_ = 0;
};

}  // namespace tidegate
