// StoredState: what a slot remembers about one database's records on disk, beside its entries.
//
//   removed   tombstones: keys that have a record there and are gone here. A checkpoint deletes
//             the records; the tombstone leaves at the first cut after that, for until then
//             who reads the disk must look here first.
//   objects   keys whose values are stored as objects, and what of them is on disk. Few: an object
//             is a large value.
//
// A table of its own, so that nobody who looks at keys meets a tombstone. A tombstone is an entry
// without a value (Entry::removed) and has the same bits as others: dirty, in flight, cut mark.
// Only where changes are tracked for checkpoints. Owner: SlotExtras; needs the slot's lock, or the
// gate.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>

#include "base/hash.h"
#include "storage/keyspace/entry.h"
#include "storage/keyspace/stored_object.h"
#include "storage/keyspace/table.h"
#include "storage/memory/memory.h"

namespace tidegate {

class StoredState final {
 public:
  StoredState() = default;
  ~StoredState() { Drop(removed_); }
  StoredState(const StoredState&) = delete;
  StoredState& operator=(const StoredState&) = delete;
  StoredState(StoredState&& other) noexcept { *this = std::move(other); }
  StoredState& operator=(StoredState&& other) noexcept {
    std::swap(removed_, other.removed_);
    std::swap(objects_, other.objects_);
    return *this;
  }

  const Table& removed() const { return removed_; }
  Entry* FindRemoved(uint64_t hash, std::string_view key) const { return removed_.Find(hash, key); }

  // The key must not be there.
  Entry* AddRemoved(uint64_t hash, std::string_view key) {
    const size_t bytes = Entry::BytesFor(key.size(), 0, false, false);
    Entry* tombstone = Entry::Format(MemoryAllocate(bytes), key, Entry::kRemovedType,
                                     Encoding::kEmbedded, 0, false);
    removed_.Insert(hash, tombstone);
    return tombstone;
  }
  void EraseRemoved(uint64_t hash, Entry* tombstone) {
    removed_.Remove(hash, tombstone);
    MemoryFree(tombstone, tombstone->allocated_bytes());
  }
  // The table is the caller's.
  Table TakeRemoved() { return std::exchange(removed_, Table{}); }

  // May be none.
  StoredObject TakeObject(std::string_view key) {
    const auto found = objects_.find(std::string(key));
    if (found == objects_.end()) return {};
    const StoredObject object = found->second;
    objects_.erase(found);
    return object;
  }
  StoredObject ObjectOf(std::string_view key) const {
    const auto found = objects_.find(std::string(key));
    return found == objects_.end() ? StoredObject{} : found->second;
  }
  void SetObject(std::string_view key, const StoredObject& object) {
    objects_[std::string(key)] = object;
  }
  void ForgetObjects() { objects_.clear(); }

 private:
  static void Drop(Table& table) {
    table.ForEach([](Entry& entry) { MemoryFree(&entry, entry.allocated_bytes()); });
    table.Release();
    table = Table{};
  }

  Table removed_;
  std::unordered_map<std::string, StoredObject> objects_;
};

}  // namespace tidegate
