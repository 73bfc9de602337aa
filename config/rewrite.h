// CONFIG REWRITE's text work: an old redis.conf and the settings as they are now give the new file.
// Comments, blank lines, order, directives that are not settings, and every line that still says
// the truth stay byte for byte; a setting whose lines do not is written where its first line stood;
// one that is not in the file and differs from its default goes to the end, below a comment that
// says so. Pure. Source of the behaviour: Redis's CONFIG REWRITE, which also rewrites lines that
// are true.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "config/options.h"

namespace tidegate {

std::string RewriteRedisConf(std::string_view old_text, const Options& options);

// Puts `text` in the place of the file: written beside it, forced to disk, renamed over it, with
// the old file's mode.
Status ReplaceFile(const std::string& path, std::string_view text);

}  // namespace tidegate
