// What tests of upstreams share that ask a server and compare replies word for word: the check, and
// the options of a cluster of one node that a fake plays.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>
#include <string>

#include "config/upstream_options.h"

// The client sends the line and gets exactly that, encoded.
#define EXPECT_ASK(client, command, expected) \
  EXPECT_EQ((client).Ask(std::string(command) + "\r\n", expected), expected) << (command)

namespace tidegate::testing {

// A node on this machine; what it does not answer fails soon.
inline ClusterOptions NodeOptions(const std::string& name, uint16_t port) {
  return {.name = name,
          .kind = ClusterKind::kRedis,
          .nodes = {{.address = {"127.0.0.1", port}}},
          .connect_timeout = std::chrono::milliseconds(300),
          .request_timeout = std::chrono::milliseconds(2000)};
}

}  // namespace tidegate::testing
