// A small server as the admin pages see it: two workers' counters that a test sets, three commands,
// an empty engine, an upstream cluster and real settings. No sockets and no threads of its own.
#pragma once

#include <array>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "config/config_store.h"
#include "policy/policy_registry.h"
#include "proxy/admin/admin_sources.h"
#include "proxy/discovery/discovery.h"
#include "proxy/session/route_move.h"
#include "proxy/upstream/route_mirror.h"
#include "proxy/upstream/worker_upstreams.h"

namespace tidegate {

class AdminFixture {
 public:
  static constexpr size_t kWorkers = 2;

  explicit AdminFixture(Options options = {}) : config_(std::move(options), {}) {
    static constexpr auto kHandler = [](SessionCommand&) { return ExecStatus::kDone; };
    static constexpr CommandSpec kConfigCommands[] = {{.name = "GET",
                                                       .arity = AtLeast(3),
                                                       .access = Access::kNone,
                                                       .scope = Scope::kProcess,
                                                       .group = Group::kServer,
                                                       .since = "2.0.0",
                                                       .summary = "Reads settings.",
                                                       .session_handler = kHandler}};
    static constexpr CommandSpec kFamily[] = {{.name = "CONFIG",
                                               .arity = AtLeast(2),
                                               .access = Access::kNone,
                                               .scope = Scope::kProcess,
                                               .group = Group::kServer,
                                               .since = "2.0.0",
                                               .summary = "Settings.",
                                               .session_handler = kHandler,
                                               .subcommands = kConfigCommands},
                                              {.name = "ECHO",
                                               .arity = Exactly(2),
                                               .access = Access::kNone,
                                               .scope = Scope::kProcess,
                                               .group = Group::kConnection,
                                               .since = "1.0.0",
                                               .summary = "Echoes.",
                                               .session_handler = kHandler},
                                              {.name = "PING",
                                               .arity = AtLeast(1),
                                               .access = Access::kNone,
                                               .scope = Scope::kProcess,
                                               .group = Group::kConnection,
                                               .since = "1.0.0",
                                               .summary = "Answers.",
                                               .session_handler = kHandler}};
    static constexpr std::span<const CommandSpec> kFamilies[] = {kFamily};
    commands_ = CommandTable::Create(kFamilies);
    policies_ = std::make_unique<PolicyRegistry>(*commands_);
    engine_ = std::move(Engine::Create({})).value();
    for (auto& stats : command_stats_) stats = std::make_unique<CommandStats>(commands_->size());
    const ClusterOptions cache{.name = "cache",
                               .kind = ClusterKind::kRedis,
                               .nodes = {{.address = {"10.0.0.5", 6379}}},
                               .password = "staple of the node"};
    discovery_ = std::make_unique<discovery::Discovery>(
        std::span<const ClusterOptions>(),
        [](size_t, const std::shared_ptr<const UpstreamTopology>&) {});
    plan_.clusters = {Planned(cache)};
    Reload(plan_);
    for (size_t i = 0; i < kWorkers; ++i) {
      mirrors_[i] = std::make_shared<MirrorFigures>();
      mirrors_[i]->route = "m:*";
      mirrors_[i]->cluster = "cache";
      moves_[i] = std::make_shared<MoveFigures>();
      moves_[i]->route = "o:*";
      moves_[i]->cluster = "cache";
    }
  }

  AdminSources Sources() {
    AdminSources sources;
    for (size_t i = 0; i < kWorkers; ++i) {
      sources.workers.push_back({.counters = &counters_[i],
                                 .commands = command_stats_[i].get(),
                                 .upstreams = &upstreams_[i],
                                 .acts =
                                     [this, i] {
                                       return RouteActFigures{{mirrors_[i]}, {moves_[i]}};
                                     },
                                 .cache = nullptr,
                                 .routes = &routes_[i],
                                 .engine = nullptr,
                                 .mailbox_messages = [] { return size_t{2}; }});
    }
    sources.commands = [this]() -> const CommandTable& { return *commands_; };
    sources.engine = engine_.get();
    sources.policies = policies_.get();
    sources.discovery = discovery_.get();
    sources.config = &config_;
    sources.start_unix_ms = UnixMillis() - 5000;
    sources.readiness = [this] { return readiness; };
    sources.connections_rejected = [] { return uint64_t{3}; };
    sources.error_replies = [] { return uint64_t{4}; };
    return sources;
  }

  WorkerCounters& counters(size_t worker) { return counters_[worker]; }
  CommandStats& command_stats(size_t worker) { return *command_stats_[worker]; }
  UpstreamCounters& upstream(size_t worker) { return node(worker).counters(); }
  UpstreamNode& node(size_t worker) {
    return upstreams_[worker].clusters()[0]->NodeAt({"10.0.0.5", 6379});
  }
  RouteMeter& routes(size_t worker) { return routes_[worker]; }
  MoveCounters& moves(size_t worker) { return moves_[worker]->counters; }
  // A cluster that a reload brings.
  PlannedCluster Planned(const ClusterOptions& options) {
    const auto watched = discovery_->Add(options);
    return {.number = watched->number,
            .options = options,
            .observer = nullptr,
            .latest_topology = [watched] { return watched->publisher.latest(); }};
  }
  // All workers take it in.
  void Reload(const UpstreamPlan& plan) {
    for (WorkerUpstreams& upstreams : upstreams_)
      upstreams.Take(plan, {loop_, blocks_, {}, 0, upstreams.placement_epoch});
  }
  const UpstreamPlan& plan() const { return plan_; }
  uint32_t CommandId(std::string_view name, std::string_view subcommand = "") const {
    const Command* command = commands_->Find(name);
    if (!subcommand.empty()) command = CommandTable::FindSubcommand(*command, subcommand);
    return command->id;
  }

  // Those of a route of the policies.
  PolicyCounters& policy_counters(const std::string& route) {
    return Route(route, {}).front()->counters();
  }
  // A route is in force whose policies keep something that is shown.
  void GuardRoute(const std::string& route) {
    policies_->Publish(Route(route, {.stale = {.any = true, .keys = {"*"}},
                                     .negative_cache = {.any = true},
                                     .bloom = {.any = true}}));
  }

  Readiness readiness = Readiness::kReady;

 private:
  PolicyList Route(const std::string& match, const RoutePolicyOptions& policies) {
    Options options;
    options.routes.resize(1);
    options.routes[0].match = match;
    options.routes[0].policies = policies;
    return policies_->Next(options, {});
  }

  ConfigStore config_;
  std::unique_ptr<CommandTable> commands_;
  std::unique_ptr<PolicyRegistry> policies_;
  std::unique_ptr<Engine> engine_;
  std::array<WorkerCounters, kWorkers> counters_;
  std::array<std::unique_ptr<CommandStats>, kWorkers> command_stats_;
  EventLoop loop_;  // that nobody runs
  OutputBlockPool blocks_;
  std::array<WorkerUpstreams, kWorkers> upstreams_;
  std::array<std::shared_ptr<MirrorFigures>, kWorkers> mirrors_;
  std::array<std::shared_ptr<MoveFigures>, kWorkers> moves_;
  std::array<RouteMeter, kWorkers> routes_;
  UpstreamPlan plan_;
  std::unique_ptr<discovery::Discovery> discovery_;  // asks nobody: it is never started
};

}  // namespace tidegate
