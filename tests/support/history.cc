#include "tests/support/history.h"

#include <algorithm>
#include <map>
#include <numeric>
#include <utility>

namespace tidegate::testing {
namespace {

std::string Name(const HistoryVersion& v) {
  return "version " + std::to_string(v.version) + " of object " + std::to_string(v.object);
}

// Operations are the nodes 0 .. n-1; node n+i stands for the moment of the i-th answer.
class Graph final {
 public:
  explicit Graph(std::span<const HistoryOperation> history)
      : history_(history), successors_(2 * history.size()) {}

  std::string AddVersions() {
    for (size_t i = 0; i < history_.size(); ++i) {
      for (const HistoryVersion& write : history_[i].writes) {
        if (!writers_.emplace(std::pair(write.object, write.version), i).second)
          return "two operations wrote " + Name(write);
      }
    }
    for (size_t i = 0; i < history_.size(); ++i) {
      for (const HistoryVersion& write : history_[i].writes) AddBefore(i, write, -1);
      for (const HistoryVersion& read : history_[i].reads) {
        if (read.version != 0 && !AddBefore(i, read, 0)) return "nobody wrote " + Name(read);
        const auto next = writers_.find({read.object, read.version + 1});
        if (next != writers_.end() && next->second != i) Add(i, next->second);
      }
    }
    return "";
  }

  void AddTime() {
    const size_t n = history_.size();
    std::vector<size_t> order(n);
    std::iota(order.begin(), order.end(), size_t{0});
    const auto answered = [this](size_t i) { return history_[i].answered_nanos; };
    std::sort(order.begin(), order.end(),
              [&](size_t a, size_t b) { return answered(a) < answered(b); });
    for (size_t i = 0; i < n; ++i) {
      Add(order[i], n + i);
      if (i + 1 < n) Add(n + i, n + i + 1);
    }
    for (size_t i = 0; i < n; ++i) {
      const auto later = std::partition_point(order.begin(), order.end(), [&](size_t other) {
        return answered(other) < history_[i].called_nanos;
      });
      if (later != order.begin()) Add(n + static_cast<size_t>(later - order.begin()) - 1, i);
    }
  }

  bool HasCycle() const {
    std::vector<size_t> waits_for(successors_.size());
    for (const auto& from : successors_) {
      for (const size_t to : from) ++waits_for[to];
    }
    std::vector<size_t> ready;
    for (size_t i = 0; i < waits_for.size(); ++i) {
      if (waits_for[i] == 0) ready.push_back(i);
    }
    size_t done = 0;
    for (; !ready.empty(); ++done) {
      const size_t node = ready.back();
      ready.pop_back();
      for (const size_t to : successors_[node]) {
        if (--waits_for[to] == 0) ready.push_back(to);
      }
    }
    return done < successors_.size();
  }

 private:
  void Add(size_t from, size_t to) { successors_[from].push_back(to); }
  // Whoever wrote the version comes before operation i; false: nobody did.
  bool AddBefore(size_t i, const HistoryVersion& v, int64_t difference) {
    const auto writer = writers_.find({v.object, v.version + difference});
    if (writer == writers_.end()) return false;
    if (writer->second != i) Add(writer->second, i);
    return true;
  }

  std::span<const HistoryOperation> history_;
  std::vector<std::vector<size_t>> successors_;
  std::map<std::pair<int, int64_t>, size_t> writers_;
};

}  // namespace

std::string CheckHistory(std::span<const HistoryOperation> history) {
  Graph graph(history);
  if (std::string mistake = graph.AddVersions(); !mistake.empty()) return mistake;
  graph.AddTime();
  return graph.HasCycle() ? "no order of the operations explains what was read" : "";
}

}  // namespace tidegate::testing
