// Log: the server's log, written as redis-server writes its own ("1234:M 22 Nov 2026 10:31:35.123 *
// Ready to accept connections"), so that the tools which read one read the other.
//
// A light header: no formatting library. Callers build the line; lines below the level cost one
// relaxed load when guarded by Log::Enabled. Each line is one write(2) to the file (O_APPEND) or to
// standard output, so lines of different threads never mix and nothing is lost in a crash. Threads:
// any. There is one log per process by nature (standard output, the crash report), so this is the
// one deliberate global besides the crash handler.
// Secrets never come here: callers log names and numbers, not arguments of commands.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace tidegate {

// The order is that of redis.conf's loglevel.
enum class LogSeverity : uint8_t { kDebug = 0, kVerbose = 1, kNotice = 2, kWarning = 3 };

// Bytes of one line; longer ones are cut. As Redis's LOG_MAX_LEN.
inline constexpr size_t kLogLineBytesMax = 1024;

namespace log {

// Lines below `severity` are dropped from now on.
void SetLevel(LogSeverity severity);
bool Enabled(LogSeverity severity);

// Where lines go: a file that is appended to, or "" for standard output. Keeps the old target on
// error. With a file before and a file now, other threads may write meanwhile (log rotation);
// otherwise call it before there are any.
Status OpenFile(const std::string& path);

// The descriptor that lines go to, for the crash reporter.
int Descriptor();

void Write(LogSeverity severity, std::string_view text);

inline void Debug(std::string_view text) { Write(LogSeverity::kDebug, text); }
inline void Verbose(std::string_view text) { Write(LogSeverity::kVerbose, text); }
inline void Notice(std::string_view text) { Write(LogSeverity::kNotice, text); }
inline void Warning(std::string_view text) { Write(LogSeverity::kWarning, text); }

}  // namespace log
}  // namespace tidegate
