#include "tests/support/resp_value.h"

#include <cstdint>

#include "base/check.h"
#include "base/text.h"

namespace tidegate::testing {
namespace {

RespValue ParseAt(std::string_view bytes, size_t& at) {
  const size_t line_end = bytes.find("\r\n", at);
  if (line_end == std::string_view::npos) return {};
  RespValue value{
      .type = bytes[at], .text = std::string(bytes.substr(at + 1, line_end - at - 1)), .items = {}};
  at = line_end + 2;
  if (value.type != '$' && value.type != '*') return value;
  const auto length = ParseInt64(value.text);
  value.text.clear();
  if (!length || *length < -1) return {};
  if (*length == -1) return {.type = '_', .text = {}, .items = {}};
  const auto count = static_cast<size_t>(*length);
  if (value.type == '$') {
    if (bytes.size() < at + count + 2) return {};
    value.text = bytes.substr(at, count);
    at += count + 2;
    return value;
  }
  for (size_t i = 0; i < count && at < bytes.size(); ++i) value.items.push_back(ParseAt(bytes, at));
  return value;
}

}  // namespace

int64_t RespValue::integer() const {
  const auto number = ParseInt64(text);
  TG_CHECK((type == ':' || type == '$') && number);
  return *number;
}

RespValue ParseResp(std::string_view bytes) {
  size_t at = 0;
  return ParseAt(bytes, at);
}

}  // namespace tidegate::testing
