#include "proxy/topology/cluster_agreement.h"

#include <algorithm>
#include <array>
#include <numeric>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/text.h"
#include "proxy/topology/slot_map_builder.h"

namespace tidegate::topology {
namespace {

constexpr uint32_t kNobody = UINT32_MAX;

// A primary that at least one view names, wherever it is in each of them.
struct Owner {
  std::string key;
  // The view that is believed about its shard.
  size_t view = 0;
  uint16_t shard = 0;
  uint64_t epoch = 0;
  bool has_slots = false;
};

struct Choice {
  uint32_t owner = kNobody;
  bool is_disputed = false;
};

struct Claim {
  uint32_t owner = kNobody;
  uint32_t votes = 0;
  uint64_t epoch = 0;
};

class Election final {
 public:
  explicit Election(std::span<const ClusterView> views) : views_(views) {
    for (size_t view = 0; view < views.size(); ++view) AddOwners(view);
  }

  Result<ClusterAgreement> Run() {
    Choice choice;
    for (uint32_t i = 0; i < kSlotCount; ++i) {
      const auto slot = static_cast<uint16_t>(i);
      if (!IsAsBefore(slot)) choice = Choose(slot);
      owner_of_slot_[slot] = choice.owner;
      disputed_ += choice.is_disputed ? 1 : 0;
      if (choice.owner != kNobody) owners_[choice.owner].has_slots = true;
    }
    TG_RETURN_IF_ERROR(AddPrimaries());
    TG_RETURN_IF_ERROR(AddReplicas());
    TG_RETURN_IF_ERROR(AssignSlots());
    AddMoves();
    return ClusterAgreement{.map = std::move(builder_).Build(), .disputed_slots = disputed_};
  }

 private:
  uint64_t EpochOf(size_t view, const ClusterNode& node) const {
    return node.config_epoch != 0 ? node.config_epoch : views_[view].current_epoch;
  }

  void AddOwners(size_t view) {
    const SlotMap& map = views_[view].map;
    std::vector<uint32_t> owners(map.shards().size(), kNobody);
    for (size_t shard = 1; shard < map.shards().size(); ++shard) {
      if (map.shards()[shard].primary == kNoNode) continue;
      const ClusterNode& primary = map.nodes()[map.shards()[shard].primary];
      const auto next = static_cast<uint32_t>(owners_.size());
      const auto [at, is_new] = owner_of_key_.emplace(primary.Key(), next);
      const uint64_t epoch = EpochOf(view, primary);
      if (is_new) owners_.push_back({.key = at->first});
      Owner& owner = owners_[at->second];
      if (is_new || epoch > owner.epoch) {
        owner.view = view;
        owner.shard = static_cast<uint16_t>(shard);
        owner.epoch = epoch;
      }
      owners[shard] = at->second;
    }
    owners_of_view_.push_back(std::move(owners));
  }

  // All views say of the slot what they say of the one before: so it is for nearly every slot.
  bool IsAsBefore(uint16_t slot) const {
    return slot > 0 && std::all_of(views_.begin(), views_.end(), [slot](const ClusterView& view) {
             return view.map.ShardOfSlot(slot) == view.map.ShardOfSlot(slot - 1);
           });
  }

  Choice Choose(uint16_t slot) const {
    std::array<Claim, kClusterViewsMax> claims;
    size_t count = 0;
    uint32_t voters = 0;
    for (size_t view = 0; view < views_.size(); ++view) {
      const SlotMap& map = views_[view].map;
      const uint32_t owner = owners_of_view_[view][map.ShardOfSlot(slot)];
      if (owner == kNobody) continue;
      ++voters;
      const auto same = [owner](const Claim& claim) { return claim.owner == owner; };
      Claim* claim = std::find_if(claims.data(), claims.data() + count, same);
      if (claim == claims.data() + count) claims[count++].owner = owner;
      ++claim->votes;
      claim->epoch = std::max(claim->epoch, EpochOf(view, *map.PrimaryOf(slot)));
    }
    if (count == 0) return {};
    const auto wins = [voters](const Claim& a, const Claim& b) {
      if (a.votes * 2 > voters || b.votes * 2 > voters) return a.votes > b.votes;
      return std::pair(a.epoch, a.votes) > std::pair(b.epoch, b.votes);
    };
    // min_element: the first of equals, which is who was asked first.
    return {.owner = std::min_element(claims.data(), claims.data() + count, wins)->owner,
            .is_disputed = count > 1};
  }

  const Shard& ShardOf(const Owner& owner) const {
    return views_[owner.view].map.shards()[owner.shard];
  }

  Status AddPrimaries() {
    shard_of_owner_.assign(owners_.size(), 0);
    for (size_t i = 0; i < owners_.size(); ++i) {
      if (!owners_[i].has_slots) continue;
      Result<NodeIndex> node =
          builder_.AddNode(views_[owners_[i].view].map.nodes()[ShardOf(owners_[i]).primary]);
      if (!node.ok()) return std::move(node).error();
      Result<uint16_t> shard = builder_.ShardOfPrimary(*node);
      if (!shard.ok()) return std::move(shard).error();
      shard_of_owner_[i] = *shard;
    }
    return {};
  }

  // Views of different moments may give one replica to two shards, or name a primary among the
  // replicas of its successor: the newer shard has it, and primaries are no replicas.
  Status AddReplicas() {
    std::vector<size_t> newest_first(owners_.size());
    std::iota(newest_first.begin(), newest_first.end(), size_t{0});
    std::stable_sort(newest_first.begin(), newest_first.end(),
                     [this](size_t a, size_t b) { return owners_[a].epoch > owners_[b].epoch; });
    for (const size_t i : newest_first) {
      if (!owners_[i].has_slots) continue;
      for (const NodeIndex replica : ShardOf(owners_[i]).replicas) {
        const ClusterNode& node = views_[owners_[i].view].map.nodes()[replica];
        if (builder_.Find(node.Key()) != kNoNode) continue;
        Result<NodeIndex> index = builder_.AddNode(node);
        if (!index.ok()) return std::move(index).error();
        TG_RETURN_IF_ERROR(builder_.AddReplica(shard_of_owner_[i], *index));
      }
    }
    return {};
  }

  Status AssignSlots() {
    for (uint32_t slot = 0; slot < kSlotCount; ++slot) {
      if (owner_of_slot_[slot] == kNobody) continue;
      TG_RETURN_IF_ERROR(builder_.Assign(shard_of_owner_[owner_of_slot_[slot]], slot, slot));
    }
    return {};
  }

  NodeIndex Translate(const SlotMap& map, NodeIndex node) const {
    return node == kNoNode ? kNoNode : builder_.Find(map.nodes()[node].Key());
  }

  // Source and target both tell of a move: once is enough.
  void AddMoves() {
    std::set<uint16_t> known;
    for (const ClusterView& view : views_) {
      for (const SlotMove& move : view.map.moves()) {
        const NodeIndex from = Translate(view.map, move.from);
        if (from == kNoNode || !known.insert(move.slot).second) continue;
        builder_.AddMove({.slot = move.slot, .from = from, .to = Translate(view.map, move.to)});
      }
    }
  }

  const std::span<const ClusterView> views_;
  std::vector<Owner> owners_;
  std::unordered_map<std::string, uint32_t> owner_of_key_;
  std::vector<std::vector<uint32_t>> owners_of_view_;  // of each view, by its shards
  std::array<uint32_t, kSlotCount> owner_of_slot_;
  std::vector<uint16_t> shard_of_owner_;
  uint32_t disputed_ = 0;
  SlotMapBuilder builder_;
};

}  // namespace

Result<ClusterAgreement> AgreeOnCluster(std::span<const ClusterView> views) {
  if (views.empty()) return Error{"no node has told its view of the cluster"};
  if (views.size() > kClusterViewsMax) {
    return Error{"more than " + ToText(static_cast<int64_t>(kClusterViewsMax)) + " views"};
  }
  return Election(views).Run();
}

}  // namespace tidegate::topology
