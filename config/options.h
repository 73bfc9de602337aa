// Options: every setting of one Tidegate process as plain typed values, after all sources were
// merged and validated. It is the one thing the rest of the program reads; nobody else parses a
// setting. Why one flat struct: a Redis setting called `maxmemory-policy` is `maxmemory_policy`
// here, so that a reader who knows redis.conf knows this file. Only things that come as lists
// (listeners, clusters, routes) or as a group (output buffer limits) have structs of their own. How
// a setting is read, checked, printed and documented stands in its row (option_table.h), never
// here; the initial values below and the defaults of the rows are held equal by a test.
// Settings that Redis has and Tidegate does not need are not members: they are checked by their row
// and kept as text in `kept`, so that CONFIG GET answers what was set.
// Threads: a value. Published snapshots are shared_ptr<const Options> (config_store.h) and never
// change, so any thread may read one.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/limits.h"
#include "config/notify.h"
#include "config/policy_options.h"
#include "config/upstream_options.h"

namespace tidegate {

enum class LogLevel : uint8_t { kDebug, kVerbose, kNotice, kWarning };
enum class LogLineFormat : uint8_t { kText, kJson };

enum class MaxmemoryPolicy : uint8_t {
  kVolatileLru,
  kVolatileLfu,
  kVolatileRandom,
  kVolatileTtl,
  kAllkeysLru,
  kAllkeysLfu,
  kAllkeysRandom,
  kNoeviction,
};

enum class Appendfsync : uint8_t { kEverysec, kAlways, kNo };

// Who may use a dangerous command: nobody, everybody, or clients on the loopback or unix socket.
enum class ProtectedAction : uint8_t { kNo, kYes, kLocal };

// One address to listen on.
struct BindAddress {
  std::string host;       // an IPv4 or IPv6 literal ("0.0.0.0", "::", "127.0.0.1"), never a name
  bool optional = false;  // "-::1": not having the address (EADDRNOTAVAIL) is no error

  friend bool operator==(const BindAddress&, const BindAddress&) = default;
};

// One listening place: TCP on `addresses` (port != 0), or a unix socket (unixsocket not empty).
struct ListenerOptions {
  std::string name = {};
  std::vector<BindAddress> addresses = {};
  uint16_t port = 0;
  std::string unixsocket = {};
  uint32_t unixsocketperm = 0;  // file mode bits; 0 leaves what the umask gives
  bool proxy_protocol = false;  // every connection must begin with a PROXY protocol v2 header
  // Where requests of its clients go that no route but "*" has. Empty: where "*" says.
  std::string cluster = {};

  bool is_unix() const { return !unixsocket.empty(); }
  friend bool operator==(const ListenerOptions&, const ListenerOptions&) = default;
};

// Where writes of a route go as well, without anybody waiting for them.
struct MirrorOptions {
  std::string cluster = {};  // empty: nowhere
  int percent = 100;         // of the keys

  friend bool operator==(const MirrorOptions&, const MirrorOptions&) = default;
};

// Keys that match go to the cluster; of several matching routes the longest pattern wins.
struct RouteOptions {
  std::string match;
  std::string cluster;
  // What a key loses and gets in front on its way to an upstream, in this order.
  std::string strip_prefix = {};
  std::string add_prefix = {};
  MirrorOptions mirror = {};
  // A cluster that has keys of this route until somebody wants them; empty: none has.
  std::string move_from = {};
  RoutePriority priority = RoutePriority::kNormal;
  RoutePolicyOptions policies = {};

  friend bool operator==(const RouteOptions&, const RouteOptions&) = default;
};

// When a client that does not read is cut off: at once beyond `hard`, after `soft_time` without a
// break beyond `soft`. 0 means no such limit.
struct OutputBufferLimit {
  Bytes hard;
  Bytes soft;
  std::chrono::seconds soft_time{0};

  friend bool operator==(const OutputBufferLimit&, const OutputBufferLimit&) = default;
};

// Index into Options::client_output_buffer_limits.
enum class ClientClass : uint8_t { kNormal, kReplica, kPubsub };
inline constexpr size_t kClientClasses = 3;

// A snapshot is written when there were so many changes and the last one is older than that.
struct SavePoint {
  int64_t seconds = 0;
  uint64_t changes = 0;
  friend bool operator==(const SavePoint&, const SavePoint&) = default;
};

// Names that `hot-keys-predicted` may have.
inline constexpr size_t kPredictedKeysMax = 256;

// A key that counts as hot, always or for a time.
struct PredictedKeyOptions {
  std::string key;
  std::string cluster;  // of an engine or an upstream; empty: that of the key's route
  int database = 0;
  int64_t from_ms = INT64_MIN;   // Unix time
  int64_t until_ms = INT64_MAX;  // exclusive
  friend bool operator==(const PredictedKeyOptions&, const PredictedKeyOptions&) = default;
};

struct Options {
  // Tidegate's own.
  Profile profile = Profile::kStandard;
  int workers = 0;  // 0: as many as the cgroup's CPU limit allows, else cores
  std::optional<HostPort> admin_address = HostPort{"127.0.0.1", 9901};  // none: no admin port
  std::chrono::milliseconds max_connection_age{0};                      // 0: no limit
  int max_connection_age_jitter_percent = 10;  // each connection's limit varies by this, 0..100
  std::vector<ClusterOptions> clusters = {{"local", ClusterKind::kEngine}};
  std::vector<RouteOptions> routes = {{"*", "local"}};  // always holds one for "*"
  std::vector<DeclaredCommandOptions> declared_commands = {};
  // Where clients of a Redis Cluster are told to find this process; empty and 0: where they are.
  std::string cluster_announce_ip;
  int cluster_announce_port = 0;

  // Network. `listeners` is what the server opens: the classic four settings make the first ones.
  std::vector<ListenerOptions> listeners;        // derived, see FinishOptions()
  std::vector<ListenerOptions> extra_listeners;  // of YAML, beyond the first TCP and unix one
  std::string first_listener_name = "tcp";
  std::string first_listener_cluster;  // as ListenerOptions::cluster
  std::string unix_listener_name = "unix";
  std::string unix_listener_cluster;
  std::vector<std::string> bind = {"*", "-::*"};  // as written
  int port = 6379;                                // 0: no TCP listener from bind and port
  bool proxy_protocol = false;
  std::string unixsocket;
  uint32_t unixsocketperm = 0;
  int tcp_backlog = 511;
  std::chrono::seconds tcp_keepalive{300};  // 0: off
  std::chrono::seconds timeout{0};          // idle clients are closed after this; 0: never
  bool protected_mode = true;
  int64_t maxclients = 10000;
  std::array<OutputBufferLimit, kClientClasses> client_output_buffer_limits = {{
      {0_B, 0_B, std::chrono::seconds(0)},
      {256_MiB, 64_MiB, std::chrono::seconds(60)},
      {32_MiB, 8_MiB, std::chrono::seconds(60)},
  }};
  Bytes client_query_buffer_limit = 1_GiB;
  Bytes proto_max_bulk_len = kStringBytesMax;
  std::chrono::seconds shutdown_timeout{10};  // how long SIGTERM lets clients drain

  // Security.
  std::string requirepass;
  ProtectedAction enable_debug_command = ProtectedAction::kNo;
  ProtectedAction enable_protected_configs = ProtectedAction::kNo;
  int64_t acllog_max_len = 128;

  // Process and log.
  std::string pidfile;
  std::string logfile;  // empty: standard output
  LogLevel loglevel = LogLevel::kNotice;
  LogLineFormat log_format = LogLineFormat::kText;
  bool crash_log_enabled = true;
  // Words in the order of Redis's list: "default", "save force".
  std::string shutdown_on_sigint = "default";
  std::string shutdown_on_sigterm = "default";

  // The engine.
  std::string dir = "./data";
  int databases = kDatabasesDefault;
  Bytes maxmemory;  // 0: no limit
  MaxmemoryPolicy maxmemory_policy = MaxmemoryPolicy::kNoeviction;
  int maxmemory_samples = 5;
  int maxmemory_eviction_tenacity = 10;
  int lfu_log_factor = 10;
  int lfu_decay_time = 1;  // minutes
  int hz = 10;             // background rounds per second, 1..500
  int active_expire_effort = 1;
  bool lazyfree_lazy_eviction = false;
  bool lazyfree_lazy_expire = false;
  bool lazyfree_lazy_server_del = false;
  bool lazyfree_lazy_user_del = false;
  bool lazyfree_lazy_user_flush = false;
  uint32_t notify_keyspace_events = 0;  // bits of notify::
  int64_t hash_max_listpack_entries = 512;
  Bytes hash_max_listpack_value = 64_B;
  int list_max_listpack_size = -2;
  int list_compress_depth = 0;
  int64_t set_max_intset_entries = 512;
  int64_t set_max_listpack_entries = 128;
  Bytes set_max_listpack_value = 64_B;
  int64_t zset_max_listpack_entries = 128;
  Bytes zset_max_listpack_value = 64_B;
  Bytes hll_sparse_max_bytes = 3000_B;
  Bytes stream_node_max_bytes = 4096_B;
  int64_t stream_node_max_entries = 100;
  std::chrono::milliseconds busy_reply_threshold{5000};
  int64_t tracking_table_max_keys = 1000000;

  // Persistence.
  std::vector<SavePoint> save_points;
  bool stop_writes_on_bgsave_error = true;
  std::string dbfilename = "dump.rdb";
  bool rdbcompression = true;
  bool rdbchecksum = true;
  std::string appendfilename = "appendonly.aof";
  std::string appenddirname = "appendonlydir";
  bool appendonly = false;
  Appendfsync appendfsync = Appendfsync::kEverysec;
  bool aof_load_truncated = true;
  bool tiered = false;
  int64_t checkpoint_journal_records = 1'000'000;
  Bytes checkpoint_journal_bytes = 64_MiB;
  std::string backup_dir;  // empty: "backups" in dir

  // Seeing it.
  std::chrono::microseconds slowlog_log_slower_than{10000};  // negative: nothing is logged
  int64_t slowlog_max_len = 128;
  std::chrono::milliseconds latency_monitor_threshold{0};  // 0: off
  bool latency_tracking = true;
  std::vector<double> latency_tracking_info_percentiles = {50, 99, 99.9};
  std::chrono::microseconds slow_request_log_threshold{-1};  // negative: none is written
  double access_log_sample = 0;                              // 0 .. 1; 0: no access log
  std::string access_log_file;                               // empty: the log

  // Hot keys: see hotkey/detection_options.h.
  bool hot_keys = true;
  int64_t hot_key_rate = 500;  // accesses a second
  int64_t hot_key_share_percent = 1;
  int64_t hot_key_share_rate = 100;  // accesses a second
  Bytes hot_key_egress = 10_MiB;     // a second
  std::chrono::milliseconds hot_key_cool_time{30'000};
  int64_t hot_keys_max = 1024;
  std::vector<PredictedKeyOptions> hot_keys_predicted = {};

  // Redis settings without a meaning here: name -> text as CONFIG GET prints it. Only those that
  // differ from their row's default.
  std::map<std::string, std::string, std::less<>> kept;

  const OutputBufferLimit& output_buffer_limit(ClientClass c) const {
    return client_output_buffer_limits[static_cast<size_t>(c)];
  }
  // Big keys: see hotkey/big_key_table.h.
  bool big_keys = true;
  Bytes big_key_bytes = 1_MiB;
  Bytes big_key_warn_bytes = 64_KiB;
  int64_t big_key_elements = 5000;
  Bytes big_key_rate = 10_MiB;  // a second

  // Load shedding: see policy/load_shedding.h.
  LoadShedding load_shedding = LoadShedding::kAuto;
  std::chrono::milliseconds load_shedding_wait{50};
  Bytes load_shedding_memory;  // of the process; 0: no limit

  // Replies kept in front of upstreams, of all workers together: see policy/local_cache_store.h.
  Bytes local_cache_memory = 64_MiB;

  friend bool operator==(const Options&, const Options&) = default;
};

// Where the server listens, as `from` says. FinishOptions makes the list of it.
void TakeListeners(Options& options, const Options& from);
// Whether that is one of the classic settings that say it, in the option table's words.
bool IsListenerOption(std::string_view name);

// Whether what no other route takes goes to a Redis Cluster: then clients may take us for one.
bool ServesAsCluster(const Options& options);

}  // namespace tidegate
