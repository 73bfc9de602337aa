// TlsLayer: TLS over one socket that somebody else waits for: bytes in, bytes out, no events.
//
//   socket --recv--> OpenSSL --Read--> plain bytes
//   plain bytes --Seal--> OpenSSL --> sealed() --whoever has the socket--> socket
//
// Reads come straight from the socket, a few records at a time. What is to be sent is gathered, so
// that it goes out by the same writes as that of plain connections, and OpenSSL never has to wait
// for a socket that is full: no SSL_ERROR_WANT_WRITE, no write that must be repeated with the same
// bytes. Memory BIOs on both sides would copy what comes once more.
//
// Bytes that were read from the socket and are not asked for yet are known to has_unread() alone:
// no event tells of them. Owner: a Stream. Cost: that of the cipher, and one copy of what is sent.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"

struct bio_st;
struct ssl_st;

namespace tidegate {

class TlsContext;

class TlsLayer final {
 public:
  // A connection of ours to `host`; sealed() has what is to be said first. The context outlives it.
  static Result<std::unique_ptr<TlsLayer>> Client(const TlsContext& context, int fd,
                                                  const std::string& host);
  ~TlsLayer();
  TlsLayer(const TlsLayer&) = delete;
  TlsLayer& operator=(const TlsLayer&) = delete;

  // Goes on with the handshake. False: it failed, and error() says why.
  bool Shake();
  // The handshake is done: bytes can be read and sealed.
  bool established() const { return established_; }

  // Bytes read; 0: none are there now; -1: nothing comes any more, and error() says why unless the
  // peer just closed.
  ptrdiff_t Read(std::span<char> room);
  bool has_unread() const;

  // Encrypts all of it, behind what is in sealed() already. False: the connection is broken.
  bool Seal(std::string_view bytes);
  // The end, said to the peer.
  void SealEnd();
  // To be sent in this order; whoever sends takes it out. Reads may add to it.
  std::string& sealed() { return sealed_; }

  // For people: "TLS: certificate verify failed: self-signed certificate".
  const std::string& error() const { return error_; }

  // OpenSSL's side.
  static int WriteSealed(bio_st* bio, const char* data, int size);
  static int ReadSealed(bio_st* bio, char* data, int size);
  static long Control(bio_st* bio, int command, long number, void* pointer);

 private:
  TlsLayer(ssl_st* ssl, const TlsContext& context, int fd);

  // What the last call came to. True: it just has to wait for more.
  bool MustWait(int result);
  void NoteFailure();

  ssl_st* const ssl_;
  const int fd_;
  std::string sealed_;
  std::string error_;
  int socket_error_ = 0;  // errno of the last recv that failed
  bool established_ = false;
  bool heard_ = false;  // the peer has sent something
};

}  // namespace tidegate
