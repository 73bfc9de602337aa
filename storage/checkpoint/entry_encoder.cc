#include "storage/checkpoint/entry_encoder.h"

#include "base/hash.h"
#include "storage/checkpoint/checkpoint_items.h"
#include "storage/checkpoint/data_key.h"
#include "storage/checkpoint/stored_record.h"
#include "storage/rdb/rdb_value_writer.h"

namespace tidegate {

void EntryEncoder::AppendEntryKeyOf(const Entry& entry) {
  const std::string_view key = entry.key();
  AppendEntryKey(items_, database_, KeySlot(key), KeyHash(key), key);
}

uint64_t EntryEncoder::Encode(uint32_t database, const Entry& entry) {
  database_ = database;
  object_ = 0;
  if (entry.removed()) {
    ItemMaker item(items_, ItemKind::kDelete);
    AppendEntryKeyOf(entry);
    item.EndKey();
    item.End();
    return 0;
  }
  parts_ = 0;
  bytes_ = 0;
  value_.clear();
  rdb::RdbWriter writer(value_, *this, /*compress=*/false);
  rdb::WriteValue(entry, {.now_ms = 0}, writer);
  const bool is_object = object_ != 0 || value_.size() > kInlineBytesMax.count;
  if (is_object) {
    Drain(value_);
    if (!value_.empty()) AppendPart(value_);
  }
  ItemMaker item(items_, ItemKind::kPut);
  AppendEntryKeyOf(entry);
  item.EndKey();
  AppendRecordHead(items_, entry, is_object);
  if (is_object) {
    AppendObjectReference(items_, object_, parts_, bytes_, rdb_type_);
  } else {
    items_.append(value_);
  }
  item.End();
  return object_;
}

// What makes whole parts.
void EntryEncoder::Drain(std::string& buffer) {
  size_t at = 0;
  for (; buffer.size() - at >= kObjectPartBytes.count; at += kObjectPartBytes.count)
    AppendPart(std::string_view(buffer).substr(at, kObjectPartBytes.count));
  buffer.erase(0, at);
}

void EntryEncoder::AppendPart(std::string_view bytes) {
  if (object_ == 0) {
    object_ = ObjectId(database_, serials_.fetch_add(1, std::memory_order_relaxed));
    rdb_type_ = static_cast<uint8_t>(bytes[0]);
  }
  ItemMaker item(items_, ItemKind::kPut);
  AppendObjectKey(items_, object_, parts_++);
  item.EndKey();
  items_.append(bytes);
  item.End();
  bytes_ += bytes.size();
  if (on_part_) on_part_();
}

}  // namespace tidegate
