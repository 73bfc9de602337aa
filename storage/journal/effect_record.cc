#include "storage/journal/effect_record.h"

#include <limits>
#include <string>

namespace tidegate {

bool EffectReader::TakeVarint(uint64_t& value) {
  value = 0;
  for (size_t i = 0; i < left_.size() && i < kVarintBytesMax; ++i) {
    const auto byte = static_cast<uint8_t>(left_[i]);
    const uint64_t bits = byte & 0x7fu;
    // The tenth byte has room for one bit.
    if (i + 1 == kVarintBytesMax && bits > 1) return false;
    value |= bits << (7 * i);
    if ((byte & 0x80u) != 0) continue;
    if (byte == 0 && i > 0) return false;  // an idle byte: there is one way to write a number
    left_.remove_prefix(i + 1);
    return true;
  }
  return false;
}

bool EffectReader::TakeObjects() {
  uint64_t ids = 0;
  // Each takes a byte at least.
  if (!TakeVarint(ids) || ids > left_.size()) return false;
  for (; ids > 0; --ids) {
    uint64_t id = 0;
    if (!TakeVarint(id)) return false;
    objects_.push_back(id);
  }
  return true;
}

bool EffectReader::TakeNote(uint64_t db) {
  uint64_t kind = 0;
  if (!TakeVarint(kind)) return false;
  if (kind == static_cast<uint64_t>(EffectNote::kObjects)) return db == 0 && TakeObjects();
  uint64_t keys = 0;
  uint64_t expires = 0;
  if (kind != static_cast<uint64_t>(EffectNote::kCounts) ||
      db > static_cast<uint64_t>(std::numeric_limits<int>::max()) || !TakeVarint(keys) ||
      !TakeVarint(expires))
    return false;
  counts_.push_back({static_cast<int>(db), UnZigZag(keys), UnZigZag(expires)});
  return true;
}

// All that is left are notes, the first of them about this database.
Result<bool> EffectReader::ReadNotes(uint64_t db) {
  bool sound = TakeNote(db);
  while (sound && !left_.empty()) {
    uint64_t zero = 0;
    sound = TakeVarint(db) && TakeVarint(zero) && zero == 0 && TakeNote(db);
  }
  if (!sound) return Error{"a record of effects has a broken note"};
  return false;
}

Result<bool> EffectReader::Next(EffectCommand& out) {
  if (left_.empty() && !first_) return false;
  uint64_t db = 0;
  uint64_t argc = 0;
  if (!TakeVarint(db) || db > static_cast<uint64_t>(std::numeric_limits<int>::max()))
    return Error{"a record of effects has a broken database number"};
  // An argument takes a byte at least.
  if (!TakeVarint(argc) || (argc == 0 && first_) || argc > left_.size())
    return Error{"a record of effects has a broken number of arguments"};
  if (argc == 0) return ReadNotes(db);
  first_ = false;
  out.db = static_cast<int>(db);
  out.args.clear();
  out.args.reserve(static_cast<size_t>(argc));
  for (; argc > 0; --argc) {
    uint64_t bytes = 0;
    if (!TakeVarint(bytes) || bytes > left_.size())
      return Error{"a record of effects has an argument that goes beyond its end"};
    out.args.push_back(left_.substr(0, static_cast<size_t>(bytes)));
    left_.remove_prefix(static_cast<size_t>(bytes));
  }
  return true;
}

}  // namespace tidegate
