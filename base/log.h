// Log: the server's log, written as redis-server writes its own ("1234:M 22 Nov 2026 10:31:35.123 *
// Ready to accept connections"), so that the tools which read one read the other.
//
// A light header: no formatting library. Callers build the line; lines below the level cost one
// relaxed load when guarded by Log::Enabled. Each line is one write(2) to the file (O_APPEND) or to
// standard output, so lines of different threads never mix and nothing is lost in a crash. Threads:
// any. There is one log per process by nature (standard output, the crash report), so this is the
// one deliberate global besides the crash handler.
// With SetFormat(kJson) each line is one JSON object, for programs that collect logs. What a
// network or a client can cause any number of times has a kind, and of each kind no more than
// kLogLinesPerSecondMax lines a second are written; how many were not is told afterwards.
// Secrets never come here: callers log names and numbers, not values of commands.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"

namespace tidegate {

// The order is that of redis.conf's loglevel.
enum class LogSeverity : uint8_t { kDebug = 0, kVerbose = 1, kNotice = 2, kWarning = 3 };

// Bytes of one line; longer ones are cut. As Redis's LOG_MAX_LEN.
inline constexpr size_t kLogLineBytesMax = 1024;

enum class LogFormat : uint8_t { kText, kJson };

// What is limited apart from everything else. kAny: what a person or the configuration causes, and
// what somebody has asked for; not limited.
enum class LogKind : uint8_t { kAny, kUpstream, kClient, kAccept, kSlowRequest };

inline constexpr uint32_t kLogLinesPerSecondMax = 20;

// A fact beside a line's text: name=value, or a member of the JSON object.
struct LogField {
  std::string_view name;
  std::string value;
  bool is_number = false;
};

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

void SetFormat(LogFormat format);

void Write(LogSeverity severity, std::string_view text);
// The same of a kind, with facts. Their values are escaped; the text is the caller's own.
void WriteOfKind(LogKind kind, LogSeverity severity, std::string_view text,
                 std::span<const LogField> fields = {});
// Whether one more line of that kind may be written this second; who gets false has been counted.
bool Admits(LogKind kind);
// Says how many lines were not written. About once a second, from one thread.
void TellSuppressed();

// The line as it would be written, without the write: for logs with a file of their own.
std::string FormatLine(LogFormat format, LogSeverity severity, std::string_view text,
                       std::span<const LogField> fields);
LogFormat Format();

inline void Debug(std::string_view text) { Write(LogSeverity::kDebug, text); }
inline void Verbose(std::string_view text) { Write(LogSeverity::kVerbose, text); }
inline void Notice(std::string_view text) { Write(LogSeverity::kNotice, text); }
inline void Warning(std::string_view text) { Write(LogSeverity::kWarning, text); }

}  // namespace log
}  // namespace tidegate
