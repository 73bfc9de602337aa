// UpstreamTls: the TLS contexts of the upstream clusters, made of the files that the configuration
// names when the server starts, and when a reload brings new clusters; shared by its workers and
// the control plane. One for each set of settings, which stays to the end: clusters that are
// replaced may still use it. Owner: the server; it outlives both. Threads: any.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "base/thread_annotations.h"
#include "config/upstream_options.h"
#include "proxy/event/tls_context.h"

namespace tidegate {

class UpstreamTls final {
 public:
  // The error names the cluster, the file, and what is wrong with it.
  static Result<std::unique_ptr<UpstreamTls>> Create(std::span<const ClusterOptions> clusters);

  // The same for settings that are new; those that are known are not read again.
  Status Add(std::span<const ClusterOptions> clusters) TG_EXCLUDES(mutex_);

  // Null: it is spoken to without TLS. Lives as long as this.
  const TlsContext* Of(const TlsOptions& options) const TG_EXCLUDES(mutex_);

  // Reads all files again, for connections that are made from now on. What is wrong with files goes
  // to the log, and those read before stay in use.
  void Reload() TG_EXCLUDES(mutex_);

 private:
  Status AddOne(const TlsOptions& options, std::string_view key, std::string_view cluster)
      TG_REQUIRES(mutex_);
  TlsContext* Find(const TlsOptions& options) const TG_REQUIRES(mutex_);

  struct Known {
    TlsOptions options;
    std::string name;  // which cluster's that had them first, for people
    std::unique_ptr<TlsContext> context;
  };
  mutable Mutex mutex_;
  std::vector<Known> known_ TG_GUARDED_BY(mutex_);
};

}  // namespace tidegate
