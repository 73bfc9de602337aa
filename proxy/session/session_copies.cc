// The part of SessionFlights that has other replies for clients than what is there: a copy in place
// of an error or of a wait (stale), nil in place of a value that ends soon (early_refresh).
#include <algorithm>
#include <array>
#include <string>

#include "base/clock.h"
#include "policy/command_access.h"
#include "policy/route_policies.h"
#include "proxy/commands/unnamed_writes.h"
#include "proxy/session/session.h"
#include "proxy/session/session_flights.h"
#include "proxy/session/session_guards.h"
#include "proxy/upstream/upstream_cluster.h"
#include "proxy/worker.h"

namespace tidegate {
namespace {

constexpr int64_t kNanosPerMilli = 1'000'000;

// In mode observe nobody loads what somebody might: such leases are of other keys.
constexpr hotkey::KeyId kObservedLease = 0x6f62736572766564u;

// What says that a node cannot be asked: its own words, or ours.
bool IsDown(std::string_view error) {
  constexpr std::array<std::string_view, 4> kBegins = {"-CLUSTERDOWN", "-LOADING", "-MASTERDOWN",
                                                       "-ERR upstream cluster '"};
  return std::any_of(kBegins.begin(), kBegins.end(),
                     [error](std::string_view begin) { return error.starts_with(begin); });
}

// FLUSHALL, SWAPDB, scripts and their kind. What is published, or is about scripts, writes no keys.
bool MayWriteAny(const Request& request) {
  const std::string_view name = request.command->full_name;
  return request.command->spec->group != Group::kPubSub && !name.starts_with("script|") &&
         !name.starts_with("function|") && WritesUnnamedKeys(request);
}

}  // namespace

// A replica may have what a client has deleted. Listeners may send a route's keys elsewhere.
bool SessionFlights::MayCopy(const Route& route, std::string_view key) const {
  StaleCopies* const stale = route.policies->stale();
  if (stale == nullptr || !stale->Names(key)) return false;
  return route.upstream == nullptr || route.upstream->options().read_from == ReadFrom::kPrimary;
}

void SessionFlights::BeginWriteOfAny(const Request& request) {
  const bool executes = session_.transaction_.open() && request.command->full_name == "exec";
  bool any = !executes && MayWriteAny(request);
  bool only_scripts = any && request.command->spec->group == Group::kScripting;
  for (size_t i = 0; executes && i < session_.transaction_.size(); ++i) {
    const Request queued = session_.transaction_.at(i).view();
    if (!MayWriteAny(queued)) continue;
    const bool is_script = queued.command->spec->group == Group::kScripting;
    only_scripts = is_script && (only_scripts || !any);
    any = true;
  }
  if (!any) return;
  for (const Route& route : session_.router().routes()) {
    StaleCopies* const stale = route.policies == nullptr ? nullptr : route.policies->stale();
    if (stale == nullptr || (only_scripts && stale->scripts_name_keys())) continue;
    FlightWrite write{.policies = route.policies};
    write.copying = stale->BeginWriteOfAny(KeyspaceOf(route, session_.client_.db).cluster);
    writes_.push_back(std::move(write));
  }
}

void SessionFlights::BeginExpiry(const Request& request, const KeyRef& key,
                                 FlightWrite& write) const {
  EarlyRefresh* const early = write.policies->early_refresh();
  if (early == nullptr || !early->Names(key.name)) return;
  early->expiries().Forget(write.id);
  const Verdict& verdict = session_.guards_->verdict;
  write.ttl_ms = WrittenTtlMs(request, verdict.ttl ? &*verdict.ttl : nullptr);
  write.begun_ms = MonotonicNanos() / kNanosPerMilli;
}

// --- early_refresh ---

bool SessionFlights::MissesEarly(const FlightRead& read) {
  if (!read.refreshes) return false;
  EarlyRefresh& early = *read.policies->early_refresh();
  WorkerFlights& flights = session_.worker_.flights();
  const int64_t now_ns = MonotonicNanos();
  const std::optional<int64_t> remaining_ms =
      early.expiries().RemainingMs(read.key.id, now_ns / kNanosPerMilli);
  if (!remaining_ms) {
    if (early.expiries().ShouldAsk(read.key.id))
      flights.AskTtl(read.policies, read.key, session_.client_.ticket);
    return false;
  }
  const int64_t load_ns = read.policies->single_flight()->LoadNanos(read.place);
  return early.Draws(*remaining_ms, load_ns, flights.NextLot()) && LeadsEarly(read, now_ns);
}

bool SessionFlights::LeadsEarly(const FlightRead& read, int64_t now_ns) {
  LeaseTable& leases = session_.worker_.flights().leases();
  const PolicyMode mode = read.policies->early_refresh()->mode();
  const bool acts = mode == PolicyMode::kEnforce;
  const hotkey::KeyId id = acts ? read.key.id : read.key.id ^ kObservedLease;
  const LeaseTable::Missed missed =
      leases.Miss({.id = id,
                   .generation = acts ? read.generation : leases.GenerationOf(id),
                   .client = session_.client_.ticket,
                   .worker = session_.worker_.index(),
                   .now_ns = now_ns,
                   .lease_ns = read.key.lease_ns,
                   .may_wait = false,
                   .is_early = true});
  if (missed.place != LeaseTable::Place::kLeads) return false;
  PolicyCounters& counters = read.policies->counters();
  counters.Count(PolicyKind::kEarlyRefresh, PolicyAct::kRefused, mode);
  if (!acts) return false;
  counters.flight.leases.fetch_add(1, std::memory_order_relaxed);
  Lead(read.key.id);
  return true;
}

// --- stale ---

// What the engine has changes by writes alone that are told of: a copy need not be compared.
void SessionFlights::FoundHere(size_t mark) {
  const FlightRead& read = here_->read;
  OutputBuffer& output = session_.output_;
  if (read.flies) session_.worker_.flights().NoteFound(read.key.id);
  if (output.size() <= mark) return;
  if (read.copies && read.policies->stale()->IsWanted(read.copied(), read.ask)) {
    const std::string reply = output.CopyFrom(mark);
    if (reply.starts_with('$')) read.policies->stale()->Found(read.copied(), read.ask, reply);
  }
  if (!MissesEarly(read) || output.CopyFrom(mark).front() != '$') return;
  output.Truncate(mark);
  session_.reply_.Null();
}

void SessionFlights::TakeError(const FlightRead& read, std::string_view& reply,
                               std::string& instead) {
  StaleCopies* const stale = read.copies ? read.policies->stale() : nullptr;
  if (stale == nullptr || !stale->while_down() || !IsDown(reply)) return;
  std::optional<StaleCopies::Copy> copy =
      stale->Give(read.copied(), &StaleFigures::down, MonotonicNanos());
  if (!copy) return;
  instead = std::move(copy->reply);
  reply = instead;
}

}  // namespace tidegate
