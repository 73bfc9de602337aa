// HotKeyFacts: what there is to see of hot keys at one moment, for whoever shows it: commands, the
// admin pages, metrics. A value; its report is shared with others and never changed.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "hotkey/hot_key_detector.h"

namespace tidegate {

class PolicyRegistry;

struct HotKeyFacts {
  bool enabled = false;
  std::shared_ptr<const hotkey::HotKeyReport> report = std::make_shared<hotkey::HotKeyReport>();
  // Names of upstream clusters by hotkey::Keyspace::cluster. The engine is not among them.
  std::map<uint16_t, std::string> clusters = {};
  // What acts on them; null: nothing. Outlives this.
  const PolicyRegistry* policies = nullptr;
  // What is to be added to the report's times to make Unix times of them.
  int64_t to_unix_ns = 0;

  int64_t UnixMillisOf(int64_t report_ns) const { return (report_ns + to_unix_ns) / 1'000'000; }
  // "engine", or the upstream cluster's name; empty: it is gone.
  std::string ClusterOf(hotkey::Keyspace keyspace) const {
    if (keyspace.cluster == 0) return "engine";
    const auto found = clusters.find(keyspace.cluster);
    return found == clusters.end() ? "" : found->second;
  }
};

}  // namespace tidegate
