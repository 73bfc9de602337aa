// StreamId: names an entry of a stream, "1526919030474-55": milliseconds and a sequence number.
//
// IDs of one stream only grow, so that the order of entries is that of their IDs. The rules of what
// text is an ID are Redis's, its quirks included (streamGenericParseIDOrReply).
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string_view>

#include "base/text.h"
#include "storage/value/page_tree.h"

namespace tidegate {

struct StreamId {
  uint64_t ms = 0;
  uint64_t seq = 0;

  static constexpr StreamId Max() { return {UINT64_MAX, UINT64_MAX}; }
  friend constexpr bool operator==(const StreamId&, const StreamId&) = default;
  friend constexpr std::strong_ordering operator<=>(const StreamId& a, const StreamId& b) {
    return a.ms != b.ms ? a.ms <=> b.ms : a.seq <=> b.seq;
  }

  bool is_zero() const { return ms == 0 && seq == 0; }
  // The ID behind this one, or in front of it; nothing at the ends.
  std::optional<StreamId> Next() const {
    if (seq != UINT64_MAX) return StreamId{ms, seq + 1};
    if (ms != UINT64_MAX) return StreamId{ms + 1, 0};
    return std::nullopt;
  }
  std::optional<StreamId> Previous() const {
    if (seq != 0) return StreamId{ms, seq - 1};
    if (ms != 0) return StreamId{ms - 1, UINT64_MAX};
    return std::nullopt;
  }
  PageKey key() const { return {ms, seq}; }
};

inline constexpr size_t kStreamIdTextBytesMax = 2 * kInt64TextBytesMax + 1;

// Writes "ms-seq" to `out` (room for kStreamIdTextBytesMax).
std::string_view FormatStreamId(const StreamId& id, char* out);

// What text of an ID may be beside "ms-seq" and "ms".
enum class StreamIdForm : uint8_t {
  kStrict,          // nothing
  kRange,           // "-" and "+", the smallest and the largest ID
  kStrictWithStar,  // "ms-*": the next one of this millisecond
};

struct ParsedStreamId {
  StreamId id;
  bool has_seq = true;  // not "ms-*"
};

// `missing_seq`: the sequence number of an ID without one. Nothing: this is no ID.
std::optional<ParsedStreamId> ParseStreamId(std::string_view text, uint64_t missing_seq,
                                            StreamIdForm form);

}  // namespace tidegate
