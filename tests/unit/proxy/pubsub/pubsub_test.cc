// Publishing to sessions of several workers: who gets what, in which order, and what becomes of
// subscribers that do not read.
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "proxy/commands/families.h"
#include "tests/support/test_server.h"

namespace tidegate {
namespace {

std::string Encoded(const std::vector<std::string>& parts) {
  std::string out = "*" + std::to_string(parts.size()) + "\r\n";
  for (const std::string& part : parts)
    out += "$" + std::to_string(part.size()) + "\r\n" + part + "\r\n";
  return out;
}

std::string Subscribed(const std::string& channel, int count) {
  std::string out = Encoded({"subscribe", channel});
  out[1] = '3';
  return out + ":" + std::to_string(count) + "\r\n";
}

TEST(PubSub, EverySubscriberGetsEveryMessageInOrder) {
  TestServer server(ProxyCommandFamilies());
  std::vector<std::unique_ptr<TestClient>> subscribers;
  for (int i = 0; i < 10; ++i) {  // on both workers
    subscribers.push_back(std::make_unique<TestClient>(server.port()));
    ASSERT_EQ(subscribers.back()->Ask("subscribe c\r\n", Subscribed("c", 1)), Subscribed("c", 1));
  }
  TestClient publisher(server.port());
  std::string requests;
  std::string replies;
  std::string messages;
  for (int i = 0; i < 3000; ++i) {
    requests += "publish c " + std::to_string(i) + "\r\n";
    replies += ":10\r\n";
    messages += Encoded({"message", "c", std::to_string(i)});
  }
  EXPECT_EQ(publisher.Ask(requests, replies), replies);
  for (const auto& subscriber : subscribers) EXPECT_EQ(subscriber->Read(messages.size()), messages);
  // Whoever leaves is counted no more.
  subscribers.resize(4);
  EXPECT_TRUE(Eventually([&] { return publisher.Ask("publish c x\r\n", ":4\r\n") == ":4\r\n"; }));
  subscribers.clear();
  EXPECT_TRUE(
      Eventually([&] { return server->pubsub().ChannelCount(SubscriptionKind::kChannel) == 0; }));
}

TEST(PubSub, ASubscriberThatDoesNotReadIsClosedAndHoldsNobodyUp) {
  TestServer server(ProxyCommandFamilies(), [](Options& options) {
    options.client_output_buffer_limits[static_cast<size_t>(ClientClass::kPubsub)].hard = 1_MiB;
  });
  TestClient near(server.port(), 4096);
  TestClient far(server.port(), 4096);  // on the other worker
  ASSERT_EQ(near.Ask("subscribe c\r\n", Subscribed("c", 1)), Subscribed("c", 1));
  ASSERT_EQ(far.Ask("subscribe c\r\n", Subscribed("c", 1)), Subscribed("c", 1));
  TestClient publisher(server.port());
  const std::string command = "publish c " + std::string(50000, 'x') + "\r\n";
  for (int i = 0; i < 1000 && server->pubsub().Subscribers(SubscriptionKind::kChannel, "c") > 0;
       ++i) {
    publisher.Send(command);
    ASSERT_EQ(publisher.Read(4).size(), 4u);
  }
  EXPECT_TRUE(Eventually([&] { return server->Totals().output_limit_closings == 2; }));
  EXPECT_TRUE(Eventually([&] { return server->Totals().sessions == 1; }));
  EXPECT_EQ(publisher.Ask("publish c x\r\n", ":0\r\n"), ":0\r\n");
}

TEST(PubSub, IdleSubscribersAreNotClosed) {
  TestServer server(ProxyCommandFamilies(),
                    [](Options& options) { options.timeout = std::chrono::seconds(1); });
  TestClient subscriber(server.port());
  ASSERT_EQ(subscriber.Ask("subscribe c\r\n", Subscribed("c", 1)), Subscribed("c", 1));
  TestClient idle(server.port());
  EXPECT_EQ(idle.ReadToEnd(), "");
  // Counted as gone once its loop has closed the handle, which the client does not wait for.
  EXPECT_TRUE(Eventually([&] { return server->Totals().sessions == 1; }));
}

}  // namespace
}  // namespace tidegate
