#include "proxy/event/tls_context.h"

#include <arpa/inet.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <utility>

#include "base/bytes.h"
#include "base/check.h"
#include "proxy/event/tls_layer.h"

namespace tidegate {
namespace {

// What a connection reads at once: a few records, and then no second system call for each.
constexpr Bytes kTlsReadBytes = 64_KiB;

using ContextPointer = std::unique_ptr<SSL_CTX, void (*)(SSL_CTX*)>;

// "ca-file '/etc/x.pem': no start line", of the last thing that OpenSSL says.
Error FileError(const char* option, const std::string& path) {
  const unsigned long code = ERR_peek_last_error();
  const char* reason = ERR_reason_error_string(code);
  ERR_clear_error();
  return Error{std::string(option) + " '" + path +
               "': " + (reason != nullptr ? reason : "OpenSSL cannot use it")};
}

// OpenSSL's own words for a file that is not there are those of its parser.
Status CheckReadable(const char* option, const std::string& path) {
  errno = 0;
  std::ifstream file(path);
  if (file.good() && file.peek() != std::ifstream::traits_type::eof()) return {};
  return Error{std::string(option) + " '" + path +
               "': " + (errno != 0 ? std::strerror(errno) : "it is empty")};
}

Status LoadTrusted(SSL_CTX* context, const TlsOptions& options) {
  if (options.ca_file.empty() && options.ca_directory.empty()) {
    if (SSL_CTX_set_default_verify_paths(context) == 1) return {};
    return Error{"the system's certificate authorities cannot be read"};
  }
  if (!options.ca_file.empty()) {
    TG_RETURN_IF_ERROR(CheckReadable("ca-file", options.ca_file));
    if (SSL_CTX_load_verify_file(context, options.ca_file.c_str()) != 1)
      return FileError("ca-file", options.ca_file);
  }
  if (!options.ca_directory.empty()) {
    if (access(options.ca_directory.c_str(), R_OK | X_OK) != 0)
      return Error{"ca-dir '" + options.ca_directory + "': " + std::strerror(errno)};
    if (SSL_CTX_load_verify_dir(context, options.ca_directory.c_str()) != 1)
      return FileError("ca-dir", options.ca_directory);
  }
  return {};
}

Status LoadCertificate(SSL_CTX* context, const TlsOptions& options) {
  if (options.cert_file.empty()) return {};
  TG_RETURN_IF_ERROR(CheckReadable("cert-file", options.cert_file));
  TG_RETURN_IF_ERROR(CheckReadable("key-file", options.key_file));
  if (SSL_CTX_use_certificate_chain_file(context, options.cert_file.c_str()) != 1)
    return FileError("cert-file", options.cert_file);
  if (SSL_CTX_use_PrivateKey_file(context, options.key_file.c_str(), SSL_FILETYPE_PEM) != 1)
    return FileError("key-file", options.key_file);
  if (SSL_CTX_check_private_key(context) != 1) return FileError("key-file", options.key_file);
  return {};
}

Status SetCiphers(SSL_CTX* context, const TlsOptions& options) {
  const auto refuse = [](const char* option, const std::string& list) {
    ERR_clear_error();
    return Error{std::string(option) + " '" + list + "': there is none of that name"};
  };
  if (!options.ciphers.empty() && SSL_CTX_set_cipher_list(context, options.ciphers.c_str()) != 1)
    return refuse("ciphers", options.ciphers);
  if (!options.ciphersuites.empty() &&
      SSL_CTX_set_ciphersuites(context, options.ciphersuites.c_str()) != 1)
    return refuse("ciphersuites", options.ciphersuites);
  return {};
}

// A key with a password would have somebody asked for it on the terminal.
int NoPassword(char*, int, int, void*) { return -1; }

Result<ContextPointer> Read(const TlsOptions& options) {
  ContextPointer context(SSL_CTX_new(TLS_client_method()), &SSL_CTX_free);
  TG_CHECK(context != nullptr);
  SSL_CTX* const raw = context.get();
  SSL_CTX_set_min_proto_version(
      raw, options.version_min == TlsVersion::k13 ? TLS1_3_VERSION : TLS1_2_VERSION);
  SSL_CTX_set_options(raw, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
  SSL_CTX_set_mode(raw, SSL_MODE_RELEASE_BUFFERS);  // an idle connection holds none
  SSL_CTX_set_session_cache_mode(raw, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_read_ahead(raw, 1);
  SSL_CTX_set_default_read_buffer_len(raw, kTlsReadBytes.count);
  SSL_CTX_set_default_passwd_cb(raw, NoPassword);
  SSL_CTX_set_verify(raw, options.verify ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, nullptr);
  if (options.verify) TG_RETURN_IF_ERROR(LoadTrusted(raw, options));
  TG_RETURN_IF_ERROR(LoadCertificate(raw, options));
  TG_RETURN_IF_ERROR(SetCiphers(raw, options));
  return context;
}

bool IsIpAddress(const std::string& host) {
  in6_addr address;
  return inet_pton(AF_INET, host.c_str(), &address) == 1 ||
         inet_pton(AF_INET6, host.c_str(), &address) == 1;
}

// An address is none that SNI could have (RFC 6066), and another kind of name in a certificate.
bool SetPeer(SSL* ssl, const std::string& host) {
  if (IsIpAddress(host))
    return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host.c_str()) == 1;
  SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
  return SSL_set_tlsext_host_name(ssl, host.c_str()) == 1 && SSL_set1_host(ssl, host.c_str()) == 1;
}

BIO_METHOD* MakeTransport() {
  BIO_METHOD* const method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "tidegate");
  TG_CHECK(method != nullptr);
  BIO_meth_set_write(method, &TlsLayer::WriteSealed);
  BIO_meth_set_read(method, &TlsLayer::ReadSealed);
  BIO_meth_set_ctrl(method, &TlsLayer::Control);
  return method;
}

}  // namespace

TlsContext::TlsContext(TlsOptions options)
    : options_(std::move(options)), transport_(MakeTransport()) {}

TlsContext::~TlsContext() {
  MutexLock lock(mutex_);
  SSL_CTX_free(context_);
  BIO_meth_free(transport_);
}

Result<std::unique_ptr<TlsContext>> TlsContext::ForClients(const TlsOptions& options) {
  std::unique_ptr<TlsContext> made(new TlsContext(options));
  TG_RETURN_IF_ERROR(made->Reload());
  return made;
}

Status TlsContext::Reload() {
  Result<ContextPointer> read = Read(options_);
  if (!read.ok()) return std::move(read).error();
  MutexLock lock(mutex_);
  SSL_CTX_free(context_);
  context_ = read->release();
  return {};
}

ssl_st* TlsContext::NewClient(const std::string& host) const {
  SSL* ssl = nullptr;
  {
    MutexLock lock(mutex_);
    ssl = SSL_new(context_);
  }
  TG_CHECK(ssl != nullptr);
  SSL_set_connect_state(ssl);
  if (SetPeer(ssl, options_.server_name.empty() ? host : options_.server_name)) return ssl;
  ERR_clear_error();
  SSL_free(ssl);
  return nullptr;
}

}  // namespace tidegate
