// AdminPages: what the admin address answers, without a socket.
//
//   /         a page for people, which shows /stats as it changes
//   /metrics  for Prometheus            /stats    the live figures of the page, as JSON
//   /healthz  200 while the process     /readyz   200 while clients are accepted, else 503
//             answers at all            /config   the settings in force, as JSON, no secrets
//   /clusters upstream clusters and their counters, as JSON
//   /hotkeys  the hot keys of now, as JSON
//   /slowlog  the last slow requests, as JSON
//
//   POST /backup?name=NAME   makes a backup and answers, as JSON, what became of it
//   POST /clusters/CLUSTER/nodes/ADDRESS/drain, …/undrain   see drain_page.h
//
// Every page only reads, by GET or HEAD. What does something does so by POST alone, and never by a
// web page: whatever a browser sends says from which page it
// comes (Origin), and is refused. So a stray click or a foreign page can do no harm. What a browser
// does with the answers is bounded by headers (SecurityHeaders). A request whose Host is a foreign
// name is refused while we listen on the loopback only: it comes from a web page whose name was
// pointed at 127.0.0.1 (DNS rebinding) to read what only this machine may see. Threads: any, at the
// same time.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "proxy/admin/admin_sources.h"

namespace tidegate {

struct AdminRequest {
  std::string_view method;
  std::string_view path;  // without the query
  std::string_view host;  // the header, empty when there was none
  std::string_view query = {};
  std::string_view origin = {};  // the header, empty when there was none
};

struct AdminReply {
  int status = 200;
  std::string_view content_type;
  std::string body;
  std::string_view allow = "GET, HEAD";  // methods, when the status is 405
};

class AdminPages final {
 public:
  // `loopback_only`: the address we listen on is of the loopback interface.
  AdminPages(AdminSources sources, bool loopback_only);
  ~AdminPages();
  AdminPages(const AdminPages&) = delete;
  AdminPages& operator=(const AdminPages&) = delete;

  AdminReply Answer(const AdminRequest& request);

  // Headers that go with every answer, each line ending in \r\n.
  static std::string_view SecurityHeaders();

 private:
  friend struct AdminPageList;
  AdminReply Index() const;
  AdminReply Script() const;
  AdminReply Style() const;
  AdminReply Metrics() const;
  AdminReply Stats() const;
  AdminReply Healthz() const;
  AdminReply Readyz() const;
  AdminReply Config() const;
  AdminReply Clusters() const;
  AdminReply HotKeys() const;
  AdminReply Slowlog() const;
  AdminReply Backup(const AdminRequest& request) const;
  AdminReply Find(const AdminRequest& request) const;

  struct Exporter;  // prometheus-cpp's side
  const AdminSources sources_;
  const bool loopback_only_;
  std::unique_ptr<Exporter> exporter_;
};

}  // namespace tidegate
