// The families of data commands: one constexpr array of rows per type, beside its handlers, shown
// to the rest as a span. families.cc joins them for CommandTable::Create; a new family is one line
// here and one there. Immutable; any thread may read.
#pragma once

#include <span>

#include "storage/command.h"

namespace tidegate {

extern const std::span<const CommandSpec> kBitmapFamily;
extern const std::span<const CommandSpec> kBloomFamily;
extern const std::span<const CommandSpec> kDumpFamily;
extern const std::span<const CommandSpec> kGenericFamily;
extern const std::span<const CommandSpec> kGeoFamily;
extern const std::span<const CommandSpec> kHashFamily;
extern const std::span<const CommandSpec> kHashFieldFamily;
extern const std::span<const CommandSpec> kHyperLogLogFamily;
extern const std::span<const CommandSpec> kListFamily;
extern const std::span<const CommandSpec> kSetFamily;
extern const std::span<const CommandSpec> kSortFamily;
extern const std::span<const CommandSpec> kSortedSetFamily;
extern const std::span<const CommandSpec> kStreamFamily;
extern const std::span<const CommandSpec> kStringFamily;
extern const std::span<const CommandSpec> kWatchFamily;

}  // namespace tidegate
