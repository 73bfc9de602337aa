#include "proxy/session/route_key_scan.h"

#include <algorithm>
#include <fstream>
#include <utility>

#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/shown_text.h"
#include "base/text.h"
#include "proxy/observe/key_observer.h"
#include "proxy/server.h"
#include "proxy/topology/reply.h"
#include "proxy/upstream/upstream_cluster.h"
#include "proxy/upstream/upstream_connection.h"
#include "proxy/upstream/upstream_link.h"
#include "proxy/worker.h"

namespace tidegate {
namespace {

// No session has the number.
constexpr uint64_t kNoSession = ~uint64_t{0} >> kTicketWorkerBits;

uint16_t NumberOf(const UpstreamCluster* cluster) {
  return cluster == nullptr ? uint16_t{0} : KeyspaceNumber(cluster->number());
}

}  // namespace

RouteKeyScan::RouteKeyScan(Worker& worker, std::shared_ptr<AbsentKeys> keys, Source source)
    : worker_(worker),
      keys_(std::move(keys)),
      known_(*keys_->known_keys()),
      source_(std::move(source)),
      link_(new UpstreamLink),
      timer_(worker.loop(), [this] { Step(); }) {
  link_->client = this;
  client_.ticket = MakeTicket(kNoSession, worker.index());
  timer_.StartEvery(kKeyScanStepMillis);
}

RouteKeyScan::~RouteKeyScan() {
  reader_stops_.store(true);
  if (reader_.joinable()) reader_.join();
  link_->Leave();
  if (suspended_) worker_.server().engine().Cancel(worker_.engine_thread(), client_);
  known_.DropBuild();
}

bool RouteKeyScan::Does(const AbsentKeys* keys, const Route& route) const {
  return keys_.get() == keys && source_.cluster == route.upstream &&
         source_.prefixes.strip == route.prefixes.strip &&
         source_.prefixes.add == route.prefixes.add;
}

void RouteKeyScan::Step() {
  worker_.loop().TurnBegins();
  const int64_t now_ns = MonotonicNanos();
  switch (phase_) {
    case Phase::kPause: {
      const int64_t age_ns = std::chrono::nanoseconds(keys_->bloom_options().rebuild).count();
      const bool due = begun_ns_ == 0 || now_ns - begun_ns_ >= age_ns || known_.WantsBuild();
      if (due && now_ns >= pause_until_ns_) Begin(now_ns);
      return;
    }
    case Phase::kScan:
      return Scan();
    case Phase::kFile:
      return EndFile();
    case Phase::kWait:
      return;
  }
}

void RouteKeyScan::Begin(int64_t now_ns) {
  begun_ns_ = now_ns;
  nodes_ = Nodes();
  const bool is_file = !keys_->bloom_options().file.empty();
  if (!is_file && source_.cluster != nullptr && nodes_.empty()) return End(false);
  known_.BeginBuild(keys_wanted_);
  if (is_file) {
    phase_ = Phase::kFile;
    read_.store(Outcome::kReading);
    reader_ = std::thread([this] { ReadFile(); });
    return;
  }
  phase_ = Phase::kScan;
  node_ = 0;
  cursor_ = "0";
}

std::vector<topology::NodeAddress> RouteKeyScan::Nodes() const {
  std::vector<topology::NodeAddress> nodes;
  if (source_.cluster == nullptr || !source_.cluster->topology().problem.empty()) return nodes;
  for (const UpstreamNode* node : source_.cluster->AllPrimaries()) nodes.push_back(node->address());
  return nodes;
}

// --- a walk ---

void RouteKeyScan::Scan() {
  const int64_t each = keys_->bloom_options().scan_rate * static_cast<int64_t>(kKeyScanStepMillis);
  const std::string count = std::to_string(std::clamp<int64_t>(each / 1000, 1, kKeyScanCountMax));
  const std::string_view words[] = {"SCAN", cursor_, "COUNT", count};
  const Request request{
      .command = worker_.server().commands().Find(words[0]), .args = words, .keys = {}};
  if (source_.cluster == nullptr) return ScanEngine(request);
  ScanUpstream(request);
}

// A request that is suspended is tried again with the next step.
void RouteKeyScan::ScanEngine(const Request& request) {
  Engine& engine = worker_.server().engine();
  EngineThread& thread = worker_.engine_thread();
  OutputBuffer out(worker_.output_blocks());
  ReplyWriter reply(out);
  engine.BeginBatch(thread, UnixMillis());
  const ExecStatus status = engine.Execute(thread, request, client_, reply);
  engine.EndBatch(thread);
  suspended_ = status == ExecStatus::kSuspended;
  if (suspended_) return;
  client_.continuation.reset();
  TakeReply(out.CopyFrom(0));
}

void RouteKeyScan::ScanUpstream(const Request& request) {
  UpstreamCluster& cluster = *source_.cluster;
  if (Nodes() != nodes_ || !cluster.Refusal(0, Protocol::kResp2).empty()) return End(false);
  UpstreamNode& node = *cluster.AllPrimaries()[node_];
  UpstreamConnection& connection = node.ConnectionFor({.database = 0,
                                                       .protocol = Protocol::kResp2,
                                                       .reads_replica = false,
                                                       .lane = cluster.BackgroundLane()});
  const UpstreamRequest waiting{
      .link = link_, .command = request.command, .begin_ticks = Ticks(), .is_private = 1};
  if (!connection.Place(request, waiting)) return End(false);
  ++link_->outstanding;
  phase_ = Phase::kWait;
}

void RouteKeyScan::OnUpstreamReply(const UpstreamRequest& /*request*/, std::string_view reply) {
  if (phase_ != Phase::kWait) return;
  phase_ = Phase::kScan;
  TakeReply(reply);
}

void RouteKeyScan::TakeReply(std::string_view reply) {
  topology::ReplyReader reader;
  reader.Feed(reply);
  const Result<std::optional<topology::Reply>> read = reader.Next();
  if (!read.ok() || !read.value() || (*read.value()).items.size() != 2) return End(false);
  const topology::Reply& answer = *read.value();
  for (const topology::Reply& key : answer.items[1].items) TakeKey(key.text);
  if (known_.build_is_full()) {
    keys_wanted_ = std::min(keys_wanted_ * 2, kBloomKeysMax);
    known_.DropBuild();
    return keys_wanted_ == kBloomKeysMax ? End(false) : Begin(MonotonicNanos());
  }
  cursor_ = answer.items[0].text;
  if (cursor_ != "0") return;
  if (source_.cluster != nullptr && ++node_ < nodes_.size()) return;
  End(source_.cluster == nullptr || Nodes() == nodes_);
}

// The name that clients use.
void RouteKeyScan::TakeKey(std::string_view name) {
  const KeyPrefixes& prefixes = source_.prefixes;
  if (!name.starts_with(prefixes.add)) return;
  const std::string said = prefixes.strip + std::string(name.substr(prefixes.add.size()));
  if (source_.match == "*" || GlobMatch(source_.match, said)) known_.AddFound(KeyHash(said));
}

// --- a file ---

// On a thread of its own: a disk may take its time.
void RouteKeyScan::ReadFile() {
  constexpr size_t kLinesBetweenLooks = 4096;
  std::ifstream file(keys_->bloom_options().file, std::ios::binary);
  std::string line;
  size_t lines = 0;
  while (std::getline(file, line)) {
    if (line.ends_with('\r')) line.pop_back();
    if (!line.empty()) known_.AddFound(KeyHash(line));
    if (++lines % kLinesBetweenLooks != 0) continue;
    if (reader_stops_.load()) return;
    if (known_.build_is_full()) break;
  }
  const bool whole = file.eof() && !file.bad() && lines > 0;
  read_.store(known_.build_is_full() ? Outcome::kFull : whole ? Outcome::kWhole : Outcome::kFailed);
}

void RouteKeyScan::EndFile() {
  const Outcome outcome = read_.load();
  if (outcome == Outcome::kReading) return;
  reader_.join();
  if (outcome == Outcome::kFull && keys_wanted_ < kBloomKeysMax) {
    keys_wanted_ = std::min(keys_wanted_ * 2, kBloomKeysMax);
    return Begin(MonotonicNanos());
  }
  End(outcome == Outcome::kWhole);
}

// --- the end ---

void RouteKeyScan::End(bool whole) {
  phase_ = Phase::kPause;
  const int64_t now_ns = MonotonicNanos();
  const bool is_file = !keys_->bloom_options().file.empty();
  const bool done =
      whole && known_.EndBuild(is_file ? KnownKeys::kEveryCluster : NumberOf(source_.cluster));
  if (done) {
    was_told_ = false;
    keys_wanted_ = std::max(known_.size(), kBloomKeysMin);
    log::Notice("bloom of route '" + Shown(source_.match) + "': complete with " +
                std::to_string(known_.size()) + " keys");
  } else {
    known_.DropBuild();
    if (!std::exchange(was_told_, true)) {
      log::Warning("bloom of route '" + Shown(source_.match) + "': not all keys could be found" +
                   (is_file ? " in " + Shown(keys_->bloom_options().file) : std::string()) +
                   "; it says nothing until they are");
    }
  }
  // One that keeps losing keys soon after is not built all the time.
  next_pause_ns_ = done && now_ns - pause_until_ns_ > kKeyScanPauseNanosMax
                       ? kKeyScanPauseNanos
                       : std::min(next_pause_ns_ * 2, kKeyScanPauseNanosMax);
  pause_until_ns_ = now_ns + next_pause_ns_ / 2;
}

}  // namespace tidegate
