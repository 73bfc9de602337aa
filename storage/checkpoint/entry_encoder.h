// EntryEncoder: an entry as items of a checkpoint: a record, or the deletion of one for a
// tombstone, or, of a large value, its parts under a fresh object id and a record that names it.
//
// A value is encoded once, into a buffer, and cut into parts while it grows: so one of a gigabyte
// takes as much memory here as the items that nobody has taken yet. All its fields and elements
// are written, whatever the time. Needs the slot's lock of the entry. Owner: one thread.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <string>
#include <utility>

#include "storage/keyspace/entry.h"
#include "storage/rdb/rdb_writer.h"

namespace tidegate {

class EntryEncoder final : private rdb::RdbSink {
 public:
  // Appends to `items`. `serials`: of objects, the next one that was never used. `on_part`: called
  // behind each part of an object, and may take all items there are.
  EntryEncoder(std::string& items, std::atomic<uint64_t>& serials,
               std::function<void()> on_part = nullptr)
      : items_(items), serials_(serials), on_part_(std::move(on_part)) {}

  // Returns the id of the object that holds the value; 0: none.
  uint64_t Encode(uint32_t database, const Entry& entry);

 private:
  void Drain(std::string& buffer) override;
  void AppendPart(std::string_view bytes);
  void AppendEntryKeyOf(const Entry& entry);

  std::string& items_;
  std::atomic<uint64_t>& serials_;
  const std::function<void()> on_part_;
  std::string value_;
  // Of the entry that is encoded.
  uint32_t database_ = 0;
  uint64_t object_ = 0;
  uint32_t parts_ = 0;
  uint64_t bytes_ = 0;
  uint8_t rdb_type_ = 0;
};

}  // namespace tidegate
