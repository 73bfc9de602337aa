// The part of Server that ties the engine to what is on disk: at the start, and at the end.
//
// The listeners are opened after the data is there: until then a client is refused a
// connection, which every client library and balancer takes for "not up yet", instead of a -LOADING
// that many take for an answer.
#include "proxy/server.h"
#include "storage/persistence.h"

namespace tidegate {

Status Server::OpenPersistence(const Options& options) {
  Result<std::unique_ptr<Persistence>> opened = Persistence::Open(
      {.dir = options.dir,
       .fsync = options.appendfsync,
       .load_truncated = options.aof_load_truncated,
       .checkpoint_records = static_cast<uint64_t>(options.checkpoint_journal_records),
       .checkpoint_bytes = options.checkpoint_journal_bytes,
       .backup_dir = options.backup_dir,
       .tiered = options.tiered,
       .maxmemory = options.maxmemory});
  if (!opened.ok()) return std::move(opened).error().WithContext("open the data directory");
  persistence_ = std::move(opened).value();
  EngineThread& thread = engine_->AddThread(nullptr, nullptr);
  TG_RETURN_IF_ERROR(persistence_->Load(*engine_, thread, *commands_));
  persistence_->Begin(*engine_);
  engine_->SetEffectSink(&persistence_->sink());
  return {};
}

Status Server::StopPersistence() {
  return persistence_ == nullptr ? Status() : persistence_->Stop();
}

}  // namespace tidegate
