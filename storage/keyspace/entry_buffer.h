// EntryBuffer: the bytes of a small collection in its entry, as a PackedBuffer.
//
// What editors of listpacks and intsets write to. The bytes stand behind the key as long as the
// entry takes at most Entry::kEmbeddedEntryBytesMax, then in a PackedBlock of their own; an edit
// may go from one to the other, and moves the entry whenever it needs memory of another class.
// Borrows all it is given; `entry` follows its moves. Needs the slot's lock.
#pragma once

#include "storage/keyspace/database.h"
#include "storage/value/packed_block.h"
#include "storage/value/packed_buffer.h"

namespace tidegate {

// The listpack or intset of an entry. Valid until the next edit.
inline std::string_view PackedBytes(const Entry& entry) {
  return entry.embedded() ? entry.value() : entry.object<PackedBlock>()->bytes();
}

class EntryBuffer final : public PackedBuffer {
 public:
  EntryBuffer(Database& db, const KeyRef& key, Entry*& entry) : db_(db), key_(key), entry_(entry) {}

  uint8_t* data() override {
    return entry_->embedded() ? reinterpret_cast<uint8_t*>(entry_->value_data())
                              : entry_->object<PackedBlock>()->data();
  }
  size_t size() const override { return PackedBytes(*entry_).size(); }
  uint8_t* Splice(size_t offset, size_t removed, size_t added) override {
    return db_.SplicePacked(key_, entry_, offset, removed, added);
  }

 private:
  Database& db_;
  const KeyRef& key_;
  Entry*& entry_;
};

}  // namespace tidegate
