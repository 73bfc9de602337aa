// TlsContext: what all TLS connections to one cluster have in common: who is trusted, what we show
// of ourselves, which versions and ciphers are spoken. Made of files when the server starts, so
// that a mistake in them is an error then and not at the first connection; Reload reads them again
// (certificates are renewed while a server runs), and what is connected stays as it is.
//
// Peers are verified as browsers do: a chain to a trusted authority, in its time, and the name or
// address that we wanted to reach. What is read of the files is one SSL_CTX, which OpenSSL counts
// references to; OpenSSL itself is seen in tls_context.cc and tls_layer.cc alone.
// Threads: any. Cost of a new connection: a lock.
// Source: RFC 5280, RFC 6125, RFC 8446; OpenSSL 3.0's manual pages.
#pragma once

#include <memory>
#include <string>

#include "base/result.h"
#include "base/thread_annotations.h"
#include "config/upstream_options.h"

struct bio_method_st;
struct ssl_ctx_st;
struct ssl_st;

namespace tidegate {

class TlsContext final {
 public:
  // For connections that we make. The error names the file, and says what is wrong with it.
  static Result<std::unique_ptr<TlsContext>> ForClients(const TlsOptions& options);
  ~TlsContext();
  TlsContext(const TlsContext&) = delete;
  TlsContext& operator=(const TlsContext&) = delete;

  // Reads the files again; after an error what was read before goes on being used.
  Status Reload() TG_EXCLUDES(mutex_);

  // A connection to `host`, a name or an IP address without brackets; nothing is sent yet. Null:
  // the name is none that a certificate could have.
  ssl_st* NewClient(const std::string& host) const TG_EXCLUDES(mutex_);

  // For TlsLayer: how OpenSSL reads and writes.
  const bio_method_st* transport() const { return transport_; }

 private:
  explicit TlsContext(TlsOptions options);

  const TlsOptions options_;
  bio_method_st* const transport_;
  mutable Mutex mutex_;
  ssl_ctx_st* context_ TG_GUARDED_BY(mutex_) = nullptr;
};

}  // namespace tidegate
