// How a value of a listpack goes into a reply: always as a bulk string, since what a client once
// sent as digits it gets back as digits. Shared by the collections whose small form is a listpack.
#pragma once

#include "base/reply_writer.h"
#include "storage/value/listpack_value.h"

namespace tidegate {

inline void ReplyPackedValue(ReplyWriter& reply, const ListpackValue& value) {
  if (value.is_integer()) {
    reply.BulkInteger(value.integer());
  } else {
    reply.Bulk(value.text());
  }
}

}  // namespace tidegate
