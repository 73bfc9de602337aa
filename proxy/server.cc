#include "proxy/server.h"

#include <sys/random.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <climits>
#include <csignal>
#include <utility>

#include "base/clock.h"
#include "base/log.h"
#include "policy/policy_registry.h"
#include "policy/write_stripes.h"
#include "proxy/acceptor.h"
#include "proxy/background_backup.h"
#include "proxy/background_save.h"
#include "proxy/commands/command_sets.h"
#include "proxy/event/loop.h"
#include "proxy/observe/big_keys.h"
#include "proxy/observe/hot_key_service.h"
#include "proxy/process_limits.h"
#include "proxy/pubsub/key_events.h"
#include "proxy/server_stats.h"
#include "proxy/snapshot.h"
#include "proxy/upstream/script_texts.h"
#include "proxy/upstream/upstream_tls.h"
#include "proxy/upstream_control.h"
#include "proxy/worker.h"
#include "storage/persistence.h"

namespace tidegate {
namespace {

constexpr size_t kRunIdBytes = 20;

std::string MakeRunId() {
  unsigned char random[kRunIdBytes];
  TG_CHECK(getrandom(random, sizeof random, 0) == static_cast<ssize_t>(sizeof random));
  std::string id;
  for (const unsigned char byte : random) {
    id.push_back("0123456789abcdef"[byte >> 4]);
    id.push_back("0123456789abcdef"[byte & 15]);
  }
  return id;
}

std::string ExecutablePath() {
  char path[PATH_MAX];
  const ssize_t size = readlink("/proc/self/exe", path, sizeof path);
  return size > 0 ? std::string(path, static_cast<size_t>(size)) : "";
}

// maxclients is what the system grants descriptors for; said once, at start.
LoadedConfig FitDescriptors(LoadedConfig config) {
  const int64_t granted = RaiseDescriptorLimit(config.options.maxclients);
  if (granted < config.options.maxclients) {
    log::Warning("You requested maxclients of " + std::to_string(config.options.maxclients) +
                 ", but the descriptor limit of this process allows " + std::to_string(granted) +
                 ". maxclients has been reduced to that; raise the limit with 'ulimit -n'.");
    config.options.maxclients = granted;
  }
  return config;
}

}  // namespace

Result<std::unique_ptr<Server>> Server::Create(LoadedConfig config, Families process_families) {
  std::unique_ptr<Server> server(new Server(FitDescriptors(std::move(config))));
  TG_RETURN_IF_ERROR(server->Assemble(process_families));
  return server;
}

Server::Server(LoadedConfig config)
    : config_(std::move(config)),
      script_texts_(std::make_unique<ScriptTexts>()),
      write_stripes_(std::make_unique<WriteStripes>()),
      start_unix_ms_(UnixMillis()),
      save_status_(start_unix_ms_ / 1000),
      run_id_(MakeRunId()),
      executable_(ExecutablePath()),
      stats_base_(std::make_unique<StatsBase>()) {}

Server::~Server() {
  // While there is an engine: its threads tell it whether there is room, and a start that failed
  // has not stopped them.
  static_cast<void>(StopPersistence());
  if (upstream_control_ != nullptr) upstream_control_->Stop();
  signals_.clear();
  acceptor_.reset();
  wake_up_.reset();
}

Status Server::AssembleCommands(const Options& options, Families process_families) {
  std::vector<std::span<const CommandSpec>> families;
  for (const auto& family : StorageCommandFamilies()) families.push_back(family);
  for (const auto& family : process_families) families.push_back(family);
  command_sets_ = std::make_unique<CommandSets>(std::move(families));
  Result<const CommandTable*> table = command_sets_->For(options);
  if (!table.ok()) return std::move(table).error();
  command_ids_max_ = command_sets_->ids_max();
  commands_ = *table;
  const CommandTable& known = command_sets_->known();
  command_ids_known_ = known.size();
  big_keys_ = std::make_unique<BigKeys>(known, known.size());
  policies_ = std::make_unique<PolicyRegistry>(known);
  return {};
}

Status Server::Assemble(Families process_families) {
  const std::shared_ptr<const Options> options = config_.Snapshot();
  TG_RETURN_IF_ERROR(AssembleCommands(*options, process_families));
  Result<std::unique_ptr<Engine>> engine = Engine::Create({.databases = options->databases});
  if (!engine.ok()) return std::move(engine).error().WithContext("start the engine");
  engine_ = std::move(engine).value();
  engine_thread_ = &engine_->AddThread(
      [](void* server, uint64_t) { static_cast<Server*>(server)->wake_up_->Send(); }, this);
  engine_->SetKeyEventSink(&OnKeyEvents, this);
  TG_RETURN_IF_ERROR(InstallConfigHooks());
  if (options->appendonly) TG_RETURN_IF_ERROR(OpenPersistence(*options));
  background_save_ = std::make_unique<BackgroundSave>(*this);
  background_backup_ = std::make_unique<BackgroundBackup>(*this);
  loop_ = std::make_unique<EventLoop>();
  wake_up_ = std::make_unique<WakeUp>(*loop_, [this] { OnWakeUp(); });
  Result<std::unique_ptr<Acceptor>> acceptor = Acceptor::Open(*this, *loop_, *options);
  if (!acceptor.ok()) return std::move(acceptor).error();
  acceptor_ = std::move(acceptor).value();
  FollowListeners();
  Result<std::unique_ptr<UpstreamTls>> tls = UpstreamTls::Create(options->clusters);
  if (!tls.ok()) return std::move(tls).error();
  upstream_tls_ = std::move(tls).value();
  const int workers = options->workers > 0 ? options->workers : DefaultWorkers();
  for (int i = 0; i < workers; ++i) workers_.push_back(std::make_unique<Worker>(*this, i));
  upstream_control_ =
      std::make_unique<UpstreamControl>(*options, *upstream_tls_, workers_, *loop_, *policies_);
  upstream_control_->OnInForce([this] {
    if (acceptor_ == nullptr) return;  // it ends
    acceptor_->Commit();
    FollowListeners();
  });
  hot_keys_ = std::make_unique<HotKeyService>(*this);
  workers_left_.store(workers_.size());
  workers_serving_.store(workers_.size());
  return {};
}

void Server::OnKeyEvents(void* server, EngineThread& /*thread*/, std::span<const KeyEvent> events) {
  PublishKeyEvents(*static_cast<Server*>(server), *Worker::Current(), events);
}

int Server::Run(const std::function<void()>& on_ready) {
  WatchSignals();
  engine_->StartLoading();
  for (const auto& worker : workers_) worker->Start();
  upstream_control_->Start();
  hot_keys_->Start();
  acceptor_->Start();
  background_save_->Begin();
  if (persistence_ != nullptr) persistence_->BeginCheckpoints();
  if (persistence_ != nullptr) background_backup_->Begin();
  on_ready();
  loop_->Run();
  hot_keys_->Stop();
  for (const auto& worker : workers_) worker->Join();
  upstream_control_->Stop();
  engine_->StopLoading();  // while there is what it reads from
  signals_.clear();
  // Snapshots and checkpoints wait for each other: first neither begins any more.
  if (persistence_ != nullptr) persistence_->AbandonCheckpoints(shutting_down());
  background_save_->Stop();
  background_backup_->Stop();
  const Status stopped = StopPersistence();
  if (!stopped.ok())
    log::Warning("Journal: the end of it is not on disk: " + stopped.error().message);
  return stopped.ok() ? 0 : 1;
}

void Server::WatchSignals() {
  signal(SIGPIPE, SIG_IGN);
  signal(SIGXFSZ, SIG_IGN);  // a file that may not grow is an error of writing, not the end
  const auto watch = [this](int number, std::function<void()> callback) {
    signals_.push_back(std::make_unique<SignalWatcher>(*loop_, number, std::move(callback)));
  };
  watch(SIGTERM,
        [this] { OnTerminationSignal("SIGTERM", config_.Snapshot()->shutdown_on_sigterm); });
  watch(SIGINT, [this] { OnTerminationSignal("SIGINT", config_.Snapshot()->shutdown_on_sigint); });
  watch(SIGHUP, [this] {
    if (reload_) reload_();
  });
}

void Server::OnTerminationSignal(std::string_view name, const std::string& flags) {
  log::Warning("Received " + std::string(name) + " scheduling shutdown...");
  const auto has = [&flags](const std::string& word) {
    return (" " + flags + " ").find(" " + word + " ") != std::string::npos;
  };
  const bool save = has("save") || (!has("nosave") && !config_.Snapshot()->save_points.empty());
  if (!save || shutting_down()) return RequestShutdown({.now = shutting_down()});
  saving_for_shutdown_ = true;
  shutdown_forced_ = has("force");
  SaveAndShutdown();
}

// Behind the gate, which stays closed when that worked: what clients were told is in the file. May
// have to wait for the gate: it is called again then.
void Server::SaveAndShutdown() {
  engine_->BeginBatch(*engine_thread_, UnixMillis());
  const ExecStatus entered =
      engine_->BeginAtomic(*engine_thread_, {}, /*whole=*/true, main_client_);
  bool saved = false;
  if (entered == ExecStatus::kDone) {
    saving_for_shutdown_ = false;
    saved = SaveSnapshot(*this, *engine_thread_, *config_.Snapshot()).ok() || shutdown_forced_;
    saved ? engine_->SealAtomic(*engine_thread_) : engine_->EndAtomic(*engine_thread_);
  }
  engine_->EndBatch(*engine_thread_);
  if (entered == ExecStatus::kSuspended) return;
  if (entered == ExecStatus::kRefused) {
    saving_for_shutdown_ = false;
    saved = shutdown_forced_;
  }
  if (saved) return RequestShutdown({.now = true});
  log::Warning("Errors trying to shut down the server, check the logs for more information");
}

void Server::RequestShutdown(ShutdownRequest request) {
  if (request.now) shutdown_now_.store(true, std::memory_order_relaxed);
  shutting_down_.store(true, std::memory_order_release);
  wake_up_->Send();
}

void Server::WorkerIsEmpty() {
  if (workers_serving_.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
  for (const auto& worker : workers_) worker->PostStop();
}

void Server::WorkerEnded() {
  workers_left_.fetch_sub(1, std::memory_order_acq_rel);
  wake_up_->Send();
}

void Server::OnWakeUp() {
  if (workers_left_.load(std::memory_order_acquire) == 0) return loop_->Stop();
  if (saving_for_shutdown_) SaveAndShutdown();
  if (shutting_down_.load(std::memory_order_acquire)) BeginDrain();
}

void Server::BeginDrain() {
  const bool now = shutdown_now_.load(std::memory_order_relaxed);
  if (draining_ && !now) return;
  if (!draining_) {
    log::Warning("User requested shutdown...");
    acceptor_.reset();  // closes the listening sockets
  }
  draining_ = true;
  EndPause();
  const std::chrono::seconds grace = config_.Snapshot()->shutdown_timeout;
  for (const auto& worker : workers_)
    worker->PostDrain(now ? std::chrono::milliseconds(0) : std::chrono::milliseconds(grace));
}

void Server::EndPause() {
  {
    MutexLock lock(pause_mutex_);
    pause_.End();
    engine_->settings().frozen_until_ms = 0;
  }
  for (const auto& worker : workers_) worker->Post([](Worker& at) { at.EndPause(); });
}

void Server::Wake(SessionTicket ticket) {
  const auto value = static_cast<uint64_t>(ticket);
  workers_[WorkerOfTicket(value)]->PostWake(value);
}

}  // namespace tidegate
