#include "proxy/upstream/merged_reply.h"

#include <algorithm>
#include <limits>
#include <optional>
#include <set>
#include <utility>

#include "base/check.h"
#include "base/clock.h"
#include "base/text.h"
#include "proxy/upstream/reply_framer.h"

namespace tidegate {
namespace {

constexpr std::string_view kNoReply =
    "-ERR a node's reply to a part of it is not what it can be\r\n";

bool IsError(std::string_view reply) {
  return reply.empty() || reply.front() == '-' || reply.front() == '!';
}

bool IsNull(std::string_view reply) { return reply == "$-1\r\n" || reply == "_\r\n"; }

// The text of a header or of a simple reply, and what is behind its line.
std::string_view TakeLine(std::string_view& bytes) {
  const size_t end = std::min(bytes.find("\r\n"), bytes.size());
  const std::string_view line = bytes.substr(0, end);
  bytes.remove_prefix(std::min(end + 2, bytes.size()));
  return line;
}

std::optional<int64_t> IntegerOf(std::string_view reply) {
  if (!reply.starts_with(':')) return std::nullopt;
  return ParseInt64(reply.substr(1, reply.find('\r') - 1));
}

std::string Integer(uint64_t value) { return ":" + std::to_string(value) + "\r\n"; }

}  // namespace

void MergedReply::AddPart(uint16_t number, std::vector<uint32_t> key_positions) {
  parts_.push_back({number, std::move(key_positions), ""});
}

bool MergedReply::Take(uint16_t number, std::string_view reply) {
  const auto part =
      std::lower_bound(parts_.begin(), parts_.end(), number,
                       [](const Part& p, uint16_t wanted) { return p.number < wanted; });
  TG_CHECK(part != parts_.end() && part->number == number);
  part->reply.assign(reply);
  return ++taken_ == parts_.size();
}

std::string MergedReply::Whole() const {
  if (rule_ == SplitRule::kAnyDone) return AnyDone();
  for (const Part& part : parts_) {
    if (IsError(part.reply)) return part.reply;
  }
  return names_ == nullptr ? Merge() : names_->Restore(Merge(), protocol_);
}

std::string MergedReply::Merge() const {
  switch (rule_) {
    case SplitRule::kSum:
      return Sum();
    case SplitRule::kSame:
      return Same();
    case SplitRule::kWhole:
      return parts_.front().reply;
    case SplitRule::kByKey:
      return ByKey();
    case SplitRule::kConcat:
      return Concat();
    case SplitRule::kAnyKey:
      return AnyKey();
    case SplitRule::kUnion:
      return Union();
    case SplitRule::kSumEach:
    case SplitRule::kLeastEach:
      return Each();
    case SplitRule::kAnyDone:
      break;
    case SplitRule::kOneByOne:
      return ScanPage();
  }
  return std::string(kNoReply);
}

std::string MergedReply::Sum() const {
  uint64_t sum = 0;
  for (const Part& part : parts_) {
    std::string_view rest = part.reply;
    const std::string_view line = TakeLine(rest);
    const auto value = line.starts_with(':') ? ParseInt64(line.substr(1)) : std::nullopt;
    if (!value) return std::string(kNoReply);
    sum += static_cast<uint64_t>(*value);
  }
  return Integer(sum);
}

bool MergedReply::Elements(std::string_view reply, std::vector<std::string_view>& elements) const {
  const std::string_view line = TakeLine(reply);
  const auto count =
      line.starts_with('*') || line.starts_with('~') ? ParseInt64(line.substr(1)) : std::nullopt;
  if (!count) return false;
  ReplyFramer framer(protocol_);
  for (int64_t i = 0; i < *count; ++i) {
    if (framer.Next(reply) != ReplyFramer::Outcome::kReply) return false;
    elements.push_back(reply.substr(0, framer.frame_bytes()));
    reply.remove_prefix(framer.frame_bytes());
  }
  return true;
}

std::string MergedReply::ByKey() const {
  size_t keys = 0;
  for (const Part& part : parts_) keys += part.key_positions.size();
  std::vector<std::string_view> by_key(keys);
  size_t bytes = 0;
  for (const Part& part : parts_) {
    std::vector<std::string_view> elements;
    if (!Elements(part.reply, elements) || elements.size() != part.key_positions.size())
      return std::string(kNoReply);
    for (size_t i = 0; i < elements.size(); ++i) by_key[part.key_positions[i]] = elements[i];
    bytes += part.reply.size();
  }
  std::string whole = "*" + std::to_string(keys) + "\r\n";
  whole.reserve(whole.size() + bytes);
  for (const std::string_view element : by_key) whole += element;
  return whole;
}

std::string MergedReply::Concat() const {
  int64_t count = 0;
  std::string bodies;
  for (const Part& part : parts_) {
    std::string_view rest = part.reply;
    const std::string_view line = TakeLine(rest);
    const auto elements = line.starts_with('*') ? ParseInt64(line.substr(1)) : std::nullopt;
    if (!elements) return std::string(kNoReply);
    count += *elements;
    bodies += rest;
  }
  return "*" + std::to_string(count) + "\r\n" + bodies;
}

std::string MergedReply::AnyKey() const {
  std::vector<const Part*> found;
  for (const Part& part : parts_) {
    if (!IsNull(part.reply)) found.push_back(&part);
  }
  if (found.empty()) return parts_.front().reply;
  return found[Ticks() / 16 % found.size()]->reply;
}

std::string MergedReply::Same() const {
  const std::string& reply = parts_.front().reply;
  const bool same = std::all_of(parts_.begin() + 1, parts_.end(),
                                [&reply](const Part& part) { return part.reply == reply; });
  return same ? reply : std::string(kNoReply);
}

std::string MergedReply::Union() const {
  std::set<std::string_view> seen;
  std::string bodies;
  for (const Part& part : parts_) {
    std::vector<std::string_view> elements;
    if (!Elements(part.reply, elements)) return std::string(kNoReply);
    for (const std::string_view element : elements) {
      if (seen.insert(element).second) bodies += element;
    }
  }
  return "*" + std::to_string(seen.size()) + "\r\n" + bodies;
}

std::string MergedReply::Each() const {
  std::vector<std::string_view> first;
  if (!Elements(parts_.front().reply, first)) return std::string(kNoReply);
  std::vector<std::optional<int64_t>> numbers;
  for (const std::string_view element : first) numbers.push_back(IntegerOf(element));
  for (auto part = parts_.begin() + 1; part != parts_.end(); ++part) {
    std::vector<std::string_view> elements;
    if (!Elements(part->reply, elements) || elements.size() != first.size())
      return std::string(kNoReply);
    for (size_t i = 0; i < elements.size(); ++i) {
      const std::optional<int64_t> number = IntegerOf(elements[i]);
      const bool alike = number ? numbers[i].has_value() : elements[i] == first[i];
      if (!alike) return std::string(kNoReply);
      if (number) numbers[i] = Combine(*numbers[i], *number);
    }
  }
  std::string whole = "*" + std::to_string(first.size()) + "\r\n";
  for (size_t i = 0; i < first.size(); ++i)
    whole += numbers[i] ? ":" + std::to_string(*numbers[i]) + "\r\n" : std::string(first[i]);
  return whole;
}

int64_t MergedReply::Combine(int64_t a, int64_t b) const {
  if (rule_ == SplitRule::kLeastEach) return std::min(a, b);
  return static_cast<int64_t>(static_cast<uint64_t>(a) + static_cast<uint64_t>(b));
}

// Something that runs at one node was to be ended: the others say NOTBUSY, which is the reply when
// all do.
std::string MergedReply::AnyDone() const {
  constexpr std::string_view kNothingThere = "-NOTBUSY";
  const std::string* said = &parts_.front().reply;
  for (const Part& part : parts_) {
    if (!IsError(part.reply)) return part.reply;
    if (said->starts_with(kNothingThere)) said = &part.reply;
  }
  return *said;
}

// *2, the cursor, the keys: with the cursor that says where to go on.
std::string MergedReply::ScanPage() const {
  std::string_view rest = parts_.front().reply;
  if (TakeLine(rest) != "*2" || !TakeLine(rest).starts_with('$')) return std::string(kNoReply);
  const auto cursor = ParseUint64(TakeLine(rest));
  if (!cursor) return std::string(kNoReply);
  if (*cursor > std::numeric_limits<uint64_t>::max() / kScanNodesMax - 1)
    return "-ERR a node's cursor is too large to be one of a cluster's\r\n";
  uint64_t next = 0;
  if (*cursor != 0) {
    next = *cursor * kScanNodesMax + scan_node_;
  } else if (scan_node_ + 1 < scan_nodes_) {
    next = scan_node_ + 1;
  }
  const std::string text = std::to_string(next);
  return "*2\r\n$" + std::to_string(text.size()) + "\r\n" + text + "\r\n" + std::string(rest);
}

}  // namespace tidegate
