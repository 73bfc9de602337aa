// Items: what a cut brings for the files of a checkpoint, one behind the other in a string, from
// whoever encodes entries to who sorts and writes them.
//
//   kind 1 | size of the key 4 | size of the value 4 | key | value
//
// In memory only, so numbers are the machine's own. Keys are those of the store (data_key.h).
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include "base/check.h"

namespace tidegate {

// kDeleteRest: of a part of an object, the pieces from this one on.
enum class ItemKind : uint8_t { kPut, kDelete, kDeleteRest };

inline constexpr size_t kItemHeadBytes = 1 + 4 + 4;

struct CheckpointItem {
  ItemKind kind = ItemKind::kPut;
  std::string_view key;
  std::string_view value;
};

// Appends one item, whose key and value are appended to `out` in between:
//   ItemMaker item(out, ItemKind::kPut);  … the key …  item.EndKey();  … the value …  item.End();
class ItemMaker final {
 public:
  ItemMaker(std::string& out, ItemKind kind) : out_(out), begin_(out.size()) {
    out.append(kItemHeadBytes, '\0');
    out[begin_] = static_cast<char>(kind);
  }
  void EndKey() {
    key_bytes_ = static_cast<uint32_t>(out_.size() - begin_ - kItemHeadBytes);
    std::memcpy(&out_[begin_ + 1], &key_bytes_, 4);
  }
  void End() {
    const auto value_bytes =
        static_cast<uint32_t>(out_.size() - begin_ - kItemHeadBytes - key_bytes_);
    std::memcpy(&out_[begin_ + 5], &value_bytes, 4);
  }

 private:
  std::string& out_;
  const size_t begin_;
  uint32_t key_bytes_ = 0;
};

// Takes the first item off. Views into `from`.
inline CheckpointItem TakeItem(std::string_view& from) {
  uint32_t key_bytes = 0;
  uint32_t value_bytes = 0;
  TG_CHECK(from.size() >= kItemHeadBytes);
  std::memcpy(&key_bytes, from.data() + 1, 4);
  std::memcpy(&value_bytes, from.data() + 5, 4);
  const auto kind = static_cast<ItemKind>(from[0]);
  from.remove_prefix(kItemHeadBytes);
  TG_CHECK(from.size() >= size_t{key_bytes} + value_bytes);
  const CheckpointItem item{kind, from.substr(0, key_bytes), from.substr(key_bytes, value_bytes)};
  from.remove_prefix(size_t{key_bytes} + value_bytes);
  return item;
}

}  // namespace tidegate
