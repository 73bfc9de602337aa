// EntryEncoder: an entry as items of a checkpoint: a record, or the deletion of one for a
// tombstone; and of a large value what has to be written of its object.
//
//   the object on disk is the value     a record that names it
//   a table, in parts (table_parts.h)   the parts that have changed, and the record
//   any other large value               all of it, under a fresh id, and the record
//
// A value is encoded once, into a buffer, and cut into parts while it grows: so one of a gigabyte
// takes as much memory here as the items that nobody has taken yet. All its fields and elements
// are written, whatever the time. Says to the table what has been written of it. Needs the slot's
// lock of the entry. Owner: one thread.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <string>
#include <utility>

#include "storage/keyspace/entry.h"
#include "storage/keyspace/stored_object.h"
#include "storage/rdb/rdb_writer.h"

namespace tidegate {

class FieldTable;

// Checkpoints are numbered from 1 on since the start, also those that fail.
struct CheckpointAttempt {
  uint32_t number = 1;
  uint32_t saved = 0;  // the last one that succeeded
};

class EntryEncoder final : private rdb::RdbSink {
 public:
  // Appends to `items`. `serials`: of objects, the next one that was never used. `on_part`: called
  // behind each part of an object, and may take all items there are.
  EntryEncoder(std::string& items, std::atomic<uint64_t>& serials, CheckpointAttempt attempt,
               std::function<void()> on_part = nullptr)
      : items_(items), serials_(serials), attempt_(attempt), on_part_(std::move(on_part)) {}

  // `old`: as what the value was stored before. Returns the object that holds it now; may be none.
  StoredObject Encode(uint32_t database, const Entry& entry, const StoredObject& old);

 private:
  void EncodeWhole(const Entry& entry);
  void EncodeTable(FieldTable& table, const StoredObject& old);
  void EncodePart(const FieldTable& table, uint32_t part, bool fresh);
  void AppendRecord(const Entry& entry);
  bool IsSaved(const StoredObject& object) const { return object.attempt <= attempt_.saved; }
  void BeginObject();
  void Drain(std::string& buffer) override;
  void AppendPart(std::string_view bytes);
  void AppendPiece(uint32_t part, uint32_t piece, std::string_view bytes);
  void AppendEntryKeyOf(const Entry& entry);

  std::string& items_;
  std::atomic<uint64_t>& serials_;
  const CheckpointAttempt attempt_;
  const std::function<void()> on_part_;
  std::string value_;
  // Of the entry that is encoded.
  uint32_t database_ = 0;
  StoredObject object_;
};

}  // namespace tidegate
