#include "proxy/discovery/big_key_probe.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "base/log.h"

namespace tidegate::discovery {
namespace {

using topology::Reply;

// What a walk asks of a node at once, for its names.
constexpr int kScanCountMax = 1000;

// Those that keys are on: of a ring all.
std::vector<topology::NodeAddress> NodesOf(const UpstreamTopology& topology, ClusterKind kind) {
  if (kind != ClusterKind::kRing) return PrimariesOf(topology);
  std::vector<topology::NodeAddress> nodes;
  for (const KnownNode& node : topology.nodes) nodes.push_back(node.address);
  return nodes;
}

// What counts the elements of a type, or the bytes of a string; empty: nothing does.
std::string_view LengthCommand(std::string_view type) {
  if (type == "string") return "STRLEN";
  if (type == "list") return "LLEN";
  if (type == "hash") return "HLEN";
  if (type == "set") return "SCARD";
  if (type == "zset") return "ZCARD";
  if (type == "stream") return "XLEN";
  return "";
}

}  // namespace

BigKeyProbe::BigKeyProbe(const WatchContext& context, size_t cluster, const ProbeSink& sink,
                         uint64_t pause_ms)
    : context_(context),
      cluster_(cluster),
      sink_(sink),
      pause_ms_(pause_ms),
      timer_(context.environment.loop, [this] { Step(); }) {}

void BigKeyProbe::Start() { timer_.StartOnce(kProbeStepMillis); }

void BigKeyProbe::Step() {
  timer_.StartOnce(kProbeStepMillis);
  if (asking_ || !sink_.wanted()) return;
  const double share = static_cast<double>(context_.options.probe_big_keys) / kProbeStepsPerSecond;
  budget_ = std::min(budget_ + share, std::max(share, 1.0));
  if (connection_ == nullptr) return BeginWalk();
  if (!keys_.empty()) return AskSizes();
  scanned_ ? NextNode() : Scan();
}

void BigKeyProbe::BeginWalk() {
  const auto topology = context_.publisher.latest();
  if (topology == nullptr) return;
  nodes_ = NodesOf(*topology, context_.options.kind);
  NextNode();
}

void BigKeyProbe::NextNode() {
  connection_.reset();
  if (nodes_.empty()) return Pause();
  connection_ = std::make_unique<ControlConnection>(context_.environment, nodes_.back(),
                                                    AccessOf(context_.options, context_.tls));
  nodes_.pop_back();
  cursor_ = "0";
  scanned_ = false;
}

// Nothing of what was under way is left.
void BigKeyProbe::Pause() {
  connection_.reset();
  keys_.clear();
  timer_.StartOnce(pause_ms_);
}

void BigKeyProbe::Fail(const std::string& why) {
  log::Warning("The probe of big keys of cluster '" + context_.options.name + "' stops at node " +
               connection_->address().ToText() + ": " + why);
  // From here on the connection is in a callback of its own: the next step drops it.
  keys_.clear();
  scanned_ = true;
}

void BigKeyProbe::Ask(std::vector<CommandWords> commands, Taken taken) {
  const std::optional<int> database = context_.options.database;
  const size_t in_front = database.value_or(0) != 0 ? 1 : 0;
  if (in_front != 0) commands.insert(commands.begin(), {"SELECT", std::to_string(*database)});
  asking_ = true;
  connection_->Ask(commands, [this, in_front, taken = std::move(taken)](Answer answer) {
    asking_ = false;
    if (!answer.ok()) return Fail(answer.error().message);
    for (const Reply& reply : *answer) {
      if (reply.is_error()) return Fail(reply.text);
    }
    answer->erase(answer->begin(), answer->begin() + static_cast<ptrdiff_t>(in_front));
    taken(*answer);
  });
}

void BigKeyProbe::Scan() {
  const int count = std::clamp(context_.options.probe_big_keys, 10, kScanCountMax);
  Ask({{"SCAN", cursor_, "COUNT", std::to_string(count)}}, [this](const std::vector<Reply>& all) {
    const Reply& page = all.front();
    const bool sound = page.is_list() && page.items.size() == 2 && page.items[0].AsText() &&
                       page.items[1].is_list();
    if (!sound) return Fail("no answer to SCAN");
    cursor_ = *page.items[0].AsText();
    scanned_ = cursor_ == "0";
    for (const Reply& name : page.items[1].items) keys_.emplace_back(name.AsText().value_or(""));
  });
}

void BigKeyProbe::AskSizes() {
  const size_t count = std::min(keys_.size(), static_cast<size_t>(budget_));
  if (count == 0) return;
  budget_ -= static_cast<double>(count);
  probed_.clear();
  std::vector<CommandWords> commands;
  for (size_t i = 0; i < count; ++i) {
    probed_.push_back({.name = std::move(keys_.back()), .type = {}});
    keys_.pop_back();
    commands.push_back({"MEMORY", "USAGE", probed_.back().name, "SAMPLES", "5"});
  }
  Ask(std::move(commands), [this](const std::vector<Reply>& replies) {
    large_.clear();
    for (size_t i = 0; i < replies.size(); ++i) {
      probed_[i].bytes = static_cast<uint64_t>(replies[i].AsInteger().value_or(0));
      if (probed_[i].bytes >= kProbeLargeBytes) large_.push_back(i);
    }
    large_.empty() ? Tell() : AskTypes();
  });
}

void BigKeyProbe::AskTypes() {
  std::vector<CommandWords> commands;
  for (const size_t i : large_) commands.push_back({"TYPE", probed_[i].name});
  Ask(std::move(commands), [this](const std::vector<Reply>& replies) {
    for (size_t i = 0; i < replies.size(); ++i)
      probed_[large_[i]].type = replies[i].AsText().value_or("");
    std::erase_if(large_, [this](size_t i) { return LengthCommand(probed_[i].type).empty(); });
    large_.empty() ? Tell() : AskLengths();
  });
}

// A key may have become another one meanwhile: what it was is of no matter then.
void BigKeyProbe::AskLengths() {
  std::vector<CommandWords> commands;
  for (const size_t i : large_)
    commands.push_back({std::string(LengthCommand(probed_[i].type)), probed_[i].name});
  Ask(std::move(commands), [this](const std::vector<Reply>& replies) {
    for (size_t i = 0; i < replies.size(); ++i) {
      ProbedKey& key = probed_[large_[i]];
      const int64_t length = replies[i].AsInteger().value_or(0);
      const bool is_string = key.type == "string";
      if (is_string) key.bytes = static_cast<uint64_t>(length);
      key.elements = is_string ? 1 : length;
    }
    Tell();
  });
}

void BigKeyProbe::Tell() {
  for (const ProbedKey& key : probed_) {
    if (key.bytes > 0) sink_.found(cluster_, context_.options, key);
  }
}

}  // namespace tidegate::discovery
