// ControlConnection: the connection over which the control plane asks one server: PING, INFO,
// CLUSTER SHARDS, SENTINEL MASTER, and what a sentinel publishes.
//
//   idle --Ask--> connecting --> ready --late, lost, nonsense--> idle
//
// Separate from the connections of workers, because these are shared by clients: a question behind
// a thousand requests says how long the queue is and not whether the node lives. RESP2, which every
// server and every sentinel speaks. Connects when somebody asks, and stays connected; a connection
// that ended while nobody waited is made anew by the next question. Every question is answered, in
// order, within the time limit of the connection (twice that when it has to connect first): with as
// many replies as it had commands, or with why there are none. What is late ends the connection,
// because the replies behind it would be taken for others.
//
// Owner: the thread of the control loop. Cost: a reply tree for each answer, which at a few
// questions a second is nothing; see docs/decisions/0018.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "proxy/event/connector.h"
#include "proxy/event/loop.h"
#include "proxy/topology/node_address.h"
#include "proxy/topology/reply.h"

namespace tidegate {
class TlsContext;
}

namespace tidegate::discovery {

// What the control loop has for its connections. All of it outlives them.
struct ControlEnvironment {
  EventLoop& loop;
  std::span<char> read_buffer;
};

// How a server is asked.
struct ControlAccess {
  std::string username = {};
  std::string password = {};  // empty: no AUTH
  std::chrono::milliseconds timeout{1000};
  const TlsContext* tls = nullptr;  // null: without TLS
};

using CommandWords = std::vector<std::string>;
using Answer = Result<std::vector<topology::Reply>>;

class ControlConnection final {
 public:
  using OnAnswer = std::function<void(Answer answer)>;
  using OnMessage = std::function<void(std::string_view channel, std::string_view message)>;

  ControlConnection(ControlEnvironment& environment, topology::NodeAddress address,
                    ControlAccess access);
  // Whoever waits is not answered any more.
  ~ControlConnection();
  ControlConnection(const ControlConnection&) = delete;
  ControlConnection& operator=(const ControlConnection&) = delete;

  // `on_answer` is called later from the loop, never from in here. It may ask again, and it may
  // destroy the connection. Error replies are replies.
  void Ask(const std::vector<CommandWords>& commands, OnAnswer on_answer);

  // Where messages of channels go that were subscribed to by asking SUBSCRIBE, one channel a
  // command. `on_end`: the connection is gone, and with it the subscriptions.
  void OnMessages(OnMessage on_message, std::function<void()> on_end);

  const topology::NodeAddress& address() const { return address_; }
  // Where it last was connected to, as an IP address: how a server is called by others who do not
  // use its name. Not known before.
  const topology::NodeAddress& peer() const { return peer_; }
  size_t waiting() const { return questions_.size(); }

 private:
  class Socket;
  friend class Socket;
  enum class State : uint8_t { kIdle, kConnecting, kReady };
  struct Question {
    size_t replies_wanted = 0;
    std::vector<topology::Reply> replies;
    OnAnswer on_answer;
    int64_t deadline_ns = 0;
  };

  void Connect();
  void OnConnected(int fd, const std::string& error);
  void BeginHandshake();
  void Send();
  void ArmDeadline();
  void OnDeadline();
  // The socket's side.
  void OnRead(size_t size);
  // False: the connection has ended, or is destroyed.
  bool TakeReply(topology::Reply reply);
  bool TakeMessage(const topology::Reply& reply);
  bool TakeHandshakeReply(const topology::Reply& reply);
  void Fail(const std::string& why);
  void DropSocket();

  ControlEnvironment& environment_;
  const topology::NodeAddress address_;
  const ControlAccess access_;
  topology::NodeAddress peer_;
  State state_ = State::kIdle;
  std::unique_ptr<Connector> connector_;
  Socket* socket_ = nullptr;  // deletes itself when libuv is done with it
  topology::ReplyReader reader_;
  std::string unsent_;
  std::vector<bool> handshake_;  // replies that are still to come: whether a refusal matters
  size_t handshake_done_ = 0;
  std::deque<Question> questions_;
  Timer deadline_;
  OnMessage on_message_;
  std::function<void()> on_end_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  // false: destroyed in a callback
};

// "no answer within 1s", and other texts that need a time.
std::string NoAnswerWithin(std::chrono::milliseconds time);

}  // namespace tidegate::discovery
