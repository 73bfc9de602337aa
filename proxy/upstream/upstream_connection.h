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
// not executed is another matter, see redirections.h). The next request connects
// anew, as the node allows. Until the handshake is done (HELLO or AUTH, the name, SELECT)
// nothing of a client's is sent, so that no request can run in another database or as another user.
//
// Requests are encoded once, behind one another, and written at the end of a turn: one system call
// for all sessions of the worker. Frames that are whole are handed on out of the worker's read
// buffer; only a rest is kept. Owner: one worker. Cost of a request: its bytes copied once.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/output_buffer.h"
#include "base/reply_writer.h"
#include "proxy/event/connector.h"
#include "proxy/event/loop.h"
#include "proxy/session/session_input.h"
#include "proxy/upstream/reply_framer.h"
#include "proxy/upstream/request_log.h"
#include "proxy/upstream/upstream_link.h"
#include "proxy/upstream/upstream_node.h"
#include "storage/request.h"

namespace tidegate {

// Requests of all sessions that one connection takes before further ones are refused, and bytes
// that wait to be sent. Sessions have a limit of their own below it; this is for many of them.
inline constexpr size_t kConnectionInFlightMax = 100'000;
inline constexpr Bytes kConnectionUnsentBytesMax = 64_MiB;

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
  // Whether one more request can be taken; begins to connect.
  bool HasRoom();
  void Enqueue(const UpstreamRequest& waiting);
  void Encode(const Request& request);
  UpstreamRequest PopFront();
  void OnConnected(int fd, const std::string& error);
  std::string HandshakeBytes();
  // The socket's side.
  std::span<char> ReadBuffer();
  void OnRead(size_t size);
  // False: the socket has ended.
  bool TakeFrames(std::string_view bytes, size_t& taken);
  bool TakeFrame(std::string_view frame);
  // True: the request is not answered by that.
  bool TakeRedirection(const UpstreamRequest& request, std::string_view error);
  bool TakeHandshakeReply(std::string_view frame);
  void OnWritten(bool ok);
  void OnDeadline();
  void ArmDeadline();
  int64_t LimitNanosOf(const UpstreamRequest& request) const;
  void Fail(End end, std::string_view why);
  void CountEnd(End end);
  void DropSocket();
  void MarkDirty();

  UpstreamNode& node_;
  UpstreamCounters& counters_;  // the node's
  const ConnectionKey key_;
  State state_ = State::kIdle;
  ReplyFramer framer_;
  std::unique_ptr<Connector> connector_;
  Socket* socket_ = nullptr;  // deletes itself when libuv is done with it
  OutputBuffer output_;
  size_t pending_write_bytes_ = 0;
  size_t kept_bytes_ = 0;  // memory of rest_
  SessionInput rest_;      // a frame that is not whole
  bool reading_rest_ = false;
  bool dirty_ = false;
  bool deadline_armed_ = false;
  bool answered_ = false;  // a request, since it is connected
  // In flight, oldest first, from queue_begin_ on. The last `unsent_` of them have no byte sent.
  std::vector<UpstreamRequest> queue_;
  std::unique_ptr<RequestLog> log_;  // their bytes, where they may be sent again
  size_t queue_begin_ = 0;
  size_t unsent_ = 0;
  // Handshake: replies that are still to come, and whether a refusal of each matters.
  std::string handshake_;  // one letter each: 'm' must succeed, 'o' need not
  size_t handshake_done_ = 0;
  Timer deadline_;
  std::string refusal_;
};

}  // namespace tidegate
