#include "proxy/topology/node_address.h"

#include "base/text.h"

namespace tidegate::topology {

std::string NodeAddress::ToText() const {
  const bool brackets = host.find(':') != std::string::npos;
  std::string text = brackets ? "[" + host + "]" : host;
  text += ':';
  text += tidegate::ToText(port);
  return text;
}

std::optional<uint16_t> ToPort(int64_t number) {
  if (number < 0 || number > UINT16_MAX) return std::nullopt;
  return static_cast<uint16_t>(number);
}

std::optional<uint16_t> ParsePort(std::string_view text) {
  const auto number = ParseInt64(text);
  if (!number) return std::nullopt;
  return ToPort(*number);
}

std::optional<HostAndPort> ParseHostAndPort(std::string_view text) {
  const size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return std::nullopt;
  const auto port = ParsePort(text.substr(colon + 1));
  if (!port) return std::nullopt;
  std::string_view host = text.substr(0, colon);
  if (host.size() >= 2 && host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
  }
  return HostAndPort{.host = host, .port = *port};
}

std::string_view NextField(std::string_view& rest, char separator) {
  const size_t end = rest.find(separator);
  const std::string_view field = rest.substr(0, end);
  rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
  return field;
}

}  // namespace tidegate::topology
