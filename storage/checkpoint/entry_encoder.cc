#include "storage/checkpoint/entry_encoder.h"

#include <algorithm>

#include "base/hash.h"
#include "storage/checkpoint/checkpoint_items.h"
#include "storage/checkpoint/data_key.h"
#include "storage/checkpoint/stored_record.h"
#include "storage/checkpoint/table_parts.h"
#include "storage/rdb/rdb_value_writer.h"
#include "storage/value/value_object.h"

namespace tidegate {

void EntryEncoder::AppendEntryKeyOf(const Entry& entry) {
  const std::string_view key = entry.key();
  AppendEntryKey(items_, database_, KeySlot(key), KeyHash(key), key);
}

StoredObject EntryEncoder::Encode(uint32_t database, const Entry& entry, const StoredObject& old) {
  database_ = database;
  object_ = {};
  if (entry.removed()) {
    ItemMaker item(items_, ItemKind::kDelete);
    AppendEntryKeyOf(entry);
    item.EndKey();
    item.End();
    return {};
  }
  FieldTable* table = entry.embedded() ? nullptr : FieldTableOf(entry);
  if (old && entry.object_is_current() && IsSaved(old)) {
    object_ = old;
  } else if (table != nullptr && table->allocated_bytes() > kTableInPartsBytesMin.count) {
    EncodeTable(*table, old);
  } else {
    EncodeWhole(entry);
  }
  AppendRecord(entry);
  return object_;
}

void EntryEncoder::AppendRecord(const Entry& entry) {
  ItemMaker item(items_, ItemKind::kPut);
  AppendEntryKeyOf(entry);
  item.EndKey();
  AppendRecordHead(items_, entry, object_);
  if (object_) {
    AppendObjectReference(items_, object_);
  } else {
    items_.append(value_);
  }
  item.End();
}

void EntryEncoder::EncodeWhole(const Entry& entry) {
  value_.clear();
  rdb::RdbWriter writer(value_, *this, /*compress=*/false);
  rdb::WriteValue(entry, {.now_ms = 0}, writer);
  if (!object_ && value_.size() <= kInlineBytesMax.count) return;
  Drain(value_);
  if (!value_.empty()) AppendPart(value_);
}

// The changes, where the table is on disk already, or will be when what has failed succeeds.
void EntryEncoder::EncodeTable(FieldTable& table, const StoredObject& old) {
  const bool fresh =
      !old || !old.by_hash || table.object() != old.id || !TablePartBitsFit(table, old.part_bits);
  if (fresh) {
    BeginObject();
    object_.by_hash = true;
    object_.part_bits = TablePartBits(table);
    table.BeginObject(object_.id);
  } else {
    object_ = old;
    if (IsSaved(old)) table.NoteSaved();
  }
  object_.rdb_type = TableRdbType(table);
  object_.size = table.size();
  object_.attempt = attempt_.number;
  ForEachChangedPart(table, object_.part_bits,
                     [&](uint32_t part) { EncodePart(table, part, fresh); });
  table.NoteWritten();
}

void EntryEncoder::EncodePart(const FieldTable& table, uint32_t part, bool fresh) {
  uint32_t pieces = 0;
  if (EncodeTablePart(table, object_.part_bits, part, value_)) {
    const std::string_view bytes = value_;
    for (size_t at = 0; at < bytes.size(); at += kObjectPartBytes.count)
      AppendPiece(part, pieces++, bytes.substr(at, kObjectPartBytes.count));
  } else if (!fresh) {
    ItemMaker item(items_, ItemKind::kDelete);
    AppendObjectKey(items_, object_.id, part);
    item.EndKey();
    item.End();
  }
  if (object_.has_pieces && !fresh) {
    ItemMaker item(items_, ItemKind::kDeleteRest);
    AppendPieceKey(items_, object_.id, part, std::max(pieces, 1u));
    item.EndKey();
    item.End();
  }
  if (pieces > 1) object_.has_pieces = true;
}

void EntryEncoder::BeginObject() {
  object_ = {};
  object_.id = ObjectId(database_, serials_.fetch_add(1, std::memory_order_relaxed));
  object_.attempt = attempt_.number;
}

// What makes whole parts.
void EntryEncoder::Drain(std::string& buffer) {
  size_t at = 0;
  for (; buffer.size() - at >= kObjectPartBytes.count; at += kObjectPartBytes.count)
    AppendPart(std::string_view(buffer).substr(at, kObjectPartBytes.count));
  buffer.erase(0, at);
}

void EntryEncoder::AppendPart(std::string_view bytes) {
  if (!object_) {
    BeginObject();
    object_.rdb_type = static_cast<uint8_t>(bytes[0]);
  }
  object_.size += bytes.size();
  AppendPiece(object_.parts++, 0, bytes);
}

void EntryEncoder::AppendPiece(uint32_t part, uint32_t piece, std::string_view bytes) {
  ItemMaker item(items_, ItemKind::kPut);
  AppendPieceKey(items_, object_.id, part, piece);
  item.EndKey();
  items_.append(bytes);
  item.End();
  if (on_part_) on_part_();
}

}  // namespace tidegate
