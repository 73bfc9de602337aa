#include "storage/commands/scan_arguments.h"

#include <cctype>
#include <cerrno>
#include <cstdlib>
#include <string>

#include "base/text.h"

namespace tidegate {

std::optional<uint64_t> ParseScanCursor(std::string_view text) {
  const std::string copy(text);
  if (!copy.empty() && std::isspace(static_cast<unsigned char>(copy[0]))) return std::nullopt;
  char* end = nullptr;
  errno = 0;
  const uint64_t cursor = std::strtoull(copy.c_str(), &end, 10);
  if (*end != '\0' || errno == ERANGE) return std::nullopt;
  return cursor;
}

std::optional<ScanArguments> ParseScanArguments(CommandContext& context, size_t first,
                                                ScanOf scanned) {
  ScanArguments out;
  for (size_t i = first; i < context.argc(); ++i) {
    const std::string_view option = context.arg(i);
    const bool has_value = i + 1 < context.argc();
    if (has_value && EqualsIgnoreCase(option, "count")) {
      const std::optional<int64_t> count = context.IntegerArg(++i);
      if (!count) return std::nullopt;
      if (*count < 1) {
        context.Fail(errors::kSyntax);
        return std::nullopt;
      }
      out.count = static_cast<uint64_t>(*count);
    } else if (has_value && EqualsIgnoreCase(option, "match")) {
      out.pattern = context.arg(++i);
    } else if (has_value && scanned == ScanOf::kKeyspace && EqualsIgnoreCase(option, "type")) {
      out.type = context.arg(++i);
    } else if (scanned == ScanOf::kHash && EqualsIgnoreCase(option, "novalues")) {
      out.values = false;
    } else {
      context.Fail(errors::kSyntax);
      return std::nullopt;
    }
  }
  if (out.pattern == "*") out.pattern.reset();
  return out;
}

void BeginScanReply(ReplyWriter& reply, uint64_t cursor) {
  char digits[kInt64TextBytesMax];
  reply.Array(2);
  reply.Bulk({digits, FormatUint64(cursor, digits)});
}

}  // namespace tidegate
