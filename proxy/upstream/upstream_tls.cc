#include "proxy/upstream/upstream_tls.h"

#include <string>
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
    TG_RETURN_IF_ERROR(AddOne(cluster.tls, "tls", cluster.name));
    if (cluster.sentinel.tls)
      TG_RETURN_IF_ERROR(AddOne(*cluster.sentinel.tls, "sentinel-tls", cluster.name));
  }
  return {};
}

Status UpstreamTls::AddOne(const TlsOptions& options, std::string_view key,
                           std::string_view cluster) {
  if (!options.enabled || Find(options) != nullptr) return {};
  const std::string name =
      std::string(key) + " of the upstream cluster '" + std::string(cluster) + "'";
  Result<std::unique_ptr<TlsContext>> made = TlsContext::ForClients(options);
  if (!made.ok()) return std::move(made).error().WithContext(name);
  known_.push_back({options, name, std::move(made).value()});
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
      log::Warning(known.name +
                   ": its files stay as they were read before: " + read.error().message);
  }
}

}  // namespace tidegate
