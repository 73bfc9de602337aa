#include "storage/commands/families.h"

#include <array>

namespace tidegate {

std::span<const std::span<const CommandSpec>> StorageCommandFamilies() {
  static const std::array kFamilies = {
      kBitmapFamily, kBloomFamily,     kDumpFamily,        kGenericFamily, kGeoFamily,
      kHashFamily,   kHashFieldFamily, kHyperLogLogFamily, kListFamily,    kSetFamily,
      kSortFamily,   kSortedSetFamily, kStreamFamily,      kStringFamily,  kWatchFamily,
  };
  return kFamilies;
}

}  // namespace tidegate
