// The part of Stream that speaks TLS. Sealed bytes are tried at once like plain ones; what the
// kernel does not take goes through libuv, one write at a time, and until that is out nothing more
// is sealed: so the peer's slowness reaches the owner as it does without TLS.
#include "proxy/event/stream_tls.h"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "base/bytes.h"
#include "base/check.h"

namespace tidegate {
namespace {

// Bytes that are sealed before they are sent: with more of them one turn would be long, with fewer
// there were more system calls.
constexpr Bytes kSealedAtOnceMax = 128_KiB;

}  // namespace

Status Stream::StartTls(const TlsContext& context, const std::string& host) {
  TG_CHECK(tls_ == nullptr && open_);
  Result<std::unique_ptr<TlsLayer>> layer = TlsLayer::Client(context, fd_, host);
  if (!layer.ok()) return std::move(layer).error();
  tls_ = std::make_unique<Tls>();
  tls_->layer = std::move(layer).value();
  SendSealed();
  return {};
}

bool Stream::established() const { return tls_ == nullptr || tls_->layer->established(); }

std::string_view Stream::error() const {
  return tls_ == nullptr ? std::string_view() : std::string_view(tls_->layer->error());
}

bool Stream::TlsHasUnread() const { return tls_->layer->has_unread(); }

// False: there is nothing to be read yet, or no more.
bool Stream::ShakeTls() {
  loop_->TurnBegins();
  const bool good = tls_->layer->Shake();
  SendSealed();  // also what tells the peer why it failed
  if (!good) {
    EndReading();
    return false;
  }
  if (!established()) return false;
  if (write_ != nullptr && !tls_->is_sending) SealNext();
  return true;
}

bool Stream::ReadTls() {
  if (!established() && !ShakeTls()) return false;
  const std::span<char> room = owner_.ReadBuffer();
  const size_t wanted = std::min<size_t>(room.size(), kReadBytesMax.count);
  size_t total = 0;
  ptrdiff_t size = 1;
  while (total < wanted && size > 0) {
    size = tls_->layer->Read(room.subspan(total, wanted - total));
    if (size > 0) total += static_cast<size_t>(size);
  }
  if (!tls_->layer->sealed().empty()) SendSealed();
  if (total > 0) owner_.OnRead(total);
  if (size < 0 && reading_) EndReading();
  return total == wanted;
}

ptrdiff_t Stream::TryWriteTls(std::span<const OutputBuffer::Piece> pieces) {
  if (tls_->failed) return -1;
  if (write_ != nullptr || tls_->is_sending || !established()) return 0;
  size_t taken = 0;
  for (const OutputBuffer::Piece& piece : pieces) {
    const size_t size = std::min<size_t>(piece.size, kSealedAtOnceMax.count - taken);
    if (!tls_->layer->Seal({piece.data, size})) return -1;
    taken += size;
    if (taken == kSealedAtOnceMax.count) break;
  }
  return SendSealed() ? static_cast<ptrdiff_t>(taken) : -1;
}

void Stream::WriteTls(std::span<const OutputBuffer::Piece> pieces) {
  TG_CHECK(pieces.size() <= kWritePiecesMax);
  write_ = std::make_unique<PendingWrite>();
  tls_->unsealed.assign(pieces.begin(), pieces.end());
  tls_->next = 0;
  if (!tls_->is_sending && established()) SealNext();
}

// The next of the owner's bytes. Sent by libuv in any case: it calls back later, never from here.
void Stream::SealNext() {
  size_t taken = 0;
  while (tls_->next < tls_->unsealed.size() && taken < kSealedAtOnceMax.count) {
    OutputBuffer::Piece& piece = tls_->unsealed[tls_->next];
    const size_t size = std::min<size_t>(piece.size, kSealedAtOnceMax.count - taken);
    if (!tls_->layer->Seal({piece.data, size})) {
      tls_->failed = true;
      break;
    }
    taken += size;
    piece.data += size;
    piece.size -= size;
    if (piece.size == 0) ++tls_->next;
  }
  SendLater();
}

// What the kernel takes now; the rest later. False: the peer is gone.
bool Stream::SendSealed() {
  std::string& sealed = tls_->layer->sealed();
  if (tls_->is_sending || sealed.empty()) return !tls_->failed;
  const ssize_t sent = send(fd_, sealed.data(), sealed.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
  if (sent == static_cast<ssize_t>(sealed.size())) {
    sealed.clear();
    return true;
  }
  if (sent < 0 && errno != EAGAIN && errno != EINTR && errno != ENOBUFS) {
    tls_->failed = true;
    return false;
  }
  sealed.erase(0, sent > 0 ? static_cast<size_t>(sent) : 0);
  SendLater();
  return true;
}

void Stream::SendLater() {
  tls_->is_sending = true;
  tls_->sending.clear();
  tls_->sending.swap(tls_->layer->sealed());
  tls_->request.data = this;
  const uv_buf_t buffer =
      uv_buf_init(tls_->sending.data(), static_cast<unsigned>(tls_->sending.size()));
  const int error = uv_write(&tls_->request, reinterpret_cast<uv_stream_t*>(handle_), &buffer, 1,
                             [](uv_write_t* request, int status) {
                               static_cast<Stream*>(request->data)->OnSealedSent(status == 0);
                             });
  TG_CHECK(error == 0);  // only misuse fails here; the network's errors come to the callback
}

void Stream::OnSealedSent(bool ok) {
  loop_->TurnBegins();
  tls_->is_sending = false;
  if (closing_) return;
  if (!ok) tls_->failed = true;
  if (!tls_->failed && write_ != nullptr && tls_->next < tls_->unsealed.size()) {
    if (established()) SealNext();
    return;
  }
  if (!tls_->failed && !tls_->layer->sealed().empty()) SendSealed();  // reads have added to it
  // What the owner wrote is out when libuv had the last of it.
  if (write_ == nullptr || (tls_->is_sending && !tls_->failed)) return;
  write_.reset();
  owner_.OnWritten(!tls_->failed);
}

size_t Stream::UnsealedBytes() const {
  size_t bytes = 0;
  if (write_ == nullptr) return 0;
  for (size_t i = tls_->next; i < tls_->unsealed.size(); ++i) bytes += tls_->unsealed[i].size;
  return bytes;
}

// The peer is told when that does not mean to wait.
void Stream::CloseTls() {
  if (tls_->is_sending || tls_->failed) return;
  tls_->layer->SealEnd();
  const std::string& sealed = tls_->layer->sealed();
  if (!sealed.empty())
    static_cast<void>(!send(fd_, sealed.data(), sealed.size(), MSG_DONTWAIT | MSG_NOSIGNAL));
}

}  // namespace tidegate
