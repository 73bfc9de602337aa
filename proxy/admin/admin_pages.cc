#include "proxy/admin/admin_pages.h"

#include <prometheus/counter.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include <iterator>
#include <optional>
#include <utility>

#include "base/clock.h"
#include "proxy/admin/backup_page.h"
#include "proxy/admin/big_keys_page.h"
#include "proxy/admin/clusters_page.h"
#include "proxy/admin/config_page.h"
#include "proxy/admin/drain_page.h"
#include "proxy/admin/hot_keys_page.h"
#include "proxy/admin/page_files.h"
#include "proxy/admin/policies_page.h"
#include "proxy/admin/slowlog_page.h"
#include "proxy/admin/stats_collector.h"
#include "proxy/admin/stats_page.h"

namespace tidegate {

namespace {

constexpr std::string_view kPlainText = "text/plain; charset=utf-8";
constexpr std::string_view kJson = "application/json; charset=utf-8";
constexpr const char* kOnlyReads = "Only GET and HEAD.\n";
constexpr std::string_view kBackupPath = "/backup";
constexpr std::string_view kPrometheusText = "text/plain; version=0.0.4; charset=utf-8";

AdminReply PlainReply(int status, std::string body) {
  return {.status = status, .content_type = kPlainText, .body = std::move(body)};
}

// Of what does something: why not; nothing: it may.
std::optional<AdminReply> RefuseToAct(const AdminRequest& request) {
  if (request.method != "POST") {
    AdminReply reply = PlainReply(405, "Only POST.\n");
    reply.allow = "POST";
    return reply;
  }
  if (!request.origin.empty()) return PlainReply(403, "Not from a web page.\n");
  return std::nullopt;
}

}  // namespace

struct AdminPages::Exporter {
  explicit Exporter(const AdminSources& sources)
      : collector(sources),
        requests(prometheus::BuildCounter()
                     .Name(std::string(kAdminRequestsMetric.name))
                     .Help(std::string(kAdminRequestsMetric.help))
                     .Register(registry)) {}

  StatsCollector collector;
  prometheus::Registry registry;  // what the admin threads count themselves
  prometheus::Family<prometheus::Counter>& requests;
};

// All pages but the files of PageFiles(). A new one is a row here and a member function.
struct AdminPageList {
  struct Page {
    std::string_view path;
    AdminReply (AdminPages::*answer)() const;
  };
  static constexpr Page kPages[] = {
      {"/metrics", &AdminPages::Metrics},    {"/healthz", &AdminPages::Healthz},
      {"/readyz", &AdminPages::Readyz},      {"/stats", &AdminPages::Stats},
      {"/config", &AdminPages::Config},      {"/clusters", &AdminPages::Clusters},
      {"/hotkeys", &AdminPages::HotKeys},    {"/slowlog", &AdminPages::Slowlog},
      {"/bigkeys", &AdminPages::BigKeyList}, {"/policies", &AdminPages::Policies},
  };
};

AdminPages::AdminPages(AdminSources sources, bool loopback_only, std::string token)
    : sources_(std::move(sources)),
      access_(std::move(token), loopback_only),
      exporter_(std::make_unique<Exporter>(sources_)) {}

AdminPages::~AdminPages() = default;

std::string_view AdminPages::SecurityHeaders() {
  return "Cache-Control: no-store\r\n"
         "Content-Security-Policy: default-src 'none'; script-src 'self'; style-src 'self'; "
         "connect-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors "
         "'none'\r\n"
         "Cross-Origin-Resource-Policy: same-origin\r\n"
         "Referrer-Policy: no-referrer\r\n"
         "X-Content-Type-Options: nosniff\r\n"
         "X-Frame-Options: DENY\r\n";
}

AdminReply AdminPages::Answer(const AdminRequest& request) {
  AdminReply reply = Find(request);
  exporter_->requests.Add({{std::string(kAdminRequestsMetric.label), std::to_string(reply.status)}})
      .Increment();
  return reply;
}

AdminReply AdminPages::Find(const AdminRequest& request) const {
  const AdminVerdict verdict = access_.Judge({.path = request.path,
                                              .host = request.host,
                                              .authorization = request.authorization,
                                              .is_local = request.is_local});
  if (verdict != AdminVerdict::kAllowed) {
    return PlainReply(verdict == AdminVerdict::kNoToken ? 401 : 403, std::string(Explain(verdict)));
  }
  if (request.path == kBackupPath) return Backup(request);
  if (const std::optional<DrainRequest> drain = ParseDrainPath(request.path)) {
    if (std::optional<AdminReply> refusal = RefuseToAct(request)) return *std::move(refusal);
    DrainAnswer answer = AnswerDrain(sources_.discovery, *drain);
    return {.status = answer.status, .content_type = kJson, .body = std::move(answer.body)};
  }
  const bool reads = request.method == "GET" || request.method == "HEAD";
  for (const AdminPageList::Page& page : AdminPageList::kPages) {
    if (page.path != request.path) continue;
    return reads ? (this->*page.answer)() : PlainReply(405, kOnlyReads);
  }
  for (const PageFile& file : PageFiles()) {
    if (file.path != request.path) continue;
    if (!reads) return PlainReply(405, kOnlyReads);
    return {.content_type = file.content_type, .body = std::string(file.text)};
  }
  return PlainReply(404, "No such page. The pages are linked from / .\n");
}

AdminReply AdminPages::Metrics() const {
  std::vector<prometheus::MetricFamily> families = exporter_->collector.Collect();
  std::vector<prometheus::MetricFamily> own = exporter_->registry.Collect();
  families.insert(families.end(), std::make_move_iterator(own.begin()),
                  std::make_move_iterator(own.end()));
  // A family without series would be a HELP line without values.
  std::erase_if(families, [](const auto& family) { return family.metric.empty(); });
  return {.content_type = kPrometheusText,
          .body = prometheus::TextSerializer().Serialize(families)};
}

AdminReply AdminPages::Stats() const {
  return {.content_type = kJson, .body = StatsJson(sources_)};
}

AdminReply AdminPages::Healthz() const { return PlainReply(200, "ok\n"); }

AdminReply AdminPages::Readyz() const {
  switch (sources_.readiness()) {
    case Readiness::kReady:
      return PlainReply(200, "ready\n");
    case Readiness::kStarting:
      return PlainReply(503, "starting\n");
    case Readiness::kDraining:
      break;
  }
  return PlainReply(503, "draining\n");
}

AdminReply AdminPages::Config() const {
  return {.content_type = kJson, .body = ConfigJson(*sources_.config->Snapshot())};
}

AdminReply AdminPages::Clusters() const {
  return {.content_type = kJson, .body = ClustersJson(sources_)};
}

AdminReply AdminPages::BigKeyList() const {
  const int64_t now_ms = UnixMillis();
  return {
      .content_type = kJson,
      .body = BigKeysJson(
          sources_.big_keys != nullptr ? sources_.big_keys->Facts(now_ms) : BigKeyFacts(), now_ms)};
}

AdminReply AdminPages::HotKeys() const {
  return {.content_type = kJson,
          .body = HotKeysJson(sources_.hot_keys ? sources_.hot_keys() : HotKeyFacts())};
}

AdminReply AdminPages::Policies() const {
  return {.content_type = kJson, .body = PoliciesJson(sources_)};
}

AdminReply AdminPages::Slowlog() const {
  return {.content_type = kJson, .body = SlowlogJson(sources_)};
}

AdminReply AdminPages::Backup(const AdminRequest& request) const {
  if (std::optional<AdminReply> refusal = RefuseToAct(request)) return *std::move(refusal);
  const BackupAnswer answer =
      sources_.make_backup ? sources_.make_backup(NameInQuery(request.query)) : BackupAnswer();
  return {.status = StatusOf(answer), .content_type = kJson, .body = BackupJson(answer)};
}

}  // namespace tidegate
