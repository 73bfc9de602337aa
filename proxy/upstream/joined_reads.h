// JoinedReads: reads of one hot key, in the same words, of which only the first is sent while it is
// on its way; the others get its reply.
//
//   Lead --> a hook, which is left with the read; the node's reply --> the hook --> all who joined
//   Join --> is there one on its way, of before which no write was acknowledged since it was sent?
//
// A reply is as of a moment after its read was sent. One that joins later may not see less than
// what was acknowledged to anybody here before: so it joins while the stamp of its key
// (WriteStripes) is that of when the first was sent, and no write is in flight.
//
// Only where the last reply was small: of a large one every client would have to be given its own
// at the same time. Who waits is no request at the node: its UpstreamRequest is kept here, and
// delivered like a reply of the node. Owner: a ClusterCache, on one worker.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/reply_writer.h"
#include "policy/local_cache_store.h"
#include "proxy/upstream/reply_hook.h"
#include "proxy/upstream/upstream_link.h"
#include "storage/request.h"

namespace tidegate {

// Replies that are larger are not shared the next time.
inline constexpr size_t kJoinedReplyBytesMax = size_t{64} << 10;
// Who waits for one read at most; the next one is sent.
inline constexpr size_t kJoinedMax = 1024;
// Reads whose last reply was small are remembered in so many cells.
inline constexpr size_t kJoinedCells = 4096;

class JoinedReads final {
 public:
  // A read of one key.
  struct Read {
    const Request& request;
    int database = 0;
    Protocol protocol = Protocol::kResp2;
    uint64_t id = 0;  // of key and words
    WriteStamp stamp;
  };

  explicit JoinedReads(LocalCacheFigures& figures);
  ~JoinedReads();
  JoinedReads(const JoinedReads&) = delete;
  JoinedReads& operator=(const JoinedReads&) = delete;

  // Whether it may get the reply of another that is on its way.
  bool MayJoin(const Read& read) const;
  // It does. After MayJoin, at once.
  void Join(const Read& read, const UpstreamRequest& waiting);
  // It is sent itself, now, with this hook. Null: nobody is to wait for it.
  std::unique_ptr<ReplyHook> Lead(const Read& read);

 private:
  class Hook;
  struct OnItsWay;
  struct Table;

  // Beyond this, too, while reads are in flight.
  const std::shared_ptr<Table> table_;
};

}  // namespace tidegate
