// The program: settings, log, server, exit status. All else is in libraries, so that tests can run
// a whole server in their own process.
#include <unistd.h>

#include <cstdio>
#include <memory>
#include <string>
#include <utility>

#include "base/log.h"
#include "config/loader.h"
#include "proxy/commands/families.h"
#include "proxy/server.h"

// Read by jemalloc when it starts. Unused pages go back to the system on a thread of jemalloc's
// own: by default the thread that happens to free something does it, and after a FLUSHALL that held
// an event loop for 200 ms.
extern "C" {
const char* malloc_conf = "background_thread:true";  // NOLINT: jemalloc's name for it
}

namespace {

using namespace tidegate;

int Fail(const Error& error) {
  std::fprintf(stderr, "tidegate: %s\n", error.message.c_str());
  return 1;
}

int Serve(LoadedConfig config) {
  const std::vector<std::string> warnings = config.warnings;
  log::SetLevel(static_cast<LogSeverity>(config.options.loglevel));
  if (Status opened = log::OpenFile(config.options.logfile); !opened.ok())
    return Fail(opened.error());
  for (const std::string& warning : warnings) log::Warning(warning);
  Result<std::unique_ptr<Server>> created =
      Server::Create(std::move(config), ProxyCommandFamilies());
  if (!created.ok()) return Fail(created.error());
  Server& server = **created;
  const int status = server.Run([&server] {
    for (const std::string& place : server.listening()) log::Notice("Listening on " + place);
    log::Notice("Ready to accept connections");
  });
  log::Warning("Tidegate is now ready to exit, bye bye...");
  return status;
}

}  // namespace

int main(int argc, char** argv) {
  tidegate::Result<tidegate::LoadedConfig> config = tidegate::LoadConfig(argc, argv);
  if (!config.ok()) return Fail(config.error());
  if (config->mode != tidegate::RunMode::kRun) {
    std::fputs(config->text.c_str(), stdout);
    return 0;
  }
  return Serve(std::move(config).value());
}
