#include "proxy/upstream/reply_names.h"

#include <algorithm>
#include <optional>

#include "base/text.h"
#include "proxy/upstream/reply_framer.h"

namespace tidegate {
namespace {

// Copies a header of that type, which says how many elements follow; nothing: it is another one.
std::optional<int64_t> CopyHeader(std::string_view types, std::string_view& rest,
                                  std::string& out) {
  const size_t end = rest.find("\r\n");
  if (rest.empty() || end == std::string_view::npos || types.find(rest.front()) == types.npos)
    return std::nullopt;
  const std::optional<int64_t> count = ParseInt64(rest.substr(1, end - 1));
  if (!count || *count < 0) return std::nullopt;
  out += rest.substr(0, end + 2);
  rest.remove_prefix(end + 2);
  return count;
}

bool CopyFrame(std::string_view& rest, Protocol protocol, std::string& out) {
  ReplyFramer framer(protocol);
  if (framer.Next(rest) != ReplyFramer::Outcome::kReply) return false;
  out += rest.substr(0, framer.frame_bytes());
  rest.remove_prefix(framer.frame_bytes());
  return true;
}

void AppendBulk(std::string_view text, std::string& out) {
  out += '$';
  out += std::to_string(text.size());
  out += "\r\n";
  out += text;
  out += "\r\n";
}

}  // namespace

std::string_view ReplyNames::Here(std::string_view there) const {
  const auto pair = std::find_if(pairs_.begin(), pairs_.end(),
                                 [there](const auto& known) { return known.first == there; });
  if (pair != pairs_.end()) return pair->second;
  if (there.starts_with(prefix_)) there.remove_prefix(prefix_.size());
  return there;
}

bool ReplyNames::CopyName(std::string_view& rest, std::string& out) const {
  std::string header;
  const std::optional<int64_t> bytes = CopyHeader("$", rest, header);
  if (!bytes || rest.size() < static_cast<size_t>(*bytes) + 2) return false;
  AppendBulk(Here(rest.substr(0, static_cast<size_t>(*bytes))), out);
  rest.remove_prefix(static_cast<size_t>(*bytes) + 2);
  return true;
}

bool ReplyNames::RestoreStreams(std::string_view rest, Protocol protocol, std::string& out) const {
  const bool is_map = rest.starts_with('%');
  const std::optional<int64_t> streams = CopyHeader("*%", rest, out);
  if (!streams) return false;
  for (int64_t i = 0; i < *streams; ++i) {
    if (!is_map && CopyHeader("*", rest, out) != 2) return false;
    if (!CopyName(rest, out) || !CopyFrame(rest, protocol, out)) return false;
  }
  return true;
}

std::string ReplyNames::Restore(std::string_view reply, Protocol protocol) const {
  std::string_view rest = reply;
  std::string out;
  out.reserve(reply.size() + prefix_.size());
  bool good = false;
  if (shape_ == Shape::kFirst) {
    good = CopyHeader("*", rest, out).value_or(0) > 0 && CopyName(rest, out);
    out += rest;
  } else if (shape_ == Shape::kStreams) {
    good = RestoreStreams(rest, protocol, out);
  } else {
    good = shape_ == Shape::kEach ||
           (CopyHeader("*", rest, out) == 2 && CopyFrame(rest, protocol, out));
    const std::optional<int64_t> keys = good ? CopyHeader("*~", rest, out) : std::nullopt;
    good = keys.has_value();
    for (int64_t i = 0; good && i < *keys; ++i) good = CopyName(rest, out);
  }
  return good ? out : std::string(reply);
}

}  // namespace tidegate
