// ReplyFramer: finds where a reply of an upstream ends, in RESP2 or RESP3, without understanding
// it.
//
// A proxy hands replies on as they are; to build a tree of each is the cost that makes proxies
// slow. So this walks over headers, skips bodies, and keeps of nested aggregates only how many
// elements are missing on each level: a stack of bounded depth, no recursion. It goes on where it
// stopped, however the bytes are split; a body is never looked at, a line never twice.
//
//   |1 +ttl :3   $5 hello      an attribute belongs to the reply behind it: one frame
//   >2 …                       a push is a frame of its own kind, and no reply
//
// What no Redis sends is an error, and the connection that sent it is of no further use: after it
// nobody can say which reply belongs to which request. Owner: one connection. Cost: O(headers).
// Source: the RESP protocol specification.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/bytes.h"
#include "base/limits.h"
#include "base/reply_writer.h"

namespace tidegate {

// Levels of nested aggregates. Redis's own replies have less than ten.
inline constexpr size_t kReplyDepthMax = 64;

// A line that is a value (a simple string, an error, a number) or a header.
inline constexpr Bytes kReplyLineBytesMax = 64_KiB;

// Elements that one aggregate may announce. Above what any reply of Redis can have.
inline constexpr uint64_t kReplyElementsMax = uint64_t{1} << 32;

class ReplyFramer final {
 public:
  explicit ReplyFramer(Protocol protocol) : protocol_(protocol) {}

  enum class Outcome : uint8_t { kNeedInput, kReply, kPush, kGarbage };

  // `bytes` begins where the frame begins, each time with more of it. kReply and kPush: the frame
  // is the first frame_bytes() of them, and the next call begins a new one behind it.
  Outcome Next(std::string_view bytes);
  size_t frame_bytes() const { return frame_bytes_; }

  // After kNeedInput: bytes of the frame that must be there before anything can come of it; 0: not
  // known.
  size_t bytes_wanted() const { return body_end_; }
  // After kNeedInput: of `size` bytes of the frame, how many at its front are done with. They may
  // be handed on and, after Skip, be missing in later calls, as if the frame began behind them.
  size_t Passable(size_t size) const;
  void Skip(size_t bytes);
  // The frame that is under way is a push.
  bool in_push() const { return push_; }
  // After kGarbage: why, in a few words.
  std::string_view garbage() const { return garbage_; }

  // A new connection.
  void Restart();

 private:
  enum class Step : uint8_t { kValue, kOpened, kNeedInput, kGarbage };
  struct Level {
    uint64_t missing = 0;
    bool attribute = false;  // the value it belongs to comes after it
  };

  Step Element(std::string_view bytes);
  Step Header(char type, std::string_view line);
  Step Scalar(char type, std::string_view line);
  Step Bulk(char type, std::string_view line);
  Step Aggregate(char type, std::string_view line);
  Step Body(std::string_view bytes);
  // A value is complete: and with it, perhaps, what it was the last element of. True: the frame is.
  bool Complete();
  Step Garbage(std::string_view why) {
    garbage_ = why;
    return Step::kGarbage;
  }

  const Protocol protocol_;
  size_t at_ = 0;            // everything in front of it is done with
  size_t line_scanned_ = 0;  // no line end before it
  size_t body_end_ = 0;      // of the bulk that is under way; 0: none is
  size_t frame_bytes_ = 0;
  size_t depth_ = 0;
  bool push_ = false;
  std::string_view garbage_;
  std::array<Level, kReplyDepthMax> levels_;
};

}  // namespace tidegate
