// Stream: one connected socket, TCP or unix, on an event loop.
//
// Reads go straight into memory that the owner names for each read; writes are tried at once and
// only the rest is left to the loop. One left-over write at a time: the owner keeps the bytes until
// OnWritten. With StartTls all of that is the same and the bytes on the wire are sealed: what is
// written before the handshake is done is sent after it (stream_tls.cc). The owner outlives the
// stream's Close() until OnClosed, which is the last call. Owner: the thread of the loop.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/output_buffer.h"
#include "base/result.h"
#include "proxy/event/loop.h"

namespace tidegate {

// The larger of libuv's TCP and pipe handles.
inline constexpr size_t kStreamBytes = 264;

// Pieces of one writev.
inline constexpr size_t kWritePiecesMax = 16;

// Bytes that one read takes in at most. A large argument may have megabytes waiting in the socket,
// and to copy them into memory that was never touched takes milliseconds.
inline constexpr Bytes kReadBytesMax = 256_KiB;

class TlsContext;

class StreamOwner {
 public:
  virtual ~StreamOwner() = default;

  // Memory for the next read, not empty.
  virtual std::span<char> ReadBuffer() = 0;
  // `size` bytes have arrived in what ReadBuffer gave.
  virtual void OnRead(size_t size) = 0;
  // The peer is gone: end of file or an error. Nothing more is read.
  virtual void OnReadEnd() = 0;
  // The write that Write() took over is sent (true) or failed.
  virtual void OnWritten(bool ok) = 0;
  // The handle is closed: the owner may go.
  virtual void OnClosed() = 0;
};

struct SocketSettings {
  bool is_unix = false;
  bool no_delay = true;
  int keepalive_seconds = 0;  // 0: off
};

class Stream final {
 public:
  explicit Stream(StreamOwner& owner);
  ~Stream();
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  // Takes the connected socket over, also when it fails (then Close() gives it back to the system).
  Status Open(EventLoop& loop, int fd, SocketSettings settings);

  // After Open, before anything else: speaks TLS to `host`, as who connected. The context outlives
  // the stream.
  Status StartTls(const TlsContext& context, const std::string& host);
  // Speaks no TLS, or the handshake is done.
  bool established() const;
  // After OnReadEnd: why it ended, for people; empty: the peer closed.
  std::string_view error() const;

  void StartReading();
  void StopReading();
  bool reading() const { return reading_; }
  // Whether bytes have arrived that nobody has read. A system call, hence not for every request.
  bool HasUnread() const;

  // For the loop: the read that a long turn put off.
  void ReadDeferred();

  // Sends what the kernel takes now. Returns bytes sent, 0 when it takes none, -1 when the peer is
  // gone.
  ptrdiff_t TryWrite(std::span<const OutputBuffer::Piece> pieces);
  // Sends all of it, later; then OnWritten. Not while write_pending().
  void Write(std::span<const OutputBuffer::Piece> pieces);
  bool write_pending() const { return write_ != nullptr; }
  // Bytes of the pending write that the kernel has not taken yet.
  size_t unsent_bytes() const;

  // OnClosed follows in a later callback. May be called once.
  void Close();
  bool closing() const { return closing_; }

  int fd() const { return fd_; }

 private:
  friend struct StreamCallbacks;
  friend class EventLoop;  // its list of deferred streams goes through them
  struct PendingWrite;

  // One read; true when it took all it could, so that there may be more.
  bool Read();
  void EndReading();
  void Defer();
  // stream_tls.cc
  struct Tls;
  bool ReadTls();
  bool ShakeTls();
  bool TlsHasUnread() const;
  ptrdiff_t TryWriteTls(std::span<const OutputBuffer::Piece> pieces);
  void WriteTls(std::span<const OutputBuffer::Piece> pieces);
  void SealNext();
  bool SendSealed();
  void SendLater();
  void OnSealedSent(bool ok);
  size_t UnsealedBytes() const;
  void CloseTls();

  StreamOwner& owner_;
  alignas(16) std::byte handle_[kStreamBytes];
  std::unique_ptr<PendingWrite> write_;
  std::unique_ptr<Tls> tls_;  // null: it speaks none
  EventLoop* loop_ = nullptr;
  int fd_ = -1;
  bool open_ = false;
  bool reading_ = false;
  bool closing_ = false;
  bool deferred_ = false;  // in the loop's list
  uint64_t deferred_since_ticks_ = 0;
  Stream* deferred_before_ = nullptr;
  Stream* deferred_after_ = nullptr;
};

}  // namespace tidegate
