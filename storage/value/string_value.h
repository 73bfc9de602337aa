// Reading and changing string values, whichever way they are held (embedded in the entry, or in
// chunks).
//
// Chunked strings may be sparse: a chunk that was never written reads as zeros and takes no memory,
// so SETBIT at 2^32-1 costs a pointer array, not 512 MiB. All functions need the slot lock of the
// key.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "base/reply_writer.h"
#include "storage/keyspace/entry.h"

namespace tidegate {

class Database;
struct KeyRef;

// Bytes of the string. entry.type() must be kString, here and below.
size_t StringLength(const Entry& entry);

// The whole value as one bulk string.
void ReplyString(ReplyWriter& reply, const Entry& entry);

// The value as contiguous bytes: a view into the entry when embedded, else a copy made in
// `scratch`.
std::string_view StringContents(const Entry& entry, std::string& scratch);

// Bytes [offset, offset+size) as one bulk string, or copied to `out`. The range must lie within the
// value.
void ReplyStringRange(ReplyWriter& reply, const Entry& entry, size_t offset, size_t size);
void ReadStringRange(const Entry& entry, size_t offset, size_t size, char* out);

// One byte; 0 beyond the end.
uint8_t StringByte(const Entry* entry, size_t offset);

// Calls `visit(offset, bytes)` for the pieces of [offset, offset+size) in order. Holes of sparse
// strings come as pieces of zeros.
void VisitStringRange(const Entry& entry, size_t offset, size_t size,
                      const std::function<void(size_t, std::string_view)>& visit);

// Writes bytes at an offset, growing the string (zeros in between) or creating the key when entry
// is null; keeps the expiry; marks the value raw and modified. Returns the entry's new place. The
// caller has checked the length limit.
Entry* WriteStringRange(Database& db, const KeyRef& key, Entry* entry, size_t offset,
                        std::string_view bytes);

// "int", "embstr" or "raw", as OBJECT ENCODING says.
std::string_view StringEncodingName(const Entry& entry);

}  // namespace tidegate
