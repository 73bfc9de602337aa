// UpstreamTls: the TLS contexts of the upstream clusters, made of the files that the configuration
// names when the server starts, shared by its workers and the control plane. Owner: the server; it
// outlives both. Threads: any.
#pragma once

#include <map>
#include <memory>
#include <span>
#include <string>

#include "base/result.h"
#include "config/upstream_options.h"
#include "proxy/event/tls_context.h"

namespace tidegate {

class UpstreamTls final {
 public:
  // The error names the cluster, the file, and what is wrong with it.
  static Result<std::unique_ptr<UpstreamTls>> Create(std::span<const ClusterOptions> clusters);

  // Null: it is spoken to without TLS.
  const TlsContext* Of(const std::string& cluster) const {
    const auto found = contexts_.find(cluster);
    return found == contexts_.end() ? nullptr : found->second.get();
  }

  // Reads all files again, for connections that are made from now on. What is wrong with a
  // cluster's files goes to the log, and those read before stay in use.
  void Reload();

 private:
  std::map<std::string, std::unique_ptr<TlsContext>> contexts_;  // by cluster
};

}  // namespace tidegate
