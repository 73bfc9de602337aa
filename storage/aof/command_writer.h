// CommandWriter: keys as the commands that make them, the way Redis writes an append-only file
// anew: RPUSH, SADD, ZADD, HMSET and XADD with up to 64 elements each, XSETID and XGROUP for what a
// stream knows beside its entries, PEXPIREAT for the expiry.
//
// What commands cannot say is lost, as in Redis: how a value is encoded, when it was last used, and
// what is pending of entries that are deleted. Fields of hashes that expire get HPEXPIREAT, which
// Redis has since 7.4, and a Bloom filter is a RESTORE, which only Tidegate can read; for_redis
// leaves both out. Owner: one thread, which has the slots of the entries. Source: Redis's aof.c,
// rewriteAppendOnlyFileRio.
#pragma once

#include <cstdint>

#include "storage/aof/resp_writer.h"
#include "storage/data_files.h"
#include "storage/entry_sink.h"
#include "storage/keyspace/entry.h"

namespace tidegate {

class CommandWriter final : public EntrySink {
 public:
  CommandWriter(ByteOutput& output, int64_t now_ms, bool for_redis)
      : out_(output), now_ms_(now_ms), for_redis_(for_redis) {}

  void OnDatabase(int db, uint64_t keys, uint64_t expiring) override;
  void OnEntry(const Entry& entry) override;
  bool failed() const override { return !out_.status().ok(); }
  Status Finish() override;

  const SaveReport& report() const { return report_; }

 private:
  void WriteValue(const Entry& entry);
  void WriteString(const Entry& entry);
  void WriteList(const Entry& entry);
  void WriteSet(const Entry& entry);
  void WriteSortedSet(const Entry& entry);
  void WriteHash(const Entry& entry);
  void WriteFieldTimes(const Entry& entry);
  void WriteBloom(const Entry& entry);

  RespWriter out_;
  const int64_t now_ms_;
  const bool for_redis_;
  SaveReport report_;
};

// The same for entries as payloads of RESTORE: exact, and as fast to read as an RDB file; each
// takes the place of the key that is there. For feeding a server.
class RestoreWriter final : public EntrySink {
 public:
  RestoreWriter(ByteOutput& output, int64_t now_ms, bool for_redis)
      : out_(output), now_ms_(now_ms), for_redis_(for_redis) {}

  void OnDatabase(int db, uint64_t keys, uint64_t expiring) override;
  void OnEntry(const Entry& entry) override;
  bool failed() const override { return !out_.status().ok(); }
  Status Finish() override;

  const SaveReport& report() const { return report_; }

 private:
  RespWriter out_;
  const int64_t now_ms_;
  const bool for_redis_;
  SaveReport report_;
};

}  // namespace tidegate
