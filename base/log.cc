#include "base/log.h"

#include <fcntl.h>
#include <sys/time.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <iterator>

#include "base/clock.h"
#include "base/shown_text.h"

namespace tidegate::log {
namespace {

std::atomic<LogSeverity> level{LogSeverity::kNotice};
std::atomic<int> descriptor{STDOUT_FILENO};
std::atomic<LogFormat> format{LogFormat::kText};

// Room for pid, role, time and mark before the text.
constexpr size_t kPrefixBytesMax = 96;

constexpr std::string_view kKindNames[] = {"", "upstreams", "clients", "connections",
                                           "slow requests"};
constexpr std::string_view kSeverityNames[] = {"debug", "verbose", "notice", "warning"};

// How many lines of a kind there were in the second that is named.
struct KindState {
  std::atomic<int64_t> second{0};
  std::atomic<uint32_t> lines{0};
  std::atomic<uint64_t> suppressed{0};
};
KindState kinds[std::size(kKindNames)];

void AppendValue(std::string& line, const LogField& field) {
  if (field.is_number) {
    line += field.value;
  } else {
    AppendJsonString(line, field.value);
  }
}

// As Redis: local time.
std::string TextLine(const timeval& now, LogSeverity severity, std::string_view text,
                     std::span<const LogField> fields) {
  tm local{};
  localtime_r(&now.tv_sec, &local);
  char time[64];
  std::strftime(time, sizeof time, "%d %b %Y %H:%M:%S", &local);
  char prefix[kPrefixBytesMax];
  const char mark = ".-*#"[static_cast<size_t>(severity)];
  const int size =
      std::snprintf(prefix, sizeof prefix, "%d:M %s.%03d %c ", static_cast<int>(getpid()), time,
                    static_cast<int>(now.tv_usec / 1000), mark);
  std::string line(prefix, static_cast<size_t>(size));
  line += text;
  for (const LogField& field : fields) {
    line += ' ';
    line += field.name;
    line += '=';
    AppendValue(line, field);
  }
  line += '\n';
  return line;
}

// The time in UTC, as RFC 3339 has it.
std::string JsonLine(const timeval& now, LogSeverity severity, std::string_view text,
                     std::span<const LogField> fields) {
  tm utc{};
  gmtime_r(&now.tv_sec, &utc);
  char time[64];
  std::strftime(time, sizeof time, "%Y-%m-%dT%H:%M:%S", &utc);
  char prefix[kPrefixBytesMax];
  const int size = std::snprintf(prefix, sizeof prefix, "{\"time\":\"%s.%03dZ\",\"pid\":%d", time,
                                 static_cast<int>(now.tv_usec / 1000), static_cast<int>(getpid()));
  std::string line(prefix, static_cast<size_t>(size));
  line += ",\"level\":\"";
  line += kSeverityNames[static_cast<size_t>(severity)];
  line += "\",\"message\":";
  AppendJsonString(line, text);
  for (const LogField& field : fields) {
    line += ',';
    AppendJsonString(line, field.name);
    line += ':';
    AppendValue(line, field);
  }
  line += "}\n";
  return line;
}

}  // namespace

void SetLevel(LogSeverity severity) { level.store(severity, std::memory_order_relaxed); }

bool Enabled(LogSeverity severity) { return severity >= level.load(std::memory_order_relaxed); }

Status OpenFile(const std::string& path) {
  int fd = STDOUT_FILENO;
  if (!path.empty()) {
    fd = open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (fd < 0) return Error{"open log file " + path + ": " + std::strerror(errno)};
  }
  const int before = descriptor.load();
  if (before == STDOUT_FILENO || fd == STDOUT_FILENO) {
    descriptor.store(fd);
    if (before != STDOUT_FILENO) close(before);
    return {};
  }
  // From file to file under the same number: a thread in the middle of Write never sees it closed.
  if (dup3(fd, before, O_CLOEXEC) < 0) {
    close(fd);
    return Error{"open log file " + path + ": " + std::strerror(errno)};
  }
  close(fd);
  return {};
}

int Descriptor() { return descriptor.load(); }

void SetFormat(LogFormat new_format) { format.store(new_format, std::memory_order_relaxed); }

LogFormat Format() { return format.load(std::memory_order_relaxed); }

std::string FormatLine(LogFormat as, LogSeverity severity, std::string_view text,
                       std::span<const LogField> fields) {
  timeval now{};
  gettimeofday(&now, nullptr);
  text = text.substr(0, kLogLineBytesMax);
  return as == LogFormat::kJson ? JsonLine(now, severity, text, fields)
                                : TextLine(now, severity, text, fields);
}

void Write(LogSeverity severity, std::string_view text) {
  WriteOfKind(LogKind::kAny, severity, text);
}

void WriteOfKind(LogKind kind, LogSeverity severity, std::string_view text,
                 std::span<const LogField> fields) {
  if (!Enabled(severity) || !Admits(kind)) return;
  const std::string line = FormatLine(Format(), severity, text, fields);
  [[maybe_unused]] const ssize_t written = write(descriptor.load(), line.data(), line.size());
}

bool Admits(LogKind kind) {
  if (kind == LogKind::kAny) return true;
  KindState& state = kinds[static_cast<size_t>(kind)];
  const int64_t now_s = MonotonicNanos() / 1'000'000'000;
  if (state.second.load(std::memory_order_relaxed) != now_s &&
      state.second.exchange(now_s, std::memory_order_relaxed) != now_s)
    state.lines.store(0, std::memory_order_relaxed);
  if (state.lines.fetch_add(1, std::memory_order_relaxed) < kLogLinesPerSecondMax) return true;
  state.suppressed.fetch_add(1, std::memory_order_relaxed);
  return false;
}

// Not before the second is over: then it would be told more than once of it.
void TellSuppressed() {
  const int64_t now_s = MonotonicNanos() / 1'000'000'000;
  for (size_t i = 0; i < std::size(kinds); ++i) {
    KindState& state = kinds[i];
    if (state.suppressed.load(std::memory_order_relaxed) == 0 ||
        state.second.load(std::memory_order_relaxed) == now_s)
      continue;
    const uint64_t lines = state.suppressed.exchange(0, std::memory_order_relaxed);
    const LogField facts[] = {{"kind", std::string(kKindNames[i])},
                              {"suppressed", std::to_string(lines), true}};
    WriteOfKind(LogKind::kAny, LogSeverity::kWarning,
                "More log lines about " + std::string(kKindNames[i]) + " than " +
                    std::to_string(kLogLinesPerSecondMax) + " a second; the others are not written",
                facts);
  }
}

}  // namespace tidegate::log
