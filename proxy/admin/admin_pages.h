// AdminPages: what the admin address answers, without a socket.
//
//   /         a page for people, which shows what the others say as it changes (page_files.h)
//   /metrics  for Prometheus            /stats    the live figures of the page, as JSON
//   /healthz  200 while the process     /readyz   200 while clients are accepted, else 503
//             answers at all            /config   the settings in force, as JSON, no secrets
//   /clusters upstream clusters and their counters, as JSON
//   /hotkeys  the hot keys of now, as JSON
//   /slowlog  the last slow requests, as JSON
//   /bigkeys  keys that are big, as JSON
//
//   POST /backup?name=NAME   makes a backup and answers, as JSON, what became of it
//   POST /clusters/CLUSTER/nodes/ADDRESS/drain, …/undrain   see drain_page.h
//
// Every page only reads, by GET or HEAD. What does something does so by POST alone, and never by a
// web page, so that a stray click or a foreign page can do no harm. Who may ask what is
// AdminAccess's business; what a browser does with the answers is bounded by headers
// (SecurityHeaders). Threads: any, at the same time.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "proxy/admin/admin_access.h"
#include "proxy/admin/admin_sources.h"

namespace tidegate {

struct AdminRequest {
  std::string_view method;
  std::string_view path;  // without the query
  std::string_view host;  // the header, empty when there was none
  std::string_view query = {};
  std::string_view origin = {};         // the header, empty when there was none
  std::string_view authorization = {};  // the header, empty when there was none
  bool is_local = true;                 // the connection comes from this machine
};

struct AdminReply {
  int status = 200;
  std::string_view content_type;
  std::string body;
  std::string_view allow = "GET, HEAD";  // methods, when the status is 405
};

class AdminPages final {
 public:
  // `loopback_only`: the address we listen on is of the loopback interface. Without a token, see
  // AdminAccess.
  AdminPages(AdminSources sources, bool loopback_only, std::string token = {});
  ~AdminPages();
  AdminPages(const AdminPages&) = delete;
  AdminPages& operator=(const AdminPages&) = delete;

  AdminReply Answer(const AdminRequest& request);

  // Headers that go with every answer, each line ending in \r\n.
  static std::string_view SecurityHeaders();

 private:
  friend struct AdminPageList;
  AdminReply Metrics() const;
  AdminReply Stats() const;
  AdminReply Healthz() const;
  AdminReply Readyz() const;
  AdminReply Config() const;
  AdminReply Clusters() const;
  AdminReply HotKeys() const;
  AdminReply Slowlog() const;
  AdminReply Policies() const;
  AdminReply BigKeyList() const;
  AdminReply Backup(const AdminRequest& request) const;
  AdminReply Find(const AdminRequest& request) const;

  struct Exporter;  // prometheus-cpp's side
  const AdminSources sources_;
  const AdminAccess access_;
  std::unique_ptr<Exporter> exporter_;
};

}  // namespace tidegate
