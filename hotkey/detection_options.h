// DetectionOptions: when a key is hot, and when it is not any more. Plain values, which the
// configuration gives; the defaults are what a key of one Redis should not have for long.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "hotkey/key_id.h"

namespace tidegate::hotkey {

struct PredictedKey {
  Keyspace keyspace = {};
  KeyId id = 0;
  std::string name = {};

  friend bool operator==(const PredictedKey&, const PredictedKey&) = default;
};

struct DetectionOptions {
  // Reads a second from which on a key is hot, and writes.
  double rate = 500;
  // The same as a share of all reads, or of all writes, for instances with little traffic: 0.01 is
  // one of a hundred; but no key below `share_rate` a second.
  double share = 0.01;
  double share_rate = 100;
  // Bytes of replies a second.
  double egress = 10.0 * 1024 * 1024;
  // It has cooled down when it was below a quarter of all of these for so long.
  std::chrono::milliseconds cool_time{30'000};
  size_t hot_max = 1024;                     // hot keys at a time, up to kWatchedMax / 2
  std::vector<PredictedKey> predicted = {};  // always hot

  friend bool operator==(const DetectionOptions&, const DetectionOptions&) = default;
};

}  // namespace tidegate::hotkey
