#include "proxy/event/stream.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

#include <algorithm>
#include <cerrno>
#include <string>

#include "base/check.h"
#include "proxy/event/stream_tls.h"

namespace tidegate {

static_assert(sizeof(uv_tcp_t) <= kStreamBytes && sizeof(uv_pipe_t) <= kStreamBytes);

namespace {

// As Redis: the first probe after the interval, then three, a third of it apart.
void SetKeepalive(int fd, int seconds) {
  const int on = 1;
  const int probes = 3;
  const int between = std::max(1, seconds / 3);
  setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
  setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &seconds, sizeof seconds);
  setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &between, sizeof between);
  setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof probes);
}

}  // namespace

struct StreamCallbacks {
  static uv_stream_t* Uv(Stream& stream) { return reinterpret_cast<uv_stream_t*>(stream.handle_); }
  static uv_handle_t* Handle(Stream& stream) {
    return reinterpret_cast<uv_handle_t*>(stream.handle_);
  }
  static Stream& From(const void* data) { return *static_cast<Stream*>(const_cast<void*>(data)); }

  // libuv reads with read(); recv() has a shorter way through the kernel. So libuv is given no
  // memory, which it reports as UV_ENOBUFS, and the stream reads by itself.
  static void OnAllocate(uv_handle_t*, size_t, uv_buf_t* buffer) { *buffer = {nullptr, 0}; }
  static void OnRead(uv_stream_t* uv, ssize_t size, const uv_buf_t*) {
    Stream& stream = From(uv->data);
    if (__builtin_expect(size != UV_ENOBUFS, 0)) {
      if (size < 0) stream.EndReading();
      return;
    }
    // Put off in an earlier turn, and the kernel has reported it before its place came: one read is
    // enough.
    if (__builtin_expect(stream.deferred_, 0) && !stream.loop_->TurnIsLong()) {
      stream.loop_->DropDeferred(stream);
      stream.deferred_ = false;
    }
    while (stream.reading_) {
      if (__builtin_expect(stream.loop_->TurnIsLong(), 0)) return stream.Defer();
      if (!stream.Read()) return;
    }
  }
  static void OnWritten(uv_write_t* request, int status) {
    Stream& stream = From(request->data);
    stream.loop_->TurnBegins();
    const std::unique_ptr<Stream::PendingWrite> done = std::move(stream.write_);
    if (!stream.closing_) stream.owner_.OnWritten(status == 0);
  }
  static void OnClosed(uv_handle_t* handle) {
    Stream& stream = From(handle->data);
    stream.open_ = false;
    stream.owner_.OnClosed();
  }
};

Stream::Stream(StreamOwner& owner) : owner_(owner) {}
Stream::~Stream() { TG_CHECK(!open_); }

Status Stream::Open(EventLoop& loop, int fd, SocketSettings settings) {
  loop_ = &loop;
  fd_ = fd;
  open_ = true;
  int error;
  if (settings.is_unix) {
    auto* pipe = reinterpret_cast<uv_pipe_t*>(handle_);
    TG_CHECK(uv_pipe_init(loop.native(), pipe, 0) == 0);
    error = uv_pipe_open(pipe, fd);
  } else {
    auto* tcp = reinterpret_cast<uv_tcp_t*>(handle_);
    TG_CHECK(uv_tcp_init(loop.native(), tcp) == 0);
    error = uv_tcp_open(tcp, fd);
    if (error == 0 && settings.no_delay) uv_tcp_nodelay(tcp, 1);
    if (error == 0 && settings.keepalive_seconds > 0) SetKeepalive(fd, settings.keepalive_seconds);
  }
  StreamCallbacks::Uv(*this)->data = this;
  if (error != 0) {
    close(fd);
    return Error{std::string("open socket: ") + uv_strerror(error)};
  }
  return {};
}

void Stream::StartReading() {
  if (reading_ || closing_) return;
  reading_ = true;
  uv_read_start(StreamCallbacks::Uv(*this), StreamCallbacks::OnAllocate, StreamCallbacks::OnRead);
  if (__builtin_expect(tls_ != nullptr, 0) && TlsHasUnread()) Defer();
}

void Stream::StopReading() {
  if (!reading_) return;
  reading_ = false;
  uv_read_stop(StreamCallbacks::Uv(*this));
}

bool Stream::HasUnread() const {
  if (tls_ != nullptr && TlsHasUnread()) return true;
  int bytes = 0;
  return ioctl(fd_, FIONREAD, &bytes) == 0 && bytes > 0;
}

size_t Stream::unsent_bytes() const {
  if (tls_ != nullptr) return UnsealedBytes();
  return uv_stream_get_write_queue_size(reinterpret_cast<const uv_stream_t*>(handle_));
}

void Stream::EndReading() {
  StopReading();
  loop_->TurnBegins();
  owner_.OnReadEnd();
}

void Stream::Defer() {
  if (deferred_) return;
  deferred_ = true;
  loop_->Defer(*this, tls_ != nullptr);
}

void Stream::ReadDeferred() {
  deferred_ = false;
  if (!reading_) return;
  const bool may_have_more = Read();
  if (__builtin_expect(tls_ != nullptr, 0) && may_have_more && reading_) Defer();
}

bool Stream::Read() {
  if (__builtin_expect(tls_ != nullptr, 0)) return ReadTls();
  const std::span<char> room = owner_.ReadBuffer();
  const size_t wanted = std::min<size_t>(room.size(), kReadBytesMax.count);
  const ssize_t size = recv(fd_, room.data(), wanted, MSG_DONTWAIT);
  if (size > 0) {
    owner_.OnRead(static_cast<size_t>(size));
    return static_cast<size_t>(size) == wanted;
  }
  if (size == 0 || (errno != EAGAIN && errno != EINTR)) EndReading();
  return false;
}

ptrdiff_t Stream::TryWrite(std::span<const OutputBuffer::Piece> pieces) {
  if (__builtin_expect(tls_ != nullptr, 0)) return TryWriteTls(pieces);
  if (pieces.size() == 1 && write_ == nullptr) {
    const ssize_t sent = send(fd_, pieces[0].data, pieces[0].size, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent >= 0) return sent;
    return errno == EAGAIN || errno == EINTR || errno == ENOBUFS ? 0 : -1;
  }
  uv_buf_t buffers[kWritePiecesMax];
  TG_DCHECK(pieces.size() <= kWritePiecesMax);
  for (size_t i = 0; i < pieces.size(); ++i) buffers[i] = {pieces[i].data, pieces[i].size};
  const int sent =
      uv_try_write(StreamCallbacks::Uv(*this), buffers, static_cast<unsigned>(pieces.size()));
  if (sent >= 0) return sent;
  return sent == UV_EAGAIN ? 0 : -1;
}

void Stream::Write(std::span<const OutputBuffer::Piece> pieces) {
  TG_CHECK(write_ == nullptr);
  if (tls_ != nullptr) return WriteTls(pieces);
  uv_buf_t buffers[kWritePiecesMax];
  TG_CHECK(pieces.size() <= kWritePiecesMax);
  for (size_t i = 0; i < pieces.size(); ++i) buffers[i] = {pieces[i].data, pieces[i].size};
  write_ = std::make_unique<PendingWrite>();
  write_->request.data = this;
  const int error = uv_write(&write_->request, StreamCallbacks::Uv(*this), buffers,
                             static_cast<unsigned>(pieces.size()), StreamCallbacks::OnWritten);
  TG_CHECK(error == 0);  // only misuse fails here; the network's errors come to the callback
}

void Stream::Close() {
  TG_CHECK(!closing_);
  if (deferred_) loop_->DropDeferred(*this);
  if (tls_ != nullptr) CloseTls();
  closing_ = true;
  reading_ = false;
  uv_close(StreamCallbacks::Handle(*this), StreamCallbacks::OnClosed);
}

}  // namespace tidegate
