// Streams in the RDB format: pages as they are held, then what the stream knows about itself, then
// its groups with what is pending in them. Apart from the other types because a stream is as long
// as all of them together. Source: Redis's rdb.c and t_stream.c.
#pragma once

#include "storage/rdb/rdb_format.h"
#include "storage/rdb/rdb_reader.h"
#include "storage/rdb/rdb_writer.h"
#include "storage/value/stream.h"

namespace tidegate::rdb {

// The value, as Type::kStreamListpacks2.
void WriteStream(const StreamValue& stream, RdbWriter& out);

// Null: it is broken. Entries that were deleted are left out, so pages may be divided otherwise.
StreamValue* ReadStream(Type type, RdbReader& in, const StreamValue::Limits& limits,
                        uint32_t epoch);

}  // namespace tidegate::rdb
