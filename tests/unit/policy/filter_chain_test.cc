// FilterChain: order of filters, answers on the way, suspension and what happens when the client
// goes.
#include "policy/filter_chain.h"

#include <gtest/gtest.h>

#include <deque>
#include <string>
#include <utility>
#include <vector>

namespace tidegate {
namespace {

// Writes down what it is asked, and answers as it is told.
class Scripted final : public Filter {
 public:
  Scripted(std::string name, std::vector<std::string>& events, std::deque<FilterVerdict> verdicts)
      : name_(std::move(name)), events_(events), verdicts_(std::move(verdicts)) {}

  std::string_view name() const override { return name_; }
  FilterVerdict OnRequest(RequestContext& context) override {
    events_.push_back(name_ + "?");
    const FilterVerdict verdict = verdicts_.front();
    if (verdicts_.size() > 1) verdicts_.pop_front();
    if (verdict == FilterVerdict::kAnswered) context.reply.SimpleString(name_);
    return verdict;
  }
  void OnReply(RequestContext&, const ReplyView& reply) override {
    events_.push_back(name_ + "=" + reply.Copy() + (reply.failed() ? "failed" : ""));
  }
  void OnAbandoned(uint64_t ticket) override {
    events_.push_back(name_ + " lost " + std::to_string(ticket));
  }

 private:
  std::string name_;
  std::vector<std::string>& events_;
  std::deque<FilterVerdict> verdicts_;
};

class FilterChainTest : public ::testing::Test {
 protected:
  using V = FilterVerdict;

  FilterChain Make(std::deque<V> a, std::deque<V> b, std::deque<V> c) {
    std::vector<std::unique_ptr<Filter>> filters;
    filters.push_back(std::make_unique<Scripted>("a", events_, std::move(a)));
    filters.push_back(std::make_unique<Scripted>("b", events_, std::move(b)));
    filters.push_back(std::make_unique<Scripted>("c", events_, std::move(c)));
    return FilterChain(std::move(filters));
  }
  void Reply(FilterChain& chain, bool failed = false) {
    chain.OnReply(context_, progress_, ReplyView(output_, 0, failed));
  }

  std::vector<std::string> events_;
  OutputBlockPool pool_;
  OutputBuffer output_{pool_};
  ReplyWriter reply_{output_};
  ClientState client_;
  Request request_;
  RequestContext context_{request_, client_, reply_, 0};
  FilterProgress progress_;
};

TEST_F(FilterChainTest, AsksInOrderAndTellsInReverse) {
  FilterChain chain = Make({V::kContinue}, {V::kContinue}, {V::kContinue});
  EXPECT_EQ(chain.OnRequest(context_, progress_), V::kContinue);
  reply_.Integer(7);
  Reply(chain);
  EXPECT_EQ(events_,
            (std::vector<std::string>{"a?", "b?", "c?", "c=:7\r\n", "b=:7\r\n", "a=:7\r\n"}));
  EXPECT_EQ(progress_.passed, 0u);
}

TEST_F(FilterChainTest, AnAnswerEndsTheWayAndIsSeenByThoseBefore) {
  FilterChain chain = Make({V::kContinue}, {V::kAnswered}, {V::kContinue});
  EXPECT_EQ(chain.OnRequest(context_, progress_), V::kAnswered);
  Reply(chain);
  EXPECT_EQ(events_, (std::vector<std::string>{"a?", "b?", "a=+b\r\n"}));
}

TEST_F(FilterChainTest, ASuspendedRequestGoesOnWhereItStood) {
  FilterChain chain =
      Make({V::kContinue}, {V::kSuspended, V::kSuspended, V::kContinue}, {V::kContinue});
  EXPECT_EQ(chain.OnRequest(context_, progress_), V::kSuspended);
  EXPECT_EQ(chain.OnRequest(context_, progress_), V::kSuspended);
  EXPECT_EQ(chain.OnRequest(context_, progress_), V::kContinue);
  EXPECT_EQ(chain.OnRequest(context_, progress_), V::kContinue);  // the cluster suspended it
  reply_.Error("ERR no");
  Reply(chain, true);
  EXPECT_EQ(events_, (std::vector<std::string>{"a?", "b?", "b?", "b?", "c?", "c=-ERR no\r\nfailed",
                                               "b=-ERR no\r\nfailed", "a=-ERR no\r\nfailed"}));
}

TEST_F(FilterChainTest, ALostClientIsToldToThoseWhoMetItsRequest) {
  FilterChain chain = Make({V::kContinue}, {V::kSuspended}, {V::kContinue});
  EXPECT_EQ(chain.OnRequest(context_, progress_), V::kSuspended);
  chain.Abandon(42, progress_);
  EXPECT_EQ(events_, (std::vector<std::string>{"a?", "b?", "b lost 42", "a lost 42"}));
  EXPECT_EQ(progress_.passed, 0u);
}

TEST_F(FilterChainTest, ALostClientThatWaitsInTheClusterHasMetAll) {
  FilterChain chain = Make({V::kContinue}, {V::kContinue}, {V::kContinue});
  EXPECT_EQ(chain.OnRequest(context_, progress_), V::kContinue);
  chain.Abandon(1, progress_);
  EXPECT_EQ(events_.size(), 6u);
  EXPECT_EQ(events_[3], "c lost 1");
}

TEST_F(FilterChainTest, ReplyViewSeesOnlyItsOwnReply) {
  reply_.Bulk(std::string(20000, 'x'));  // more than a block
  const size_t mark = output_.Mark();
  reply_.Bulk(std::string(20000, 'y'));
  const ReplyView view(output_, mark, false);
  EXPECT_EQ(view.Copy(), "$20000\r\n" + std::string(20000, 'y') + "\r\n");
  EXPECT_EQ(view.bytes(), view.Copy().size());
}

}  // namespace
}  // namespace tidegate
