#include "proxy/topology/reply.h"

#include <algorithm>
#include <utility>

#include "base/text.h"

namespace tidegate::topology {
namespace {

// "txt:" of a verbatim string.
constexpr size_t kVerbatimPrefixBytes = 4;

bool IsBlob(char type) { return type == '$' || type == '=' || type == '!'; }

bool IsList(char type) {
  return type == '*' || type == '%' || type == '~' || type == '>' || type == '|';
}

Reply::Kind ListKind(char type) {
  if (type == '%' || type == '|') return Reply::Kind::kMap;
  return type == '>' ? Reply::Kind::kPush : Reply::Kind::kArray;
}

// What stands whole in its line. False: the line is none of these.
bool ReadLine(char type, std::string_view line, Reply& value) {
  switch (type) {
    case '+':
      value.kind = Reply::Kind::kStatus;
      value.text = line;
      return true;
    case '-':
      value.kind = Reply::Kind::kError;
      value.text = line;
      return true;
    case ',':
    case '(':
      value.kind = Reply::Kind::kText;
      value.text = line;
      return true;
    case ':':
      value.kind = Reply::Kind::kInteger;
      return ParseInt64(line, value.integer);
    case '#':
      value.kind = Reply::Kind::kBoolean;
      value.integer = line == "t" ? 1 : 0;
      return line == "t" || line == "f";
    case '_':
      return line.empty();
    default:
      return false;
  }
}

}  // namespace

std::optional<std::string_view> Reply::AsText() const {
  if (kind != Kind::kText && kind != Kind::kStatus) return std::nullopt;
  return text;
}

std::optional<int64_t> Reply::AsInteger() const {
  if (kind == Kind::kInteger) return integer;
  if (kind != Kind::kText) return std::nullopt;
  return ParseInt64(text);
}

const Reply* Reply::Find(std::string_view name) const {
  if (!is_list()) return nullptr;
  for (size_t i = 0; i + 1 < items.size(); i += 2) {
    if (items[i].AsText() == name) return &items[i + 1];
  }
  return nullptr;
}

std::string_view Reply::FindText(std::string_view name) const {
  const Reply* value = Find(name);
  return value == nullptr ? std::string_view() : value->AsText().value_or(std::string_view());
}

std::optional<int64_t> Reply::FindInteger(std::string_view name) const {
  const Reply* value = Find(name);
  return value == nullptr ? std::nullopt : value->AsInteger();
}

void ReplyReader::Feed(std::string_view bytes) {
  buffer_.erase(0, at_);
  at_ = 0;
  buffer_ += bytes;
}

Result<std::optional<Reply>> ReplyReader::Next() {
  if (!failure_.empty()) return Error{failure_};
  while (true) {
    Reply value;
    Result<Step> step = ReadElement(value);
    if (!step.ok()) return std::move(step).error();
    if (*step == Step::kMore) return std::optional<Reply>();
    if (*step == Step::kValue && Place(value)) {
      elements_ = 0;
      bytes_ = 0;
      return std::optional<Reply>(std::move(value));
    }
  }
}

Result<ReplyReader::Step> ReplyReader::ReadElement(Reply& value) {
  const std::string_view rest = std::string_view(buffer_).substr(at_);
  const size_t end = rest.substr(0, kReplyLineBytesMax.count).find("\r\n");
  if (end == std::string_view::npos) {
    if (rest.size() >= kReplyLineBytesMax.count) return Fail("a line without an end");
    return Step::kMore;
  }
  if (end == 0) return Fail("an empty line where a reply should be");
  if (++elements_ > kReplyElementsMax) return Fail("a reply of too many elements");
  const char type = rest.front();
  const std::string_view header = rest.substr(1, end - 1);
  if (bytes_ + end > kReplyBytesMax.count) return Fail("a reply of too many bytes");
  if (IsBlob(type)) return ReadBlob(type, header, end + 2, value);
  at_ += end + 2;
  bytes_ += end + 2;
  if (IsList(type)) return OpenList(type, header, value);
  if (!ReadLine(type, header, value)) {
    std::string what;
    AppendQuoted(what, rest.substr(0, std::min<size_t>(end, 40)));
    return Fail(what + " where a reply should be");
  }
  return Step::kValue;
}

Result<ReplyReader::Step> ReplyReader::ReadBlob(char type, std::string_view header, size_t body,
                                                Reply& value) {
  const auto length = ParseInt64(header);
  if (!length || *length < -1 || (*length == -1 && type != '$')) {
    return Fail("a string of invalid length");
  }
  const size_t size = *length == -1 ? 0 : static_cast<size_t>(*length);
  if (bytes_ + size > kReplyBytesMax.count || size > kReplyBytesMax.count)
    return Fail("a reply of too many bytes");
  const size_t whole = *length == -1 ? body : body + size + 2;
  if (buffer_.size() - at_ < whole) {
    --elements_;  // counted again when all of it is there
    return Step::kMore;
  }
  if (*length >= 0) {
    std::string_view text = std::string_view(buffer_).substr(at_ + body, size + 2);
    if (!text.ends_with("\r\n")) return Fail("a string that does not end where it said");
    text.remove_suffix(2);
    if (type == '=') {
      if (size < kVerbatimPrefixBytes) return Fail("a verbatim string without its format");
      text.remove_prefix(kVerbatimPrefixBytes);
    }
    value.kind = type == '!' ? Reply::Kind::kError : Reply::Kind::kText;
    value.text = text;
  }
  at_ += whole;
  bytes_ += whole;
  return Step::kValue;
}

Result<ReplyReader::Step> ReplyReader::OpenList(char type, std::string_view header, Reply& value) {
  const auto count = ParseInt64(header);
  if (!count || *count < -1 || (*count == -1 && type != '*')) {
    return Fail("a list of invalid length");
  }
  if (*count == -1) return Step::kValue;  // RESP2's null list
  if (static_cast<uint64_t>(*count) > kReplyElementsMax) {
    return Fail("a reply of too many elements");
  }
  const bool is_attribute = type == '|';
  const size_t items = static_cast<size_t>(*count) * (ListKind(type) == Reply::Kind::kMap ? 2 : 1);
  value.kind = ListKind(type);
  if (items == 0) return is_attribute ? Step::kOpened : Step::kValue;
  if (stack_.size() == kReplyDepthMax) return Fail("a reply nested too deeply");
  stack_.push_back({.list = std::move(value), .left = items, .is_attribute = is_attribute});
  return Step::kOpened;
}

// Puts a value where it belongs, and lists that are complete with it. True: `value` is the reply.
bool ReplyReader::Place(Reply& value) {
  while (!stack_.empty()) {
    Frame& frame = stack_.back();
    frame.list.items.push_back(std::move(value));
    if (--frame.left > 0) return false;
    const bool is_attribute = frame.is_attribute;
    value = std::move(frame.list);
    stack_.pop_back();
    if (is_attribute) return false;  // says something about the value after it, which counts alone
  }
  return true;
}

Error ReplyReader::Fail(std::string message) {
  failure_ = std::move(message);
  buffer_.clear();
  at_ = 0;
  stack_.clear();
  return Error{failure_};
}

Result<Reply> ParseReply(std::string_view bytes) {
  ReplyReader reader;
  reader.Feed(bytes);
  Result<std::optional<Reply>> reply = reader.Next();
  if (!reply.ok()) return std::move(reply).error();
  if (!reply->has_value()) return Error{"half a reply"};
  return std::move(**reply);
}

}  // namespace tidegate::topology
