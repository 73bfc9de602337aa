#include "config/options_builder.h"

#include "base/text.h"
#include "config/option_value.h"

namespace tidegate {

std::string PrintPlace(ConfigPlace place) {
  std::string text(place.source);
  if (place.line > 0) text += ":" + ToText(place.line);
  return text + ": ";
}

std::string DidYouMean(const std::optional<std::string>& name) {
  return name ? " (did you mean '" + *name + "'?)" : "";
}

std::string Excerpt(std::string_view text) {
  std::string shown;
  for (const char c : text.substr(0, kExcerptBytesMax)) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= ' ' && byte != 0x7f) {
      shown += c;
      continue;
    }
    static constexpr std::string_view kHex = "0123456789abcdef";
    shown += {'\\', 'x', kHex[byte >> 4], kHex[byte & 15]};
  }
  return text.size() > kExcerptBytesMax ? shown + "..." : shown;
}

void OptionsBuilder::Fail(ConfigPlace place, std::string_view what) {
  if (errors_.size() == kConfigErrorsMax) {
    ++errors_dropped_;
    return;
  }
  errors_.push_back(PrintPlace(place) + std::string(what));
}

void OptionsBuilder::Assign(std::string_view name, std::span<const std::string> words,
                            ConfigPlace place) {
  const OptionRow* row = FindOption(name);
  if (row == nullptr) {
    Fail(place, "unknown option '" + Excerpt(name) + "'" + DidYouMean(NearestOption(name)));
    return;
  }
  std::vector<std::string> all;
  if (row->lines_add_up && !(words.size() == 1 && words[0].empty())) {
    const std::string before = PrintOption(*row, options_);
    if (!before.empty()) all = SplitAtSpaces(before);
    for (const std::string& word : words) {
      const std::vector<std::string> parts = SplitAtSpaces(word);
      all.insert(all.end(), parts.begin(), parts.end());
    }
    words = all;
  }
  if (OptionFault fault = SetOption(*row, options_, words)) {
    const std::string value = row->secret ? "" : " '" + Excerpt(JoinWords(words)) + "'";
    Fail(place, std::string(name) + value + ": " + *fault);
    return;
  }
  if (row->is_kept() && options_.kept.contains(row->name)) {
    const std::string_view what =
        row->warning.empty() ? "is accepted and has no effect in Tidegate" : row->warning;
    warnings_.push_back(PrintPlace(place) + std::string(name) + " " + std::string(what));
  }
}

Result<Options> OptionsBuilder::Finish() && {
  if (errors_.empty()) {
    if (OptionFault fault = FinishOptions(options_)) errors_.push_back(*fault);
  }
  if (errors_.empty()) return std::move(options_);
  std::string text;
  for (const std::string& error : errors_) {
    if (!text.empty()) text += '\n';
    text += error;
  }
  if (errors_dropped_ > 0) text += "\nand " + std::to_string(errors_dropped_) + " more";
  return Error{std::move(text)};
}

}  // namespace tidegate
