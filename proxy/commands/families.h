// The families of commands about the session and the process: one constexpr array of rows per
// theme, beside its handlers, shown to the rest as a span. families.cc joins them with those of the
// engine for CommandTable::Create; a new family is one line here and one there. Immutable; any
// thread may read.
#pragma once

#include <span>

#include "storage/command.h"

namespace tidegate {

extern const std::span<const CommandSpec> kAclFamily;
extern const std::span<const CommandSpec> kBigKeysFamily;
extern const std::span<const CommandSpec> kClientFamily;
extern const std::span<const CommandSpec> kClusterFamily;
extern const std::span<const CommandSpec> kCommandFamily;
extern const std::span<const CommandSpec> kConfigFamily;
extern const std::span<const CommandSpec> kConnectionFamily;
extern const std::span<const CommandSpec> kDebugFamily;
extern const std::span<const CommandSpec> kHotkeysFamily;
extern const std::span<const CommandSpec> kInfoFamily;
extern const std::span<const CommandSpec> kLatencyFamily;
extern const std::span<const CommandSpec> kMemoryFamily;
extern const std::span<const CommandSpec> kModuleFamily;
extern const std::span<const CommandSpec> kPersistenceFamily;
extern const std::span<const CommandSpec> kPubSubFamily;
extern const std::span<const CommandSpec> kServerFamily;
extern const std::span<const CommandSpec> kSlowlogFamily;
extern const std::span<const CommandSpec> kTidegateFamily;
extern const std::span<const CommandSpec> kTransactionFamily;

// Commands that upstreams execute and the engine does not know.
extern const std::span<const CommandSpec> kScriptingFamily;

// All that this process answers.
std::span<const std::span<const CommandSpec>> ProxyCommandFamilies();

}  // namespace tidegate
