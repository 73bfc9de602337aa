// MeasureValue: what a value in the RDB format is and takes, without making one of it.
//
// Why not make the value and look at it, as a load does: a hash of a thousand fields is a thousand
// insertions with a look for doubles, and a report over a file of many GiB wants to know nothing
// but their number and their bytes. Packed forms are walked all the same, since the largest element
// is asked for, and checked on the way. Only streams are made, page by page, one at a time.
//
// Sizes and encodings are those of the Redis that wrote it (redis_memory.h). The form in the file
// tells the encoding, whatever that server's limits of packed forms were. Owner: the caller.
#pragma once

#include <cstdint>
#include <string_view>

#include "storage/keyspace/entry.h"
#include "storage/rdb/rdb_format.h"
#include "storage/rdb/rdb_reader.h"
#include "storage/rdb/rdb_value_reader.h"
#include "storage/value/key_size.h"

namespace tidegate::rdb {

struct ValueMeasure {
  ValueType type = ValueType::kString;
  std::string_view encoding;  // as OBJECT ENCODING of Redis says
  uint64_t bytes = 0;         // as MEMORY USAGE of Redis, without the key's name
  ElementSizes elements;
};

// Reads a value behind its type byte. Fields of hashes whose time had come at `now_ms` do not
// count. Values of modules are the caller's, but for what stands behind the id of a Bloom filter.
ValueOutcome MeasureValue(Type type, RdbReader& in, int64_t now_ms, ValueMeasure& measure);
ValueOutcome MeasureBloomFilter(RdbReader& in, ValueMeasure& measure);

}  // namespace tidegate::rdb
