// The program: settings, log, server, admin address, exit status. All else is in libraries, so that
// tests can run a whole server in their own process.
#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/log.h"
#include "base/program_pages.h"
#include "base/service_notify.h"
#include "config/loader.h"
#include "policy/local_cache_store.h"
#include "proxy/admin/admin_access.h"
#include "proxy/admin/admin_server.h"
#include "proxy/admin/metrics_reference.h"
#include "proxy/background_backup.h"
#include "proxy/background_save.h"
#include "proxy/commands/families.h"
#include "proxy/commands/info_sections.h"
#include "proxy/crash_report.h"
#include "proxy/observe/hot_key_service.h"
#include "proxy/server.h"
#include "proxy/session/route_move.h"
#include "proxy/snapshot.h"
#include "proxy/tools/data_tool.h"
#include "proxy/tools/ping_clusters.h"
#include "proxy/upstream/upstream_tls.h"
#include "proxy/upstream_control.h"
#include "proxy/worker.h"

// Read by jemalloc when it starts. Unused pages go back to the system on a thread of jemalloc's
// own: by default the thread that happens to free something does it, and after a FLUSHALL that held
// an event loop for 200 ms. That goes for allocations of 8 MiB and more too, which by default are
// given back at once by whoever frees them: a millisecond for each MiB or two.
extern "C" {
// NOLINTNEXTLINE: jemalloc's name for it
const char* malloc_conf = "background_thread:true,oversize_threshold:0";
}

namespace tidegate {
namespace {

int Fail(const Error& error) {
  std::fprintf(stderr, "tidegate: %s\n", error.message.c_str());
  return 1;
}

BackupAnswer MakeBackup(Server& server, std::string_view name) {
  BackupAnswer answer;
  if (server.persistence() == nullptr) return answer;
  using Outcome = BackupAnswer::Outcome;
  answer.outcome = Outcome::kBusy;
  const auto job = server.background_backup().Start(name, [] {});
  if (job == nullptr) return answer;
  server.background_backup().Await(*job);
  answer.seconds = job->seconds;
  answer.outcome = job->bad_name ? Outcome::kBadName : Outcome::kFailed;
  if (!job->report.ok()) {
    answer.error = job->report.error().message;
    return answer;
  }
  answer.outcome = Outcome::kMade;
  answer.report = job->report.value();
  return answer;
}

AdminSources SourcesOf(Server& server, const std::atomic<bool>& ready) {
  AdminSources sources;
  for (const auto& worker : server.workers()) {
    sources.workers.push_back(
        {&worker->counters(), &worker->command_stats(), &worker->worker_upstreams(),
         [&worker] { return worker->route_acts().Figures(); }, &worker->local_cache().figures(),
         &worker->route_meter(), &worker->engine_counters(),
         [&worker] { return worker->mailbox_messages(); }});
  }
  sources.commands = [&server]() -> const CommandTable& { return server.commands(); };
  sources.engine = &server.engine();
  sources.config = &server.config();
  sources.persistence = server.persistence();
  sources.discovery = &server.upstream_control().discovery();
  sources.big_keys = &server.big_keys();
  sources.policies = &server.policies();
  sources.start_unix_ms = server.start_unix_ms();
  sources.readiness = [&server, &ready] {
    if (server.shutting_down()) return Readiness::kDraining;
    return ready.load() ? Readiness::kReady : Readiness::kStarting;
  };
  sources.connections_rejected = [&server] { return server.connections_rejected(); };
  sources.slowlog = [&server] { return server.slowlog().Get(-1); };
  sources.saves = [&server] {
    return server.save_status().Facts(server.background_save().in_progress());
  };
  sources.backups = [&server] { return server.background_backup().Facts(); };
  sources.hot_keys = [&server] { return server.hot_keys().Facts(); };
  sources.make_backup = [&server](std::string_view name) { return MakeBackup(server, name); };
  sources.error_replies = [&server] { return server.error_stats().total_since_start(); };
  return sources;
}

// The file that says which process this is, as long as it runs.
class PidFile final {
 public:
  explicit PidFile(std::string path) : path_(std::move(path)) {
    if (path_.empty()) return;
    std::ofstream file(path_, std::ios::trunc);
    written_ = static_cast<bool>(file << getpid() << '\n' << std::flush);
    if (!written_) log::Warning("Failed to write PID file " + path_);
  }
  ~PidFile() {
    if (written_) unlink(path_.c_str());
  }
  PidFile(const PidFile&) = delete;
  PidFile& operator=(const PidFile&) = delete;

 private:
  const std::string path_;
  bool written_ = false;  // else the file there is somebody else's
};

// Nobody looks into a log file when the program has just been started by hand.
void PrintWarnings(const LoadedConfig& config) {
  if (config.options.logfile.empty()) return;
  for (const std::string& warning : config.warnings) {
    std::fprintf(stderr, "tidegate: warning: %s\n", warning.c_str());
  }
}

void Reload(Server& server, int argc, char** argv) {
  const auto refuse = [](const Error& error) {
    log::Warning("Reload: nothing is changed: " + error.message);
  };
  Result<LoadedConfig> fresh = LoadConfig(argc, argv);
  if (!fresh.ok()) return refuse(fresh.error());
  for (const std::string& warning : fresh->warnings) log::Warning(warning);
  const Status status = server.Reload(std::move(fresh->options));
  if (!status.ok()) return refuse(status.error());
}

// Null without an address.
Result<std::unique_ptr<AdminServer>> OpenAdmin(const Options& options, Server& server,
                                               const std::atomic<bool>& ready) {
  if (!options.admin_address) return std::unique_ptr<AdminServer>();
  Result<std::string> token = AdminTokenOf(options);
  if (!token.ok()) return std::move(token).error();
  return AdminServer::Create(*options.admin_address, SourcesOf(server, ready), *std::move(token));
}

int Serve(LoadedConfig config, int argc, char** argv) {
  const Options options = config.options;
  const bool can_reload = !config.from_standard_input;
  log::SetLevel(static_cast<LogSeverity>(options.loglevel));
  log::SetFormat(static_cast<LogFormat>(options.log_format));
  if (Status opened = log::OpenFile(options.logfile); !opened.ok()) return Fail(opened.error());
  PrintWarnings(config);
  for (const std::string& warning : config.warnings) log::Warning(warning);
  MapProgramPages();
  Result<std::unique_ptr<Server>> created =
      Server::Create(std::move(config), ProxyCommandFamilies());
  if (!created.ok()) return Fail(created.error());
  Server& server = **created;
  if (Status opened = server.access_log().Open(options.access_log_file); !opened.ok())
    return Fail(opened.error());
  std::atomic<bool> ready{false};
  Result<std::unique_ptr<AdminServer>> opened = OpenAdmin(options, server, ready);
  if (!opened.ok()) return Fail(opened.error());
  std::unique_ptr<AdminServer> admin = std::move(opened).value();
  if (options.crash_log_enabled) crash_report::Install([&server] { return InfoText(server, {}); });
  server.OnReload([&server, argc, argv, can_reload, logfile = options.logfile,
                   access_log_file = options.access_log_file] {
    // Whoever rotates log files sends SIGHUP as well.
    for (const Status& opened :
         {log::OpenFile(logfile), server.access_log().Open(access_log_file)}) {
      if (!opened.ok()) log::Warning("Reload: " + opened.error().message);
    }
    if (can_reload) return Reload(server, argc, argv);
    log::Warning("Reload: the settings came from standard input, which cannot be read again");
  });
  const PidFile pid_file(options.pidfile);
  if (Status loaded = LoadSnapshotAtStart(server); !loaded.ok()) {
    log::Warning("Fatal: the data cannot be loaded: " + loaded.error().message);
    return Fail(loaded.error());
  }
  const int status = server.Run([&] {
    log::Notice("PID: " + std::to_string(getpid()) + ", " +
                std::to_string(server.workers().size()) + " workers");
    for (const std::string& place : server.listening()) log::Notice("Listening on " + place);
    if (admin) log::Notice("Admin pages on " + admin->url());
    if (admin && admin->is_restricted()) {
      log::Warning(
          "Other machines get metrics and health from the admin address only: "
          "admin-token is not set");
    }
    if (!options.appendonly)
      log::Notice("Data is kept in memory: a restart begins with the last snapshot");
    log::Notice("Ready to accept connections");
    ready.store(true);
    NotifyService("READY=1");
  });
  NotifyService("STOPPING=1");
  crash_report::Uninstall();
  admin.reset();
  log::Warning("Tidegate is now ready to exit, bye bye...");
  return status;
}

// What main() does; the status the process ends with.
int Main(int argc, char** argv) {
  if (argc == 2 && std::string_view(argv[1]) == "--print-metrics-doc") {
    std::fputs(MetricsReference().c_str(), stdout);
    return 0;
  }
  const std::vector<std::string> arguments(argv + 1, argv + argc);
  if (const std::optional<int> status = RunDataTool(arguments)) return *status;
  Result<LoadedConfig> config = LoadConfig(argc, argv);
  if (!config.ok()) return Fail(config.error());
  if (config->mode == RunMode::kCheckConfig) {
    const auto tls = UpstreamTls::Create(config->options.clusters);
    if (!tls.ok()) return Fail(tls.error());
  }
  if (config->mode != RunMode::kRun) {
    std::fputs(config->text.c_str(), stdout);
    if (!config->ping_nodes) return 0;
    const PingReport report = PingClusters(config->options.clusters);
    std::fputs(report.text.c_str(), stdout);
    return report.is_good ? 0 : 1;
  }
  return Serve(std::move(config).value(), argc, argv);
}

}  // namespace
}  // namespace tidegate

int main(int argc, char** argv) { return tidegate::Main(argc, argv); }
