// InfoWriter: puts INFO's text together: sections with a heading, lines of name:value, an empty
// line between sections. A plain text builder; one per call.
#pragma once

#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>

#include "base/text.h"

namespace tidegate {

class InfoWriter final {
 public:
  // For whom: a client that may take us for a cluster, or not.
  explicit InfoWriter(bool serves_as_cluster) : serves_as_cluster_(serves_as_cluster) {}

  bool serves_as_cluster() const { return serves_as_cluster_; }
  void Section(std::string_view title) {
    if (!text_.empty()) text_ += "\r\n";
    text_ += "# ";
    text_ += title;
    text_ += "\r\n";
  }
  InfoWriter& Text(std::string_view name, std::string_view value) {
    text_ += name;
    text_ += ':';
    text_ += value;
    text_ += "\r\n";
    return *this;
  }
  InfoWriter& Signed(std::string_view name, int64_t value) { return Text(name, ToText(value)); }
  InfoWriter& Number(std::string_view name, uint64_t value) {
    char digits[kInt64TextBytesMax];
    return Text(name, {digits, FormatUint64(value, digits)});
  }
  // With a fixed number of digits behind the point.
  InfoWriter& Fixed(std::string_view name, double value, int digits, std::string_view unit = "") {
    char number[64];
    const int size = std::snprintf(number, sizeof number, "%.*f", digits, value);
    std::string text(number, static_cast<size_t>(size));
    text += unit;
    return Text(name, text);
  }

  std::string Take() { return std::move(text_); }

 private:
  const bool serves_as_cluster_;
  std::string text_;
};

}  // namespace tidegate
