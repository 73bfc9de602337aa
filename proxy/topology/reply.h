// Reply: what a server answered to the control plane, as a tree; and ReplyReader, which makes such
// trees of bytes.
//
// Why a tree at all: the data plane forwards frames and never looks inside; but a topology is a few
// dozen nested lists, asked for every few seconds. Why one of our own: hiredis 0.14 knows no RESP3
// and no TLS, so replies come from it (its trees are copied into these in a few lines) or from our
// own connections (ReplyReader), and the parsers of this folder must not care from which.
//
// Where RESP2 has a flat list of names and values and RESP3 a map, both are read with Find. RESP3's
// attributes are skipped. Bytes are never believed: depth, elements and bytes of a reply have
// limits, nothing is allocated for what has only been announced, and no function calls itself.
// Owner: one connection. Cost: one pass, whatever the pieces in which bytes arrive.
// Source: the RESP3 specification.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"

namespace tidegate::topology {

// CLUSTER SHARDS, the deepest, has five levels.
inline constexpr size_t kReplyDepthMax = 16;
// CLUSTER SLOTS where each slot is a range of its own with five replicas has 800,000.
inline constexpr size_t kReplyElementsMax = 1'000'000;
inline constexpr Bytes kReplyBytesMax = 64_MiB;
// Of one line: an error, a status, a header.
inline constexpr Bytes kReplyLineBytesMax = 64_KiB;

struct Reply {
  enum class Kind : uint8_t {
    kNull,
    kText,    // bulk and verbatim strings; doubles and big numbers, by their digits
    kStatus,  // +OK
    kError,   // without the '-'
    kInteger,
    kBoolean,
    kArray,  // and RESP3's sets
    kMap,    // items: name, value, name, value, …
    kPush,   // RESP3's messages out of turn
  };

  Kind kind = Kind::kNull;
  int64_t integer = 0;  // of kInteger; 0 or 1 of kBoolean
  std::string text;     // of kText, kStatus and kError
  std::vector<Reply> items;

  bool is_null() const { return kind == Kind::kNull; }
  bool is_error() const { return kind == Kind::kError; }
  bool is_list() const { return kind == Kind::kArray || kind == Kind::kMap || kind == Kind::kPush; }

  // Of kText and kStatus.
  std::optional<std::string_view> AsText() const;
  // Of kInteger, and of the digits of a kText.
  std::optional<int64_t> AsInteger() const;
  // The value of `name` in a map or a flat list of names and values; null when there is none.
  const Reply* Find(std::string_view name) const;
  // As above, empty when there is none or it is no text.
  std::string_view FindText(std::string_view name) const;
  std::optional<int64_t> FindInteger(std::string_view name) const;
};

class ReplyReader final {
 public:
  void Feed(std::string_view bytes);

  // The next whole reply; none when more bytes are wanted. After an error the connection is of no
  // more use: the same error comes again.
  Result<std::optional<Reply>> Next();

 private:
  // A list whose items have not all come yet.
  struct Frame {
    Reply list;
    size_t left;
    bool is_attribute;
  };
  enum class Step { kValue, kOpened, kMore };

  Result<Step> ReadElement(Reply& value);
  Result<Step> ReadBlob(char type, std::string_view header, size_t body, Reply& value);
  Result<Step> OpenList(char type, std::string_view header, Reply& value);
  bool Place(Reply& value);
  Error Fail(std::string message);

  std::string buffer_;
  size_t at_ = 0;  // of buffer_: what is before has been read
  std::vector<Frame> stack_;
  // Of the reply that is being read.
  size_t elements_ = 0;
  size_t bytes_ = 0;
  std::string failure_;
};

// The first reply in `bytes`, which must hold a whole one.
Result<Reply> ParseReply(std::string_view bytes);

}  // namespace tidegate::topology
