#include "base/reply_writer.h"

#include <algorithm>
#include <string>

namespace tidegate {
namespace {

constexpr std::string_view kLineEnd = "\r\n";

}  // namespace

void ReplyWriter::Header(char type, int64_t value) {
  char* p = out_->Reserve(kHeaderBytesMax);
  if (value >= 0) {
    out_->Commit(PutHeader(p, type, static_cast<size_t>(value)));
    return;
  }
  p[0] = type;
  size_t n = 1 + FormatInt64(value, p + 1);
  p[n] = '\r';
  p[n + 1] = '\n';
  out_->Commit(n + 2);
}

void ReplyWriter::SimpleString(std::string_view text) {
  Raw("+");
  Raw(text);
  Raw("\r\n");
}

void ReplyWriter::Error(std::string_view text) {
  if (error_observer_ != nullptr) error_observer_(error_context_, text);
  char* p = out_->Reserve(text.size() + 3);
  p[0] = '-';
  std::transform(text.begin(), text.end(), p + 1,
                 [](char c) { return c == '\r' || c == '\n' ? ' ' : c; });
  p[text.size() + 1] = '\r';
  p[text.size() + 2] = '\n';
  out_->Commit(text.size() + 3);
}

void ReplyWriter::Replay(std::string_view encoded) {
  if (!encoded.starts_with('-')) return Raw(encoded);
  encoded.remove_prefix(1);
  encoded.remove_suffix(kLineEnd.size());
  Error(encoded);
}

void ReplyWriter::LargeBulk(std::string_view bytes) {
  BeginBulk(bytes.size());
  BulkPart(bytes);
  EndBulk();
}

void ReplyWriter::BulkInteger(int64_t value) {
  char digits[kInt64TextBytesMax];
  Bulk({digits, FormatInt64(value, digits)});
}

void ReplyWriter::Double(double value) {
  if (resp3()) {
    char line[1 + kDoubleTextBytesMax + 2] = {','};
    const size_t n = 1 + FormatDouble(value, line + 1);
    line[n] = '\r';
    line[n + 1] = '\n';
    return Raw({line, n + 2});
  }
  char text[kDoubleTextBytesMax];
  Bulk({text, FormatDouble(value, text)});
}

void ReplyWriter::Boolean(bool value) {
  if (resp3()) {
    Raw(value ? "#t\r\n" : "#f\r\n");
  } else {
    Raw(value ? ":1\r\n" : ":0\r\n");
  }
}

void ReplyWriter::BigNumber(std::string_view digits) {
  if (!resp3()) return Bulk(digits);
  Raw("(");
  Raw(digits);
  Raw("\r\n");
}

void ReplyWriter::Verbatim(std::string_view format, std::string_view text) {
  if (!resp3()) return Bulk(text);
  TG_DCHECK(format.size() == 3);
  Header('=', static_cast<int64_t>(text.size() + 4));
  Raw(format);
  Raw(":");
  out_->AppendLarge(text);
  Raw("\r\n");
}

}  // namespace tidegate
