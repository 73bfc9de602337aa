#include "policy/key_shape/key_shape.h"

#include "base/shown_text.h"

namespace tidegate {
namespace {

std::string Listed(std::string_view name, const std::vector<KeyPattern>& patterns) {
  if (patterns.empty()) return "";
  std::string text = " " + std::string(name);
  for (const KeyPattern& pattern : patterns) text += " " + Shown(pattern.text());
  return text;
}

}  // namespace

KeyShape::KeyShape(const KeyShapeOptions& options, PolicyMode mode)
    : allow_(ParsedPatterns(options.allow)),
      deny_(ParsedPatterns(options.deny)),
      key_bytes_max_(options.key_bytes_max.count),
      mode_(mode),
      answer_(options.answer) {}

std::string_view KeyShape::FaultOf(std::string_view key) const {
  if (key_bytes_max_ > 0 && key.size() > key_bytes_max_) return "is too long";
  if (MatchesAny(deny_, key)) return "has a shape that is denied";
  if (!allow_.empty() && !MatchesAny(allow_, key)) return "has none of the shapes that are allowed";
  return "";
}

std::string KeyShape::Describe() const {
  std::string line = "key_shape " + std::string(kPolicyModeNames[static_cast<size_t>(mode_)]) + ":";
  if (key_bytes_max_ > 0) line += " bytes " + std::to_string(key_bytes_max_);
  line += Listed("deny", deny_) + Listed("allow", allow_);
  return line + " answer " + std::string(kPolicyAnswerNames[static_cast<size_t>(answer_)]);
}

}  // namespace tidegate
