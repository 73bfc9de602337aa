// BigKeys: which keys are big, of the engine and of all upstreams, and what is told of them to
// those who ask (BIGKEYS, /bigkeys, metrics).
//
//   engine     the SizeWatch of each worker's thread, at a turn's end --> TakeNotes -------+
//   upstreams  large requests, and those that end that a key is big ----> NoteRequest -----+> table
//              large replies, and those that are counts ----------------> NoteReply -------+
//              what the probe of a cluster finds -----------------------> NoteProbed ------+
//
// What large requests and replies move of a key of the engine is told apart (NoteMoved): its size
// is known exactly already.
// One for the process: a key that clients of two workers use is one key. What it costs where no key
// is big is said where each of these looks; here is only what has been found. Thread: any.
#pragma once

#include <atomic>
#include <cstdint>
#include <limits>
#include <string_view>
#include <vector>

#include "hotkey/big_key_table.h"
#include "hotkey/key_id.h"
#include "proxy/observe/route_figures.h"
#include "proxy/observe/size_roles.h"
#include "storage/command.h"
#include "storage/request.h"

namespace tidegate {

struct Options;
struct SizeNote;

// Requests for the engine, and their replies, are not looked at below: less than any limit may be.
inline constexpr uint64_t kMovedBytesMin = 4096;

struct BigKeyFacts {
  bool enabled = false;
  hotkey::BigKeyCounts counts;
  std::vector<hotkey::BigKey> keys;  // all of them, the most bytes first
};

// Where the keys of a request are, and what it or its reply moves.
struct SizedRequest {
  hotkey::Keyspace keyspace;
  std::string_view cluster;
  uint64_t moved_bytes = 0;
};

class BigKeys final {
 public:
  // See SizeRoles.
  BigKeys(const CommandTable& commands, size_t known) : roles_(commands, known) {}

  // The settings in force; every worker says so when they have changed. Off: all are forgotten.
  void Follow(const Options& options);
  bool enabled() const { return enabled_.load(std::memory_order_relaxed); }

  // What a worker has noticed in the engine.
  void TakeNotes(const std::vector<SizeNote>& notes, int64_t now_ms);

  // Of upstreams. A request is large from bytes_min() on; smaller ones are told of when they may
  // end that a key is big. What it says counts as done although the node may refuse it: what is
  // listed wrongly then is put right by the next request that says more.
  const SizeRoles& roles() const { return roles_; }
  uint64_t bytes_min() const { return bytes_min_.load(std::memory_order_relaxed); }
  void NoteRequest(SizeRole role, const Request& request, const SizedRequest& sized,
                   int64_t now_ms);
  // `begin`: of the reply. MaySaySize was true.
  void NoteReply(SizeRole role, const Command& command, std::string_view name,
                 std::string_view begin, const SizedRequest& sized, int64_t now_ms);

  // One string of those in a reply to MGET.
  void NoteString(std::string_view name, uint64_t bytes, const SizedRequest& sized, int64_t now_ms);
  // A key that nobody may have asked for; `size` is exact.
  void NoteProbed(const hotkey::BigKeySighting& size, hotkey::Keyspace keyspace, int64_t now_ms);

  // A request for keys of the engine, or its reply, has so many bytes. Of those that are big the
  // rate is added up; several share them.
  void NoteMoved(const Request& request, int db, uint64_t bytes, int64_t now_ms);

  hotkey::BigKeyTable& table() { return table_; }
  BigKeyFacts Facts(int64_t now_ms);

 private:
  void NotePairs(const Request& request, const SizedRequest& sized, int64_t now_ms);

  const SizeRoles roles_;
  hotkey::BigKeyTable table_;
  std::atomic<bool> enabled_{false};
  std::atomic<uint64_t> bytes_min_{std::numeric_limits<uint64_t>::max()};
  std::atomic<uint64_t> elements_min_{std::numeric_limits<uint64_t>::max()};
};

// Which settings the engine's threads watch by: from these on there is something to tell.
struct BigKeyLimits {
  uint64_t bytes = 0;
  uint64_t elements = 0;
};
BigKeyLimits LimitsOf(const Options& options);

}  // namespace tidegate
