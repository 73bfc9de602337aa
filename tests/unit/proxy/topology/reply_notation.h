// Replies for tests in a notation that people can read, since RESP itself hides what it says:
//
//   [ 0 5460 [ 127.0.0.1 7000 aaa { hostname a.example } ] ]
//
// Words are bulk strings, integers are integers ('7000' in quotes is a bulk string, '' the empty
// one), _ is null, [ ] a list and { } a map. Parsed by the ReplyReader under test, as RESP3 or as
// RESP2, where maps are flat lists. Blanks separate everything.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/check.h"
#include "base/text.h"
#include "proxy/topology/reply.h"

namespace tidegate::topology {

enum class Protocol { kResp2, kResp3 };

inline std::string BulkString(std::string_view text) {
  return "$" + ToText(static_cast<int64_t>(text.size())) + "\r\n" + std::string(text) + "\r\n";
}

inline std::string Scalar(std::string_view word, Protocol protocol) {
  if (word == "_") return protocol == Protocol::kResp3 ? "_\r\n" : "$-1\r\n";
  if (ParseInt64(word)) return ":" + std::string(word) + "\r\n";
  const bool is_quoted = word.size() >= 2 && word.front() == '\'' && word.back() == '\'';
  return BulkString(is_quoted ? word.substr(1, word.size() - 2) : word);
}

inline std::string Resp(std::string_view notation, Protocol protocol) {
  struct List {
    bool is_map;
    int64_t items;
    std::string body;
  };
  std::vector<List> open(1);
  while (!notation.empty()) {
    const size_t blank = notation.find_first_of(" \n");
    const std::string_view word = notation.substr(0, blank);
    notation.remove_prefix(blank == std::string_view::npos ? notation.size() : blank + 1);
    if (word.empty()) continue;
    if (word == "[" || word == "{") {
      open.push_back({.is_map = word == "{", .items = 0, .body = {}});
      continue;
    }
    std::string element;
    if (word == "]" || word == "}") {
      const List list = std::move(open.back());
      open.pop_back();
      const bool as_map = list.is_map && protocol == Protocol::kResp3;
      element = (as_map ? "%" + ToText(list.items / 2) : "*" + ToText(list.items)) + "\r\n";
      element += list.body;
    } else {
      element = Scalar(word, protocol);
    }
    TG_CHECK(!open.empty());
    ++open.back().items;
    open.back().body += element;
  }
  TG_CHECK(open.size() == 1);
  return open.back().body;
}

inline Reply ParsedReply(std::string_view bytes) {
  Result<Reply> reply = ParseReply(bytes);
  EXPECT_TRUE(reply.ok()) << reply.error().message;
  return reply.ok() ? std::move(*reply) : Reply();
}

inline Reply ReplyOf(std::string_view notation, Protocol protocol = Protocol::kResp2) {
  return ParsedReply(Resp(notation, protocol));
}

inline Reply TextReply(std::string_view text) { return ParsedReply(BulkString(text)); }

}  // namespace tidegate::topology
