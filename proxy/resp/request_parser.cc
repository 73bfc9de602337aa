#include "proxy/resp/request_parser.h"

#include <cstring>
#include <limits>
#include <utility>

#include "base/text.h"
#include "proxy/resp/inline_split.h"

namespace tidegate {
namespace {

// Below this an incomplete command is parsed again from its start: cheaper than remembering.
constexpr size_t kRememberedCommandBytesMin = 4096;

constexpr int64_t kArgumentsMax = std::numeric_limits<int32_t>::max();

// Digits that the fast path of ReadNumber takes; more go the strict way.
constexpr int kFastDigitsMax = 9;

// The first `wanted` in [p, end), or null. As strchr, a NUL ends the search: Redis looks for line
// ends that way, and a client that sends one waits there for ever.
const char* FindInText(const char* p, const char* end, char wanted) {
  const auto bytes = static_cast<size_t>(end - p);
  const auto* found = static_cast<const char*>(std::memchr(p, wanted, bytes));
  if (found == nullptr) return nullptr;
  return std::memchr(p, '\0', static_cast<size_t>(found - p)) == nullptr ? found : nullptr;
}

}  // namespace

struct RequestParser::Cursor {
  const char* begin;    // of the input
  const char* command;  // where the command at hand starts
  const char* p;        // what to look at next
  const char* end;

  size_t left() const { return static_cast<size_t>(end - p); }
};

ParseStop RequestParser::Parse(std::string_view input, const ParseLimits& limits,
                               const CommandTable& commands, RequestBatch& batch) {
  batch.Clear();
  bytes_wanted_ = 0;
  error_.clear();
  const size_t requests_max = limits.authenticated ? kBatchRequestsMax : 1;
  Cursor at{input.data(), input.data(), input.data(), input.data() + input.size()};
  Opening opening;
  while (at.p < at.end) {
    if (batch.size() == requests_max) return ParseStop::kBatchFull;
    at.command = at.p;
    Step step;
    const Command* known = nullptr;
    if (__builtin_expect(partial_ != nullptr, 0)) {
      step = Resume(at, limits, batch);
    } else if (Repeats(at, opening)) {
      known = opening.command;
      at.p += opening.bytes;
      batch.AddArg({at.p - opening.name_bytes - 2, opening.name_bytes});
      step = ParseArguments(at, opening.count - 1, limits, batch);
    } else {
      step = *at.p == '*' ? ParseMultibulk(at, limits, batch) : ParseInline(at, batch);
    }
    if (step == Step::kNeedInput) return ParseStop::kNeedInput;
    if (step == Step::kError) {
      batch.DropOpenArgs();
      return ParseStop::kProtocolError;
    }
    const auto consumed = static_cast<size_t>(at.p - at.begin);
    if (known != nullptr) {
      batch.CloseAs(known, consumed);
    } else if (batch.open_args() > 0) {
      batch.Close(commands, consumed);
      if (limits.authenticated) Remember(at, batch, opening);
    }
    batch.SetConsumed(consumed);
  }
  return ParseStop::kNeedInput;
}

bool RequestParser::Repeats(const Cursor& at, const Opening& opening) {
  if (opening.command == nullptr || at.left() < Opening::kBytesMax) return false;
  uint64_t words[2];
  std::memcpy(words, at.p, sizeof words);
  return (((words[0] & opening.masks[0]) ^ opening.words[0]) |
          ((words[1] & opening.masks[1]) ^ opening.words[1])) == 0;
}

void RequestParser::Remember(const Cursor& at, const RequestBatch& batch, Opening& opening) {
  const Request& request = batch.requests().back();
  const std::string_view name = request.args[0];
  const char* const end = name.data() + name.size() + 2;
  // Not of an inline command, whose name may also be elsewhere; sub-commands are told by more.
  if (*at.command != '*' || request.command == nullptr || request.command->container != nullptr ||
      request.command->is_container() ||
      static_cast<size_t>(at.end - at.command) < Opening::kBytesMax)
    return;
  const auto bytes = static_cast<size_t>(end - at.command);
  if (bytes > Opening::kBytesMax) return;
  opening.command = request.command;
  opening.bytes = static_cast<uint32_t>(bytes);
  opening.name_bytes = static_cast<uint32_t>(name.size());
  opening.count = static_cast<int64_t>(request.args.size());
  constexpr uint64_t kAll = ~uint64_t{0};
  opening.masks[0] = bytes >= 8 ? kAll : kAll >> (64 - 8 * bytes);
  opening.masks[1] = bytes <= 8 ? 0 : kAll >> (128 - 8 * bytes);
  std::memcpy(opening.words, at.command, sizeof opening.words);
  opening.words[0] &= opening.masks[0];
  opening.words[1] &= opening.masks[1];
}

RequestParser::Step RequestParser::ParseMultibulk(Cursor& at, const ParseLimits& limits,
                                                  RequestBatch& batch) {
  int64_t count = 0;
  const Step step = ReadNumber(at, "too big mbulk count string", '*', &count);
  if (step == Step::kNeedInput) return step;
  if (step == Step::kError) return Fail("invalid multibulk length");
  if (count > kArgumentsMax) return Fail("invalid multibulk length");
  if (count > kUnauthenticatedArgumentsMax && !limits.authenticated)
    return Fail("unauthenticated multibulk length");
  return ParseArguments(at, count, limits, batch);
}

RequestParser::Step RequestParser::ParseArguments(Cursor& at, int64_t left,
                                                  const ParseLimits& limits, RequestBatch& batch) {
  for (; left > 0; --left) {
    int64_t bytes = -1;
    const Step header = ParseBulkHeader(at, limits, &bytes);
    if (header == Step::kError) return header;
    if (header == Step::kNeedInput || at.left() < static_cast<size_t>(bytes) + 2)
      return SaveBatchArgs(at, batch, left, header == Step::kNeedInput ? -1 : bytes);
    batch.AddArg({at.p, static_cast<size_t>(bytes)});
    at.p += bytes + 2;
  }
  return Step::kDone;
}

RequestParser::Step RequestParser::Resume(Cursor& at, const ParseLimits& limits,
                                          RequestBatch& batch) {
  Partial& partial = *partial_;
  at.p = at.command + partial.scanned;
  while (partial.args_left > 0) {
    if (partial.bulk_bytes < 0) {
      const Step header = ParseBulkHeader(at, limits, &partial.bulk_bytes);
      if (header == Step::kError) return header;
      partial.scanned = static_cast<size_t>(at.p - at.command);
      if (header == Step::kNeedInput) return header;
    }
    const auto bytes = static_cast<size_t>(partial.bulk_bytes);
    if (at.left() < bytes + 2) {
      bytes_wanted_ = partial.scanned + bytes + 2;
      return Step::kNeedInput;
    }
    partial.args.push_back({partial.scanned, bytes});
    at.p += bytes + 2;
    partial.scanned += bytes + 2;
    partial.bulk_bytes = -1;
    --partial.args_left;
  }
  for (const Span& arg : partial.args) batch.AddArg({at.command + arg.offset, arg.size});
  partial_.reset();
  return Step::kDone;
}

RequestParser::Step RequestParser::SaveBatchArgs(Cursor& at, RequestBatch& batch, int64_t args_left,
                                                 int64_t bulk_bytes) {
  const auto scanned = static_cast<size_t>(at.p - at.command);
  if (bulk_bytes >= 0) bytes_wanted_ = scanned + static_cast<size_t>(bulk_bytes) + 2;
  if (static_cast<size_t>(at.end - at.command) >= kRememberedCommandBytesMin) {
    partial_ = std::make_unique<Partial>();
    partial_->args_left = args_left;
    partial_->bulk_bytes = bulk_bytes;
    partial_->scanned = scanned;
    partial_->args.reserve(batch.open_args());
    for (const std::string_view arg : batch.open())
      partial_->args.push_back({static_cast<size_t>(arg.data() - at.command), arg.size()});
  }
  batch.DropOpenArgs();
  return Step::kNeedInput;
}

RequestParser::Step RequestParser::ParseBulkHeader(Cursor& at, const ParseLimits& limits,
                                                   int64_t* bulk_bytes) {
  int64_t bytes = 0;
  const Step step = ReadNumber(at, "too big bulk count string", '$', &bytes);
  if (step == Step::kNeedInput) return step;
  if (step == Step::kError || bytes < 0 || static_cast<uint64_t>(bytes) > limits.bulk_bytes_max)
    return Fail("invalid bulk length");
  if (bytes > kUnauthenticatedBulkBytesMax && !limits.authenticated)
    return Fail("unauthenticated bulk length");
  *bulk_bytes = bytes;
  return Step::kDone;
}

// A line "<type><number>\r\n". kError without error_ set: not a number.
RequestParser::Step RequestParser::ReadNumber(Cursor& at, std::string_view too_big, char type,
                                              int64_t* number) {
  const char* q = at.p + 1;
  if (at.left() > 3 && *at.p == type && *q >= '1' && *q <= '9') {
    int64_t value = *q++ - '0';
    const char* const stop = at.end - q > kFastDigitsMax ? q + kFastDigitsMax : at.end;
    while (q < stop && *q >= '0' && *q <= '9') value = value * 10 + (*q++ - '0');
    if (at.end - q >= 2 && *q == '\r') {
      *number = value;
      at.p = q + 2;
      return Step::kDone;
    }
  }
  return ReadNumberSlowly(at, too_big, type, number);
}

RequestParser::Step RequestParser::ReadNumberSlowly(Cursor& at, std::string_view too_big, char type,
                                                    int64_t* number) {
  const char* line_end = FindInText(at.p, at.end, '\r');
  if (line_end == nullptr) {
    return at.left() > kInlineCommandBytesMax.count ? Fail(too_big) : Step::kNeedInput;
  }
  if (at.end - line_end < 2) return Step::kNeedInput;
  if (*at.p != type) {
    return Fail(std::string("expected '") + type + "', got '" + *at.p + "'");
  }
  const auto digits = static_cast<size_t>(line_end - at.p - 1);
  const std::optional<int64_t> value = ParseInt64({at.p + 1, digits});
  if (!value) return Step::kError;
  *number = *value;
  at.p = line_end + 2;
  return Step::kDone;
}

RequestParser::Step RequestParser::ParseInline(Cursor& at, RequestBatch& batch) {
  const char* line_end = FindInText(at.p, at.end, '\n');
  if (line_end == nullptr) {
    return at.left() > kInlineCommandBytesMax.count ? Fail("too big inline request")
                                                    : Step::kNeedInput;
  }
  const bool has_return = line_end > at.p && line_end[-1] == '\r';
  const auto bytes = static_cast<size_t>(line_end - at.p) - (has_return ? 1 : 0);
  if (!SplitInline({at.p, bytes}, batch)) return Fail("unbalanced quotes in request");
  at.p = line_end + 1;
  return Step::kDone;
}

// The first failure of a command is the one that counts.
RequestParser::Step RequestParser::Fail(std::string_view what) {
  if (error_.empty()) {
    error_ = "Protocol error: ";
    error_ += what;
  }
  return Step::kError;
}

size_t RequestParser::partial_argument_bytes() const {
  if (!partial_) return 0;
  size_t bytes = sizeof(Partial) + partial_->args.capacity() * sizeof(Span);
  for (const Span& arg : partial_->args) bytes += arg.size;
  return bytes;
}

}  // namespace tidegate
