// PROXY protocol version 2 headers, whole and in pieces, and what is not one.
#include "proxy/session/proxy_protocol.h"

#include <gtest/gtest.h>

#include <string>

namespace tidegate {
namespace {

using Outcome = ProxyHeader::Outcome;

std::string Header(char version_and_command, char family, const std::string& body) {
  std::string header("\r\n\r\n\0\r\nQUIT\n", 12);
  header += version_and_command;
  header += family;
  header += static_cast<char>(body.size() >> 8);
  header += static_cast<char>(body.size() & 255);
  return header + body;
}

const std::string kV4("\x01\x02\x03\x04\x05\x06\x07\x08\x10\x01\x18\xeb", 12);

TEST(ProxyProtocol, NamesAnIpv4Client) {
  const ProxyHeader header = ParseProxyHeader(Header(0x21, 0x11, kV4) + "PING");
  EXPECT_EQ(header.outcome, Outcome::kDone);
  EXPECT_EQ(header.source, "1.2.3.4:4097");
  EXPECT_EQ(header.destination, "5.6.7.8:6379");
  EXPECT_EQ(header.bytes, 28u);
}

TEST(ProxyProtocol, NamesAnIpv6ClientAndSkipsExtensions) {
  std::string body(36, '\0');
  body[15] = 1;
  body[31] = 2;
  body[33] = 80;
  body[35] = 81;
  const ProxyHeader header = ParseProxyHeader(Header(0x21, 0x21, body + "extensions"));
  EXPECT_EQ(header.outcome, Outcome::kDone);
  EXPECT_EQ(header.source, "[::1]:80");
  EXPECT_EQ(header.destination, "[::2]:81");
  EXPECT_EQ(header.bytes, 16 + 36 + 10u);
}

TEST(ProxyProtocol, LocalConnectionsKeepTheirAddresses) {
  const ProxyHeader header = ParseProxyHeader(Header(0x20, 0x00, ""));
  EXPECT_EQ(header.outcome, Outcome::kDone);
  EXPECT_EQ(header.source, "");
}

TEST(ProxyProtocol, EveryPrefixNeedsMore) {
  const std::string whole = Header(0x21, 0x11, kV4);
  for (size_t n = 0; n < whole.size(); ++n)
    EXPECT_EQ(ParseProxyHeader(whole.substr(0, n)).outcome, Outcome::kNeedInput) << n;
}

TEST(ProxyProtocol, RefusesWhatIsNotVersion2) {
  EXPECT_EQ(ParseProxyHeader("*1\r\n$4\r\nPING\r\n").outcome, Outcome::kInvalid);
  EXPECT_NE(ParseProxyHeader("PROXY TCP4 ").error.find("version 1"), std::string::npos);
  EXPECT_EQ(ParseProxyHeader(Header(0x31, 0x11, kV4)).outcome, Outcome::kInvalid);
  EXPECT_EQ(ParseProxyHeader(Header(0x22, 0x11, kV4)).outcome, Outcome::kInvalid);
  EXPECT_EQ(ParseProxyHeader(Header(0x21, 0x11, "short")).outcome, Outcome::kInvalid);
  EXPECT_EQ(ParseProxyHeader(Header(0x21, 0x12, kV4)).outcome, Outcome::kInvalid);
  EXPECT_EQ(ParseProxyHeader(Header(0x21, 0x11, std::string(5000, 'x')).substr(0, 16)).outcome,
            Outcome::kInvalid);
}

}  // namespace
}  // namespace tidegate
