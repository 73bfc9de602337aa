#include "proxy/topology/sentinel_view.h"

#include <algorithm>
#include <utility>

#include "proxy/topology/cluster_replies.h"

namespace tidegate::topology {
namespace {

void ReadFlags(std::string_view flags, WatchedServer& server) {
  while (!flags.empty()) {
    const std::string_view flag = NextField(flags, ',');
    server.is_subjectively_down |= flag == "s_down";
    server.is_objectively_down |= flag == "o_down";
    server.is_disconnected |= flag == "disconnected";
    server.is_failing_over |= flag == "failover_in_progress";
  }
}

std::optional<NodeAddress> ReadAddress(const Reply& reply, std::string_view host,
                                       std::string_view port_name) {
  const auto number = reply.FindInteger(port_name);
  const auto port = ToPort(number.value_or(-1));
  if (!port) return std::nullopt;
  return NodeAddress{.host = std::string(reply.FindText(host)), .port = *port};
}

Result<WatchedServer> ReadServer(const Reply& reply) {
  if (!reply.is_list()) return Error{"a server that is no map"};
  WatchedServer server;
  server.name = reply.FindText("name");
  const auto address = ReadAddress(reply, "ip", "port");
  if (!address || address->host.empty()) return Error{"server " + server.name + " has no address"};
  server.address = *address;
  server.run_id = reply.FindText("runid");
  ReadFlags(reply.FindText("flags"), server);
  server.last_ok_ping_millis = reply.FindInteger("last-ok-ping-reply").value_or(-1);
  server.config_epoch = reply.FindInteger("config-epoch").value_or(0);
  server.quorum = reply.FindInteger("quorum").value_or(0);
  server.other_sentinels = reply.FindInteger("num-other-sentinels").value_or(0);
  // A replica that the sentinel has just found has "?" and 0 for its primary.
  server.primary = ReadAddress(reply, "master-host", "master-port").value_or(NodeAddress());
  server.is_primary_link_up = reply.FindText("master-link-status") == "ok";
  server.priority = reply.FindInteger("slave-priority").value_or(server.priority);
  server.offset = reply.FindInteger("slave-repl-offset").value_or(0);
  server.is_announced = reply.FindInteger("replica-announced").value_or(1) != 0;
  return server;
}

}  // namespace

Result<std::optional<NodeAddress>> ParsePrimaryAddress(const Reply& reply) {
  constexpr std::string_view kCommand = "SENTINEL GET-MASTER-ADDR-BY-NAME";
  if (reply.is_null()) return std::optional<NodeAddress>();
  TG_RETURN_IF_ERROR(ExpectReply(reply, Reply::Kind::kArray, kCommand));
  if (reply.items.size() == 2) {
    const auto host = reply.items[0].AsText();
    const auto number = reply.items[1].AsInteger();
    const auto port = ToPort(number.value_or(-1));
    if (host && !host->empty() && port && *port != 0) {
      return std::optional(NodeAddress{.host = std::string(*host), .port = *port});
    }
  }
  return Error{"no host and port"}.WithContext(kCommand);
}

Result<WatchedServer> ParseWatchedServer(const Reply& reply) {
  constexpr std::string_view kCommand = "SENTINEL MASTER";
  if (reply.is_error()) return Error{reply.text}.WithContext(kCommand);
  Result<WatchedServer> server = ReadServer(reply);
  if (!server.ok()) return std::move(server).error().WithContext(kCommand);
  return server;
}

Result<std::vector<WatchedServer>> ParseWatchedServers(const Reply& reply,
                                                       std::string_view command) {
  TG_RETURN_IF_ERROR(ExpectReply(reply, Reply::Kind::kArray, command));
  std::vector<WatchedServer> servers;
  for (const Reply& item : reply.items) {
    Result<WatchedServer> server = ReadServer(item);
    if (!server.ok()) return std::move(server).error().WithContext(command);
    servers.push_back(std::move(*server));
  }
  return servers;
}

std::optional<PrimaryAgreement> AgreeOnPrimary(std::span<const PrimaryOpinion> opinions) {
  struct Candidate {
    const NodeAddress* address;
    size_t votes;
    int64_t epoch;
  };
  std::vector<Candidate> candidates;
  size_t voters = 0;
  for (const PrimaryOpinion& opinion : opinions) {
    if (!opinion.address.is_known()) continue;
    ++voters;
    const auto same = [&opinion](const Candidate& candidate) {
      return *candidate.address == opinion.address;
    };
    auto at = std::find_if(candidates.begin(), candidates.end(), same);
    if (at == candidates.end()) {
      at = candidates.insert(at, {.address = &opinion.address, .votes = 0, .epoch = 0});
    }
    ++at->votes;
    at->epoch = std::max(at->epoch, opinion.config_epoch);
  }
  if (candidates.empty()) return std::nullopt;
  const auto wins = [voters](const Candidate& a, const Candidate& b) {
    if (a.votes * 2 > voters || b.votes * 2 > voters) return a.votes > b.votes;
    return std::pair(a.epoch, a.votes) > std::pair(b.epoch, b.votes);
  };
  const auto best = std::min_element(candidates.begin(), candidates.end(), wins);
  return PrimaryAgreement{
      .address = *best->address, .votes = best->votes, .is_disputed = candidates.size() > 1};
}

}  // namespace tidegate::topology
