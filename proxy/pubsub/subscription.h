// The three kinds of subscription, which live in name spaces of their own: to a channel, to all
// channels that a pattern matches, and to a shard channel. Shared by the registries of this folder.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "base/hash.h"

namespace tidegate {

enum class SubscriptionKind : uint8_t { kChannel, kPattern, kShardChannel };
inline constexpr size_t kSubscriptionKinds = 3;

// An array with one element for each kind.
template <typename T>
class ByKind final {
 public:
  T& operator[](SubscriptionKind kind) { return all_[static_cast<size_t>(kind)]; }
  const T& operator[](SubscriptionKind kind) const { return all_[static_cast<size_t>(kind)]; }
  auto begin() { return all_.begin(); }
  auto end() { return all_.end(); }
  auto begin() const { return all_.begin(); }
  auto end() const { return all_.end(); }

 private:
  std::array<T, kSubscriptionKinds> all_{};
};

// So that maps by name are asked with views.
struct NameHash {
  using is_transparent = void;  // NOLINT(readability-identifier-naming): the library's word
  size_t operator()(std::string_view name) const { return KeyHash(name); }
};

}  // namespace tidegate
