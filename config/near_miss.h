// "Did you mean": the known name nearest to a mistyped one, by edits (insert, delete, replace, swap
// of neighbours). Far names give nothing: a wrong guess is worse than none.
// Source: Damerau-Levenshtein distance, optimal string alignment. Cost: one small table per
// candidate.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace tidegate {

// Edits between the two, ASCII case apart.
size_t EditDistance(std::string_view a, std::string_view b);

// The nearest candidate within a third of the name's length (at least one edit, at most three);
// of equals the first.
std::optional<std::string> NearestName(std::string_view name,
                                       std::span<const std::string_view> candidates);

}  // namespace tidegate
