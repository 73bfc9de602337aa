#include "proxy/upstream/reply_framer.h"

#include <algorithm>
#include <cstring>
#include <optional>

#include "base/text.h"

namespace tidegate {
namespace {

constexpr std::string_view kLineEnd = "\r\n";

bool IsResp3Type(char type) {
  switch (type) {
    case '_':
    case ',':
    case '#':
    case '(':
    case '=':
    case '!':
    case '%':
    case '~':
    case '>':
    case '|':
      return true;
    default:
      return false;
  }
}

// Longest length of a bulk that is read here and now.
constexpr size_t kPlainDigitsMax = 7;

// What most requests are answered with: OK, or one bulk that is here as a whole. Its bytes; 0 when
// it is anything else, or not well-formed.
size_t PlainReply(std::string_view bytes) {
  constexpr std::string_view kOk = "+OK\r\n";
  if (bytes.size() < kOk.size()) return 0;
  if (bytes[0] == '+') return bytes.substr(0, kOk.size()) == kOk ? kOk.size() : 0;
  if (bytes[0] != '$') return 0;
  size_t size = 0;
  size_t at = 1;
  const size_t digits_end = std::min(bytes.size() - 1, 1 + kPlainDigitsMax);
  for (; at < digits_end && bytes[at] >= '0' && bytes[at] <= '9'; ++at)
    size = size * 10 + static_cast<size_t>(bytes[at] - '0');
  if (at == 1 || (bytes[1] == '0' && at > 2)) return 0;
  const size_t end = at + kLineEnd.size() + size + kLineEnd.size();
  if (end > bytes.size()) return 0;
  if (bytes[at] != '\r' || bytes[at + 1] != '\n') return 0;
  if (bytes[end - 2] != '\r' || bytes[end - 1] != '\n') return 0;
  return end;
}

}  // namespace

void ReplyFramer::Restart() {
  at_ = line_scanned_ = body_end_ = frame_bytes_ = depth_ = 0;
  push_ = false;
}

ReplyFramer::Outcome ReplyFramer::Next(std::string_view bytes) {
  const bool begins = (at_ | line_scanned_ | body_end_ | depth_) == 0 && !push_;
  if (__builtin_expect(begins, 1)) {
    frame_bytes_ = PlainReply(bytes);
    if (frame_bytes_ != 0) return Outcome::kReply;
  }
  while (true) {
    switch (body_end_ != 0 ? Body(bytes) : Element(bytes)) {
      case Step::kNeedInput:
        return Outcome::kNeedInput;
      case Step::kGarbage:
        return Outcome::kGarbage;
      case Step::kOpened:
        break;
      case Step::kValue:
        if (!Complete()) break;
        frame_bytes_ = at_;
        at_ = line_scanned_ = 0;
        const Outcome outcome = push_ ? Outcome::kPush : Outcome::kReply;
        push_ = false;
        return outcome;
    }
  }
}

// Of a bulk everything but its line end, of which both bytes are looked at together.
size_t ReplyFramer::Passable(size_t size) const {
  return body_end_ != 0 ? std::min(size, body_end_ - kLineEnd.size()) : at_;
}

void ReplyFramer::Skip(size_t bytes) {
  at_ -= std::min(at_, bytes);
  line_scanned_ -= std::min(line_scanned_, bytes);
  if (body_end_ != 0) body_end_ -= bytes;
}

bool ReplyFramer::Complete() {
  while (depth_ > 0) {
    Level& level = levels_[depth_ - 1];
    if (--level.missing > 0) return false;
    --depth_;
    if (level.attribute) return false;
  }
  return true;
}

ReplyFramer::Step ReplyFramer::Element(std::string_view bytes) {
  const size_t from = std::max(at_, line_scanned_);
  const void* found =
      from < bytes.size() ? std::memchr(bytes.data() + from, '\n', bytes.size() - from) : nullptr;
  if (found == nullptr) {
    line_scanned_ = bytes.size();
    if (bytes.size() - std::min(at_, bytes.size()) > kReplyLineBytesMax.count)
      return Garbage("a line that is too long");
    return Step::kNeedInput;
  }
  const auto end = static_cast<size_t>(static_cast<const char*>(found) - bytes.data());
  if (end - at_ > kReplyLineBytesMax.count) return Garbage("a line that is too long");
  if (end < at_ + 2 || bytes[end - 1] != '\r') return Garbage("a line that is no reply");
  const char type = bytes[at_];
  const std::string_view line = bytes.substr(at_ + 1, end - at_ - 2);
  if (line.find('\r') != std::string_view::npos) return Garbage("a line that is no reply");
  at_ = end + 1;
  if (protocol_ == Protocol::kResp2 && IsResp3Type(type))
    return Garbage("a type of RESP3 in a reply of RESP2");
  return Header(type, line);
}

ReplyFramer::Step ReplyFramer::Header(char type, std::string_view line) {
  switch (type) {
    case '+':
    case '-':
      return Step::kValue;
    case ':':
    case ',':
    case '(':
    case '_':
    case '#':
      return Scalar(type, line);
    case '$':
    case '=':
    case '!':
      return Bulk(type, line);
    case '*':
    case '%':
    case '~':
    case '>':
    case '|':
      return Aggregate(type, line);
    default:
      return Garbage("a line that is no reply");
  }
}

ReplyFramer::Step ReplyFramer::Scalar(char type, std::string_view line) {
  bool good = !line.empty();
  if (type == ':') good = ParseInt64(line).has_value();
  if (type == '#') good = line == "t" || line == "f";
  if (type == '_') good = line.empty();
  return good ? Step::kValue : Garbage("a value that is none");
}

ReplyFramer::Step ReplyFramer::Bulk(char type, std::string_view line) {
  const std::optional<int64_t> size = ParseInt64(line);
  if (!size || *size < -1 || (*size < 0 && type != '$')) return Garbage("a bulk without a length");
  if (*size < 0) return Step::kValue;
  if (static_cast<uint64_t>(*size) > kStringBytesMax.count) return Garbage("a bulk too large");
  body_end_ = at_ + static_cast<size_t>(*size) + kLineEnd.size();
  return Step::kOpened;
}

ReplyFramer::Step ReplyFramer::Body(std::string_view bytes) {
  if (bytes.size() < body_end_) return Step::kNeedInput;
  if (bytes.substr(body_end_ - kLineEnd.size(), kLineEnd.size()) != kLineEnd)
    return Garbage("a bulk that does not end where it said");
  at_ = body_end_;
  body_end_ = 0;
  return Step::kValue;
}

ReplyFramer::Step ReplyFramer::Aggregate(char type, std::string_view line) {
  const std::optional<int64_t> count = ParseInt64(line);
  if (!count || *count < -1 || (*count < 0 && type != '*'))
    return Garbage("an aggregate without a count");
  if (*count > static_cast<int64_t>(kReplyElementsMax)) return Garbage("an aggregate too large");
  if (type == '>') {
    if (depth_ > 0 || *count < 1) return Garbage("a push where none can be");
    push_ = true;
  }
  const bool pairs = type == '%' || type == '|';
  const auto elements = static_cast<uint64_t>(std::max<int64_t>(*count, 0)) * (pairs ? 2 : 1);
  const bool attribute = type == '|';
  if (elements == 0) return attribute ? Step::kOpened : Step::kValue;
  if (depth_ == kReplyDepthMax) return Garbage("aggregates nested too deep");
  levels_[depth_++] = {elements, attribute};
  return Step::kOpened;
}

}  // namespace tidegate
