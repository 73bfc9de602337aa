// Bytes of groups of the journal, for tests that change them: storage/journal/journal_group.h has
// the format.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/crc32c.h"
#include "storage/journal/journal_group.h"

namespace tidegate::testing {

inline void PutNumber(std::string& bytes, size_t at, uint32_t number) {
  for (size_t i = 0; i < 4; ++i) bytes[at + i] = static_cast<char>(number >> (8 * i));
}

// With checksums that are right for whatever the bytes are now.
inline std::string Sealed(std::string bytes) {
  const std::string_view view(bytes);
  if (bytes.size() >= kJournalGroupHeaderBytes && bytes[4] != 1)
    PutNumber(bytes, 28, Crc32c(view.substr(32, 8), Crc32c(view.substr(4, 24))));
  PutNumber(bytes, 0, Crc32c(view.substr(4)));
  return bytes;
}

// The same group as version 1 had it.
inline std::string InVersion1(const std::string& bytes) {
  std::string old = bytes.substr(0, 28) + std::string(4, '\0') + bytes.substr(40);
  old[4] = 1;
  return Sealed(old);
}

}  // namespace tidegate::testing
