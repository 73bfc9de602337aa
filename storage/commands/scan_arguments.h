// What SCAN, HSCAN, SSCAN and ZSCAN have in common: the cursor, the options, and the shape of the
// reply. How far a call walks and what it finds is the walker's. Stateless; any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "base/output_buffer.h"
#include "base/reply_writer.h"
#include "base/text.h"
#include "storage/command_context.h"

namespace tidegate {

// What is walked over, which decides the options there are.
enum class ScanOf : uint8_t { kKeyspace, kHash, kSet, kSortedSet };

struct ScanArguments {
  std::optional<std::string_view> pattern;  // MATCH; none: all
  std::optional<std::string_view> type;     // TYPE, of a keyspace; none: all
  uint64_t count = 10;                      // COUNT
  bool values = true;                       // without NOVALUES, of a hash

  // Whether the pattern takes this one.
  bool Accepts(std::string_view text) const { return !pattern || GlobMatch(*pattern, text); }
};

// Redis reads cursors with strtoul, which takes signs and the empty text too.
std::optional<uint64_t> ParseScanCursor(std::string_view text);

// Reads the options from argument `first` on; on failure the error reply is written.
std::optional<ScanArguments> ParseScanArguments(CommandContext& context, size_t first,
                                                ScanOf scanned);

// The cursor to go on from, as the first of the reply's two elements.
void BeginScanReply(ReplyWriter& reply, uint64_t cursor);

// Elements that were found, encoded while it is not yet known how many there will be.
class ScanFindings final {
 public:
  explicit ScanFindings(ReplyWriter& reply)
      : reply_(reply), found_(reply.out().pool()), writer_(found_) {}

  // For the next element of the reply's array.
  ReplyWriter& Add() {
    ++count_;
    return writer_;
  }
  // Writes the reply.
  void Reply(uint64_t cursor) {
    BeginScanReply(reply_, cursor);
    reply_.Array(count_);
    reply_.out().TakeAll(found_);
  }

 private:
  ReplyWriter& reply_;
  OutputBuffer found_;
  ReplyWriter writer_;
  size_t count_ = 0;
};

}  // namespace tidegate
