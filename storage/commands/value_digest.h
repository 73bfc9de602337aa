// Digest: 160 bits about data, for DEBUG DIGEST and DEBUG DIGEST-VALUE. The same data gives the
// same digest in every process, however it is held and in whatever order unordered elements happen
// to be; different data gives a different one, but for a chance of 2^-128.
//
// Parts that have an order are chained (Then), parts that have none are combined by exclusive or
// (Also), in which they must differ from each other. What depends on when a value was made, and not
// on what it is, stays out: times of delivery in a stream, times of last use. Values; stateless.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "storage/keyspace/entry.h"

namespace tidegate {

class Digest final {
 public:
  static Digest Of(std::string_view bytes);

  // One more part of a set of parts.
  void Also(const Digest& other) {
    for (size_t i = 0; i < bytes_.size(); ++i) bytes_[i] ^= other.bytes_[i];
  }
  // The next part of a sequence.
  void Then(std::string_view bytes);
  void Then(const Digest& other) { Then(other.view()); }

  std::string Hex() const;

 private:
  std::string_view view() const {
    return {reinterpret_cast<const char*>(bytes_.data()), bytes_.size()};
  }

  std::array<uint8_t, 20> bytes_{};
};

// Of the type, the value, and whether it expires. Fields of a hash whose time had come by now_ms
// are not there. Needs the slot's lock. Cost: one pass over the value.
Digest DigestOfValue(const Entry& entry, int64_t now_ms);

}  // namespace tidegate
