// The themes of the option table, one file each (rows_<theme>.cc), and what their rows share.
// Included by those files and by option_table.cc alone.
#pragma once

#include <limits>

#include "config/option_table.h"

namespace tidegate {

inline constexpr int64_t kInt32Min = std::numeric_limits<int32_t>::min();
inline constexpr int64_t kInt32Max = std::numeric_limits<int32_t>::max();
inline constexpr int64_t kPortMax = 65535;

extern const OptionGroup kTidegateOptions;
extern const OptionGroup kNetworkOptions;
extern const OptionGroup kSecurityOptions;
extern const OptionGroup kProcessOptions;
extern const OptionGroup kMemoryOptions;
extern const OptionGroup kKeyspaceOptions;
extern const OptionGroup kPersistenceOptions;
extern const OptionGroup kObservabilityOptions;
extern const OptionGroup kHotKeyOptions;
extern const OptionGroup kBigKeyOptions;
extern const OptionGroup kLoadSheddingOptions;
extern const OptionGroup kLocalCacheOptions;
extern const OptionGroup kReplicationOptions;
extern const OptionGroup kRedisClusterOptions;
extern const OptionGroup kTlsOptions;

}  // namespace tidegate
