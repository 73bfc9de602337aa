// LocalCacheStore: replies of upstreams that one worker keeps, so that reads of hot keys need not
// go there. Pure: no socket, no clock.
//
//   key (of a cluster) --> database, command, arguments --> its reply in RESP2 and RESP3
//
// What is known of a key goes at once: when its upstream says that it was changed (CLIENT
// TRACKING), or when it has to make room. What makes a reply stale otherwise is not looked for:
// each has what WriteStripes said when it was asked for, the connection that will be told of
// changes, and its end; Find gives none that fails by one of these.
//
// Who has to make room is chosen by S3-FIFO: new keys begin in a small queue, a tenth of the
// memory, and leave it soon unless they are read again; those that are go on into the main queue,
// where each read (up to three) buys one more round; a key that was pushed out lately is known by
// its hash and begins in the main queue. Why not LRU: one scan of many keys would push out those
// that are hot, and a hit would have to move its entry.
// Owner: one worker; figures() is for any thread. Cost: a hash lookup, a comparison for each
// argument, two loads of stripes; no allocation for a hit.
// Source: Yang, Zhang, Qiu, Yue, Rashmi, "FIFO queues are all you need for cache eviction", SOSP
// 2023.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <list>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "base/bytes.h"
#include "base/reply_writer.h"
#include "base/worker_counter.h"
#include "policy/write_stripes.h"

namespace tidegate {

// Keys of all workers together. More are not hot: the detector watches half as many.
inline constexpr size_t kLocalCacheKeysMax = 4096;
// Replies of one key: HGET of many fields would else fill the memory under one name.
inline constexpr size_t kLocalCacheRepliesPerKeyMax = 16;

// Any thread may read them. Of one worker.
struct LocalCacheFigures {
  WorkerCounter hits;
  WorkerCounter misses;     // went to their upstream, and could have been hits
  WorkerCounter observed;   // the same in mode observe, hits or not
  WorkerCounter joined;     // of the misses: got the reply of another that was on its way
  WorkerCounter fills;      // replies that were kept
  WorkerCounter discarded;  // that were asked for and not kept
  WorkerCounter invalidations;
  WorkerCounter flushes;
  WorkerCounter evictions;
  WorkerCounter entries;  // keys
  WorkerCounter bytes;
  WorkerCounter connections;       // on which nodes tell of changes
  WorkerCounter connections_down;  // on which they should, and do not
};

// A read of one key, by which its reply is found. Views: for the call.
struct CachedRead {
  size_t cluster = 0;  // its number
  int database = 0;
  std::string_view key;
  uint64_t hash = 0;                       // KeyHash of the key
  uint32_t command = 0;                    // its id
  std::span<const std::string_view> args;  // of the whole request
};

// What WriteStripes said of a read's key.
struct WriteStamp {
  WriteStripes::Word key = 0;
  WriteStripes::Word cluster = 0;

  bool quiet() const { return WriteStripes::IsQuiet(key) && WriteStripes::IsQuiet(cluster); }
  friend bool operator==(const WriteStamp&, const WriteStamp&) = default;
};

// A reply, and until when it may be given.
struct CachedReply {
  std::string resp3;
  std::string resp2;  // empty: the same
  WriteStamp stamp;   // as of when it was asked for
  uint64_t source = 0;
  int64_t expires_ns = 0;  // monotonic

  std::string_view In(Protocol protocol) const {
    return protocol == Protocol::kResp3 || resp2.empty() ? resp3 : resp2;
  }
};

class LocalCacheStore final {
 public:
  explicit LocalCacheStore(const WriteStripes& stripes) : stripes_(stripes) {}
  LocalCacheStore(const LocalCacheStore&) = delete;
  LocalCacheStore& operator=(const LocalCacheStore&) = delete;

  // Of this worker alone.
  void SetLimits(size_t bytes_max, size_t keys_max);

  // A number for who will be told of changes from now on; not 0, and none twice.
  uint64_t NextSource() { return ++last_source_; }
  WriteStamp StampOf(const CachedRead& read) const;
  // `source`: who is told of changes now; a reply that somebody else was to be told about is none.
  // Valid until the next call of another function. Null: none.
  const CachedReply* Find(const CachedRead& read, uint64_t source, int64_t now_ns);
  // The same for who drops what is written himself, so that writes of other keys with the same
  // stripe make nothing invalid.
  const CachedReply* FindDespiteWrites(const CachedRead& read, uint64_t source, int64_t now_ns);
  // False: a write came between, or there is no room for it.
  bool Keep(const CachedRead& read, CachedReply reply);

  void DropKey(size_t cluster, std::string_view key);
  void DropCluster(size_t cluster);

  size_t bytes() const { return bytes_; }
  size_t keys() const { return places_.size(); }
  const LocalCacheFigures& figures() const { return figures_; }
  LocalCacheFigures& mutable_figures() { return figures_; }

 private:
  struct Reply {
    int database = 0;
    uint32_t command = 0;
    std::vector<std::string> args;  // without the command's name and the key
    CachedReply reply;
    size_t bytes = 0;
  };
  struct Entry {
    size_t cluster = 0;
    std::string key;
    uint64_t id = 0;
    std::vector<Reply> replies;
    size_t bytes = 0;
    uint8_t reads = 0;  // since it last was looked at for room, at most kReadsMax
    bool is_main = false;
  };
  using Queue = std::list<Entry>;

  static uint64_t IdOf(size_t cluster, uint64_t hash);
  static bool IsOf(const Reply& reply, const CachedRead& read);
  Queue::iterator* FindEntry(size_t cluster, std::string_view key, uint64_t hash);
  Reply* FindReply(Entry& entry, const CachedRead& read);
  Queue::iterator AddEntry(const CachedRead& read);
  void Drop(Queue::iterator entry);
  void DropReply(Entry& entry, size_t index);
  void MakeRoom();
  void PushOutOfSmall();
  void PushOutOfMain();
  void Remember(uint64_t id);

  const WriteStripes& stripes_;
  size_t bytes_max_ = 0;
  size_t keys_max_ = 0;
  size_t bytes_ = 0;
  size_t small_bytes_ = 0;
  uint64_t last_source_ = 0;
  Queue small_;  // the newest in front
  Queue main_;
  std::unordered_map<uint64_t, Queue::iterator> places_;
  std::deque<uint64_t> ghosts_;  // ids that were pushed out of small_, the oldest in front
  std::unordered_set<uint64_t> is_ghost_;
  LocalCacheFigures figures_;
};

// The same reply for a client that speaks RESP2; empty: it is the same. Of the commands that
// LocalCacheRule covers: an array in an array (ZRANGE WITHSCORES) is flat there.
std::string Resp2Of(std::string_view resp3);

}  // namespace tidegate
