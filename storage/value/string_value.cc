#include "storage/value/string_value.h"

#include <cstring>

#include "base/text.h"
#include "storage/keyspace/database.h"

namespace tidegate {
namespace {

// Longest text that OBJECT ENCODING calls embstr. As Redis's OBJ_ENCODING_EMBSTR_SIZE_LIMIT.
constexpr size_t kEmbstrBytesMax = 44;

}  // namespace

void ReplyStringRange(ReplyWriter& reply, const Entry& entry, size_t offset, size_t size) {
  if (entry.embedded()) return reply.Bulk(entry.value().substr(offset, size));
  reply.BeginBulk(size);
  entry.object<ChunkedString>()->Visit(
      offset, size, [&reply](size_t, std::string_view piece) { reply.BulkPart(piece); });
  reply.EndBulk();
}

void ReadStringRange(const Entry& entry, size_t offset, size_t size, char* out) {
  if (entry.embedded()) {
    std::memcpy(out, entry.value().data() + offset, size);
  } else {
    entry.object<ChunkedString>()->Read(offset, size, out);
  }
}

std::string_view StringContents(const Entry& entry, std::string& scratch) {
  if (entry.embedded()) return entry.value();
  scratch.resize(StringLength(entry));
  ReadStringRange(entry, 0, scratch.size(), scratch.data());
  return scratch;
}

uint8_t StringByte(const Entry* entry, size_t offset) {
  if (entry == nullptr || offset >= StringLength(*entry)) return 0;
  if (entry->embedded()) return static_cast<uint8_t>(entry->value()[offset]);
  char byte = 0;
  entry->object<ChunkedString>()->Read(offset, 1, &byte);
  return static_cast<uint8_t>(byte);
}

Entry* GrowString(Database& db, const KeyRef& key, Entry* entry, size_t bytes) {
  if (entry == nullptr || (entry->embedded() && StringLength(*entry) < bytes)) {
    entry = db.ResizeString(key, entry, bytes);
  } else if (StringLength(*entry) < bytes) {
    entry->object<ChunkedString>()->Resize(bytes);
  }
  entry->set_raw(true);
  return entry;
}

void OverwriteString(Entry& entry, size_t offset, std::string_view bytes) {
  TG_DCHECK(offset + bytes.size() <= StringLength(entry));
  if (entry.embedded()) {
    std::memcpy(entry.value_data() + offset, bytes.data(), bytes.size());
  } else {
    entry.object<ChunkedString>()->Write(offset, bytes);
  }
}

Entry* WriteStringRange(Database& db, const KeyRef& key, Entry* entry, size_t offset,
                        std::string_view bytes) {
  if (entry == nullptr || entry->embedded()) {
    entry = GrowString(db, key, entry, offset + bytes.size());
    OverwriteString(*entry, offset, bytes);
  } else {
    // Grows by itself, without the zeros that Resize would write first.
    entry->object<ChunkedString>()->Write(offset, bytes);
    entry->set_raw(true);
  }
  db.Modified(key);
  return entry;
}

std::string_view StringEncodingName(const Entry& entry) {
  if (entry.raw()) return "raw";
  const size_t size = StringLength(entry);
  if (size > kEmbstrBytesMax) return "raw";
  char text[kEmbstrBytesMax];
  ReadStringRange(entry, 0, size, text);
  if (!entry.plain_text() && ParseInt64({text, size})) return "int";
  return "embstr";
}

}  // namespace tidegate
