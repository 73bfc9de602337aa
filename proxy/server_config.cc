// The part of Server that makes settings take effect: at start, and when CONFIG SET or a reload
// changes them. Settings that sessions read from their worker's snapshot need nothing here.
#include <string>

#include "base/log.h"
#include "proxy/process_limits.h"
#include "proxy/server.h"
#include "storage/persistence.h"

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
  settings.maxmemory_tenacity = options.maxmemory_eviction_tenacity;
  settings.string_bytes_max = options.proto_max_bulk_len.count;
  settings.lfu_log_factor = options.lfu_log_factor;
  settings.lfu_decay_minutes = options.lfu_decay_time;
  settings.notify_classes = options.notify_keyspace_events;
  settings.hash_listpack_entries_max = static_cast<uint64_t>(options.hash_max_listpack_entries);
  settings.hash_listpack_value_bytes_max = options.hash_max_listpack_value.count;
  settings.set_intset_entries_max = static_cast<uint64_t>(options.set_max_intset_entries);
  settings.set_listpack_entries_max = static_cast<uint64_t>(options.set_max_listpack_entries);
  settings.set_listpack_value_bytes_max = options.set_max_listpack_value.count;
  settings.zset_listpack_entries_max = static_cast<uint64_t>(options.zset_max_listpack_entries);
  settings.zset_listpack_value_bytes_max = options.zset_max_listpack_value.count;
  settings.list_listpack_size = options.list_max_listpack_size;
  settings.stream_node_bytes_max = options.stream_node_max_bytes.count;
  settings.stream_node_entries_max = static_cast<uint64_t>(options.stream_node_max_entries);
  settings.hll_sparse_bytes_max = options.hll_sparse_max_bytes.count;
  settings.lazyfree_eviction = options.lazyfree_lazy_eviction;
  settings.lazyfree_expire = options.lazyfree_lazy_expire;
  settings.lazyfree_server_del = options.lazyfree_lazy_server_del;
  settings.lazyfree_user_del = options.lazyfree_lazy_user_del;
  settings.lazyfree_user_flush = options.lazyfree_lazy_user_flush;
}

constexpr std::string_view kEngineOptions[] = {
    "maxmemory",
    "maxmemory-policy",
    "maxmemory-samples",
    "maxmemory-eviction-tenacity",
    "proto-max-bulk-len",
    "lfu-log-factor",
    "lfu-decay-time",
    "lazyfree-lazy-eviction",
    "lazyfree-lazy-expire",
    "lazyfree-lazy-server-del",
    "lazyfree-lazy-user-del",
    "lazyfree-lazy-user-flush",
    "notify-keyspace-events",
    "hash-max-listpack-entries",
    "hash-max-listpack-value",
    "set-max-intset-entries",
    "set-max-listpack-entries",
    "set-max-listpack-value",
    "zset-max-listpack-entries",
    "zset-max-listpack-value",
    "list-max-listpack-size",
    "stream-node-max-bytes",
    "stream-node-max-entries",
    "hll-sparse-max-bytes",
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
  config_.OnApply("appendfsync", [this](const Options& next) -> Status {
    if (persistence_ != nullptr) persistence_->SetFsync(next.appendfsync);
    return {};
  });
  for (const std::string_view name : {"checkpoint-journal-records", "checkpoint-journal-bytes"}) {
    config_.OnApply(name, [this](const Options& next) -> Status {
      if (persistence_ == nullptr) return {};
      persistence_->SetCheckpointLimits(static_cast<uint64_t>(next.checkpoint_journal_records),
                                        next.checkpoint_journal_bytes);
      return {};
    });
  }
  config_.OnApply("maxmemory", [this](const Options& next) -> Status {
    if (persistence_ != nullptr) persistence_->SetMaxmemory(next.maxmemory);
    return {};
  });
  config_.OnApply("tiered", [this](const Options& next) -> Status {
    if (next.tiered == (engine_->tier() != nullptr)) return {};
    return Error{"tiered takes effect at a start only: restart with the new value"};
  });
  config_.OnApply("appendonly", [this](const Options& next) -> Status {
    if (next.appendonly == (persistence_ != nullptr)) return {};
    return Error{"appendonly takes effect at a start only: restart with the new value"};
  });
  config_.OnApply("log-format", [](const Options& next) -> Status {
    log::SetFormat(static_cast<LogFormat>(next.log_format));
    return {};
  });
  config_.OnApply("loglevel", [](const Options& next) -> Status {
    log::SetLevel(static_cast<LogSeverity>(next.loglevel));
    return {};
  });
  return {};
}

}  // namespace tidegate
