// Session: one client connection and its state, on one worker for life.
//
//   bytes -> shared read buffer -> RequestParser: all complete commands -> Engine::Prefetch
//         -> each: checks, handler or Engine::Execute -> OutputBuffer -> one write
//
// Holds no buffer while idle: reads go to the worker's shared buffer, only an incomplete rest is
// copied to a buffer of the session's own; output blocks go back to the worker's pool once sent.
// A suspended command (kSuspended) stops the session, not the worker: the rest of the input stays,
// and Resume() executes the same command again. Replies are therefore always in order. Unsent
// output beyond kUnsentOutputBytesMax stops execution of further commands until the client reads.
// A session dies in its stream's close callback, never inside its own call stack; Kill() and
// CloseAfterReply() only ask for it. Owner: its worker; other threads name it by its ticket.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/output_buffer.h"
#include "base/reply_writer.h"
#include "config/options.h"
#include "proxy/event/stream.h"
#include "proxy/resp/request_parser.h"
#include "proxy/session/session_input.h"
#include "storage/engine.h"
#include "storage/request.h"

namespace tidegate {

class Server;
class Worker;
class RequestBatch;

// Names a session to any thread: its number and the worker it lives on.
enum class SessionTicket : uint64_t {};

// Unsent output above which a session's further pipelined commands wait for the client to read.
inline constexpr Bytes kUnsentOutputBytesMax = 1_MiB;

// Bytes a suspended session goes on reading (so that it sees its client leave) before it stops.
inline constexpr Bytes kSuspendedInputBytesMax = 64_KiB;

// What CLIENT REPLY asked for. kSkipNext: the next command's reply is dropped, then all is as
// before.
enum class ReplyMode : uint8_t { kOn, kOff, kSkipNext };

// Bytes that CLIENT LIST, CLIENT INFO and MEMORY STATS show.
struct SessionSizes {
  size_t input_bytes = 0;          // qbuf: not yet executed
  size_t input_free_bytes = 0;     // qbuf-free
  size_t arguments_bytes = 0;      // argv-mem: of an incomplete or suspended command
  size_t output_bytes = 0;         // not yet sent
  size_t output_memory_bytes = 0;  // omem
  size_t output_blocks = 0;        // oll
  size_t total_bytes = 0;          // tot-mem
};

// A socket as the acceptor hands it to a worker.
struct AcceptedConnection {
  int fd = -1;
  bool is_unix = false;
  bool proxy_protocol = false;  // begins with a PROXY protocol v2 header
  std::string peer_address;     // "127.0.0.1:50412", "[::1]:50412", "/run/socket:0"
  std::string unix_path;        // of a unix socket
};

class Session final : private StreamOwner {
 public:
  // Starts reading at once. Deleted through Worker::Forget when the stream is closed.
  Session(Worker& worker, uint64_t id, AcceptedConnection connection);
  ~Session() override;
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  // --- who it is; for handlers of this session and visits on its worker ---
  uint64_t id() const { return id_; }
  SessionTicket ticket() const { return static_cast<SessionTicket>(client_.ticket); }
  Worker& worker() const { return worker_; }
  int fd() const { return stream_.fd(); }
  const std::string& peer_address() const { return peer_address_; }
  std::string local_address() const;
  bool is_unix() const { return is_unix_; }
  // On the loopback interface or a unix socket.
  bool is_local() const;
  int64_t created_ms() const { return created_ms_; }                    // unix time
  int64_t last_interaction_ms() const { return last_interaction_ms_; }  // unix time
  const Command* last_command() const { return last_command_; }         // null: none yet
  SessionSizes Sizes() const;

  // --- state that commands read and change ---
  ClientState& client() { return client_; }
  const ClientState& client() const { return client_; }
  const std::string& name() const { return name_; }
  void set_name(std::string_view name) { name_ = name; }
  const std::string& library_name() const { return library_name_; }
  void set_library_name(std::string_view name) { library_name_ = name; }
  const std::string& library_version() const { return library_version_; }
  void set_library_version(std::string_view version) { library_version_ = version; }
  Protocol protocol() const { return reply_.protocol(); }
  // From the reply of the current command on.
  void set_protocol(Protocol protocol) { reply_.set_protocol(protocol); }
  bool authenticated() const { return authenticated_; }
  void set_authenticated(bool authenticated) { authenticated_ = authenticated; }
  // Whether commands other than AUTH, HELLO … are refused now.
  bool AuthRequired() const;
  std::string_view user() const { return "default"; }
  bool no_evict() const { return no_evict_; }
  void set_no_evict(bool on) { no_evict_ = on; }
  // CLIENT REPLY OFF and SKIP give no reply to themselves; the handler of ON writes +OK.
  ReplyMode reply_mode() const { return reply_mode_; }
  void set_reply_mode(ReplyMode mode);
  bool is_monitor() const { return monitor_; }
  // MONITOR: lines follow the reply of this command. RESET takes it back.
  void set_monitor(bool on);
  ClientClass client_class() const { return ClientClass::kNormal; }
  // CLIENT LIST's flag letters: 'b' suspended, 'O' monitor, 'U' unix socket, 'c' closing …, 'N'.
  std::string FlagLetters() const;

  // RESET: database 0, RESP2, not authenticated (when a password is set), no name, no monitor,
  // replies on. The handler answers "+RESET".
  void Reset();

  // --- ends ---
  // When what was written so far (and the reply of the current command) is sent. QUIT.
  void CloseAfterReply() { close_after_reply_ = true; }
  // Soon, without waiting for output. CLIENT KILL of another session, limits.
  void Kill();
  bool closing() const { return kill_ || close_after_reply_; }

  // --- suspension ---
  bool suspended() const { return suspended_; }
  // Inside a handler: the command was executed before and suspended.
  bool resuming() const { return resuming_; }
  // Executes the suspended command again, then goes on. Does nothing when not suspended.
  void Resume();
  // The end of CLIENT PAUSE.
  void EndPostponement();

  // --- the current command ---
  void RedactArgument(size_t index) { redacted_.push_back(static_cast<uint32_t>(index)); }

  // Out-of-band data (MONITOR lines): appended to the output and sent at the end of the turn.
  void Push(std::string_view bytes);

  // Sends what is there; called at the end of a batch and of a loop turn. May close.
  void Flush();

  // Once a second: idle timeout, soft output limit, age, spare buffers. May close.
  void Housekeeping(int64_t now_ms);

 private:
  // StreamOwner.
  std::span<char> ReadBuffer() override;
  void OnRead(size_t size) override;
  void OnReadEnd() override;
  void OnWritten(bool ok) override;
  void OnClosed() override;

  Worker& worker_;
  const uint64_t id_;
  Stream stream_;
  ClientState client_;
  OutputBuffer output_;
  ReplyWriter reply_;
  RequestParser parser_;
  SessionInput input_;
  const Command* last_command_ = nullptr;
  int64_t created_ms_;
  int64_t last_interaction_ms_;
  std::string peer_address_;
  std::string name_;
  std::string library_name_;
  std::string library_version_;
  std::vector<uint32_t> redacted_;
  bool is_unix_ = false;
  bool authenticated_ = false;
  bool no_evict_ = false;
  bool monitor_ = false;
  bool close_after_reply_ = false;
  bool kill_ = false;
  bool suspended_ = false;
  bool resuming_ = false;
  ReplyMode reply_mode_ = ReplyMode::kOn;
};

}  // namespace tidegate
