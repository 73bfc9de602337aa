// What an engine holds, as clients see it: for tests that compare two of them, one of which has
// come to it on another way. A map of texts, so that a difference can be shown.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "storage/introspection.h"
#include "tests/support/writing_client.h"

namespace tidegate::testing {

// The reply behind a name, of one that says names and values.
inline std::string ValueAfter(const std::string& reply, const std::string& name) {
  const size_t begin = reply.find("\r\n" + name + "\r\n") + name.size() + 4;
  size_t end = reply.find("\r\n", begin);
  if (reply[begin] == '$') end = reply.find("\r\n", end + 2);
  return name + " " + reply.substr(begin, end - begin) + "\n";
}

// What an engine holds: for each key, everything about it that a client can see and that is not how
// it is laid out.
inline std::map<std::string, std::string> ContentsOf(LoneThread& lone, int64_t now_ms) {
  std::map<std::string, std::string> contents;
  std::vector<std::string> names;
  ForEachWrittenKey([&names](std::string key) { names.push_back(std::move(key)); });
  for (const int db : {0, 1}) {
    for (const std::string& key : names) {
      const std::string type = lone.Run({"TYPE", key}, now_ms, db);
      if (type == "+none\r\n") continue;
      std::string& about = contents[std::to_string(db) + ":" + key];
      const std::string_view args[] = {"DEBUG", "DIGEST-VALUE", key};
      const KeyRef keys[] = {KeyRef::Of(key)};
      about =
          type + lone.Run({"PEXPIRETIME", key}, now_ms, db) +
          lone.Run({.command = &DebugDigestValueCommand(), .args = args, .keys = keys}, now_ms, db);
      if (type == "+hash\r\n") {
        Words words = {"HPEXPIRETIME", key, "FIELDS", "12"};
        for (int f = 0; f < 12; ++f) words.push_back("f" + std::to_string(f));
        about += lone.Run(words, now_ms, db);
      }
      if (type == "+stream\r\n") {
        const std::string info = lone.Run({"XINFO", "STREAM", key}, now_ms, db);
        for (const char* name : {"length", "last-generated-id", "max-deleted-entry-id",
                                 "entries-added", "recorded-first-entry-id", "groups"}) {
          about += ValueAfter(info, name);
        }
        about += lone.Run({"XINFO", "GROUPS", key}, now_ms, db) +
                 lone.Run({"XPENDING", key, "g", "-", "+", "1000"}, now_ms, db);
      }
    }
  }
  return contents;
}

}  // namespace tidegate::testing
