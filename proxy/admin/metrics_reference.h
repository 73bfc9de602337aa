// The lists of metric rows taken together: for the page docs/reference/metrics.md, which is
// generated from them (committed; a test holds it equal), and for tests that compare them with what
// is exported.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/metric.h"

namespace tidegate {

// A section of the page.
struct MetricGroup {
  std::string_view title;
  std::vector<MetricRow> rows;
};

// Every metric there is, each once.
std::vector<MetricGroup> MetricGroups();

// docs/reference/metrics.md.
std::string MetricsReference();

}  // namespace tidegate
