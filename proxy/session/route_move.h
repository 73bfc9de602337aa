// RouteMove: moves the keys of one route out of an old cluster, each when somebody first wants it
// (move-from). With it a Redis can be replaced while clients go on.
//
//   a client's command on key k, which is not settled          (proxy/upstream/key_moves.h)
//     old: DUMP k, PTTL k      nothing: settled. From then on the new cluster alone is asked
//     new: RESTORE k           BUSYKEY: what is there is newer, and stays
//     the command is executed, like any other
//     old: UNLINK k            with a journal two seconds later, so that the key is safe by then
//
// A key is moved before whatever wants it, a read as well as a write, and is then in one place: so
// every command means what it means, and nothing that was deleted or has expired can come back from
// the old cluster. (To copy keys and leave them there would need to remember for ever which ones
// are not to be taken again.) Who wants a key that is being moved waits for it. When the old
// cluster does not answer, its keys cannot be had, and commands on keys that are not settled fail.
//
// A move belongs to the worker and not to the session that began it: it ends as it should when the
// client goes. One object for each route and worker. Owner: the worker; the counters are for any
// thread.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "proxy/event/loop.h"
#include "proxy/session/command_stats.h"
#include "storage/request.h"

namespace tidegate {

class KeyMoves;
class UpstreamCluster;
class Worker;

// Keys of one route and worker that are being moved, or still have to be removed from the old
// cluster. More means that it takes no writes.
inline constexpr size_t kMovesUnfinishedMax = 100'000;

// When a key is removed from the old cluster after the engine's journal has it: by then it is on
// disk, as appendfsync everysec syncs it.
inline constexpr int64_t kMoveRemoveNanos = 2'000'000'000;
// And when it is tried again.
inline constexpr int64_t kMoveRetryNanos = 1'000'000'000;

struct MoveCounters {
  WorkerCounter keys;        // that were moved
  WorkerCounter bytes;       // of their values, as DUMP writes them
  WorkerCounter absent;      // asked for, and not there
  WorkerCounter superseded;  // there, and in the new cluster as well, which has it newer
  WorkerCounter failures;    // times that a key could not be moved, or not be removed
};

// One per route and worker, and what it is counted under.
struct MoveFigures {
  std::string route;      // the pattern
  std::string cluster;    // the old one
  MoveCounters counters;  // any thread
};

class RouteMove final {
 public:
  // `keys`: those of this move, of all workers. `to` null: the engine. The clusters outlive it.
  RouteMove(Worker& worker, std::shared_ptr<MoveFigures> figures, std::shared_ptr<KeyMoves> keys,
            UpstreamCluster& from, UpstreamCluster* to);
  ~RouteMove();
  RouteMove(const RouteMove&) = delete;
  RouteMove& operator=(const RouteMove&) = delete;

  const std::string& route() const { return figures_->route; }
  const std::string& cluster_name() const { return figures_->cluster; }
  const MoveCounters& counters() const { return figures_->counters; }  // any thread
  const std::shared_ptr<MoveFigures>& figures() const { return figures_; }
  KeyMoves& keys() const { return *keys_; }
  bool RefersTo(const UpstreamCluster& cluster) const {
    return &from_ == &cluster || to_ == &cluster;
  }

  // Begins at the end of the turn. KeyMoves said that the key is this caller's to move.
  void Begin(int database, const KeyRef& key, uint64_t session_id);
  bool full() const { return moves_.size() >= kMovesUnfinishedMax; }
  // No key is on its way, and none has to be removed from the old cluster any more.
  bool idle() const { return moves_.empty(); }
  // Ends what is not through: who waits for a key is told so.
  void GiveUp();

  // At the end of a turn, before what it placed is sent.
  void Step();

 private:
  class Move;

  void MarkReady(Move& move) { ready_.push_back(&move); }
  void StepAfter(Move& move, int64_t nanos);
  void TakeDue();
  void ArmTimer();

  Worker& worker_;
  const std::shared_ptr<MoveFigures> figures_;
  MoveCounters& counters_;  // of them
  const std::shared_ptr<KeyMoves> keys_;
  UpstreamCluster& from_;
  UpstreamCluster* const to_;
  std::map<const Move*, std::unique_ptr<Move>> moves_;
  std::vector<Move*> ready_;
  std::multimap<int64_t, Move*> paused_;  // until when, by the monotonic clock
  Timer timer_;
};

}  // namespace tidegate
