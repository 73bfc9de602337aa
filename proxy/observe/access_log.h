// AccessLog: a line for each sampled request, in a file of its own or in the log; and
// RequestRecord, what lines about single requests say, here and in the log of slow requests.
//
// Lines have the form of the log (log-format), so what collects one collects the other. Names and
// numbers alone: of arguments only the first key is shown, escaped and cut, never a value, and of
// commands whose arguments are secret not even that. Each line is one write(2) to a file opened
// with O_APPEND, so lines of several workers never mix; what the file does not take is lost, for no
// client shall wait for a log. Threads: any.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/log.h"
#include "base/result.h"

namespace tidegate {

// Bytes of a key that are shown.
inline constexpr size_t kLoggedKeyBytesMax = 128;

struct RequestRecord {
  std::string command;   // "get", "config|set"
  std::string key;       // its first, as it is; empty: none
  size_t key_bytes = 0;  // of which `key` may be the beginning
  std::string route;
  std::string cluster;
  std::string node;  // empty: this process answered it
  std::string client;
  std::string client_name;
  uint64_t request_bytes = 0;  // of its arguments
  uint64_t reply_bytes = 0;
  int64_t duration_us = 0;
  std::string error;  // "ERR", "WRONGTYPE"; empty: none
  // Of a slow one; negative: not known. It waited (for locks, for a key on disk, to be sent), was
  // worked on (here, or by its upstream), and its reply was sent.
  int64_t waited_us = -1;
  int64_t worked_us = -1;
  int64_t written_us = -1;
};

// The word that an error reply begins with, without the '-'.
std::string_view ErrorKind(std::string_view error);

// A slow request as a line of the log. The caller has asked log::Admits, when it was answered.
void LogSlowRequest(const RequestRecord& record);

class AccessLog final {
 public:
  AccessLog() = default;
  ~AccessLog();
  AccessLog(const AccessLog&) = delete;
  AccessLog& operator=(const AccessLog&) = delete;

  // The file, or "" for the log. Again for the same file: after it was rotated. Keeps what is open
  // on error.
  Status Open(const std::string& path);

  void Write(const RequestRecord& record) const;

 private:
  std::atomic<int> descriptor_{-1};  // -1: the log
};

}  // namespace tidegate
