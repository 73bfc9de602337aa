// KeyShape: which keys applications may ask for, of one route. Against lookups of keys that exist
// nowhere: somebody counts through numbers, or an application builds keys of what its users type.
// A key that is too long, that has one of the `deny` shapes, or that has none of the `allow` shapes
// when there are any, is refused before anybody looks it up. It knows shapes, not which keys exist:
// so it never refuses a key that its rules describe. Immutable; threads: any. Cost: about a
// nanosecond for each byte of the key and pattern that begins like it.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/key_pattern.h"
#include "config/policy_options.h"

namespace tidegate {

class KeyShape final {
 public:
  KeyShape(const KeyShapeOptions& options, PolicyMode mode);

  // Why the key is refused, as the end of a sentence about it; empty: it is not.
  std::string_view FaultOf(std::string_view key) const;

  PolicyMode mode() const { return mode_; }
  PolicyAnswer answer() const { return answer_; }
  std::string Describe() const;

 private:
  std::vector<KeyPattern> allow_;
  std::vector<KeyPattern> deny_;
  const size_t key_bytes_max_;  // 0: no limit
  const PolicyMode mode_;
  const PolicyAnswer answer_;
};

}  // namespace tidegate
