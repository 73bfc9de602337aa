// The part of Server that makes settings take effect: at start, and when CONFIG SET or a reload
// changes them. Settings that sessions read from their worker's snapshot need nothing here.
#include <string>

#include "base/log.h"
#include "proxy/process_limits.h"
#include "proxy/server.h"

namespace tidegate {
namespace {

EvictionPolicy ToEvictionPolicy(MaxmemoryPolicy policy) {
  switch (policy) {
    case MaxmemoryPolicy::kVolatileLru:
      return EvictionPolicy::kVolatileLru;
    case MaxmemoryPolicy::kVolatileLfu:
      return EvictionPolicy::kVolatileLfu;
    case MaxmemoryPolicy::kVolatileRandom:
      return EvictionPolicy::kVolatileRandom;
    case MaxmemoryPolicy::kVolatileTtl:
      return EvictionPolicy::kVolatileTtl;
    case MaxmemoryPolicy::kAllkeysLru:
      return EvictionPolicy::kAllKeysLru;
    case MaxmemoryPolicy::kAllkeysLfu:
      return EvictionPolicy::kAllKeysLfu;
    case MaxmemoryPolicy::kAllkeysRandom:
      return EvictionPolicy::kAllKeysRandom;
    case MaxmemoryPolicy::kNoeviction:
      break;
  }
  return EvictionPolicy::kNoEviction;
}

void ApplyToEngine(const Options& options, EngineSettings& settings) {
  settings.maxmemory_bytes = options.maxmemory.count;
  settings.maxmemory_policy = ToEvictionPolicy(options.maxmemory_policy);
  settings.maxmemory_samples = options.maxmemory_samples;
  settings.string_bytes_max = options.proto_max_bulk_len.count;
  settings.lfu_log_factor = options.lfu_log_factor;
  settings.lfu_decay_minutes = options.lfu_decay_time;
  settings.lazyfree_user_del = options.lazyfree_lazy_user_del;
  settings.lazyfree_user_flush = options.lazyfree_lazy_user_flush;
}

constexpr std::string_view kEngineOptions[] = {
    "maxmemory",      "maxmemory-policy", "maxmemory-samples",      "proto-max-bulk-len",
    "lfu-log-factor", "lfu-decay-time",   "lazyfree-lazy-user-del", "lazyfree-lazy-user-flush",
};

Status ApplyMaxclients(const Options& next) {
  const int64_t granted = RaiseDescriptorLimit(next.maxclients);
  if (granted >= next.maxclients) return {};
  return Error{
      "The operating system is not able to handle the specified number of clients, try with " +
      std::to_string(granted)};
}

}  // namespace

Status Server::InstallConfigHooks() {
  ApplyToEngine(*config_.Snapshot(), engine_->settings());
  for (const std::string_view name : kEngineOptions) {
    config_.OnApply(name, [this](const Options& next) -> Status {
      ApplyToEngine(next, engine_->settings());
      return {};
    });
  }
  config_.OnApply("maxclients", ApplyMaxclients);
  config_.OnApply("loglevel", [](const Options& next) -> Status {
    log::SetLevel(static_cast<LogSeverity>(next.loglevel));
    return {};
  });
  return {};
}

}  // namespace tidegate
