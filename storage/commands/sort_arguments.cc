#include "storage/commands/sort_arguments.h"

#include <algorithm>

#include "base/text.h"
#include "storage/errors.h"

namespace tidegate {

SortPattern::SortPattern(std::string_view text) {
  constexpr std::string_view kArrow = "->";
  const std::string_view searched = text.substr(0, text.find('\0'));
  is_element_ = searched == "#";
  const size_t star = searched.find('*');
  if (star == std::string_view::npos) return;
  names_keys_ = true;
  before_star_ = text.substr(0, star);
  behind_star_ = text.substr(star + 1);
  const size_t arrow = searched.find(kArrow, star + 1);
  if (arrow == std::string_view::npos || arrow + kArrow.size() == searched.size()) return;
  behind_star_ = text.substr(star + 1, arrow - star - 1);
  field_ = text.substr(arrow + kArrow.size());
}

void SortPattern::Key(std::string_view element, std::string& key) const {
  key.assign(before_star_);
  key.append(element);
  key.append(behind_star_);
}

bool SortArguments::names_keys() const {
  return (by && !keep_order) ||
         std::any_of(gets.begin(), gets.end(), [](const auto& get) { return get.names_keys(); });
}

std::string_view ParseSortArguments(std::span<const std::string_view> args, SortWords words,
                                    SortArguments& out) {
  for (size_t i = 2; i < args.size(); ++i) {
    const size_t left = args.size() - i - 1;
    if (EqualsIgnoreCase(args[i], "asc")) {
      out.descending = false;
    } else if (EqualsIgnoreCase(args[i], "desc")) {
      out.descending = true;
    } else if (EqualsIgnoreCase(args[i], "alpha")) {
      out.alpha = true;
    } else if (EqualsIgnoreCase(args[i], "limit") && left >= 2) {
      const std::optional<int64_t> start = ParseInt64(args[i + 1]);
      const std::optional<int64_t> count = ParseInt64(args[i + 2]);
      if (!start || !count) return errors::kNotInteger;
      out.limit_start = *start;
      out.limit_count = *count;
      i += 2;
    } else if (words == SortWords::kAll && EqualsIgnoreCase(args[i], "store") && left >= 1) {
      out.store = ++i;
    } else if (EqualsIgnoreCase(args[i], "by") && left >= 1) {
      out.by = SortPattern(args[++i]);
      // Once said it holds, even when another BY follows.
      if (!out.by->names_keys()) out.keep_order = true;
    } else if (EqualsIgnoreCase(args[i], "get") && left >= 1) {
      out.gets.emplace_back(args[++i]);
    } else {
      return errors::kSyntax;
    }
  }
  return {};
}

}  // namespace tidegate
