#include "proxy/upstream/upstream_tls.h"

#include <utility>

#include "base/log.h"

namespace tidegate {

Result<std::unique_ptr<UpstreamTls>> UpstreamTls::Create(std::span<const ClusterOptions> clusters) {
  auto all = std::make_unique<UpstreamTls>();
  for (const ClusterOptions& cluster : clusters) {
    if (!cluster.tls.enabled) continue;
    Result<std::unique_ptr<TlsContext>> made = TlsContext::ForClients(cluster.tls);
    if (!made.ok())
      return std::move(made).error().WithContext("tls of the upstream cluster '" + cluster.name +
                                                 "'");
    all->contexts_[cluster.name] = std::move(made).value();
  }
  return all;
}

void UpstreamTls::Reload() {
  for (const auto& [cluster, context] : contexts_) {
    const Status read = context->Reload();
    if (!read.ok())
      log::Warning("tls of the upstream cluster '" + cluster +
                   "': its files stay as they were read before: " + read.error().message);
  }
}

}  // namespace tidegate
