// BigKeyProbe: finds the big keys of one upstream cluster that nobody asks for at the moment: walks
// through the keys of each primary, one primary after the other, and asks how large they are.
//
//   each 100 ms, when the last question is answered:
//     no keys at hand    SCAN cursor COUNT n
//     else, of so many   MEMORY USAGE key SAMPLES 5
//       of the larger    TYPE key ; then STRLEN, LLEN, HLEN …    --> found(name, bytes, elements)
//   all primaries done, or one gave an error: a pause
//
// Opt-in (`probe-big-keys`, keys a second for the whole cluster), because it asks nodes what no
// client wanted, and each key is a question there. Bounded: one question under way, with at most a
// tenth of a second's keys; keys at hand are those of one SCAN. An error (no permission, a node
// that is loading or gone) ends the walk over that node with a line in the log. It has a connection
// of its own: health checks do not wait behind it. Database 0, or the cluster's `database`.
// Names are those that the node has. Owner: the control loop.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/discovery/cluster_watcher.h"
#include "proxy/discovery/control_connection.h"
#include "proxy/event/loop.h"

namespace tidegate::discovery {

inline constexpr uint64_t kProbeStepMillis = 100;
inline constexpr int kProbeStepsPerSecond = 10;
// Between two walks over all nodes, and after an error.
inline constexpr uint64_t kProbePauseMillis = 60'000;
// Smaller keys are not asked for their type: 1,000 elements, the least limit, take more.
inline constexpr uint64_t kProbeLargeBytes = 2048;

// What was found of one key.
struct ProbedKey {
  std::string name;
  uint64_t bytes = 0;     // of a string its length, else what MEMORY USAGE says
  std::string type;       // as TYPE says; empty: it is small
  int64_t elements = -1;  // -1: not known
};

// Where it goes. Called on the control loop.
struct ProbeSink {
  std::function<bool()> wanted;  // false: nobody looks for big keys now
  std::function<void(size_t cluster, const ClusterOptions& options, const ProbedKey& key)> found;
};

class BigKeyProbe final {
 public:
  // All is borrowed. `pause_ms`: kProbePauseMillis; tests have less time.
  BigKeyProbe(const WatchContext& context, size_t cluster, const ProbeSink& sink,
              uint64_t pause_ms = kProbePauseMillis);

  void Start();

 private:
  void Step();
  void BeginWalk();
  void NextNode();
  void Scan();
  void AskSizes();
  void AskTypes();
  void AskLengths();
  void Tell();
  // `taken` is given the replies, one for each command; not when one is an error.
  using Taken = std::function<void(const std::vector<topology::Reply>& replies)>;
  void Ask(std::vector<CommandWords> commands, Taken taken);
  void Fail(const std::string& why);
  void Pause();

  const WatchContext context_;
  const size_t cluster_;
  const ProbeSink& sink_;
  const uint64_t pause_ms_;
  Timer timer_;
  std::vector<topology::NodeAddress> nodes_;  // still to be walked, the next one last
  std::unique_ptr<ControlConnection> connection_;
  std::string cursor_;
  bool scanned_ = false;  // the walk over the node is at its end
  bool asking_ = false;
  double budget_ = 0;              // keys that may be asked for now
  std::vector<std::string> keys_;  // of the last SCAN
  std::vector<ProbedKey> probed_;
  std::vector<size_t> large_;  // of them
};

}  // namespace tidegate::discovery
