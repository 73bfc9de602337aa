// ZiplistReader: the packed form of small collections before Redis 7, for payloads of such servers.
//
//   | bytes (4B) | tail offset (4B) | count (2B) | entry … | 0xff |
//   entry: length of the one before it (1 or 5 bytes), encoding, payload
//
// Only read, and never believed: a step that would leave the bytes ends the walk as broken.
// Borrows the bytes. Source: Redis's ziplist.c, the comment at its top.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "storage/value/listpack_value.h"

namespace tidegate::rdb {

class ZiplistReader final {
 public:
  explicit ZiplistReader(std::string_view bytes);

  // False at the end, or when the bytes are no ziplist: then broken() tells.
  bool Next(ListpackValue& value);
  bool broken() const { return broken_; }

 private:
  bool Break() {
    broken_ = true;
    return false;
  }
  bool Take(size_t bytes, std::string_view& taken);
  bool TakeText(size_t bytes, ListpackValue& value);
  bool TakeInteger(size_t bytes, ListpackValue& value);

  std::string_view left_;
  bool broken_ = false;
};

}  // namespace tidegate::rdb
