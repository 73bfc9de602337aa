#include "proxy/commands/families.h"

#include <array>

namespace tidegate {

std::span<const std::span<const CommandSpec>> ProxyCommandFamilies() {
  static const std::array kFamilies = {
      kAclFamily,     kBigKeysFamily,    kClientFamily,   kClusterFamily,     kCommandFamily,
      kConfigFamily,  kConnectionFamily, kDebugFamily,    kHotkeysFamily,     kInfoFamily,
      kLatencyFamily, kMemoryFamily,     kModuleFamily,   kPersistenceFamily, kPubSubFamily,
      kServerFamily,  kSlowlogFamily,    kTidegateFamily, kTransactionFamily,
  };
  return kFamilies;
}

}  // namespace tidegate
