// TLS to upstreams: a whole server in front of a relay that speaks TLS, and in front of what does
// not, or not right.
#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "proxy/commands/families.h"
#include "proxy/event/loop.h"
#include "proxy/event/stream.h"
#include "proxy/event/tls_context.h"
#include "proxy/upstream/upstream_tls.h"
#include "tests/support/fake_redis.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/test_server.h"
#include "tests/unit/proxy/event/tls_peer.h"

namespace tidegate {
namespace {

// Authorities and files that the tests share.
class TlsUpstream : public ::testing::Test {
 protected:
  TlsUpstream() : authority_({.names = ""}, nullptr), stranger_({.names = ""}, nullptr) {
    authority_.WriteCertificate(folder_.File("ca.pem"));
    stranger_.WriteCertificate(folder_.File("stranger.pem"));
  }

  TlsOptions Trusting() const { return {.enabled = true, .ca_file = folder_.File("ca.pem")}; }

  // Everything is at host:port.
  static std::function<void(Options&)> InFrontOf(uint16_t port, const TlsOptions& tls,
                                                 const std::string& host = "127.0.0.1") {
    return [=](Options& options) {
      options.workers = 1;
      options.clusters.push_back({.name = "cache",
                                  .kind = ClusterKind::kRedis,
                                  .nodes = {{.address = {host, port}}},
                                  .connect_timeout = std::chrono::milliseconds(1000),
                                  .tls = tls});
      options.routes = {{"*", "cache"}};
    };
  }

  // What a client is told, without the address.
  static std::string ErrorInFrontOf(uint16_t port, const TlsOptions& tls,
                                    const std::string& host = "127.0.0.1") {
    TestServer server(ProxyCommandFamilies(), InFrontOf(port, tls, host));
    TestClient client(server.port());
    client.Send("GET a\r\n");
    const std::string reply = client.ReadSome();
    const std::string begin =
        "-ERR upstream cluster 'cache', " + host + ":" + std::to_string(port) + ": ";
    EXPECT_TRUE(reply.starts_with(begin)) << reply;
    return reply.substr(std::min(begin.size(), reply.size()));
  }

  tidegate::testing::TemporaryFolder folder_;
  const TestCertificate authority_;
  const TestCertificate stranger_;
};

std::string Value(size_t size, char seed) {
  std::string value(size, ' ');
  for (size_t i = 0; i < size; ++i) value[i] = static_cast<char>('a' + (i * 7 + seed) % 26);
  return value;
}

std::string SetCommand(const std::string& key, const std::string& value) {
  return "*3\r\n" + Bulk("SET") + Bulk(key) + Bulk(value);
}

TEST_F(TlsUpstream, WhatIsSaidArrives) {
  TestServer node(ProxyCommandFamilies());
  const TestCertificate own({}, &authority_);
  TlsRelay relay(node.port(), own);
  TestServer server(ProxyCommandFamilies(), InFrontOf(relay.port(), Trusting()));
  TestClient client(server.port());
  TestClient direct(node.port());
  EXPECT_EQ(client.Ask("SET a 1\r\nGET a\r\n", "+OK\r\n$1\r\n1\r\n"), "+OK\r\n$1\r\n1\r\n");
  EXPECT_EQ(direct.Ask("GET a\r\n", "$1\r\n1\r\n"), "$1\r\n1\r\n");
  EXPECT_EQ(relay.last_name(), "-") << "an address is no name";
  // Around the sizes of records, of buffers and of what is sealed at once.
  for (const size_t size : {size_t{16383}, size_t{16384}, size_t{65537}, size_t{5} << 20}) {
    const std::string value = Value(size, 3);
    EXPECT_EQ(client.Ask(SetCommand("large", value), "+OK\r\n"), "+OK\r\n");
    const std::string reply = Bulk(value);
    EXPECT_TRUE(client.Ask("GET large\r\n", reply) == reply) << size;
    EXPECT_TRUE(direct.Ask("GET large\r\n", reply) == reply) << size;
  }
}

TEST_F(TlsUpstream, ManyClientsWithValuesOfAllSizes) {
  TestServer node(ProxyCommandFamilies());
  const TestCertificate own({}, &authority_);
  TlsRelay relay(node.port(), own);
  TestServer server(ProxyCommandFamilies(), InFrontOf(relay.port(), Trusting()));
  std::vector<std::thread> clients;
  std::atomic<int> wrong{0};
  for (char number = 0; number < 4; ++number) {
    clients.emplace_back([&, number] {
      TestClient client(server.port());
      const std::string key = "k" + std::to_string(number);
      std::string sent;
      std::string expected;
      for (size_t size = 1; size < (1 << 20); size = size * 3 + 1) {
        sent += SetCommand(key, Value(size, number)) + "GET " + key + "\r\n";
        expected += "+OK\r\n" + Bulk(Value(size, number));
      }
      std::thread sender([&] { client.Send(sent); });
      if (client.Read(expected.size()) != expected) ++wrong;
      sender.join();
    });
  }
  for (std::thread& client : clients) client.join();
  EXPECT_EQ(wrong.load(), 0);
}

TEST_F(TlsUpstream, TheNameIsThatOfTheConfiguration) {
  TestServer node(ProxyCommandFamilies());
  const TestCertificate by_name({.names = "DNS:cache.internal"}, &authority_);
  TlsRelay relay(node.port(), by_name);
  EXPECT_EQ(ErrorInFrontOf(relay.port(), Trusting()),
            "TLS: certificate verify failed: IP address mismatch\r\n");
  EXPECT_EQ(ErrorInFrontOf(relay.port(), Trusting(), "localhost"),
            "TLS: certificate verify failed: hostname mismatch\r\n");
  TlsOptions named = Trusting();
  named.server_name = "cache.internal";
  TestServer server(ProxyCommandFamilies(), InFrontOf(relay.port(), named));
  TestClient client(server.port());
  EXPECT_EQ(client.Ask("SET a 1\r\n", "+OK\r\n"), "+OK\r\n");
  EXPECT_EQ(relay.last_name(), "cache.internal");
}

TEST_F(TlsUpstream, WhoCannotBeTrusted) {
  TestServer node(ProxyCommandFamilies());
  const TestCertificate foreign({}, &stranger_);
  const TestCertificate expired({.names = "IP:127.0.0.1", .valid_seconds = -60}, &authority_);
  const TestCertificate alone({}, nullptr);
  {
    TlsRelay relay(node.port(), foreign);
    EXPECT_EQ(ErrorInFrontOf(relay.port(), Trusting()),
              "TLS: certificate verify failed: unable to get local issuer certificate\r\n");
    // Whom the system trusts does not know our authority either.
    EXPECT_EQ(ErrorInFrontOf(relay.port(), {.enabled = true}),
              "TLS: certificate verify failed: unable to get local issuer certificate\r\n");
  }
  {
    TlsRelay relay(node.port(), expired);
    EXPECT_EQ(ErrorInFrontOf(relay.port(), Trusting()),
              "TLS: certificate verify failed: certificate has expired\r\n");
  }
  TlsRelay relay(node.port(), alone);
  EXPECT_EQ(ErrorInFrontOf(relay.port(), Trusting()),
            "TLS: certificate verify failed: self-signed certificate\r\n");
  TestServer server(ProxyCommandFamilies(),
                    InFrontOf(relay.port(), {.enabled = true, .verify = false}));
  TestClient client(server.port());
  EXPECT_EQ(client.Ask("SET a 1\r\n", "+OK\r\n"), "+OK\r\n");
}

TEST_F(TlsUpstream, WeShowACertificate) {
  TestServer node(ProxyCommandFamilies());
  const TestCertificate own({}, &authority_);
  const TestCertificate ours({.names = "DNS:proxy"}, &authority_);
  ours.WriteCertificate(folder_.File("ours.pem"));
  ours.WriteKey(folder_.File("ours.key"));
  TlsRelay relay(node.port(), own, &authority_);
  const std::string refused = ErrorInFrontOf(relay.port(), Trusting());
  EXPECT_TRUE(refused.starts_with("TLS: ") && refused.find("certificate required") != refused.npos)
      << refused;
  TlsOptions shown = Trusting();
  shown.cert_file = folder_.File("ours.pem");
  shown.key_file = folder_.File("ours.key");
  TestServer server(ProxyCommandFamilies(), InFrontOf(relay.port(), shown));
  TestClient client(server.port());
  EXPECT_EQ(client.Ask("SET a 1\r\n", "+OK\r\n"), "+OK\r\n");
}

TEST_F(TlsUpstream, WhoDoesNotSpeakIt) {
  FakeRedis silent([](const std::string&) { return ""; });
  EXPECT_EQ(ErrorInFrontOf(silent.port(), Trusting()),
            "TLS: no handshake within the connect-timeout\r\n");
  // It says something by itself, and hangs up.
  TestServer talker(ProxyCommandFamilies(), [](Options& options) { options.maxclients = 1; });
  TestClient first(talker.port());
  EXPECT_EQ(first.Ask("PING\r\n", "+PONG\r\n"), "+PONG\r\n");
  EXPECT_EQ(ErrorInFrontOf(talker.port(), Trusting()), "TLS: it does not speak TLS\r\n");
}

TEST_F(TlsUpstream, WhoIsCutOffInTheMiddle) {
  TestServer node(ProxyCommandFamilies());
  const TestCertificate own({}, &authority_);
  TlsRelay relay(node.port(), own);
  TestServer server(ProxyCommandFamilies(), InFrontOf(relay.port(), Trusting()));
  TestClient client(server.port());
  const std::string reply = Bulk(Value(1000, 1));
  EXPECT_EQ(client.Ask(SetCommand("a", Value(1000, 1)), "+OK\r\n"), "+OK\r\n");
  relay.CutAfter(500);
  client.Send("GET a\r\n");
  const std::string error = client.ReadSome();
  EXPECT_TRUE(error.ends_with(": it closed the connection\r\n")) << error;
  relay.CutAfter(SIZE_MAX);
  EXPECT_TRUE(Eventually([&] {
    client.Send("GET a\r\n");
    return client.ReadSome() == reply;
  }));
  EXPECT_GE(relay.shaken(), 2);
}

// Reads so little at a time, and so slowly, that each read is the last of its turn while most of
// what has come is in OpenSSL's memory, where no event tells of it.
class SlowReader final : public StreamOwner {
 public:
  SlowReader(EventLoop& loop, size_t expected)
      : loop_(loop),
        expected_(expected),
        stream_(*this),
        limit_(new Timer(loop, [this] { End(); })) {
    constexpr uint64_t kLimitMillis = 20'000;
    limit_->StartOnce(kLimitMillis);
  }

  Stream& stream() { return stream_; }
  size_t received() const { return received_; }

 private:
  void End() {
    if (!stream_.closing()) stream_.Close();
    limit_.reset();
  }
  std::span<char> ReadBuffer() override { return buffer_; }
  void OnRead(size_t size) override {
    loop_.TurnBegins();
    received_ += size;
    std::this_thread::sleep_for(std::chrono::nanoseconds(kTurnBudgetNanos) * 3 / 2);
    if (received_ == expected_) End();
  }
  void OnReadEnd() override { End(); }
  void OnWritten(bool) override {}
  void OnClosed() override {}

  EventLoop& loop_;
  const size_t expected_;
  Stream stream_;
  std::unique_ptr<Timer> limit_;
  size_t received_ = 0;
  char buffer_[16];
};

TEST_F(TlsUpstream, WhatIsInMemoryIsReadThoughTurnsAreLong) {
  const std::string answer = Bulk(Value(3000, 1));
  FakeRedis node([&](const std::string&) { return answer; });
  const TestCertificate own({}, &authority_);
  TlsRelay relay(node.port(), own);
  const auto context = TlsContext::ForClients(Trusting());
  ASSERT_TRUE(context.ok());
  EventLoop loop;
  SlowReader reader(loop, answer.size());
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(relay.port());
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  ASSERT_EQ(connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  ASSERT_TRUE(reader.stream().Open(loop, fd, {}).ok());
  ASSERT_TRUE(reader.stream().StartTls(*context.value(), "127.0.0.1").ok());
  std::string command = "*1\r\n$4\r\nPING\r\n";
  const OutputBuffer::Piece piece{command.data(), command.size()};
  reader.stream().Write({&piece, 1});  // before the handshake is done
  reader.stream().StartReading();
  loop.Run();
  EXPECT_EQ(reader.received(), answer.size());
}

TEST_F(TlsUpstream, FilesAreReadAtTheStart) {
  const auto error_of = [](const TlsOptions& tls) {
    const auto made = TlsContext::ForClients(tls);
    return made.ok() ? std::string("good") : made.error().message;
  };
  const TestCertificate ours({}, &authority_);
  ours.WriteCertificate(folder_.File("ours.pem"));
  ours.WriteKey(folder_.File("ours.key"));
  authority_.WriteKey(folder_.File("other.key"));
  folder_.Write("text.pem", "this is no certificate\n");
  const std::string folder = folder_.path();
  EXPECT_EQ(error_of(Trusting()), "good");
  EXPECT_EQ(error_of({.ca_directory = folder}), "good");
  EXPECT_EQ(error_of({.ca_file = folder + "/none"}),
            "ca-file '" + folder + "/none': No such file or directory");
  EXPECT_EQ(error_of({.ca_directory = folder + "/none"}),
            "ca-dir '" + folder + "/none': No such file or directory");
  EXPECT_TRUE(error_of({.ca_file = folder + "/text.pem"}).starts_with("ca-file '" + folder));
  const auto pair = [&](const std::string& certificate, const std::string& key) {
    return error_of({.cert_file = folder + certificate, .key_file = folder + key});
  };
  EXPECT_EQ(pair("/ours.pem", "/ours.key"), "good");
  EXPECT_EQ(pair("/ours.pem", "/none"),
            "key-file '" + folder + "/none': No such file or directory");
  EXPECT_EQ(pair("/ours.pem", "/other.key"),
            "key-file '" + folder + "/other.key': key values mismatch");
  EXPECT_TRUE(pair("/text.pem", "/ours.key").starts_with("cert-file '" + folder));
  EXPECT_EQ(error_of({.ciphers = "NOPE"}), "ciphers 'NOPE': there is none of that name");
  EXPECT_EQ(error_of({.ciphersuites = "NOPE"}), "ciphersuites 'NOPE': there is none of that name");
}

TEST_F(TlsUpstream, AServerDoesNotStartWithoutThem) {
  LoadedConfig config;
  config.options.listeners = {{.name = "test", .addresses = {{"127.0.0.1", false}}}};
  InFrontOf(1, {.enabled = true, .ca_file = "/nowhere/ca.pem"})(config.options);
  const auto created = Server::Create(std::move(config), ProxyCommandFamilies());
  ASSERT_FALSE(created.ok());
  EXPECT_EQ(created.error().message,
            "tls of the upstream cluster 'cache': ca-file '/nowhere/ca.pem': No such file or "
            "directory");
}

TEST_F(TlsUpstream, AReloadReadsThemAgain) {
  stranger_.WriteCertificate(folder_.File("changing.pem"));
  TestServer node(ProxyCommandFamilies());
  const TestCertificate own({}, &authority_);
  TlsRelay relay(node.port(), own);
  TestServer server(
      ProxyCommandFamilies(),
      InFrontOf(relay.port(), {.enabled = true, .ca_file = folder_.File("changing.pem")}));
  TestClient client(server.port());
  client.Send("GET a\r\n");
  EXPECT_NE(client.ReadSome().find("unable to get local issuer certificate"), std::string::npos);
  folder_.Write("changing.pem", "half a file");
  server->upstream_tls().Reload();
  authority_.WriteCertificate(folder_.File("changing.pem"));
  server->upstream_tls().Reload();
  EXPECT_TRUE(Eventually([&] {
    client.Send("GET a\r\n");
    return client.ReadSome() == "$-1\r\n";
  }));
}

}  // namespace
}  // namespace tidegate
