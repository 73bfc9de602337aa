// The part of Server that takes in a configuration that was read again.
//
//   sockets of new listeners are opened   --+
//   certificates are read                   +-- one that fails: nothing is changed
//   the command table is made             --+
//   settings, as by CONFIG SET            --+
//   clusters, routes, listeners to the workers; when all have them the new listeners accept
#include <algorithm>

#include "proxy/acceptor.h"
#include "proxy/commands/command_sets.h"
#include "proxy/config_reload.h"
#include "proxy/server.h"
#include "proxy/upstream/upstream_tls.h"
#include "proxy/upstream_control.h"

namespace tidegate {

void Server::FollowListeners() {
  listening_ = acceptor_->listening();
  tcp_port_ = acceptor_->tcp_port();
}

void Server::TakeCommands(const CommandTable& next) {
  const CommandTable& before = *commands_.load(std::memory_order_relaxed);
  const auto both = std::min(before.size(), next.size());
  for (uint32_t id = 0; id < both; ++id) {
    if (before.all()[id]->full_name != next.all()[id]->full_name) ForgetStatsOf(id);
  }
  commands_.store(&next, std::memory_order_release);
}

Status Server::Reload(Options fresh) {
  upstream_control_->FinishSwitch();  // the acceptor has room for one change
  if (acceptor_ == nullptr) return Error{"the server is shutting down"};
  TG_RETURN_IF_ERROR(upstream_tls_->Add(fresh.clusters));
  Result<const CommandTable*> commands = command_sets_->For(fresh);
  if (!commands.ok()) return std::move(commands).error();
  TG_RETURN_IF_ERROR(acceptor_->Prepare(fresh));
  Status status = ReloadConfig(config_, std::move(fresh));
  if (!status.ok()) {
    acceptor_->Abandon();
    return status;
  }
  TakeCommands(**commands);
  upstream_tls_->Reload();
  upstream_control_->Switch(*config_.Snapshot());
  return {};
}

}  // namespace tidegate
