#include "proxy/event/tls_layer.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstring>

#include "base/check.h"
#include "proxy/event/tls_context.h"

namespace tidegate {
namespace {

TlsLayer& LayerOf(BIO* bio) { return *static_cast<TlsLayer*>(BIO_get_data(bio)); }

int AsInt(size_t size) { return static_cast<int>(std::min<size_t>(size, INT_MAX)); }

// What comes instead of TLS from who does not speak it.
bool IsNoTls(unsigned long code) {
  const int reason = ERR_GET_REASON(code);
  return ERR_GET_LIB(code) == ERR_LIB_SSL &&
         (reason == SSL_R_WRONG_VERSION_NUMBER || reason == SSL_R_HTTP_REQUEST ||
          reason == SSL_R_PACKET_LENGTH_TOO_LONG || reason == SSL_R_BAD_RECORD_TYPE);
}

}  // namespace

TlsLayer::TlsLayer(ssl_st* ssl, const TlsContext& context, int fd) : ssl_(ssl), fd_(fd) {
  BIO* const bio = BIO_new(context.transport());
  TG_CHECK(bio != nullptr);
  BIO_set_data(bio, this);
  BIO_set_init(bio, 1);
  SSL_set_bio(ssl_, bio, bio);
}

TlsLayer::~TlsLayer() { SSL_free(ssl_); }

Result<std::unique_ptr<TlsLayer>> TlsLayer::Client(const TlsContext& context, int fd,
                                                   const std::string& host) {
  SSL* const ssl = context.NewClient(host);
  if (ssl == nullptr) return Error{"TLS: no certificate can have the name '" + host + "'"};
  std::unique_ptr<TlsLayer> layer(new TlsLayer(ssl, context, fd));
  if (!layer->Shake()) return Error{layer->error()};
  return layer;
}

int TlsLayer::WriteSealed(BIO* bio, const char* data, int size) {
  LayerOf(bio).sealed_.append(data, static_cast<size_t>(size));
  return size;
}

int TlsLayer::ReadSealed(BIO* bio, char* data, int size) {
  TlsLayer& self = LayerOf(bio);
  BIO_clear_retry_flags(bio);
  const ssize_t got = recv(self.fd_, data, static_cast<size_t>(size), MSG_DONTWAIT);
  if (got > 0) self.heard_ = true;
  if (got >= 0) return static_cast<int>(got);
  self.socket_error_ = errno;
  if (errno == EAGAIN || errno == EINTR) BIO_set_retry_read(bio);
  return -1;
}

long TlsLayer::Control(BIO* /*bio*/, int command, long /*number*/, void* /*pointer*/) {
  return command == BIO_CTRL_FLUSH ? 1 : 0;
}

bool TlsLayer::Shake() {
  if (established_) return true;
  ERR_clear_error();
  socket_error_ = 0;
  const int result = SSL_do_handshake(ssl_);
  if (result == 1) {
    established_ = true;
    return true;
  }
  if (MustWait(result)) return true;
  NoteFailure();
  if (error_.empty()) error_ = "TLS: it closed the connection in the handshake";
  return false;
}

ptrdiff_t TlsLayer::Read(std::span<char> room) {
  ERR_clear_error();
  socket_error_ = 0;
  const int result = SSL_read(ssl_, room.data(), AsInt(room.size()));
  if (result > 0) return result;
  if (MustWait(result)) return 0;
  NoteFailure();
  return -1;
}

bool TlsLayer::has_unread() const { return SSL_has_pending(ssl_) == 1; }

bool TlsLayer::Seal(std::string_view bytes) {
  ERR_clear_error();
  while (!bytes.empty()) {
    const int taken = SSL_write(ssl_, bytes.data(), AsInt(bytes.size()));
    if (taken <= 0) {
      NoteFailure();
      return false;
    }
    bytes.remove_prefix(static_cast<size_t>(taken));
  }
  return true;
}

void TlsLayer::SealEnd() {
  ERR_clear_error();
  if (established_ && error_.empty()) SSL_shutdown(ssl_);
  ERR_clear_error();
}

bool TlsLayer::MustWait(int result) {
  const int what = SSL_get_error(ssl_, result);
  return what == SSL_ERROR_WANT_READ || what == SSL_ERROR_WANT_WRITE;
}

// Nothing is noted of a peer that closed, with or without saying so: frames have ends of their own.
void TlsLayer::NoteFailure() {
  const unsigned long code = ERR_peek_error();
  const char* reason = ERR_reason_error_string(code);
  const long verified = SSL_get_verify_result(ssl_);
  if (!established_ && verified != X509_V_OK && SSL_get_verify_mode(ssl_) != SSL_VERIFY_NONE) {
    error_ =
        std::string("TLS: certificate verify failed: ") + X509_verify_cert_error_string(verified);
  } else if (ERR_GET_LIB(code) == ERR_LIB_SSL &&
             ERR_GET_REASON(code) == SSL_R_UNEXPECTED_EOF_WHILE_READING) {
    error_.clear();
  } else if (!established_ && heard_ && IsNoTls(code)) {
    error_ = "TLS: it does not speak TLS";
  } else if (reason != nullptr) {
    error_ = std::string("TLS: ") + reason;
  } else if (socket_error_ != 0 && socket_error_ != EAGAIN && socket_error_ != ECONNRESET) {
    error_ = std::string("TLS: ") + std::strerror(socket_error_);
  }
  ERR_clear_error();
}

}  // namespace tidegate
