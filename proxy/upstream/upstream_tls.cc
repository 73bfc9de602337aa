#include "proxy/upstream/upstream_tls.h"

#include <utility>

#include "base/log.h"

namespace tidegate {

Result<std::unique_ptr<UpstreamTls>> UpstreamTls::Create(std::span<const ClusterOptions> clusters) {
  auto all = std::make_unique<UpstreamTls>();
  TG_RETURN_IF_ERROR(all->Add(clusters));
  return all;
}

Status UpstreamTls::Add(std::span<const ClusterOptions> clusters) {
  MutexLock lock(mutex_);
  for (const ClusterOptions& cluster : clusters) {
    if (!cluster.tls.enabled || Find(cluster.tls) != nullptr) continue;
    Result<std::unique_ptr<TlsContext>> made = TlsContext::ForClients(cluster.tls);
    if (!made.ok())
      return std::move(made).error().WithContext("tls of the upstream cluster '" + cluster.name +
                                                 "'");
    known_.push_back({cluster.tls, cluster.name, std::move(made).value()});
  }
  return {};
}

TlsContext* UpstreamTls::Find(const TlsOptions& options) const {
  for (const Known& known : known_) {
    if (known.options == options) return known.context.get();
  }
  return nullptr;
}

const TlsContext* UpstreamTls::Of(const TlsOptions& options) const {
  if (!options.enabled) return nullptr;
  MutexLock lock(mutex_);
  return Find(options);
}

void UpstreamTls::Reload() {
  MutexLock lock(mutex_);
  for (const Known& known : known_) {
    const Status read = known.context->Reload();
    if (!read.ok())
      log::Warning("tls of the upstream cluster '" + known.cluster +
                   "': its files stay as they were read before: " + read.error().message);
  }
}

}  // namespace tidegate
