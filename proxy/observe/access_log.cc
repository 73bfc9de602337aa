#include "proxy/observe/access_log.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>
#include <vector>

#include "base/shown_text.h"

namespace tidegate {

namespace {

std::string ShownKey(const RequestRecord& record) {
  const std::string_view key = std::string_view(record.key).substr(0, kLoggedKeyBytesMax);
  std::string text = Shown(key);
  if (record.key_bytes > key.size())
    text += "... (" + std::to_string(record.key_bytes - key.size()) + " more bytes)";
  return text;
}

std::vector<LogField> FieldsOf(const RequestRecord& record) {
  std::vector<LogField> fields;
  const auto text = [&fields](std::string_view name, std::string value) {
    if (!value.empty()) fields.push_back({name, std::move(value)});
  };
  const auto number = [&fields](std::string_view name, auto value) {
    fields.push_back({name, std::to_string(value), true});
  };
  text("command", record.command);
  text("key", ShownKey(record));
  text("route", record.route);
  text("cluster", record.cluster);
  text("node", record.node);
  text("client", Shown(record.client));
  text("client_name", Shown(record.client_name));
  number("duration_us", record.duration_us);
  number("request_bytes", record.request_bytes);
  number("reply_bytes", record.reply_bytes);
  text("error", Shown(record.error));
  const bool here = record.node.empty();
  if (record.waited_us >= 0) number("waited_us", record.waited_us);
  if (record.worked_us >= 0) number(here ? "executed_us" : "upstream_us", record.worked_us);
  if (record.written_us >= 0) number("written_us", record.written_us);
  return fields;
}

}  // namespace

std::string_view ErrorKind(std::string_view error) {
  if (error.starts_with('-')) error.remove_prefix(1);
  return error.substr(0, std::min(error.find_first_of(" \r\n"), error.size()));
}

void LogSlowRequest(const RequestRecord& record) {
  log::WriteOfKind(LogKind::kAny, LogSeverity::kWarning, "Slow request", FieldsOf(record));
}

AccessLog::~AccessLog() {
  if (descriptor_.load() >= 0) close(descriptor_.load());
}

// From file to file under the same number: a thread in the middle of Write never sees it closed.
Status AccessLog::Open(const std::string& path) {
  if (path.empty()) return {};
  const int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
  if (fd < 0) return Error{"open access log " + path + ": " + std::strerror(errno)};
  const int before = descriptor_.load();
  if (before < 0) {
    descriptor_.store(fd);
    return {};
  }
  const int moved = dup3(fd, before, O_CLOEXEC);
  const int error = errno;
  close(fd);
  if (moved < 0) return Error{"open access log " + path + ": " + std::strerror(error)};
  return {};
}

void AccessLog::Write(const RequestRecord& record) const {
  const std::vector<LogField> fields = FieldsOf(record);
  const int fd = descriptor_.load(std::memory_order_relaxed);
  if (fd < 0) return log::WriteOfKind(LogKind::kAny, LogSeverity::kNotice, "Access", fields);
  const std::string line = log::FormatLine(log::Format(), LogSeverity::kNotice, "Access", fields);
  [[maybe_unused]] const ssize_t written = write(fd, line.data(), line.size());
}

}  // namespace tidegate
