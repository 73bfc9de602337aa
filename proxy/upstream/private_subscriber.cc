#include "proxy/upstream/private_subscriber.h"

#include <algorithm>
#include <array>
#include <vector>

#include "base/clock.h"
#include "base/text.h"
#include "proxy/upstream/private_pool.h"
#include "proxy/upstream/upstream_cluster.h"
#include "storage/command.h"

namespace tidegate {
namespace {

struct Word {
  std::string_view text;
  SubscriptionKind kind;
  bool begins;
};

constexpr std::array<Word, 6> kWords = {{
    {"subscribe", SubscriptionKind::kChannel, true},
    {"unsubscribe", SubscriptionKind::kChannel, false},
    {"psubscribe", SubscriptionKind::kPattern, true},
    {"punsubscribe", SubscriptionKind::kPattern, false},
    {"ssubscribe", SubscriptionKind::kShardChannel, true},
    {"sunsubscribe", SubscriptionKind::kShardChannel, false},
}};

const Word* FindWord(std::string_view text) {
  const auto* found = std::find_if(kWords.begin(), kWords.end(), [text](const Word& word) {
    return EqualsIgnoreCase(word.text, text);
  });
  return found == kWords.end() ? nullptr : found;
}

// Takes a line off the front, without its end.
std::optional<std::string_view> TakeLine(std::string_view& bytes) {
  const size_t end = bytes.find("\r\n");
  if (end == std::string_view::npos) return std::nullopt;
  const std::string_view line = bytes.substr(0, end);
  bytes.remove_prefix(end + 2);
  return line;
}

// Takes a bulk string off the front. False: it is none.
bool TakeBulk(std::string_view& bytes, std::string_view& text) {
  const std::optional<std::string_view> header = TakeLine(bytes);
  if (!header || header->empty() || header->front() != '$') return false;
  const std::optional<int64_t> size = ParseInt64(header->substr(1));
  if (!size || *size < 0 || static_cast<uint64_t>(*size) + 2 > bytes.size()) return false;
  text = bytes.substr(0, static_cast<size_t>(*size));
  bytes.remove_prefix(static_cast<size_t>(*size) + 2);
  return true;
}

}  // namespace

std::optional<SubscriptionConfirmation> SubscriptionConfirmation::Parse(std::string_view frame) {
  const std::optional<std::string_view> header = TakeLine(frame);
  if (!header || (*header != "*3" && *header != ">3")) return std::nullopt;
  std::string_view text;
  if (!TakeBulk(frame, text)) return std::nullopt;
  const Word* const word = FindWord(text);
  if (word == nullptr) return std::nullopt;
  SubscriptionConfirmation confirmation{
      .kind = word->kind, .begins = word->begins, .word = word->text, .name = {}, .count = 0};
  if (frame.starts_with("_\r\n") || frame.starts_with("$-1\r\n")) {
    (void)TakeLine(frame);
  } else if (TakeBulk(frame, text)) {
    confirmation.name = text;
  } else {
    return std::nullopt;
  }
  const std::optional<std::string_view> count = TakeLine(frame);
  if (!count || count->empty() || count->front() != ':') return std::nullopt;
  confirmation.count = ParseInt64(count->substr(1)).value_or(0);
  return confirmation;
}

PrivateSubscriber::PrivateSubscriber(Audience& audience, UpstreamCluster& cluster)
    : audience_(audience),
      cluster_(&cluster),
      random_(static_cast<uint32_t>(MonotonicNanos())),
      timer_(cluster.environment().loop, [this] { OnTimer(); }) {}

PrivateSubscriber::~PrivateSubscriber() {
  if (connection_ == nullptr) return;
  PrivatePool& pool = connection_->pool();
  if (over() && unheard_ == 0) {
    pool.Release(*connection_);
  } else {
    pool.Discard(*connection_);
  }
}

bool PrivateSubscriber::empty() const {
  return std::all_of(names_.begin(), names_.end(), [](const auto& names) { return names.empty(); });
}

bool PrivateSubscriber::Send(const Request& request) {
  const Word* const word = FindWord(request.command->full_name);
  const size_t names = request.args.size() - 1;
  // Without names it ends all there are, each with a confirmation of its own.
  const size_t expected = names > 0 ? names : std::max<size_t>(names_[word->kind].size(), 1);
  // While it is connecting anew, what is said comes behind what is said again.
  if (!reconnecting_ && !connection_->connection().PlaceUnasked(request)) return false;
  pending_.emplace(Pending{OwnedRequest(request), 0, expected});
  if (!reconnecting_) ArmReplyTimer();
  return true;
}

bool PrivateSubscriber::OnPrivateFrame(std::string_view frame) {
  if (frame.front() == '-') return TakeError(frame);
  if (const auto confirmation = SubscriptionConfirmation::Parse(frame))
    return TakeConfirmation(*confirmation);
  if (empty()) return false;
  audience_.OnMessage(frame);
  return true;
}

bool PrivateSubscriber::TakeConfirmation(const SubscriptionConfirmation& confirmation) {
  if (unheard_ > 0) {
    failures_ = 0;
    if (--unheard_ == 0 && !pending_) timer_.Stop();
    return true;
  }
  if (confirmation.name) {
    auto& names = names_[confirmation.kind];
    if (confirmation.begins) {
      names.emplace(*confirmation.name);
    } else if (const auto found = names.find(*confirmation.name); found != names.end()) {
      names.erase(found);
    }
  }
  // One that nobody asked for is right too: a slot moved away, and its channels with it.
  audience_.OnConfirmed(confirmation);
  if (pending_ && ++pending_->confirmed == pending_->expected) Settle();
  return true;
}

bool PrivateSubscriber::TakeError(std::string_view frame) {
  // What it allowed before it refuses now: perhaps it thinks otherwise on a new connection.
  if (unheard_ > 0 || !pending_) return false;
  audience_.OnRefused(frame);
  Settle();
  return true;
}

void PrivateSubscriber::Settle() {
  pending_.reset();
  if (unheard_ == 0) timer_.Stop();
  audience_.OnSettled();
}

void PrivateSubscriber::OnPrivateLost(PrivateConnection& connection, std::string_view error) {
  unheard_ = 0;
  if (!empty()) return ReconnectLater();
  timer_.Stop();
  connection.pool().Release(connection);
  connection_ = nullptr;
  if (!pending_) return;
  audience_.OnRefused(error);
  Settle();
}

void PrivateSubscriber::ArmReplyTimer() {
  const ClusterOptions& options = cluster_->options();
  timer_.StartOnce(
      static_cast<uint64_t>((options.connect_timeout + options.request_timeout).count()));
}

void PrivateSubscriber::OnTimer() {
  if (!reconnecting_)
    return connection_->connection().GiveUp("no reply within the request-timeout");
  reconnecting_ = false;
  Reconnect();
}

bool PrivateSubscriber::MoveTo(UpstreamCluster& cluster) {
  const ClusterKind kind = cluster.options().kind;
  const bool several = kind == ClusterKind::kRedisCluster || kind == ClusterKind::kRing;
  if (kind == ClusterKind::kRing && !over()) return false;
  if (several && !names_[SubscriptionKind::kShardChannel].empty()) return false;
  cluster_ = &cluster;
  if (!connected() || over()) return true;
  connection_->connection().Close();
  timer_.Stop();
  reconnecting_ = false;
  unheard_ = 0;
  failures_ = 0;
  Reconnect();
  return true;
}

void PrivateSubscriber::ReconnectLater() {
  constexpr int kDoublingsMax = 10;
  const int doublings = std::min(failures_++, kDoublingsMax);
  const int64_t pause_ns = std::min(kReconnectPauseNanosMin << doublings, kReconnectPauseNanosMax);
  const double spread = std::uniform_real_distribution<double>(0.8, 1.2)(random_);
  reconnecting_ = true;
  timer_.StartOnce(static_cast<uint64_t>(static_cast<double>(pause_ns) * spread) / 1'000'000);
}

// The node may be another by now.
bool PrivateSubscriber::ChooseNode() {
  const auto& shards = names_[SubscriptionKind::kShardChannel];
  const auto& channels = names_[SubscriptionKind::kChannel];
  const auto& names = shards.empty() ? channels : shards;
  std::string refusal;
  UpstreamNode* const node =
      cluster_->ChooseForChannel(names.empty() ? std::string_view() : *names.begin(), refusal);
  if (node == nullptr) return false;
  if (node == &connection_->node()) return true;
  PrivateConnection* const other =
      node->private_pool().TakeNow(*this, connection_->database(), connection_->protocol());
  if (other == nullptr) return false;
  connection_->pool().Discard(*connection_);
  connection_ = other;
  return true;
}

void PrivateSubscriber::Reconnect() {
  const bool said = ChooseNode() && SayNames(SubscriptionKind::kChannel, "SUBSCRIBE") &&
                    SayNames(SubscriptionKind::kPattern, "PSUBSCRIBE") &&
                    SayNames(SubscriptionKind::kShardChannel, "SSUBSCRIBE") && SayPending();
  if (!said) return ReconnectLater();
  ArmReplyTimer();
}

bool PrivateSubscriber::SayNames(SubscriptionKind kind, std::string_view word) {
  const auto& names = names_[kind];
  if (names.empty()) return true;
  std::vector<std::string_view> args{word};
  args.insert(args.end(), names.begin(), names.end());
  if (!connection_->connection().PlaceUnasked({.command = nullptr, .args = args, .keys = {}}))
    return false;
  unheard_ += names.size();
  return true;
}

// The rest of what was not confirmed.
bool PrivateSubscriber::SayPending() {
  if (!pending_) return true;
  const Request request = pending_->request.view();
  std::vector<std::string_view> args(request.args.begin(), request.args.end());
  if (args.size() > 1) {
    const auto first = args.begin() + 1;
    args.erase(first, first + static_cast<ptrdiff_t>(pending_->confirmed));
  } else {
    pending_->expected -= pending_->confirmed;
    pending_->confirmed = 0;
  }
  return connection_->connection().PlaceUnasked({.command = nullptr, .args = args, .keys = {}});
}

}  // namespace tidegate
