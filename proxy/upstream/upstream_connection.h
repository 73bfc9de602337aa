// UpstreamConnection: a place for requests to one node, in one database and protocol, and the
// socket behind it, which comes and goes.
//
//   Place() -> queue + bytes --(end of the turn)--> socket ... frames --> the first of the queue
//
//   idle --Place--> connecting --> handshake --> ready --lost, late, garbage--> idle
//
// Replies carry no name: the n-th reply is that of the n-th request, and nothing else says so. So
// everything that could shift the count ends the socket: a reply that is late (its request is
// answered with an error, and the reply must not be taken for the next one's), bytes that are no
// reply, a reply that nobody asked for. Each request that waited is then answered with one error
// that says why; none is sent again, for it may have been executed (what a node says that it has
// not executed, and reads that others may answer, are another matter: see redirections.h, and
// script_texts.h for NOSCRIPT). The next
// request connects anew, as the node allows. Until the handshake is done (HELLO or AUTH, the name,
// SELECT) nothing of a client's is sent, so that no request can run in another database or as
// another user.
//
// A reply that is large is handed on in pieces as it comes when it is its turn, so that nothing has
// to hold it; the node then gives the connection's place to another one, see UpstreamNode.
//
// Requests are encoded once, behind one another, and written at the end of a turn: one system call
// for all sessions of the worker. Frames that are whole are handed on out of the worker's read
// buffer; only a rest is kept. Owner: one worker. Cost of a request: its bytes copied once.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/output_buffer.h"
#include "base/reply_writer.h"
#include "proxy/event/connector.h"
#include "proxy/event/loop.h"
#include "proxy/session/session_input.h"
#include "proxy/upstream/concurrency_limit.h"
#include "proxy/upstream/reply_framer.h"
#include "proxy/upstream/request_log.h"
#include "proxy/upstream/upstream_link.h"
#include "proxy/upstream/upstream_node.h"
#include "storage/request.h"

namespace tidegate {

// Who has a connection for himself, see PrivateConnection.
class UpstreamConnectionOwner {
 public:
  // A push, or a reply that no request waits for: what a subscriber is told. Valid for the call,
  // which may not end the connection. False: nothing of the kind is expected.
  virtual bool OnFrame(std::string_view frame) = 0;
  // The socket ended, and who waited for replies was answered. `error` as they were, encoded.
  virtual void OnLost(std::string_view error) = 0;
  // The node answers, and refuses the handshake. True: that says nothing of the node, but only that
  // this one cannot have what it wants; no failure is counted or logged, and OnLost is not called.
  virtual bool OnRefused(std::string_view error) {
    (void)error;
    return false;
  }

 protected:
  ~UpstreamConnectionOwner() = default;
};

// What is large. A request beyond it has a lane of its own; a reply beyond it is handed on as it
// comes, and further requests do not wait behind it.
inline constexpr Bytes kLargeRequestBytes = 64_KiB;
inline constexpr Bytes kLargeReplyBytes = 256_KiB;

// It may wait as long as it likes, see UpstreamConnection::set_patience.
inline constexpr int32_t kNoDeadline = -1;

class UpstreamConnection final {
 public:
  UpstreamConnection(UpstreamNode& node, const ConnectionKey& key);
  ~UpstreamConnection();
  UpstreamConnection(const UpstreamConnection&) = delete;
  UpstreamConnection& operator=(const UpstreamConnection&) = delete;

  // Takes the request; its link is told of the reply later, never from in here. False: it was not
  // taken, and refusal() says why, as an error.
  bool Place(const Request& request, const UpstreamRequest& waiting);
  // The same for a request that is encoded already; `asking`: behind ASKING, as one.
  bool PlaceEncoded(std::string_view encoded, const UpstreamRequest& waiting, bool asking);
  const std::string& refusal() const { return refusal_; }
  // Asks the node whether it answers; the reply is for nobody but the node. False: it cannot now.
  bool PlacePing();
  // Takes all of them or none, so that nothing of others comes between them. `waiting` is what they
  // have in common; the last is UpstreamRequest::part kUnitEnd. None of them is redirected.
  bool PlaceUnit(std::span<const Request> requests, UpstreamRequest waiting);

  // --- for who has it alone ---
  // Before the first request. Of a Redis Cluster requests are redirected as those of all are, from
  // here to shared connections, but those that are private.
  void set_owner(UpstreamConnectionOwner& owner);
  // Takes what is answered by frames for the owner.
  bool PlaceUnasked(const Request& request);
  // The next request may take so much longer than request-timeout, in milliseconds; or kNoDeadline.
  // One at a time.
  void set_patience(int32_t patience_ms) {
    patience_ms_ = patience_ms;
    before_patient_ = in_flight();
  }
  bool ready() const { return state_ == State::kReady; }
  // Neither connected nor about to be.
  bool idle() const { return state_ == State::kIdle; }
  // How the node calls this client (CLIENT ID); 0: it did not say.
  int64_t node_client_id() const { return node_client_id_; }
  // Ends the socket at once. Who waits for replies gets empty ones.
  void Close();
  // The same because of the node, as if a reply were late.
  void GiveUp(std::string_view why) { Fail(End::kLate, why); }

  // Writes what was placed. For the cluster.
  void Flush();

  UpstreamNode& node() const { return node_; }
  const ConnectionKey& key() const { return key_; }
  // Whether a request of that session for keys in that slot is in flight here.
  bool HasAnother(const UpstreamLink& link, uint16_t slot) const;
  size_t in_flight() const { return queue_.size() - queue_begin_; }

 private:
  class Socket;
  friend class Socket;
  enum class State : uint8_t { kIdle, kConnecting, kHandshake, kReady };
  // How the socket ended, for the counters.
  enum class End : uint8_t { kLost, kLate, kGarbage, kNotConnected };

  bool Begin();
  bool Refuse(std::string_view why);
  // Whether one more request can be taken; begins to connect. Null: a command that is none of a
  // client.
  bool HasRoom(const Command* command);
  bool HasRoomFor(const Command* command);
  void FollowConcurrency(int64_t took_ns);
  // Bytes of requests that it holds; and says so to the node, which has the sum of all.
  size_t HeldBytes() const;
  void CountHeldBytes();
  void Enqueue(const UpstreamRequest& waiting);
  void Encode(const Request& request);
  void Append(const Request& request, const UpstreamRequest& waiting);
  UpstreamRequest PopFront();
  void PrefetchNext() const;
  void RecordLatency(const UpstreamRequest& request);
  void OnConnected(int fd, const std::string& error);
  void OnReadEnd(std::string_view error);
  std::string HandshakeBytes();
  // The socket's side.
  std::span<char> ReadBuffer();
  void OnRead(size_t size);
  // False: the socket has ended.
  bool TakeFrames(std::string_view bytes, size_t& taken);
  bool TakeFrame(std::string_view frame);
  // Of a reply that has begun and is large: how many bytes of what has come its client took.
  size_t TakeLarge(std::string_view begun);
  bool TakeEndOfLarge(std::string_view frame);
  bool TakeUnasked(std::string_view frame);
  // Both: true when the request is not answered by that.
  bool TakeError(const UpstreamRequest& request, std::string_view& error);
  bool TakeRedirection(const UpstreamRequest& request, std::string_view error);
  bool TakeUnknownScript(UpstreamRequest request, std::string_view error);
  // Whether the log has its bytes.
  bool Keeps(const UpstreamRequest& request) const {
    return keeps_all_ || request.calls_script != 0;
  }
  bool TakeHandshakeReply(std::string_view frame);
  void TakeRefusal(std::string_view error);
  void NoteSent();
  void OnWritten(bool ok);
  void OnDeadline();
  void ArmDeadline();
  int64_t LimitNanosOf(const UpstreamRequest& request) const;
  bool OldestHasNoDeadline() const { return patience_ms_ == kNoDeadline && before_patient_ == 0; }
  void EndPatience();
  void Fail(End end, std::string_view why);
  void NoteFailure(End end, std::string_view why);
  void CountEnd(End end);
  // Nothing of the socket is left; answers who waits, with `elsewhere` but for those that another
  // node can answer. Returns how many were answered.
  size_t EndRequests(std::string_view reply, bool elsewhere);
  void DropSocket();
  void MarkDirty();

  UpstreamNode& node_;
  UpstreamCounters& counters_;  // the node's
  const ConnectionKey key_;
  uint64_t in_flight_max_;                         // of the node
  std::unique_ptr<ConcurrencyLimit> concurrency_;  // that finds it out; null: it is given
  State state_ = State::kIdle;
  UpstreamConnectionOwner* owner_ = nullptr;  // null: it is shared
  int64_t node_client_id_ = 0;
  int32_t patience_ms_ = 0;    // of one request in flight
  size_t before_patient_ = 0;  // requests in flight that are older than that one
  ReplyFramer framer_;
  std::unique_ptr<Connector> connector_;
  Socket* socket_ = nullptr;  // deletes itself when libuv is done with it
  OutputBuffer output_;
  size_t pending_write_bytes_ = 0;
  size_t kept_bytes_ = 0;  // memory of rest_
  SessionInput rest_;      // a frame that is not whole
  bool reading_rest_ = false;
  uint64_t read_ticks_ = 0;  // when the bytes at hand were read
  bool dirty_ = false;
  bool deadline_armed_ = false;
  size_t counted_bytes_ = 0;  // of HeldBytes, that the node knows of
  // Of the reply that is under way: it is known to be large; and its client has had a part of it.
  bool large_ = false;
  bool streaming_ = false;
  // In flight, oldest first, from queue_begin_ on. The last `unsent_` of them have no byte sent.
  std::vector<UpstreamRequest> queue_;
  std::unique_ptr<RequestLog> log_;  // the bytes of those that may be sent again; null: none yet
  bool keeps_all_ = false;           // any may
  size_t queue_begin_ = 0;
  size_t unsent_ = 0;
  std::string hello_;  // what the handshake says, until it is sent
  // Handshake: replies that are still to come, and whether a refusal of each matters.
  std::string handshake_;  // one letter each: 'm' must succeed, 'b' too or say BUSY, 'o' need
                           // not, 'i': CLIENT ID
  size_t handshake_done_ = 0;
  Timer deadline_;
  std::string refusal_;
};

}  // namespace tidegate
