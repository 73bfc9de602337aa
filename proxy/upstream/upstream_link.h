// UpstreamLink: between one session and the replies it waits for from upstreams.
//
// A request in flight must outlive its session: its reply comes all the same and has to be thrown
// away, or the next one would be taken for it. So requests point to the link, and the link to the
// session until that is gone; who lets go of the link last deletes it. No search and no walk over
// requests in flight when a session closes.
//
// Requests are numbered in the session's order; replies that come before their turn, from another
// node, wait in `early`. Owner: one worker.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/reply_writer.h"
#include "hotkey/key_id.h"
#include "policy/write_stripes.h"
#include "proxy/upstream/bulk_lengths.h"
#include "proxy/upstream/early_replies.h"
#include "proxy/upstream/merged_reply.h"
#include "proxy/upstream/reply_hook.h"
#include "proxy/upstream/upstream_client.h"

namespace tidegate {

struct Command;
struct NodeFigures;
class UpstreamCluster;
class UpstreamConnection;
struct UpstreamLink;

// What a request is to its client. Of a unit (MULTI … EXEC) only the last reply is for anybody;
// what is said aside (CLIENT UNBLOCK) no reply is awaited of.
enum class RequestPart : uint8_t { kWhole, kUnitPart, kUnitEnd, kAside };

// Bytes of a request's first key that are kept until its reply comes, for the slow log: enough to
// tell keys apart, and few enough to be copied for each request.
inline constexpr size_t kKeptKeyBytesMax = 50;

// One request whose reply has not come.
struct UpstreamRequest {
  UpstreamLink* link = nullptr;  // null: nobody waits for the reply (that of ASKING)
  const Command* command = nullptr;
  uint64_t begin_ticks = 0;
  uint32_t sequence = 0;         // of the session's requests
  uint16_t slot = 0;             // of its keys
  uint8_t hops : 4 = 0;          // redirections that were followed, and retries
  uint8_t calls_script : 1 = 0;  // by its SHA1, and may be sent again with the text
  uint8_t retried : 1 = 0;       // it failed at another node before
  uint8_t is_private : 1 = 0;    // its client sees to redirections itself
  uint8_t says_no_size : 1 = 0;  // its reply is not about the size of its first key
  uint8_t tries : 4 = 0;         // repetitions after a pause: TRYAGAIN, READONLY; or a NOSCRIPT
  uint8_t unheard : 1 = 0;       // CLIENT REPLY: nobody is told of the reply
  uint8_t is_part : 1 = 0;       // of a request that was split
  uint8_t part_bits : 2 = 0;     // a RequestPart
  uint32_t key_bytes = 0;        // of its first key, of which the beginning is kept
  uint32_t request_bytes = 0;    // of its arguments
  uint32_t sent_after = 0;       // from begin_ticks, in units of 256 ticks; see NoteSent
  uint16_t figures = 0;          // Route::figures
  char key[kKeptKeyBytesMax] = {};
  // While keys are observed: where they live, how many (0: none is observed), and which it is if
  // it is one; of several, UpstreamLink::key_ids has them.
  hotkey::Keyspace keyspace = {};
  uint32_t observed_keys : 29 = 0;
  uint32_t has_hook : 1 = 0;    // UpstreamLink::hooks has something to do with its reply
  uint32_t joined : 1 = 0;      // it is not sent, and gets another's reply: see JoinedReads
  uint32_t given_text : 1 = 0;  // it calls a script by its SHA1, and was sent with the text
  hotkey::KeyId key_id = 0;
  uint32_t long_key = 0;  // where LongKeys has all of it; 0: nowhere
  // A write where replies are kept: what it makes invalid, see UpstreamLink::written.
  StripeIndex stripe = kNoStripe;

  void KeepKey(std::string_view name) {
    key_bytes = static_cast<uint32_t>(name.size());
    std::memcpy(key, name.data(), std::min(name.size(), kKeptKeyBytesMax));
  }
  std::string_view kept_key() const { return {key, std::min<size_t>(key_bytes, kKeptKeyBytesMax)}; }

  // When it was sent, as far as somebody wants to know (UpstreamEnvironment::notes_sending); 0: not
  // known. To about a quarter of a microsecond, for half an hour.
  static constexpr int kSentTicksShift = 8;
  void NoteSent(uint64_t now_ticks) {
    const uint64_t after = (now_ticks - begin_ticks) >> kSentTicksShift;
    sent_after = static_cast<uint32_t>(std::clamp<uint64_t>(after, 1, UINT32_MAX));
  }
  uint64_t sent_after_ticks() const { return uint64_t{sent_after} << kSentTicksShift; }

  bool redirected() const { return hops > 0 || tries > 0; }
  RequestPart part() const { return static_cast<RequestPart>(part_bits); }
  void set_part(RequestPart part) { part_bits = static_cast<uint8_t>(part) & 3; }
  bool is_plain() const { return (hops | tries | is_part | joined) == 0; }
};

// Of a reply in pieces so much is kept: what it is, and how much of it there will be.
inline constexpr size_t kReplyHeadBytes = 32;
static_assert(sizeof(UpstreamRequest) <= 120);  // copied twice for each request

// After a large reply to a session so many of its requests go over the lane for large values: who
// asked for one will ask for others, and only who does waits behind them.
inline constexpr uint8_t kLaneRequests = 64;

struct UpstreamLink {
  UpstreamClient* client = nullptr;  // null: gone
  uint32_t outstanding = 0;          // requests, or parts of them, without a reply
  uint32_t next_sequence = 0;        // of the next request
  uint32_t head_sequence = 0;        // of the request whose reply is written next
  uint32_t redirected = 0;           // of those outstanding
  uint32_t joined = 0;               // of those outstanding, too
  // Of the requests in flight: when where they went was decided (UpstreamEnvironment), and whether
  // they are reads that may be answered by another node than writes.
  uint64_t placement_epoch = 0;
  bool reads_apart = false;
  // Whether they went over the lane for large values, and how many more requests shall, because a
  // large reply came (kLaneRequests).
  bool on_lane = false;
  uint8_t lane_requests = 0;
  // Of the reply that is being delivered: the node that gave it, or that failed. And of one that is
  // handed on in pieces: how many bytes the client has had.
  const NodeFigures* answered_by = nullptr;
  size_t piece_bytes = 0;
  std::unique_ptr<EarlyReplies> early;  // null: none waits
  // Of the requests in flight that were split, by their sequence.
  std::map<uint32_t, std::unique_ptr<MergedReply>> merged;
  // Of those for several keys that are observed, by their sequence.
  std::map<uint32_t, std::vector<hotkey::KeyId>> key_ids;
  // Of those whose replies policies look at, by their sequence.
  std::map<uint32_t, std::unique_ptr<ReplyHook>> hooks;
  // Of writes of several keys, where replies are kept, by their sequence: what they make invalid.
  // And whose stripes; null: it has written nothing there yet.
  std::map<uint32_t, std::vector<StripeIndex>> written;
  WriteStripes* stripes = nullptr;
  std::string reply_head;                     // how the reply that is handed on in pieces begins
  std::unique_ptr<BulkLengths> bulk_lengths;  // of one to MGET; null: it is none

  // Where requests of this session for a cluster of one node go, and what that was chosen for: a
  // saved search. Valid in that epoch and for that lane alone.
  UpstreamConnection* connection = nullptr;
  const UpstreamCluster* cluster = nullptr;
  uint64_t connection_epoch = 0;
  bool connection_on_lane = false;
  int database = -1;
  Protocol protocol = Protocol::kResp2;

  // Requests whose replies the client has not been given.
  uint32_t unwritten() const { return next_sequence - head_sequence; }

  void Deliver(const UpstreamRequest& request, std::string_view reply) {
    --outstanding;
    if (__builtin_expect(!request.is_plain(), 0)) {
      if (request.redirected()) --redirected;
      if (request.joined) --joined;
      if (request.is_part) return DeliverPart(request, reply);
    }
    if (__builtin_expect(request.stripe != kNoStripe, 0)) EndWrite(request);
    if (client != nullptr) return client->OnUpstreamReply(request, reply);
    DeliverUnheard(request, reply);
  }
  // The client has gone.
  void DeliverUnheard(const UpstreamRequest& request, std::string_view reply);
  // The hook of the request wants it, and not its pieces.
  bool WantsWhole(const UpstreamRequest& request) const;
  void DeliverPart(const UpstreamRequest& part, std::string_view reply);
  // See UpstreamClient. Of a request that is none of several parts.
  bool DeliverPiece(const UpstreamRequest& request, std::string_view piece, bool last);
  void Cut(const UpstreamRequest& request);
  // A request with that stripe, or with several, will be sent now.
  void BeginWrite(WriteStripes& of, uint32_t sequence, StripeIndex stripe,
                  std::vector<StripeIndex> several);
  // Its reply is there, or will not come: before its client hears of that.
  void EndWrite(const UpstreamRequest& request);
  // The client goes.
  void Leave() {
    client = nullptr;
    if (outstanding == 0) delete this;
  }
};

}  // namespace tidegate
