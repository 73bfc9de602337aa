// Values out of the RDB format: what RESTORE takes and what RDB files bring.
//
// Nothing is believed. A value is decoded as a whole before the key is touched: packed forms are
// walked entry by entry, elements that occur twice, scores that are no numbers and empty
// collections are refused, and no count makes us take memory before the elements are there. What is
// kept obeys this server's limits for packed forms, whatever form came in.
#pragma once

#include <cstdint>
#include <string_view>

#include "storage/keyspace/database.h"
#include "storage/rdb/rdb_format.h"
#include "storage/rdb/rdb_reader.h"

namespace tidegate::rdb {

// What follows a payload's value: false when version or checksum are wrong. Takes it off.
bool TakeFooter(std::string_view& payload);

// Reads type byte and value, and puts the value into the key in place of whatever it holds
// (`existing`), without an expiry, and says Modified. False, and nothing has changed: it is broken
// or has no elements. A hash none of whose fields lives any more leaves the key absent.
bool ReadValue(RdbReader& in, Database& db, const KeyRef& key, Entry* existing);

enum class ValueOutcome : uint8_t { kRead, kEmpty, kBroken };

// The same behind the type byte, and with an expiry, past or to come. kEmpty: a collection without
// elements, of which no key is made; the reader stands behind it. Of a list that comes from a
// source and is broken what was there before is lost.
ValueOutcome ReadValueOfType(Type type, RdbReader& in, Database& db, const KeyRef& key,
                             Entry* existing, int64_t expire_at_ms);

// The same for what stands behind the module id of a Bloom filter.
ValueOutcome ReadBloomFilter(RdbReader& in, Database& db, const KeyRef& key, Entry* existing,
                             int64_t expire_at_ms);

// Passes over the parts of any module's value, behind the module id, with the end mark. False: they
// are broken.
bool SkipModuleParts(RdbReader& in);

}  // namespace tidegate::rdb
