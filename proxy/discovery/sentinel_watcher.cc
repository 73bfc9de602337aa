#include "proxy/discovery/sentinel_watcher.h"

#include <algorithm>
#include <set>
#include <utility>

#include "base/clock.h"
#include "proxy/discovery/sights.h"
#include "proxy/topology/sentinel_event.h"

namespace tidegate::discovery {
namespace {

// The events that change what a proxy does.
constexpr std::string_view kChannels[] = {
    "+switch-master",    "+odown",        "-odown",       "+slave", "+slave-reconf-done",
    "+convert-to-slave", "+role-change",  "-role-change", "+sdown", "-sdown",
    "+reboot",           "+reset-master", "+sentinel",
};

ControlAccess SentinelAccess(const ClusterOptions& options, const TlsContext* tls) {
  return {options.sentinel.username, options.sentinel.password, options.connect_timeout, tls};
}

void AddAddresses(const Result<std::vector<topology::WatchedServer>>& servers,
                  std::vector<topology::NodeAddress>& addresses) {
  if (!servers.ok()) return;
  for (const topology::WatchedServer& server : servers.value()) {
    if (server.is_announced && server.address.is_known()) addresses.push_back(server.address);
  }
}

void SortUnique(std::vector<topology::NodeAddress>& addresses) {
  std::sort(addresses.begin(), addresses.end());
  addresses.erase(std::unique(addresses.begin(), addresses.end()), addresses.end());
}

// False: it says nothing that can be used.
bool ReadOne(const std::vector<topology::Reply>& replies, SentinelsWord& word) {
  Result<topology::WatchedServer> primary = topology::ParseWatchedServer(replies[0]);
  if (!primary.ok()) {
    word.problem = primary.error().message;
    return false;
  }
  if (!primary->address.is_known()) {
    word.problem = "it names a primary without an address";
    return false;
  }
  word.opinions.push_back({primary->address, primary->config_epoch});
  word.servers.push_back(primary->address);
  AddAddresses(ParseWatchedServers(replies[1], "SENTINEL REPLICAS"), word.servers);
  AddAddresses(ParseWatchedServers(replies[2], "SENTINEL SENTINELS"), word.sentinels);
  return true;
}

}  // namespace

std::vector<CommandWords> SentinelQuestions(const std::string& primary_name) {
  return {{"SENTINEL", "MASTER", primary_name},
          {"SENTINEL", "REPLICAS", primary_name},
          {"SENTINEL", "SENTINELS", primary_name}};
}

SentinelsWord ReadSentinels(
    const std::vector<NodeAnswer>& answers,
    const std::function<topology::NodeAddress(const topology::NodeAddress&)>& peer_of) {
  SentinelsWord word;
  std::set<topology::NodeAddress> heard;
  for (const NodeAnswer& one : answers) {
    if (!one.answer.ok()) {
      word.problem = one.address.ToText() + ": " + one.answer.error().message;
      continue;
    }
    const topology::NodeAddress peer = peer_of(one.address);
    if (!heard.insert(peer.is_known() ? peer : one.address).second) continue;
    if (ReadOne(one.answer.value(), word)) {
      word.answered.push_back(one.address);
    } else {
      word.problem = one.address.ToText() + ": " + word.problem;
    }
  }
  SortUnique(word.servers);
  SortUnique(word.sentinels);
  return word;
}

SentinelWatcher::SentinelWatcher(const WatchContext& context)
    : context_(context),
      states_(context.options.replica_lag_max),
      refresher_(context.environment.loop, context.options.refresh_interval, context.seed,
                 [this] { Refresh(); }),
      sentinels_(context.environment, SentinelAccess(context.options, context.sentinel_tls),
                 std::chrono::milliseconds(0), [] {}),
      servers_(context.environment, AccessOf(context.options, context.tls),
               context.options.health_check_interval, [this] { refresher_.Hint(); }) {}

void SentinelWatcher::Start() {
  for (const UpstreamNodeOptions& node : context_.options.nodes)
    configured_.push_back(AddressOf(node.address));
  sentinels_.Keep(configured_);
  refresher_.Start();
}

void SentinelWatcher::OnReports(std::span<const UpstreamReport> /*reports*/) { refresher_.Hint(); }

void SentinelWatcher::Refresh() {
  sentinels_.AskAll(sentinels_.addresses(),
                    SentinelQuestions(context_.options.sentinel.primary_name),
                    [this](const std::vector<NodeAnswer>& answers) { OnSentinels(answers); });
}

void SentinelWatcher::OnSentinels(const std::vector<NodeAnswer>& answers) {
  word_ = ReadSentinels(
      answers, [this](const topology::NodeAddress& address) { return sentinels_.PeerOf(address); });
  std::vector<topology::NodeAddress> servers = word_.servers;
  if (word_.opinions.empty()) {
    servers = servers_.addresses();  // go on with those that are known
  } else {
    KeepSentinels();
    Subscribe();
    for (const topology::NodeAddress& primary : PrimariesOf(*context_.publisher.latest()))
      servers.push_back(primary);
    SortUnique(servers);
    servers_.Keep(servers);
  }
  if (servers.empty())
    return Finish({}, choice_.KeepLast({}, "no sentinel answers: " + word_.problem));
  asked_ns_ = MonotonicNanos();
  servers_.AskAll(servers, ReplicationQuestions(),
                  [this](const std::vector<NodeAnswer>& all) { OnServers(all); });
}

void SentinelWatcher::OnServers(const std::vector<NodeAnswer>& answers) {
  const std::vector<Sight> sights = SightsOf(servers_, answers, {});
  if (word_.opinions.empty())
    return Finish(sights, choice_.KeepLast(sights, "no sentinel answers: " + word_.problem));
  Finish(sights, choice_.Choose(word_.opinions, sentinels_.size(), sights));
}

void SentinelWatcher::Finish(const std::vector<Sight>& sights, SentinelChoice::Choice choice) {
  UpstreamTopology topology = states_.Describe(sights, choice.primary, MonotonicNanos(),
                                               AskedFor(context_.options, asked_ns_));
  topology.problem = std::move(choice.problem);
  const bool changed = context_.publisher.Offer(std::move(topology));
  context_.publisher.RefreshEnded(!word_.opinions.empty());
  using Outcome = RefreshPace::Outcome;
  refresher_.Ended(!choice.is_settled ? Outcome::kUnsettled
                   : changed          ? Outcome::kChanged
                                      : Outcome::kUnchanged);
}

// The configured ones and those that others name, unless that is one of them under another name.
void SentinelWatcher::KeepSentinels() {
  std::vector<topology::NodeAddress> wanted = configured_;
  for (const topology::NodeAddress& named : word_.sentinels) {
    const bool is_known = std::any_of(configured_.begin(), configured_.end(), [&](const auto& one) {
      return one == named || sentinels_.PeerOf(one) == named;
    });
    if (!is_known && wanted.size() < kSentinelsMax) wanted.push_back(named);
  }
  sentinels_.Keep(wanted);
}

// To one that has just answered. When that one answers no more, its connection ends or the next
// round leaves it out, and another one takes its place.
void SentinelWatcher::Subscribe() {
  const auto& answered = word_.answered;
  if (subscription_ != nullptr &&
      std::find(answered.begin(), answered.end(), subscription_->address()) != answered.end())
    return;
  subscription_ =
      std::make_unique<ControlConnection>(context_.environment, answered.front(),
                                          SentinelAccess(context_.options, context_.sentinel_tls));
  subscription_->OnMessages(
      [this](std::string_view channel, std::string_view message) { OnEvent(channel, message); },
      [this] {
        subscription_.reset();
        refresher_.Hint();
      });
  std::vector<CommandWords> commands;
  for (const std::string_view channel : kChannels)
    commands.push_back({"SUBSCRIBE", std::string(channel)});
  subscription_->Ask(commands, [](const Answer&) {});
}

void SentinelWatcher::OnEvent(std::string_view channel, std::string_view message) {
  const auto event = topology::ParseSentinelEvent(channel, message);
  if (!event) return;
  const bool is_ours =
      event->primary_name.empty() || event->primary_name == context_.options.sentinel.primary_name;
  if (is_ours) refresher_.HintUrgently();
}

}  // namespace tidegate::discovery
