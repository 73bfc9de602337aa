// The other side of TLS connections in tests: certificates made on the spot, in files, and a relay
// that speaks TLS to who connects and hands the plain bytes to a server on the loopback. A thread
// for each connection; all of them end with the relay.
#pragma once

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace tidegate {

// A key and its certificate, signed by another one or by itself.
class TestCertificate final {
 public:
  struct Wanted {
    std::string names = "IP:127.0.0.1";  // as OpenSSL writes alternative names; "": an authority
    long valid_seconds = 3600;           // below 0: it has expired
  };

  TestCertificate(const Wanted& wanted, const TestCertificate* issuer) : key_(EVP_EC_gen("P-256")) {
    constexpr long kDay = 86400;
    certificate_ = X509_new();
    X509_set_version(certificate_, 2);
    const long serial = NextSerial();
    ASN1_INTEGER_set(X509_get_serialNumber(certificate_), serial);
    X509_gmtime_adj(X509_getm_notBefore(certificate_), -2 * kDay);
    X509_gmtime_adj(X509_getm_notAfter(certificate_), wanted.valid_seconds);
    X509_set_pubkey(certificate_, key_);
    X509_NAME* const name = X509_get_subject_name(certificate_);
    const std::string common =
        (wanted.names.empty() ? "authority " : "server ") + std::to_string(serial);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
                               reinterpret_cast<const unsigned char*>(common.c_str()), -1, -1, 0);
    const TestCertificate& signer = issuer == nullptr ? *this : *issuer;
    X509_set_issuer_name(certificate_, X509_get_subject_name(signer.certificate_));
    Extend(signer, NID_basic_constraints, wanted.names.empty() ? "critical,CA:TRUE" : "CA:FALSE");
    if (!wanted.names.empty()) Extend(signer, NID_subject_alt_name, wanted.names);
    X509_sign(certificate_, signer.key_, EVP_sha256());
  }
  ~TestCertificate() {
    X509_free(certificate_);
    EVP_PKEY_free(key_);
  }
  TestCertificate(const TestCertificate&) = delete;
  TestCertificate& operator=(const TestCertificate&) = delete;

  X509* certificate() const { return certificate_; }
  EVP_PKEY* key() const { return key_; }
  void WriteCertificate(const std::string& path) const {
    FILE* const file = std::fopen(path.c_str(), "w");
    EXPECT_EQ(PEM_write_X509(file, certificate_), 1);
    std::fclose(file);
  }
  void WriteKey(const std::string& path) const {
    FILE* const file = std::fopen(path.c_str(), "w");
    EXPECT_EQ(PEM_write_PrivateKey(file, key_, nullptr, nullptr, 0, nullptr, nullptr), 1);
    std::fclose(file);
  }

 private:
  static long NextSerial() {
    static std::atomic<long> serial{1};
    return serial.fetch_add(1);
  }
  void Extend(const TestCertificate& signer, int kind, const std::string& text) {
    X509V3_CTX context;
    X509V3_set_ctx(&context, signer.certificate_, certificate_, nullptr, nullptr, 0);
    X509_EXTENSION* const extension = X509V3_EXT_conf_nid(nullptr, &context, kind, text.c_str());
    EXPECT_EQ(X509_add_ext(certificate_, extension, -1), 1);
    X509_EXTENSION_free(extension);
  }

  EVP_PKEY* key_;
  X509* certificate_;
};

class TlsRelay final {
 public:
  // To 127.0.0.1:target. With an authority, who connects has to have a certificate of it.
  TlsRelay(uint16_t target, const TestCertificate& own, const TestCertificate* authority = nullptr)
      : target_(target), context_(SSL_CTX_new(TLS_server_method())) {
    SSL_CTX_use_certificate(context_, own.certificate());
    SSL_CTX_use_PrivateKey(context_, own.key());
    if (authority != nullptr) {
      X509_STORE_add_cert(SSL_CTX_get_cert_store(context_), authority->certificate());
      SSL_CTX_set_verify(context_, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
    }
    listening_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address = Loopback(0);
    socklen_t size = sizeof address;
    EXPECT_EQ(bind(listening_, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    EXPECT_EQ(listen(listening_, 64), 0);
    getsockname(listening_, reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ntohs(address.sin_port);
    acceptor_ = std::thread([this] { Accept(); });
  }
  ~TlsRelay() {
    stopping_.store(true);
    acceptor_.join();
    for (std::thread& one : pumps_) one.join();
    close(listening_);
    SSL_CTX_free(context_);
  }
  TlsRelay(const TlsRelay&) = delete;
  TlsRelay& operator=(const TlsRelay&) = delete;

  uint16_t port() const { return port_; }
  int shaken() const { return shaken_.load(); }
  // As the client said it (SNI); "-": it did not.
  std::string last_name() {
    const std::lock_guard lock(mutex_);
    return last_name_;
  }
  // From then on each connection is cut off once so many plain bytes went back over it.
  void CutAfter(size_t bytes) { cut_after_.store(bytes); }

 private:
  static constexpr int kStepMillis = 5;

  static sockaddr_in Loopback(uint16_t port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
  }

  void Accept() {
    while (!stopping_.load()) {
      pollfd polled{listening_, POLLIN, 0};
      if (poll(&polled, 1, kStepMillis) <= 0) continue;
      const int fd = accept4(listening_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
      pumps_.emplace_back([this, fd] { Pump(fd); });
    }
  }

  // Waits for what OpenSSL wants. False: it wants nothing any more.
  bool Await(SSL* ssl, int result, int fd) {
    const int wanted = SSL_get_error(ssl, result);
    if (wanted != SSL_ERROR_WANT_READ && wanted != SSL_ERROR_WANT_WRITE) return false;
    pollfd polled{fd, static_cast<short>(wanted == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT), 0};
    poll(&polled, 1, kStepMillis);
    return !stopping_.load();
  }

  bool SendAll(SSL* ssl, int fd, const char* data, size_t size) {
    while (size > 0) {
      const int sent = SSL_write(ssl, data, static_cast<int>(size));
      if (sent <= 0 && !Await(ssl, sent, fd)) return false;
      if (sent <= 0) continue;
      data += sent;
      size -= static_cast<size_t>(sent);
    }
    return true;
  }

  // One way each; false: the end.
  bool FromTls(SSL* ssl, int plain) {
    char buffer[65536];
    int got = 0;
    while ((got = SSL_read(ssl, buffer, sizeof buffer)) > 0) {
      if (send(plain, buffer, static_cast<size_t>(got), MSG_NOSIGNAL) != got) return false;
    }
    return SSL_get_error(ssl, got) == SSL_ERROR_WANT_READ;
  }
  bool FromPlain(int plain, SSL* ssl, int fd, size_t& passed) {
    char buffer[65536];
    const ssize_t got = recv(plain, buffer, sizeof buffer, MSG_DONTWAIT);
    if (got < 0) return true;
    passed += static_cast<size_t>(got);
    return got > 0 && passed <= cut_after_.load() &&
           SendAll(ssl, fd, buffer, static_cast<size_t>(got));
  }

  void Pump(int fd) {
    const int plain = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const sockaddr_in address = Loopback(target_);
    SSL* const ssl = SSL_new(context_);
    SSL_set_fd(ssl, fd);
    int result = 0;
    while ((result = SSL_accept(ssl)) != 1 && Await(ssl, result, fd)) continue;
    if (result == 1 &&
        connect(plain, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) {
      shaken_.fetch_add(1);
      const char* const name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
      {
        const std::lock_guard lock(mutex_);
        last_name_ = name == nullptr ? "-" : name;
      }
      size_t passed = 0;
      while (!stopping_.load()) {
        pollfd polled[] = {{fd, POLLIN, 0}, {plain, POLLIN, 0}};
        poll(polled, 2, kStepMillis);
        if (!FromTls(ssl, plain) || !FromPlain(plain, ssl, fd, passed)) break;
      }
    }
    SSL_free(ssl);
    close(fd);
    close(plain);
  }

  const uint16_t target_;
  SSL_CTX* const context_;
  int listening_ = -1;
  uint16_t port_ = 0;
  std::atomic<bool> stopping_{false};
  std::atomic<int> shaken_{0};
  std::atomic<size_t> cut_after_{SIZE_MAX};
  std::mutex mutex_;
  std::string last_name_;
  std::vector<std::thread> pumps_;
  std::thread acceptor_;
};

}  // namespace tidegate
