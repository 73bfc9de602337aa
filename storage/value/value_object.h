// ValueObject: a value that is too big for its entry, as the entry's encoding names it.
//
// The one place that knows every kind of object, so that freeing, copying and measuring a value
// need no knowledge of its type: Database, the lazy freer and MEMORY USAGE all go through here. A
// value in the entry itself is no object. Why a switch and no virtual functions: an object then has
// no hidden pointer, and all kinds stand in one list. Owner: the entry (and so its slot), or
// whoever took it over.
#pragma once

#include <cstddef>

#include "storage/keyspace/entry.h"

namespace tidegate {

class FieldTable;

struct ValueObject {
  Encoding encoding = Encoding::kChunked;
  void* object = nullptr;

  // The object of an entry that is not embedded.
  static ValueObject Of(const Entry& entry) { return {entry.encoding(), entry.object<void>()}; }
};

// The fields of a hash, a set or a sorted set that is a table, or has one; else null.
FieldTable* FieldTableOf(const Entry& entry);

// Frees it, here and now.
void DestroyValue(ValueObject value);

// Frees about so many allocations of it; true when it is gone. Nothing else may be done with it in
// between. For a background thread.
bool DestroySome(ValueObject value, size_t allocations);

// Moves what of it lies where memory is sparse (memory.h), as far as that is a few allocations;
// where it is then.
void* CompactValue(ValueObject value);

// The same for the pages of a large collection: looks at so many from the place on, and moves the
// place; true when it is through. The collection may change between two calls.
struct CompactionPlace {
  uint64_t at = 0;  // hash or rank
  int part = 0;
};
bool HasPages(Encoding encoding);
bool CompactSome(ValueObject value, CompactionPlace& place, size_t pages_max);

// A deep copy.
void* CloneValue(ValueObject value);

// Memory it takes.
size_t ValueBytes(ValueObject value);

}  // namespace tidegate
