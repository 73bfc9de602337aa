#include "proxy/session/session_flights.h"

#include <algorithm>
#include <string>
#include <utility>

#include "base/clock.h"
#include "base/shown_text.h"
#include "policy/command_access.h"
#include "policy/route_policies.h"
#include "proxy/session/session.h"
#include "proxy/session/session_guards.h"
#include "proxy/session/session_private.h"
#include "proxy/session/session_upstream.h"
#include "proxy/worker.h"

namespace tidegate {
namespace {

std::string TooLong(std::string_view route) {
  return "THROTTLED the key is being loaded (single_flight of route '" + Shown(route) +
         "'): try again later";
}

// Holds the nil of a read.
class FlightReadHook final : public ReplyHook {
 public:
  FlightReadHook(SessionFlights& flights, FlightRead read)
      : flights_(flights), read_(std::move(read)) {}

  const FlightRead& read() const { return read_; }
  Fate OnReply(const UpstreamRequest& request, std::string_view& reply) override {
    const bool is_held = flights_.TakeReply(read_, request.sequence, reply, instead_);
    return is_held ? Fate::kHeld : Fate::kWritten;
  }
  void OnLargeReply(const UpstreamRequest& /*request*/, std::string_view begin) override {
    flights_.TakeLargeReply(read_, begin);
  }

 private:
  SessionFlights& flights_;  // as long as there is somebody to get the reply
  const FlightRead read_;
  std::string instead_;
};

// Notes writes when they have been executed, or when nothing more will be heard of them.
class FlightWriteHook final : public ReplyHook {
 public:
  FlightWriteHook(WorkerFlights& flights, std::vector<FlightWrite> writes)
      : flights_(flights), writes_(std::move(writes)) {}
  ~FlightWriteHook() override { flights_.NoteWritten(writes_, failed_); }

  Fate OnReply(const UpstreamRequest& /*request*/, std::string_view& reply) override {
    failed_ = reply.starts_with('-');
    return Fate::kWritten;
  }
  void OnLargeReply(const UpstreamRequest& /*request*/, std::string_view /*begin*/) override {}

 private:
  WorkerFlights& flights_;
  const std::vector<FlightWrite> writes_;
  bool failed_ = false;
};

}  // namespace

SessionFlights* Session::flights() const {
  return guards_ == nullptr ? nullptr : guards_->flights.get();
}

// Nobody waits for a load of what is known not to be there.
bool Session::KeepsMiss(const Request& request, size_t mark) {
  SessionFlights* const mine = flights();
  if (mine != nullptr && IsKnownAbsent(*guards_, mark)) return false;
  return mine != nullptr && mine->KeepsMiss(request, mark);
}

void Session::HastenReads() {
  if (SessionFlights* const mine = flights()) mine->Hasten();
}

SessionFlights::~SessionFlights() {
  WorkerFlights& worker = session_.worker_.flights();
  for (const Parked& parked : parked_) worker.parking().Forget(parked.number);
  if (here_) worker.parking().Forget(here_->number);
  for (const hotkey::KeyId id : leads_) worker.Abandon(id, session_.client_.ticket);
}

// --- the request at hand ---

void SessionFlights::BeginFor(Session& session, const Request& request) {
  std::unique_ptr<SessionFlights>& flights = session.guards_->flights;
  if (flights == nullptr) flights = std::make_unique<SessionFlights>(session);
  if (session.transaction_.open() && request.command->full_name == "exec") {
    for (size_t i = 0; i < session.transaction_.size(); ++i)
      flights->BeginWrite(session.transaction_.at(i).view());
  } else {
    flights->Begin(request);
  }
  flights->BeginWriteOfAny(request);
  flights->HookWrites();
}

void SessionFlights::Begin(const Request& request) {
  if (request.command->full_name == "get") return BeginRead(request);
  BeginWrite(request);
}

// Who watches keys, or wants no reply, is told what is there.
bool SessionFlights::MayWait() const {
  return session_.reply_mode_ == ReplyMode::kOn && !session_.resuming_ &&
         !session_.transaction_.open() && session_.client_.watches.keys().empty() &&
         (session_.private_ == nullptr || session_.private_->watched() == nullptr);
}

// A key that is on the way from one cluster to another has not been looked for everywhere.
std::optional<FlightRead> SessionFlights::ReadOf(const Request& request) const {
  const KeyRef& key = request.keys[0];
  const Route& route = session_.router().RouteOf(request);
  if (route.policies == nullptr || route.move != nullptr) return std::nullopt;
  SingleFlight* const flight = route.policies->single_flight();
  EarlyRefresh* const early = route.policies->early_refresh();
  const bool flies = flight != nullptr && flight->Looks(key.name);
  const bool copies = MayCopy(route, key.name);
  if (!flies && !copies) return std::nullopt;
  const hotkey::Keyspace keyspace = KeyspaceOf(route, session_.client_.db);
  const uint16_t place = LoadTimes::PlaceOf(key.name);
  const hotkey::KeyId id = hotkey::IdOf(key.hash, keyspace);
  FlightRead read{.policies = route.policies,
                  .key = {.id = id,
                          .keyspace = keyspace,
                          .name = std::string(key.name),
                          .lease_ns = flies ? flight->LeaseNanos(place) : 0,
                          .route = route.policies->route(),
                          .counters = &route.policies->counters()},
                  .hash = key.hash,
                  .place = place,
                  .generation = session_.worker_.flights().leases().GenerationOf(id),
                  .flies = flies,
                  .refreshes = flies && early != nullptr && early->Names(key.name),
                  .copies = copies,
                  .is_resp3 = session_.protocol() == Protocol::kResp3};
  if (copies) read.ask = route.policies->stale()->Begin(read.copied(), MonotonicNanos());
  return read;
}

void SessionFlights::BeginRead(const Request& request) {
  if (request.keys.size() != 1 || !MayWait()) return;
  std::optional<FlightRead> read = ReadOf(request);
  if (!read) return;
  if (session_.router().RouteOf(request).upstream == nullptr) {
    here_.emplace(Here{.read = std::move(*read)});
    return;
  }
  auto hook = std::make_unique<FlightReadHook>(*this, std::move(*read));
  at_hand_ = &hook->read();
  session_.guards_->AddHook(std::move(hook));
}

void SessionFlights::BeginWrite(const Request& request) {
  for (const KeyRef& key : request.keys) BeginWriteOfKey(request, key);
}

void SessionFlights::BeginWriteOfKey(const Request& request, const KeyRef& key) {
  const Route& route = session_.router().RouteOfKey(key.name);
  if (route.policies == nullptr) return;
  const bool writes = DataAccessOf(*request.command) == DataAccess::kWrite;
  SingleFlight* const flight = route.policies->single_flight();
  const bool flies = flight != nullptr && flight->Looks(key.name);
  const bool copies = writes && MayCopy(route, key.name);
  if (!flies && !copies) return;
  const hotkey::Keyspace keyspace = KeyspaceOf(route, session_.client_.db);
  FlightWrite write{.id = hotkey::IdOf(key.hash, keyspace),
                    .place = LoadTimes::PlaceOf(key.name),
                    .policies = route.policies,
                    .makes = flies && MayMakeKeys(*request.command)};
  if (flies) {
    flight->NoteUse(request, key, keyspace, MonotonicNanos());
    if (writes) AnswerOwn(write.id);
    if (write.makes) std::erase(leads_, write.id);
    if (writes) BeginExpiry(request, key, write);
  }
  if (copies) {
    const std::string_view name = request.command->full_name;
    write.copying = route.policies->stale()->BeginWrite(
        {.name = key.name, .hash = key.hash, .keyspace = keyspace},
        name == "del" || name == "unlink");
  }
  if (write.makes || copies) writes_.push_back(std::move(write));
}

void SessionFlights::HookWrites() {
  if (writes_.empty()) return;
  session_.guards_->AddHook(
      std::make_unique<FlightWriteHook>(session_.worker_.flights(), std::exchange(writes_, {})));
}

// What the same client reads and then writes is answered as it was when it read.
void SessionFlights::AnswerOwn(hotkey::KeyId id) {
  for (const Parked& parked : parked_) {
    if (parked.id == id) session_.worker_.flights().parking().Answer(parked.number);
  }
}

// --- what was found ---

bool SessionFlights::LeadsAnother(hotkey::KeyId id, int64_t now_ns) {
  LeaseTable& leases = session_.worker_.flights().leases();
  std::erase_if(leads_, [&](hotkey::KeyId one) {
    return !leases.Leads(one, session_.client_.ticket, now_ns);
  });
  return std::any_of(leads_.begin(), leads_.end(), [id](hotkey::KeyId one) { return one != id; });
}

void SessionFlights::Lead(hotkey::KeyId id) {
  std::erase(leads_, id);
  if (leads_.size() >= kLeasesOfClientMax) leads_.erase(leads_.begin());
  leads_.push_back(id);
}

int64_t SessionFlights::DeadlineFor(const FlightRead& read, bool is_behind, int64_t now_ns) {
  const int64_t wait_ns = read.policies->single_flight()->WaitNanos(read.place);
  const bool is_short = is_behind || LeadsAnother(read.key.id, now_ns);
  return now_ns + (is_short ? std::min(wait_ns, kShortWaitNanos) : wait_ns);
}

// Who gets a copy does not wait, and leaves the load to others all the same.
ReadParking::Parked SessionFlights::Miss(const FlightRead& read, ParkedRead parked, int64_t now_ns,
                                         std::string& copy) {
  SingleFlight& flight = *read.policies->single_flight();
  flight.NoteNil(read.key.name, read.key.id, now_ns);
  const PolicyMode mode = flight.ModeFor(read.key.name, now_ns);
  if (mode == PolicyMode::kOff) return {};
  parked.client = session_.client_.ticket;
  parked.wants_error = flight.wants_error();
  StaleCopies* const stale = read.copies ? read.policies->stale() : nullptr;
  const bool looks = stale != nullptr && stale->while_loading();
  std::optional<StaleCopies::Copy> found;
  if (looks) found = stale->Find(read.copied(), now_ns);
  const bool gives = found && stale->mode() == PolicyMode::kEnforce;
  const bool may_wait = mode == PolicyMode::kEnforce && !gives;
  const ReadParking::Parked missed = session_.worker_.flights().parking().Missed(
      read.key, parked, read.generation, may_wait, now_ns);
  if (missed.place == ReadParking::Place::kLeads) Lead(read.key.id);
  if (missed.place != ReadParking::Place::kWaits) return missed;
  if (looks && !found) stale->CountMissing();
  if (found && stale->MayGive(*found, &StaleFigures::loading)) {
    copy = std::move(found->reply);
    return {};
  }
  read.policies->counters().Count(PolicyKind::kSingleFlight, PolicyAct::kDelayed, mode);
  return may_wait ? missed : ReadParking::Parked();
}

bool SessionFlights::TakeReply(const FlightRead& read, uint32_t sequence, std::string_view& reply,
                               std::string& instead) {
  if (!IsNilReply(reply)) {
    if (!reply.starts_with('$')) {
      TakeError(read, reply, instead);
      return false;
    }
    NoteFound(read);
    if (read.copies) read.policies->stale()->Found(read.copied(), read.ask, reply);
    if (read.refreshes && MissesEarly(read)) reply = NilOf(read);
    return false;
  }
  if (!read.flies) return false;
  const int64_t now_ns = MonotonicNanos();
  const bool is_behind = session_.upstream_->unwritten() > kUnansweredOfOne || session_.stops_ != 0;
  const ReadParking::Parked missed =
      Miss(read, {.sequence = sequence, .deadline_ns = DeadlineFor(read, is_behind, now_ns)},
           now_ns, instead);
  if (!instead.empty()) reply = instead;
  if (missed.place != ReadParking::Place::kWaits) return false;
  parked_.push_back({missed.number, sequence, read.key.id, reply.front() == '_'});
  return true;
}

void SessionFlights::TakeLargeReply(const FlightRead& read, std::string_view begin) {
  if (!begin.starts_with('$')) return;
  NoteFound(read);
  if (read.copies) read.policies->stale()->FoundLarge(read.copied());
}

// Replies come in order: what was read before may not be newer.
void SessionFlights::NoteFound(const FlightRead& read) {
  if (!read.flies) return;
  AnswerOwn(read.key.id);
  session_.worker_.flights().NoteFound(read.key.id);
}

void SessionFlights::EndRead(const ParkedRead& read, ParkEnd end, const ParkedKey& key,
                             std::string_view reply) {
  if (end == ParkEnd::kLeads) Lead(key.id);
  if (end == ParkEnd::kError)
    key.counters->Count(PolicyKind::kSingleFlight, PolicyAct::kRefused, PolicyMode::kEnforce);
  if (read.is_here) return EndHere(end);
  const auto parked = std::find_if(parked_.begin(), parked_.end(), [&read](const Parked& one) {
    return one.sequence == read.sequence;
  });
  if (parked == parked_.end()) return;
  const bool is_resp3 = parked->is_resp3;
  parked_.erase(parked);
  if (end == ParkEnd::kValue) return session_.WriteHeld(read.sequence, reply);
  if (end == ParkEnd::kError)
    return session_.WriteHeld(read.sequence, "-" + TooLong(key.route) + "\r\n");
  session_.WriteHeld(read.sequence, is_resp3 ? "_\r\n" : "$-1\r\n");
}

void SessionFlights::Hasten() {
  ReadParking& parking = session_.worker_.flights().parking();
  const int64_t deadline_ns = MonotonicNanos() + kShortWaitNanos;
  for (const Parked& parked : parked_) parking.Hasten(parked.number, deadline_ns);
  if (here_ && here_->number != 0) parking.Hasten(here_->number, deadline_ns);
}

// --- of the engine ---

void SessionFlights::BeforeExecution() {
  if (!here_) return;
  WorkerFlights& flights = session_.worker_.flights();
  flights.parking().Forget(std::exchange(here_->number, 0));
  FlightRead& read = here_->read;
  read.generation = flights.leases().GenerationOf(read.key.id);
  if (read.copies) read.ask = read.policies->stale()->Begin(read.copied(), MonotonicNanos());
}

void SessionFlights::EndHere(ParkEnd end) {
  if (!here_) return;
  here_->number = 0;
  here_->end = end;
  session_.Resume();
}

bool SessionFlights::KeepsMiss(const Request& request, size_t mark) {
  if (!here_) return false;
  OutputBuffer& output = session_.output_;
  constexpr size_t kNilBytesMax = 5;
  const size_t bytes = output.size() - mark;
  if (bytes > kNilBytesMax || !IsNilReply(output.CopyFrom(mark))) {
    FoundHere(mark);
    return false;
  }
  if (!here_->read.flies) return false;
  const std::optional<ParkEnd> end = here_->end;
  if (end == ParkEnd::kError) {
    output.Truncate(mark);
    session_.reply_.Error(TooLong(here_->read.key.route));
    return false;
  }
  const int64_t now_ns = MonotonicNanos();
  const bool is_over = here_->deadline_ns != 0 && here_->deadline_ns <= now_ns;
  if (is_over || (end && *end != ParkEnd::kAgain)) return false;
  const std::span<const Request> batch = session_.worker_.batch().requests();
  const bool is_last = !batch.empty() && batch.back().args.data() == request.args.data();
  std::string copy;
  const bool waits = TakeMissHere(now_ns, is_last, copy);
  if (!waits && copy.empty()) return false;
  output.Truncate(mark);
  if (!waits) session_.reply_.Replay(copy);
  if (!waits) return false;
  session_.ForgetResumption();
  session_.StopFor(Session::kStopParked);
  session_.worker_.mutable_counters().sessions_suspended.Add(1);
  return true;
}

// What waited goes on waiting for no longer than it might at first.
bool SessionFlights::TakeMissHere(int64_t now_ns, bool is_last, std::string& copy) {
  const int64_t deadline_ns = DeadlineFor(here_->read, !is_last, now_ns);
  here_->deadline_ns =
      here_->deadline_ns == 0 ? deadline_ns : std::min(here_->deadline_ns, deadline_ns);
  const ReadParking::Parked missed =
      Miss(here_->read, {.is_here = true, .deadline_ns = here_->deadline_ns}, now_ns, copy);
  here_->number = missed.number;
  here_->end.reset();
  return missed.place == ReadParking::Place::kWaits;
}

}  // namespace tidegate
