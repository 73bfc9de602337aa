// RequestParser: RESP and inline commands, incremental and without copies.
//
// Parse() takes the input from the start of a command and finds all complete commands in it; their
// arguments are views into the input. What is incomplete stays with the caller, who comes back with
// the same bytes and more. The parser remembers how far it was (offsets from the command's start),
// so that a command of a million arguments in a thousand reads is still looked at once, and tells
// how many bytes an announced bulk needs, so that the caller can read straight into place. Errors,
// limits and what counts as a number are Redis 7.0.15's, byte for byte: see
// src/networking.c there for the facts. Owner: one session. Cost: about 10 ns an argument.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "proxy/resp/request_batch.h"

namespace tidegate {

// Bytes of a line (inline command, count or length) before the client is cut off. As Redis's
// PROTO_INLINE_MAX_SIZE.
inline constexpr Bytes kInlineCommandBytesMax = 64_KiB;

// What a client that has not authenticated may announce. As Redis.
inline constexpr int64_t kUnauthenticatedArgumentsMax = 10;
inline constexpr int64_t kUnauthenticatedBulkBytesMax = 16384;

struct ParseLimits {
  uint64_t bulk_bytes_max = 0;  // proto-max-bulk-len
  bool authenticated = true;    // false also means: one command at a time
};

enum class ParseStop : uint8_t {
  kNeedInput,      // all complete commands are in the batch
  kBatchFull,      // there may be more
  kProtocolError,  // error() says what; the commands before it are in the batch
};

class RequestParser final {
 public:
  // `input` begins where the last batch's consumed() ended, or where Restart() was called.
  ParseStop Parse(std::string_view input, const ParseLimits& limits, const CommandTable& commands,
                  RequestBatch& batch);

  // The input will begin anew at the start of a command.
  void Restart() {
    partial_.reset();
    bytes_wanted_ = 0;
  }

  // Bytes from the end of the last complete command that are known to be needed; 0: not known.
  size_t bytes_wanted() const { return bytes_wanted_; }
  // Memory of an incomplete command's bookkeeping, and the bytes of its arguments so far.
  size_t partial_argument_bytes() const;

  // "Protocol error: invalid bulk length": for an error reply with code ERR.
  const std::string& error() const { return error_; }

 private:
  struct Span {
    size_t offset;
    size_t size;
  };
  // An incomplete command.
  struct Partial {
    int64_t args_left = 0;
    int64_t bulk_bytes = -1;  // of the argument whose header was read; -1: none
    size_t scanned = 0;       // offset of what to look at next
    std::vector<Span> args;
  };
  enum class Step : uint8_t { kDone, kNeedInput, kError };
  struct Cursor;

  // The bytes that the last command of the batch began with, up to the end of its name's line
  // ("*2\r\n$3\r\nGET\r\n"), and what they mean: a pipeline mostly says the same again, and then
  // one comparison stands for reading two numbers and for the look-up of a name.
  struct Opening {
    static constexpr size_t kBytesMax = 16;
    const Command* command = nullptr;  // null: nothing is known
    uint64_t words[2] = {};            // the bytes, zeros behind them
    uint64_t masks[2] = {};
    uint32_t bytes = 0;
    uint32_t name_bytes = 0;
    int64_t count = 0;  // of arguments
  };
  static void Remember(const Cursor& at, const RequestBatch& batch, Opening& opening);
  static bool Repeats(const Cursor& at, const Opening& opening);

  Step ParseMultibulk(Cursor& at, const ParseLimits& limits, RequestBatch& batch);
  Step ParseArguments(Cursor& at, int64_t left, const ParseLimits& limits, RequestBatch& batch);
  Step ParseInline(Cursor& at, RequestBatch& batch);
  Step Resume(Cursor& at, const ParseLimits& limits, RequestBatch& batch);
  Step ParseBulkHeader(Cursor& at, const ParseLimits& limits, int64_t* bulk_bytes);
  Step ReadNumber(Cursor& at, std::string_view too_big, char type, int64_t* number);
  Step ReadNumberSlowly(Cursor& at, std::string_view too_big, char type, int64_t* number);
  Step SaveBatchArgs(Cursor& at, RequestBatch& batch, int64_t args_left, int64_t bulk_bytes);
  Step Fail(std::string_view what);

  std::unique_ptr<Partial> partial_;
  size_t bytes_wanted_ = 0;
  std::string error_;
};

}  // namespace tidegate
