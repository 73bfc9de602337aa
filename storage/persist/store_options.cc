#include "storage/persist/store_options.h"

#include <rocksdb/convenience.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/listener.h>
#include <rocksdb/table.h>

#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <string>
#include <vector>

#include "base/log.h"
#include "storage/persist/store.h"

namespace tidegate {
namespace {

constexpr double kFilterBitsPerKey = 10;

// What is read of the disk for one key, before compression.
constexpr Bytes kDataBlockBytes = 8_KiB;

// What RocksDB has to say goes into our log. Not into a file of its own: writing that one again
// after it failed is, as with the write-ahead log, the end of the process where RocksDB checks
// itself.
class StoreLog final : public rocksdb::Logger {
 public:
  StoreLog() : Logger(rocksdb::InfoLogLevel::WARN_LEVEL) {}
  using Logger::Logv;
  void Logv(const char* format, va_list arguments) override {
    char line[512];
    std::vsnprintf(line, sizeof line, format, arguments);
    log::Verbose("Store: " + std::string(line));
  }
};

class FailureListener final : public rocksdb::EventListener {
 public:
  explicit FailureListener(std::atomic<bool>& broken) : broken_(broken) {}
  void OnBackgroundError(rocksdb::BackgroundErrorReason, rocksdb::Status*) override {
    broken_.store(true, std::memory_order_relaxed);
  }

 private:
  std::atomic<bool>& broken_;
};

}  // namespace

rocksdb::DBOptions DatabaseOptions(rocksdb::Env* env, std::atomic<bool>& broken) {
  rocksdb::DBOptions options;
  options.env = env;
  options.create_if_missing = true;
  options.create_missing_column_families = true;
  // A record that ends early is the end of the log; one with a wrong checksum is looked at by
  // wal_check, which tells a torn end from damage.
  options.wal_recovery_mode = rocksdb::WALRecoveryMode::kTolerateCorruptedTailRecords;
  options.avoid_flush_during_recovery = true;  // a start need not write
  options.max_background_jobs = 2;
  // Files of data are opened when they are read: an opening costs the same however many there are.
  options.max_open_files = 256;
  options.skip_stats_update_on_db_open = true;
  options.skip_checking_sst_file_sizes_on_db_open = true;
  // Dirty pages of files go to the disk bit by bit.
  options.bytes_per_sync = 1 << 20;
  options.stats_dump_period_sec = 0;
  options.stats_persist_period_sec = 0;
  options.info_log = std::make_shared<StoreLog>();
  options.listeners.push_back(std::make_shared<FailureListener>(broken));
  // Store opens the database anew.
  options.max_bgerror_resume_count = 0;
  return options;
}

rocksdb::ColumnFamilyOptions JournalOptionsOf(const std::shared_ptr<rocksdb::Cache>& cache) {
  rocksdb::BlockBasedTableOptions table;
  table.block_cache = cache;
  table.cache_index_and_filter_blocks = true;
  rocksdb::ColumnFamilyOptions options;
  options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  options.write_buffer_size = 1 << 20;  // nothing comes in any more
  options.compression = rocksdb::kNoCompression;
  options.bottommost_compression = rocksdb::kNoCompression;
  options.num_levels = 2;
  // Files stay as they are until a checkpoint has what they hold.
  options.level0_file_num_compaction_trigger = 1 << 20;
  options.level0_slowdown_writes_trigger = 1 << 20;
  options.level0_stop_writes_trigger = 1 << 20;
  return options;
}

rocksdb::ColumnFamilyOptions DataOptionsOf(const std::shared_ptr<rocksdb::Cache>& cache) {
  rocksdb::BlockBasedTableOptions table;
  table.block_cache = cache;
  table.block_size = kDataBlockBytes.count;
  table.checksum = rocksdb::kXXH3;
  table.format_version = 5;
  table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(kFilterBitsPerKey));
  // Index and filters are cut into blocks that come and go like others: nothing of a file is read
  // before it is needed, and memory does not grow with the data.
  table.index_type = rocksdb::BlockBasedTableOptions::kTwoLevelIndexSearch;
  table.partition_filters = true;
  table.cache_index_and_filter_blocks = true;
  table.cache_index_and_filter_blocks_with_high_priority = true;
  rocksdb::ColumnFamilyOptions options;
  options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  options.write_buffer_size = 1 << 20;  // nothing is ever in it
  options.level_compaction_dynamic_level_bytes = true;
  options.target_file_size_base = kCheckpointFileBytesMax.count;
  options.max_bytes_for_level_base = 4 * kCheckpointFileBytesMax.count;
  // RocksDB holds up whoever writes when it has much to tidy up. Here that only makes reads of the
  // disk dearer, and it catches up when it can.
  options.level0_slowdown_writes_trigger = 1 << 20;
  options.level0_stop_writes_trigger = 1 << 20;
  options.soft_pending_compaction_bytes_limit = 0;
  options.hard_pending_compaction_bytes_limit = 0;
  options.compression = rocksdb::kNoCompression;
  // What is at the bottom stays: there compressing is worth its time.
  const std::vector<rocksdb::CompressionType> supported = rocksdb::GetSupportedCompressions();
  const bool lz4 =
      std::find(supported.begin(), supported.end(), rocksdb::kLZ4Compression) != supported.end();
  options.bottommost_compression = lz4 ? rocksdb::kLZ4Compression : rocksdb::kNoCompression;
  return options;
}

}  // namespace tidegate
