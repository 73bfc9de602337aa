// StoredObject: what is known of a large value on disk, where it hangs under an id of its own
// beside the record of its key (checkpoint/stored_record.h). There are two forms:
//
//   whole   the bytes of the value, cut into parts where they are full
//   parts   a field table: each part holds the fields whose hashes begin with its number, so that a
//           change of a field is a change of one part, whatever pages do in memory
//
// It is remembered in memory beside the key (stored_state.h), so that a checkpoint can name an
// object again that is on disk as it should be, or add to it. What a checkpoint has written is on
// disk only when it succeeded: so the object carries the number of the checkpoint that wrote it
// last, and counts as it is known once a checkpoint with that number or a later one has succeeded,
// for one that follows a failure writes again what was in flight. A value; as the slot.
#pragma once

#include <cstdint>

namespace tidegate {

struct StoredObject {
  uint64_t id = 0;       // 0: none
  uint64_t size = 0;     // bytes of the whole value, or fields in all parts
  uint32_t parts = 0;    // of a whole value
  uint32_t attempt = 0;  // the checkpoint that wrote it last; 0: one before this start
  uint8_t rdb_type = 0;
  bool by_hash = false;     // in parts
  uint8_t part_bits = 0;    // bits of a hash that are a part's number
  bool has_pieces = false;  // a part is, or was, too long for one record

  explicit operator bool() const { return id != 0; }
};

}  // namespace tidegate
