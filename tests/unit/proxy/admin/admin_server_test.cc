// The admin address over real sockets of the loopback.
#include "proxy/admin/admin_server.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include "proxy/admin/tcp_relay.h"
#include "tests/unit/proxy/admin/admin_fixture.h"

namespace tidegate {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::StartsWith;

FileDescriptor Connect(const std::string& host, uint16_t port) {
  const bool v6 = host.find(':') != std::string::npos;
  FileDescriptor fd(socket(v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  int result = 0;
  if (v6) {
    sockaddr_in6 address{};
    address.sin6_family = AF_INET6;
    address.sin6_port = htons(port);
    inet_pton(AF_INET6, host.c_str(), &address.sin6_addr);
    result = connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address));
  } else {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    inet_pton(AF_INET, host.c_str(), &address.sin_addr);
    result = connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address));
  }
  return result == 0 ? std::move(fd) : FileDescriptor();
}

// All that comes back until the other side closes.
std::string Exchange(const std::string& host, uint16_t port, std::string_view request) {
  const FileDescriptor fd = Connect(host, port);
  if (!fd.valid()) return "no connection";
  const timeval timeout{.tv_sec = 20, .tv_usec = 0};
  setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
  send(fd.get(), request.data(), request.size(), MSG_NOSIGNAL);
  std::string answer;
  char buffer[4096];
  while (true) {
    const ssize_t bytes = recv(fd.get(), buffer, sizeof(buffer), 0);
    if (bytes <= 0) return answer;
    answer.append(buffer, static_cast<size_t>(bytes));
  }
}

std::string Fetch(const AdminServer& server, const std::string& host, const std::string& path) {
  return Exchange(host, server.port(), "GET " + path + " HTTP/1.1\r\nHost: localhost\r\n\r\n");
}

class AdminServerTest : public ::testing::TestWithParam<const char*> {
 protected:
  Result<std::unique_ptr<AdminServer>> Start(uint16_t port = 0) {
    return AdminServer::Create({GetParam(), port}, fixture_.Sources());
  }
  AdminFixture fixture_;
};

TEST_P(AdminServerTest, ServesPagesOnAFreePort) {
  const auto server = Start();
  ASSERT_TRUE(server.ok()) << server.error().message;
  ASSERT_NE((*server.value()).port(), 0);
  EXPECT_THAT(server.value()->url(), EndsWith(":" + std::to_string(server.value()->port()) + "/"));
  const std::string health = Fetch(*server.value(), GetParam(), "/healthz");
  EXPECT_THAT(health, StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_THAT(health, EndsWith("\r\n\r\nok\n"));
  EXPECT_THAT(health, HasSubstr("X-Content-Type-Options: nosniff\r\n"));
  const std::string metrics = Fetch(*server.value(), GetParam(), "/metrics?x=1");
  EXPECT_THAT(metrics, HasSubstr("\ntidegate_build_info{version="));
  EXPECT_THAT(Fetch(*server.value(), GetParam(), "/nosuch"), StartsWith("HTTP/1.1 404 "));
}

TEST_P(AdminServerTest, HeadHasNoBodyAndOtherMethodsAreRefused) {
  const auto server = Start();
  ASSERT_TRUE(server.ok());
  const uint16_t port = server.value()->port();
  EXPECT_THAT(Exchange(GetParam(), port, "HEAD /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"),
              EndsWith("\r\n\r\n"));
  const std::string post = Exchange(
      GetParam(), port, "POST /config HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\nhi");
  EXPECT_THAT(post, StartsWith("HTTP/1.1 405 "));
  EXPECT_THAT(post, HasSubstr("Allow: GET, HEAD\r\n"));
  EXPECT_THAT(Exchange(GetParam(), port, "garbage\r\n\r\n"), StartsWith("HTTP/1.1 400 "));
  EXPECT_THAT(Fetch(*server.value(), GetParam(), "/healthz"), StartsWith("HTTP/1.1 200 "));
}

TEST_P(AdminServerTest, PortInUseIsOneLine) {
  const auto first = Start();
  ASSERT_TRUE(first.ok());
  const auto second = Start(first.value()->port());
  ASSERT_FALSE(second.ok());
  EXPECT_THAT(second.error().message, StartsWith("admin address "));
  EXPECT_THAT(second.error().message, EndsWith(": Address already in use"));
}

TEST_P(AdminServerTest, ServesManyAtATimeAndStopsAtOnce) {
  auto server = Start();
  ASSERT_TRUE(server.ok());
  std::vector<std::thread> clients;
  std::atomic<int> answered{0};
  for (int i = 0; i < 40; ++i) {
    clients.emplace_back([&] {
      if (Fetch(*server.value(), GetParam(), "/metrics").ends_with("\n")) ++answered;
    });
  }
  for (std::thread& client : clients) client.join();
  EXPECT_EQ(answered, 40);
  const auto begin = std::chrono::steady_clock::now();
  server.value().reset();
  // civetweb by itself takes up to two seconds.
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::milliseconds(1500));
}

INSTANTIATE_TEST_SUITE_P(IpVersions, AdminServerTest, ::testing::Values("127.0.0.1", "::1"),
                         [](const auto& info) {
                           return std::string(info.param) == "::1" ? "IPv6" : "IPv4";
                         });

TEST(AdminServer, SilentClientsDoNotHoldThePagesForLong) {
  AdminFixture fixture;
  const auto server = AdminServer::Create({"127.0.0.1", 0}, fixture.Sources());
  ASSERT_TRUE(server.ok());
  std::vector<FileDescriptor> silent;
  for (int i = 0; i < kAdminThreads; ++i) {
    silent.push_back(Connect("127.0.0.1", server.value()->port()));
    ASSERT_TRUE(silent.back().valid());
  }
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_THAT(Fetch(*server.value(), "127.0.0.1", "/healthz"), StartsWith("HTTP/1.1 200 "));
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 2 * kAdminRequestTimeout);
}

TEST(AdminServer, AnOpenAddressKnowsWhoIsOnThisMachine) {
  AdminFixture fixture;
  const auto server = AdminServer::Create({"0.0.0.0", 0}, fixture.Sources());
  ASSERT_TRUE(server.ok());
  EXPECT_TRUE(server.value()->is_restricted());
  EXPECT_THAT(Fetch(*server.value(), "127.0.0.1", "/stats"), StartsWith("HTTP/1.1 200 "));
  const std::string foreign = Exchange("127.0.0.1", server.value()->port(),
                                       "GET /stats HTTP/1.1\r\nHost: evil.example\r\n\r\n");
  EXPECT_THAT(foreign, StartsWith("HTTP/1.1 403 "));
}

// The relay hides who connected.
TEST(AdminServer, OnAnOpenIPv6AddressNobodyIsLocal) {
  AdminFixture fixture;
  const auto server = AdminServer::Create({"::", 0}, fixture.Sources());
  ASSERT_TRUE(server.ok());
  EXPECT_THAT(Fetch(*server.value(), "::1", "/stats"), StartsWith("HTTP/1.1 403 "));
  EXPECT_THAT(Fetch(*server.value(), "::1", "/metrics"), StartsWith("HTTP/1.1 200 "));
}

TEST(AdminServer, AsksForTheToken) {
  AdminFixture fixture;
  const auto server = AdminServer::Create({"127.0.0.1", 0}, fixture.Sources(), "a-long-enough-one");
  ASSERT_TRUE(server.ok());
  EXPECT_FALSE(server.value()->is_restricted());
  const std::string without = Fetch(*server.value(), "127.0.0.1", "/stats");
  EXPECT_THAT(without, StartsWith("HTTP/1.1 401 "));
  EXPECT_THAT(without, HasSubstr("WWW-Authenticate: Basic realm=\"Tidegate\"\r\n"));
  const std::string with = Exchange("127.0.0.1", server.value()->port(),
                                    "GET /stats HTTP/1.1\r\nHost: localhost\r\n"
                                    "Authorization: Bearer a-long-enough-one\r\n\r\n");
  EXPECT_THAT(with, StartsWith("HTTP/1.1 200 "));
  EXPECT_THAT(Fetch(*server.value(), "127.0.0.1", "/healthz"), StartsWith("HTTP/1.1 200 "));
}

TEST(AdminServer, AddressOfNobody) {
  AdminFixture fixture;
  const auto foreign = AdminServer::Create({"192.0.2.1", 0}, fixture.Sources());
  ASSERT_FALSE(foreign.ok());
  EXPECT_EQ(foreign.error().message, "admin address 192.0.2.1:0: Cannot assign requested address");
  const auto name = AdminServer::Create({"nowhere", 1}, fixture.Sources());
  ASSERT_FALSE(name.ok());
  EXPECT_EQ(name.error().message, "admin address nowhere:1: not an IP address");
}

}  // namespace
}  // namespace tidegate
