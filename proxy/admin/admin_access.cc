#include "proxy/admin/admin_access.h"

#include <arpa/inet.h>

#include <utility>

#include "base/constant_time.h"
#include "base/file.h"
#include "base/text.h"
#include "config/option_value.h"

namespace tidegate {

namespace {

constexpr size_t kTokenFileBytesMax = 4096;

// Whether the Host header names this machine by number or as localhost. Port and brackets are
// optional.
bool IsNumericOrLocalHost(std::string_view host) {
  std::string name;
  if (host.starts_with('[')) {
    name = host.substr(1, host.find(']') - 1);
  } else {
    name = host.substr(0, host.rfind(':'));
  }
  unsigned char address[sizeof(in6_addr)];
  return EqualsIgnoreCase(name, "localhost") || inet_pton(AF_INET, name.c_str(), address) == 1 ||
         inet_pton(AF_INET6, name.c_str(), address) == 1;
}

// -1: not of the alphabet.
int Base64Value(char c) {
  if (c >= 'A' && c <= 'Z') return c - 'A';
  if (c >= 'a' && c <= 'z') return c - 'a' + 26;
  if (c >= '0' && c <= '9') return c - '0' + 52;
  if (c == '+') return 62;
  return c == '/' ? 63 : -1;
}

std::optional<std::string> DecodeBase64(std::string_view text) {
  while (text.ends_with('=')) text.remove_suffix(1);
  std::string bytes;
  uint32_t bits = 0;
  int known = 0;
  for (const char c : text) {
    const int value = Base64Value(c);
    if (value < 0) return std::nullopt;
    bits = bits << 6 | static_cast<uint32_t>(value);
    known += 6;
    if (known < 8) continue;
    known -= 8;
    bytes += static_cast<char>(bits >> known & 0xff);
  }
  return bytes;
}

// The credentials when the header is of that scheme.
std::optional<std::string_view> CredentialsOf(std::string_view header, std::string_view scheme) {
  if (header.size() <= scheme.size() || header[scheme.size()] != ' ' ||
      !EqualsIgnoreCase(header.substr(0, scheme.size()), scheme)) {
    return std::nullopt;
  }
  header.remove_prefix(scheme.size());
  const size_t begin = header.find_first_not_of(' ');
  return begin == std::string_view::npos ? std::string_view() : header.substr(begin);
}

}  // namespace

AdminAccess::AdminAccess(std::string token, bool loopback_only)
    : token_(std::move(token)), loopback_only_(loopback_only) {}

AdminVerdict AdminAccess::Judge(const AdminCaller& caller) const {
  if (caller.path == "/healthz" || caller.path == "/readyz") return AdminVerdict::kAllowed;
  const bool is_known_host = caller.host.empty() || IsNumericOrLocalHost(caller.host);
  if (!token_.empty()) {
    if (loopback_only_ && !is_known_host) return AdminVerdict::kForeignHost;
    return HasToken(caller.authorization) ? AdminVerdict::kAllowed : AdminVerdict::kNoToken;
  }
  if (!loopback_only_ && caller.path == "/metrics") return AdminVerdict::kAllowed;
  if (!loopback_only_ && !caller.is_local) return AdminVerdict::kNotLocal;
  return is_known_host ? AdminVerdict::kAllowed : AdminVerdict::kForeignHost;
}

bool AdminAccess::HasToken(std::string_view authorization) const {
  if (const auto bearer = CredentialsOf(authorization, "Bearer")) {
    return EqualsInConstantTime(token_, *bearer);
  }
  const auto basic = CredentialsOf(authorization, "Basic");
  const std::optional<std::string> pair = basic ? DecodeBase64(*basic) : std::nullopt;
  const size_t colon = pair ? pair->find(':') : std::string::npos;
  return colon != std::string::npos &&
         EqualsInConstantTime(token_, std::string_view(*pair).substr(colon + 1));
}

std::string_view Explain(AdminVerdict verdict) {
  switch (verdict) {
    case AdminVerdict::kForeignHost:
      return "Here only localhost and IP addresses are answered to.\n";
    case AdminVerdict::kNotLocal:
      return "Without admin-token other machines get /metrics, /healthz and /readyz only.\n";
    case AdminVerdict::kNoToken:
      return "The token is needed: Authorization: Bearer TOKEN, or as the password of Basic.\n";
    case AdminVerdict::kAllowed:
      break;
  }
  return "";
}

Result<std::string> AdminTokenOf(const Options& options) {
  const std::string path = KeptText(options, kAdminTokenFileOption);
  if (path.empty()) return KeptText(options, kAdminTokenOption);
  constexpr std::string_view kContext = "admin-token-file";
  Result<std::string> text = ReadSmallFile(path, kTokenFileBytesMax);
  if (!text.ok()) return std::move(text).error().WithContext(kContext);
  std::string token = text->substr(0, text->find_first_of("\r\n"));
  if (const std::optional<std::string> fault = AdminTokenFault(token)) {
    return Error{*fault}.WithContext(kContext);
  }
  return token;
}

}  // namespace tidegate
