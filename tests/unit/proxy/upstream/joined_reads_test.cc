// Reads that get the reply of another that is on its way: which may, and that each gets one reply,
// whoever goes meanwhile.
#include "proxy/upstream/joined_reads.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/hash.h"
#include "policy/write_stripes.h"
#include "proxy/upstream/upstream_link.h"
#include "storage/command.h"
#include "tests/support/called_request.h"

namespace tidegate {
namespace {

constexpr std::string_view kReply = "$5\r\nvalue\r\n";
constexpr size_t kCluster = 1;

// One that waits for a reply.
class Waiter final : public UpstreamClient {
 public:
  Waiter() : link_(new UpstreamLink) { link_->client = this; }
  ~Waiter() {
    if (link_ != nullptr) link_->Leave();
  }
  Waiter(const Waiter&) = delete;
  Waiter& operator=(const Waiter&) = delete;

  void OnUpstreamReply(const UpstreamRequest& /*request*/, std::string_view reply) override {
    replies_.emplace_back(reply);
  }
  UpstreamRequest Ask(bool joined) {
    ++link_->outstanding;
    if (joined) ++link_->joined;
    UpstreamRequest waiting{.link = link_, .sequence = link_->next_sequence++};
    waiting.joined = joined ? 1 : 0;
    return waiting;
  }
  void Go() { std::exchange(link_, nullptr)->Leave(); }
  UpstreamLink& link() { return *link_; }
  const std::vector<std::string>& replies() const { return replies_; }

 private:
  UpstreamLink* link_;
  std::vector<std::string> replies_;
};

class JoinedReadsTest : public ::testing::Test {
 protected:
  JoinedReads::Read ReadOf(const testing::CalledRequest& called,
                           Protocol protocol = Protocol::kResp2) {
    const std::string_view key = called.request.args[1];
    return {.request = called.request,
            .protocol = protocol,
            .id = KeyHash(key),
            .stamp = {.key = stripes_.Read(WriteStripes::OfKey(KeyHash(key), kCluster)),
                      .cluster = stripes_.Read(WriteStripes::OfCluster(kCluster))}};
  }
  // The read was sent, and answered.
  void Answer(const testing::CalledRequest& called, std::string_view reply) {
    const std::unique_ptr<ReplyHook> hook = reads_.Lead(ReadOf(called));
    Waiter leader;
    const UpstreamRequest request = leader.Ask(false);
    hook->OnReply(request, reply);
    request.link->Deliver(request, reply);
  }

  WriteStripes stripes_;
  LocalCacheFigures figures_;
  JoinedReads reads_{figures_};
  const std::unique_ptr<CommandTable> commands_ = CommandTable::Create(StorageCommandFamilies());
  const std::unique_ptr<testing::CalledRequest> got_ =
      testing::MakeCalledRequest(*commands_, {"get", "k"});
  const testing::CalledRequest& get_ = *got_;
};

TEST_F(JoinedReadsTest, AllGetTheReplyOfTheFirst) {
  EXPECT_FALSE(reads_.MayJoin(ReadOf(get_)));
  Answer(get_, kReply);
  EXPECT_FALSE(reads_.MayJoin(ReadOf(get_)));  // it is not on its way any more
  Waiter leader;
  Waiter second;
  Waiter third;
  const std::unique_ptr<ReplyHook> hook = reads_.Lead(ReadOf(get_));
  const UpstreamRequest sent = leader.Ask(false);
  EXPECT_FALSE(hook->WantsWhole());
  for (Waiter* waiter : {&second, &third}) {
    ASSERT_TRUE(reads_.MayJoin(ReadOf(get_)));
    reads_.Join(ReadOf(get_), waiter->Ask(true));
  }
  EXPECT_TRUE(hook->WantsWhole());
  EXPECT_EQ(figures_.joined.Get(), 2);
  std::string_view reply = kReply;
  EXPECT_EQ(hook->OnReply(sent, reply), ReplyHook::Fate::kWritten);
  EXPECT_EQ(reply, kReply);
  for (const Waiter* waiter : {&second, &third})
    EXPECT_EQ(waiter->replies(), std::vector<std::string>{std::string(kReply)});
  EXPECT_EQ(second.link().outstanding, 0);
  EXPECT_EQ(second.link().joined, 0);
  EXPECT_FALSE(reads_.MayJoin(ReadOf(get_)));
  sent.link->Deliver(sent, kReply);
}

TEST_F(JoinedReadsTest, NoneThatIsNotTheSame) {
  Answer(get_, kReply);
  const std::unique_ptr<ReplyHook> hook = reads_.Lead(ReadOf(get_));
  const auto strlen = testing::MakeCalledRequest(*commands_, {"strlen", "k"});
  EXPECT_TRUE(reads_.MayJoin(ReadOf(get_)));
  EXPECT_FALSE(reads_.MayJoin(ReadOf(*strlen)));  // of another command, with the same number
  EXPECT_FALSE(reads_.MayJoin(ReadOf(get_, Protocol::kResp3)));
  JoinedReads::Read elsewhere = ReadOf(get_);
  elsewhere.database = 1;
  EXPECT_FALSE(reads_.MayJoin(elsewhere));
}

TEST_F(JoinedReadsTest, NoneThatCouldMissAWrite) {
  Answer(get_, kReply);
  const StripeIndex stripe = WriteStripes::OfKey(KeyHash("k"), kCluster);
  const std::unique_ptr<ReplyHook> hook = reads_.Lead(ReadOf(get_));
  stripes_.Begin(stripe);
  EXPECT_FALSE(reads_.MayJoin(ReadOf(get_)));
  EXPECT_EQ(reads_.Lead(ReadOf(get_)), nullptr);  // nobody could join it
  stripes_.End(stripe);
  EXPECT_FALSE(reads_.MayJoin(ReadOf(get_)));
  // The next one that is sent is the one to join; the end of the first changes nothing.
  const std::unique_ptr<ReplyHook> next = reads_.Lead(ReadOf(get_));
  Waiter leader;
  const UpstreamRequest first = leader.Ask(false);
  std::string_view reply = kReply;
  hook->OnReply(first, reply);
  EXPECT_TRUE(reads_.MayJoin(ReadOf(get_)));
  first.link->Deliver(first, kReply);
  // What may write any key.
  stripes_.Begin(WriteStripes::OfCluster(kCluster));
  EXPECT_FALSE(reads_.MayJoin(ReadOf(get_)));
}

TEST_F(JoinedReadsTest, WhoseClientHasGoneAnswersTheOthersAllTheSame) {
  Answer(get_, kReply);
  Waiter second;
  {
    Waiter leader;
    UpstreamRequest sent = leader.Ask(false);
    sent.has_hook = 1;
    sent.link->hooks[sent.sequence] = reads_.Lead(ReadOf(get_));
    reads_.Join(ReadOf(get_), second.Ask(true));
    leader.Go();
    EXPECT_FALSE(sent.link->DeliverPiece(sent, "$9", false));  // whole, or not at all
    sent.link->Deliver(sent, kReply);
  }
  EXPECT_EQ(second.replies(), std::vector<std::string>{std::string(kReply)});
}

TEST_F(JoinedReadsTest, WhoJoinedAndWentIsNotAnswered) {
  Answer(get_, kReply);
  Waiter leader;
  const std::unique_ptr<ReplyHook> hook = reads_.Lead(ReadOf(get_));
  const UpstreamRequest sent = leader.Ask(false);
  Waiter second;
  reads_.Join(ReadOf(get_), second.Ask(true));
  second.Go();
  std::string_view reply = kReply;
  hook->OnReply(sent, reply);
  EXPECT_TRUE(second.replies().empty());
  sent.link->Deliver(sent, kReply);
}

TEST_F(JoinedReadsTest, NothingLargeIsShared) {
  Answer(get_, std::string(kJoinedReplyBytesMax + 1, 'x'));
  const std::unique_ptr<ReplyHook> hook = reads_.Lead(ReadOf(get_));
  EXPECT_FALSE(reads_.MayJoin(ReadOf(get_)));
  Answer(get_, std::string(kJoinedReplyBytesMax, 'x'));
  const std::unique_ptr<ReplyHook> next = reads_.Lead(ReadOf(get_));
  EXPECT_TRUE(reads_.MayJoin(ReadOf(get_)));
  Waiter leader;
  const UpstreamRequest sent = leader.Ask(false);
  next->OnLargeReply(sent, "$1000000\r\n");
  EXPECT_FALSE(reads_.MayJoin(ReadOf(get_)));
  sent.link->Deliver(sent, kReply);
}

TEST_F(JoinedReadsTest, NoMoreThanThereIsRoomFor) {
  Answer(get_, kReply);
  const std::unique_ptr<ReplyHook> hook = reads_.Lead(ReadOf(get_));
  Waiter many;
  for (size_t i = 0; i < kJoinedMax; ++i) {
    ASSERT_TRUE(reads_.MayJoin(ReadOf(get_)));
    reads_.Join(ReadOf(get_), many.Ask(true));
  }
  EXPECT_FALSE(reads_.MayJoin(ReadOf(get_)));
  Waiter leader;
  const UpstreamRequest sent = leader.Ask(false);
  std::string_view reply = kReply;
  hook->OnReply(sent, reply);
  EXPECT_EQ(many.replies().size(), kJoinedMax);
  sent.link->Deliver(sent, kReply);
}

}  // namespace
}  // namespace tidegate
