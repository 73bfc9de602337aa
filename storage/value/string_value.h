// Reading and changing string values, whichever way they are held: embedded in the entry, or in
// chunks.
//
// Everything branches on embedded first, because nearly every value of a cache is; that path is
// inline and copies straight between the entry and the reply. Chunked strings may be sparse: a
// chunk that was never written reads as zeros and takes no memory, so SETBIT at 2^32-1 costs a
// pointer table, not 512 MiB. All functions need the slot lock of the key, and entry.type() must be
// kString.
#pragma once

#include <string>
#include <string_view>
#include <utility>

#include "base/reply_writer.h"
#include "storage/keyspace/entry.h"
#include "storage/value/chunked_string.h"

namespace tidegate {

class Database;
struct KeyRef;

// Bytes of the string.
inline size_t StringLength(const Entry& entry) {
  return entry.embedded() ? entry.value().size() : entry.object<ChunkedString>()->size();
}

// Bytes [offset, offset+size) as one bulk string, or copied to `out`. The range must lie within the
// value.
void ReplyStringRange(ReplyWriter& reply, const Entry& entry, size_t offset, size_t size);
void ReadStringRange(const Entry& entry, size_t offset, size_t size, char* out);

// The whole value as one bulk string.
inline void ReplyString(ReplyWriter& reply, const Entry& entry) {
  if (__builtin_expect(entry.embedded(), 1)) return reply.Bulk(entry.value());
  ReplyStringRange(reply, entry, 0, StringLength(entry));
}

// The value as contiguous bytes: a view into the entry when embedded, else a copy made in
// `scratch`.
std::string_view StringContents(const Entry& entry, std::string& scratch);

// One byte; 0 beyond the end, and when there is no entry.
uint8_t StringByte(const Entry* entry, size_t offset);

// Calls visit(size_t offset, std::string_view bytes) for the pieces of [offset, offset+size) in
// order. Holes of sparse strings come as pieces of zeros.
template <typename Visitor>
void VisitStringRange(const Entry& entry, size_t offset, size_t size, Visitor&& visit) {
  if (size == 0) return;
  if (entry.embedded()) return visit(offset, entry.value().substr(offset, size));
  entry.object<ChunkedString>()->Visit(offset, size, std::forward<Visitor>(visit));
}

// Writes bytes at an offset, growing the string (zeros in between) or creating the key when entry
// is null; keeps the expiry; marks the value raw and modified. Returns the entry's new place. The
// caller has checked the length limit.
Entry* WriteStringRange(Database& db, const KeyRef& key, Entry* entry, size_t offset,
                        std::string_view bytes);

// Makes the string at least `bytes` long, as WriteStringRange would, and marks it raw. For writers
// that then change bytes in place with OverwriteString.
Entry* GrowString(Database& db, const KeyRef& key, Entry* entry, size_t bytes);

// Writes bytes within the value, without marking anything.
void OverwriteString(Entry& entry, size_t offset, std::string_view bytes);

// "int", "embstr" or "raw", as OBJECT ENCODING says.
std::string_view StringEncodingName(const Entry& entry);

}  // namespace tidegate
