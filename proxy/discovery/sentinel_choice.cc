#include "proxy/discovery/sentinel_choice.h"

#include <algorithm>
#include <utility>

namespace tidegate::discovery {
namespace {

std::optional<size_t> Find(std::span<const Sight> sights, const topology::NodeAddress& address) {
  for (size_t i = 0; i < sights.size(); ++i) {
    if (sights[i].report.address == address) return i;
  }
  return std::nullopt;
}

bool SaysPrimary(std::span<const Sight> sights, const topology::NodeAddress& address) {
  const std::optional<size_t> at = Find(sights, address);
  return at && sights[*at].report.state &&
         sights[*at].report.state->role == topology::ServerRole::kPrimary;
}

// Why whom the sentinels name is not published as the primary.
std::string WhyNot(std::span<const Sight> sights, const topology::NodeAddress& address) {
  const std::string head = "the sentinels name " + address.ToText() + " as the primary, which ";
  const std::optional<size_t> at = Find(sights, address);
  if (!at) return head + "was not asked yet";
  if (sights[*at].report.state) return head + "says that it is none";
  return head + "does not answer: " + sights[*at].health.why();
}

int64_t EpochOf(std::span<const topology::PrimaryOpinion> opinions,
                const topology::NodeAddress& address) {
  int64_t epoch = 0;
  for (const topology::PrimaryOpinion& opinion : opinions) {
    if (opinion.address == address) epoch = std::max(epoch, opinion.config_epoch);
  }
  return epoch;
}

}  // namespace

SentinelChoice::Choice SentinelChoice::Choose(std::span<const topology::PrimaryOpinion> opinions,
                                              size_t sentinels, std::span<const Sight> sights) {
  Choice choice = Decide(opinions, sentinels, sights);
  for (const Sight& sight : sights) {
    if (sight.report.state && sight.report.state->role == topology::ServerRole::kReplica)
      replicas_.insert(sight.report.address);
  }
  return choice;
}

SentinelChoice::Choice SentinelChoice::Decide(std::span<const topology::PrimaryOpinion> opinions,
                                              size_t sentinels, std::span<const Sight> sights) {
  const std::optional<topology::PrimaryAgreement> agreed = AgreeOnPrimary(opinions);
  if (!agreed) return KeepLast(sights, "no sentinel names a primary");
  const topology::PrimaryOpinion named{agreed->address, EpochOf(opinions, agreed->address)};
  const bool has_majority = agreed->votes * 2 > sentinels;
  if (!SaysPrimary(sights, named.address)) {
    const auto newer = Newer(opinions, named.config_epoch, sights);
    if (newer) return Accept(*newer, sights);
    return KeepLast(sights, WhyNot(sights, named.address));
  }
  const bool is_older =
      last_.is_known() && named.address != last_ && named.config_epoch < last_epoch_;
  if (is_older && !has_majority) {
    return KeepLast(sights, "too few sentinels answer, and they name " + named.address.ToText() +
                                " as the primary, which was replaced");
  }
  Choice choice = Accept(named, sights);
  choice.is_settled = !agreed->is_disputed;
  return choice;
}

std::optional<topology::PrimaryOpinion> SentinelChoice::Newer(
    std::span<const topology::PrimaryOpinion> opinions, int64_t epoch,
    std::span<const Sight> sights) const {
  std::optional<topology::PrimaryOpinion> best;
  for (const topology::PrimaryOpinion& opinion : opinions) {
    const bool is_newer = opinion.config_epoch > (best ? best->config_epoch : epoch);
    const bool is_ours = replicas_.contains(opinion.address) || opinion.address == last_;
    if (is_newer && is_ours && SaysPrimary(sights, opinion.address)) best = opinion;
  }
  return best;
}

SentinelChoice::Choice SentinelChoice::Accept(const topology::PrimaryOpinion& opinion,
                                              std::span<const Sight> sights) {
  last_ = opinion.address;
  last_epoch_ = std::max(last_epoch_, opinion.config_epoch);
  return {Find(sights, opinion.address), "", true};
}

SentinelChoice::Choice SentinelChoice::KeepLast(std::span<const Sight> sights,
                                                std::string problem) const {
  return {last_.is_known() ? Find(sights, last_) : std::nullopt, std::move(problem), false};
}

}  // namespace tidegate::discovery
