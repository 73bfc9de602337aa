#include "proxy/upstream/joined_reads.h"

#include <algorithm>
#include <array>
#include <unordered_map>
#include <utility>

#include "storage/owned_request.h"

namespace tidegate {

struct JoinedReads::OnItsWay {
  OwnedRequest request;
  int database;
  Protocol protocol;
  WriteStamp stamp;
  std::vector<UpstreamRequest> joined = {};

  bool IsLike(const Read& read) const {
    const Request mine = request.view();
    return database == read.database && protocol == read.protocol && stamp == read.stamp &&
           mine.command == read.request.command &&
           std::equal(mine.args.begin() + 1, mine.args.end(), read.request.args.begin() + 1,
                      read.request.args.end());
  }
};

struct JoinedReads::Table {
  LocalCacheFigures& figures;
  std::unordered_map<uint64_t, std::shared_ptr<OnItsWay>> reads = {};
  std::array<uint16_t, kJoinedCells> small = {};  // marks of reads whose last reply was small

  static uint16_t MarkOf(uint64_t id) { return static_cast<uint16_t>(id >> 48 | 1); }
  uint16_t& CellOf(uint64_t id) { return small[id % kJoinedCells]; }
};

// Of the read that was sent.
class JoinedReads::Hook final : public ReplyHook {
 public:
  Hook(std::shared_ptr<Table> table, uint64_t id, std::shared_ptr<OnItsWay> read)
      : table_(std::move(table)), id_(id), read_(std::move(read)) {}
  ~Hook() override { Close(); }

  Fate OnReply(const UpstreamRequest& request, std::string_view& reply) override {
    Answer(request, reply);
    return Fate::kWritten;
  }
  void OnUnheardReply(const UpstreamRequest& request, std::string_view reply) override {
    Answer(request, reply);
  }
  bool WantsWhole() const override { return !read_->joined.empty(); }
  void OnLargeReply(const UpstreamRequest& /*request*/, std::string_view /*begin*/) override {
    table_->CellOf(id_) = 0;
    Close();
  }

 private:
  // Nobody joins it any more.
  void Close() {
    const auto found = table_->reads.find(id_);
    if (found != table_->reads.end() && found->second == read_) table_->reads.erase(found);
  }
  void Answer(const UpstreamRequest& request, std::string_view reply) {
    table_->CellOf(id_) = reply.size() <= kJoinedReplyBytesMax ? Table::MarkOf(id_) : uint16_t{0};
    Close();
    for (const UpstreamRequest& joined : std::exchange(read_->joined, {})) {
      joined.link->answered_by = request.link->answered_by;
      joined.link->Deliver(joined, reply);
    }
  }

  const std::shared_ptr<Table> table_;
  const uint64_t id_;
  const std::shared_ptr<OnItsWay> read_;
};

JoinedReads::JoinedReads(LocalCacheFigures& figures)
    : table_(std::make_shared<Table>(Table{.figures = figures})) {}
JoinedReads::~JoinedReads() = default;

bool JoinedReads::MayJoin(const Read& read) const {
  const auto found = table_->reads.find(read.id);
  return found != table_->reads.end() && read.stamp.quiet() && found->second->IsLike(read) &&
         found->second->joined.size() < kJoinedMax &&
         table_->CellOf(read.id) == Table::MarkOf(read.id);
}

void JoinedReads::Join(const Read& read, const UpstreamRequest& waiting) {
  table_->figures.joined.Add(1);
  table_->reads.at(read.id)->joined.push_back(waiting);
}

// One that is on its way and that this one could not join is not the one to join from now on.
std::unique_ptr<ReplyHook> JoinedReads::Lead(const Read& read) {
  if (!read.stamp.quiet()) return nullptr;
  std::shared_ptr<OnItsWay>& place = table_->reads[read.id];
  place = std::make_shared<OnItsWay>(OnItsWay{.request = OwnedRequest(read.request),
                                              .database = read.database,
                                              .protocol = read.protocol,
                                              .stamp = read.stamp});
  return std::make_unique<Hook>(table_, read.id, place);
}

}  // namespace tidegate
