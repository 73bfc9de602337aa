// redis.conf: one directive a line, words in Redis's quotes, '#' comments. Directives that Redis
// has beside its settings are either done (include) or refused with the reason: a renamed command
// or a user that silently did not exist would be a hole. Thread: the one that loads.
#pragma once

#include <string_view>

#include "config/options_builder.h"

namespace tidegate {

enum class Includes : uint8_t { kRead, kRefuse };

// Reads `text` into the builder. `name` is the file in error messages. Relative includes are
// relative to the working directory, as in Redis; patterns may match nothing.
void ReadRedisConf(std::string_view text, std::string_view name, Includes includes,
                   OptionsBuilder& builder);

// The whole file, at most kConfigFileBytesMax.
Result<std::string> ReadConfigFile(const std::string& path);

}  // namespace tidegate
