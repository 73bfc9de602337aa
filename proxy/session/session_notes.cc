// The part of Session that says what single requests were like: slow log, latency monitor, the log
// of slow requests, and the access log. Only requests that are slow enough come here, or all while
// the access log is on: the request path has one comparison for all (Worker::WatchRequests).
#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/log.h"
#include "proxy/observe/access_log.h"
#include "proxy/server.h"
#include "proxy/session/redaction.h"
#include "proxy/session/session.h"
#include "proxy/session/session_upstream.h"
#include "proxy/upstream/upstream_counters.h"
#include "proxy/worker.h"

namespace tidegate {
namespace {

// What clients call a command that there is not may be anything, a password in the wrong line among
// it.
constexpr char kUnknownCommand[] = "unknown";

int64_t MicrosOf(uint64_t ticks) { return TicksToNanos(ticks) / 1000; }

// Arguments as others may see them: secrets replaced, cut as Redis cuts them.
std::vector<std::string> SlowlogArguments(const Request& request,
                                          std::span<const uint32_t> redacted) {
  const size_t argc = request.args.size();
  const size_t shown = std::min(argc, kSlowlogArgumentsMax);
  std::vector<std::string> arguments;
  arguments.reserve(shown);
  for (size_t i = 0; i < shown; ++i) {
    const std::string_view arg = request.args[i];
    if (shown != argc && i + 1 == shown) {
      arguments.push_back("... (" + std::to_string(argc - shown + 1) + " more arguments)");
    } else if (IsRedacted(request, redacted, i)) {
      arguments.emplace_back(kRedacted);
    } else if (arg.size() > kSlowlogArgumentBytesMax) {
      arguments.push_back(std::string(arg.substr(0, kSlowlogArgumentBytesMax)) + "... (" +
                          std::to_string(arg.size() - kSlowlogArgumentBytesMax) + " more bytes)");
    } else {
      arguments.emplace_back(arg);
    }
  }
  return arguments;
}

// Of what an upstream answered only this much is known.
std::vector<std::string> KeptArguments(const UpstreamRequest& request) {
  const std::string& name = request.command->full_name;
  std::vector<std::string> arguments;
  const size_t bar = name.find('|');
  arguments.push_back(name.substr(0, bar));
  if (bar != std::string::npos) arguments.push_back(name.substr(bar + 1));
  if (request.key_bytes > 0) {
    std::string key(request.kept_key());
    const size_t more = request.key_bytes - key.size();
    if (more > 0) key += "... (" + std::to_string(more) + " more bytes)";
    arguments.push_back(std::move(key));
  }
  return arguments;
}

// Asked here, and not when the line is written: what is not written shall not be made either.
bool IsForLog(const Worker& worker, uint64_t ticks) {
  return worker.is_slow_for_log(ticks) && log::Admits(LogKind::kSlowRequest);
}

bool IsSecret(const Command& command) { return (command.spec->flags & kSecretArguments) != 0; }

}  // namespace

RequestRecord Session::RecordOf(uint16_t figures, uint64_t ticks) const {
  RequestRecord record;
  const RouteFigures& route = worker_.route_meter().at(figures);
  record.route = route.route;
  record.cluster = route.cluster;
  record.client = peer_address_;
  record.client_name = name_;
  record.duration_us = MicrosOf(ticks);
  return record;
}

void Session::NoteSlow(const Request& request, const Cost& cost) {
  const Command& command = *request.command;
  const int64_t micros = MicrosOf(cost.ticks);
  if (IsForSlowlog(command, micros)) AddToSlowlog(micros, SlowlogArguments(request, redacted_), "");
  const int64_t latency_ms = worker_.options().latency_monitor_threshold.count();
  if (latency_ms > 0 && micros / 1000 >= latency_ms) {
    const bool fast = (command.spec->flags & kFast) != 0;
    worker_.server().latency_monitor().Add(fast ? "fast-command" : "command", UnixMillis() / 1000,
                                           static_cast<uint32_t>(micros / 1000));
  }
  const bool is_slow = IsForLog(worker_, cost.ticks);
  const bool is_sampled = worker_.SamplesAccess();
  if (!is_slow && !is_sampled) return;
  RequestRecord record = RecordOf(worker_.counts_routes() ? figures_ : uint16_t{0}, cost.ticks);
  record.command = command.full_name;
  if (!request.keys.empty() && !IsSecret(command)) {
    record.key = request.keys[0].name.substr(0, kLoggedKeyBytesMax);
    record.key_bytes = request.keys[0].name.size();
  }
  record.request_bytes = BytesOf(request);
  record.reply_bytes = cost.reply_bytes;
  if (cost.failed) record.error = ErrorKind(worker_.last_error());
  if (is_sampled) worker_.server().access_log().Write(record);
  if (!is_slow) return;
  record.worked_us = MicrosOf(cost.worked_ticks);
  record.waited_us = std::max<int64_t>(micros - record.worked_us, 0);
  worker_.AddSlowRequest(std::move(record));
}

void Session::NoteRefused(const Request* request) {
  if (!worker_.SamplesAccess()) return;
  RequestRecord record;
  if (request == nullptr) {
    record = RecordOf(0, 0);
    record.command = kUnknownCommand;
  } else {
    const Command& command = *request->command;
    const bool by_route = worker_.counts_routes() && !request->keys.empty();
    record = RecordOf(by_route ? router().RouteOf(*request).figures : uint16_t{0}, 0);
    record.command = command.full_name;
    if (!request->keys.empty() && !IsSecret(command)) {
      record.key = request->keys[0].name.substr(0, kLoggedKeyBytesMax);
      record.key_bytes = request->keys[0].name.size();
    }
    record.request_bytes = BytesOf(*request);
  }
  record.error = ErrorKind(worker_.last_error());
  worker_.server().access_log().Write(record);
}

// Of a transaction each command's time would be that of the whole: EXEC tells it.
void Session::NoteSlowUpstream(const UpstreamRequest& request, uint64_t ticks,
                               std::string_view reply, size_t reply_bytes) {
  if (request.part() == RequestPart::kUnitPart) return;
  const Command& command = *request.command;
  const int64_t micros = MicrosOf(ticks);
  const NodeFigures* const node = request.link == nullptr ? nullptr : request.link->answered_by;
  const std::string address = node == nullptr ? "" : node->address;
  if (IsForSlowlog(command, micros)) AddToSlowlog(micros, KeptArguments(request), address);
  const bool is_slow = IsForLog(worker_, ticks);
  const bool is_sampled = worker_.SamplesAccess();
  if (!is_slow && !is_sampled) return;
  RequestRecord record = RecordOf(request.figures, ticks);
  record.command = command.full_name;
  record.node = address;
  if (!IsSecret(command)) {
    record.key = request.kept_key();
    record.key_bytes = request.key_bytes;
  }
  record.request_bytes = request.request_bytes;
  record.reply_bytes = reply_bytes;
  if (reply.starts_with('-')) record.error = ErrorKind(reply);
  if (is_sampled) worker_.server().access_log().Write(record);
  if (!is_slow) return;
  if (request.sent_after > 0) {
    record.waited_us = MicrosOf(std::min(request.sent_after_ticks(), ticks));
    record.worked_us = micros - record.waited_us;
  }
  worker_.AddSlowRequest(std::move(record));
}

bool Session::IsForSlowlog(const Command& command, int64_t micros) const {
  const int64_t threshold = worker_.options().slowlog_log_slower_than.count();
  return threshold >= 0 && micros >= threshold && (command.spec->flags & kSkipSlowlog) == 0;
}

void Session::AddToSlowlog(int64_t micros, std::vector<std::string> arguments, std::string node) {
  worker_.server().slowlog().Add({.unix_ms = UnixMillis(),
                                  .duration_us = micros,
                                  .arguments = std::move(arguments),
                                  .client_address = peer_address_,
                                  .client_name = name_,
                                  .node = std::move(node)},
                                 worker_.options().slowlog_max_len);
}

}  // namespace tidegate
