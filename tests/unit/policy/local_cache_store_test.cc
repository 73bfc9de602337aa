// What the store keeps, for how long, and who makes room for whom.
#include "policy/local_cache_store.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/hash.h"

namespace tidegate {
namespace {

constexpr uint64_t kSource = 7;

class LocalCacheStoreTest : public ::testing::Test {
 protected:
  LocalCacheStoreTest() { store_.SetLimits(1 << 20, 1000); }

  static CachedRead Read(const std::vector<std::string_view>& args, uint32_t command = 1,
                         size_t cluster = 1, int database = 0) {
    return {.cluster = cluster,
            .database = database,
            .key = args[1],
            .hash = KeyHash(args[1]),
            .command = command,
            .args = args};
  }
  CachedReply Reply(const CachedRead& read, std::string resp3, int64_t expires_ns = 100) {
    return {.resp3 = std::move(resp3),
            .resp2 = {},
            .stamp = store_.StampOf(read),
            .source = kSource,
            .expires_ns = expires_ns};
  }
  bool Keep(const CachedRead& read, std::string resp3) {
    return store_.Keep(read, Reply(read, std::move(resp3)));
  }
  std::string Find(const CachedRead& read, int64_t now_ns = 0, uint64_t source = kSource) {
    const CachedReply* const kept = store_.Find(read, source, now_ns);
    return kept == nullptr ? "" : kept->resp3;
  }

  std::unique_ptr<WriteStripes> stripes_ = std::make_unique<WriteStripes>();
  LocalCacheStore store_{*stripes_};
};

TEST_F(LocalCacheStoreTest, RepliesAreFoundByAllThatTellsThemApart) {
  const std::vector<std::string_view> get = {"GET", "k"};
  const std::vector<std::string_view> hget = {"HGET", "k", "f"};
  const std::vector<std::string_view> other = {"HGET", "k", "g"};
  ASSERT_TRUE(Keep(Read(get), "value"));
  ASSERT_TRUE(Keep(Read(hget, 2), "field"));
  ASSERT_TRUE(Keep(Read(get, 1, 1, 3), "elsewhere"));
  EXPECT_EQ(Find(Read(get)), "value");
  EXPECT_EQ(Find(Read(hget, 2)), "field");
  EXPECT_EQ(Find(Read(get, 1, 1, 3)), "elsewhere");
  EXPECT_EQ(Find(Read(other, 2)), "");
  EXPECT_EQ(Find(Read(get, 3)), "");
  EXPECT_EQ(Find(Read(get, 1, 2)), "");
  EXPECT_EQ(store_.keys(), 1u);
}

TEST_F(LocalCacheStoreTest, AReplyEndsWithItsTimeAndItsSource) {
  const std::vector<std::string_view> get = {"GET", "k"};
  ASSERT_TRUE(Keep(Read(get), "value"));
  EXPECT_EQ(Find(Read(get), 99), "value");
  EXPECT_EQ(Find(Read(get), 100), "");
  EXPECT_EQ(Find(Read(get), 0, kSource + 1), "");
}

TEST_F(LocalCacheStoreTest, AnInvalidationDropsTheKeyInAllDatabases) {
  const std::vector<std::string_view> get = {"GET", "k"};
  const std::vector<std::string_view> other = {"GET", "l"};
  ASSERT_TRUE(Keep(Read(get), "value"));
  ASSERT_TRUE(Keep(Read(get, 1, 1, 5), "value"));
  ASSERT_TRUE(Keep(Read(other), "value"));
  store_.DropKey(1, "k");
  EXPECT_EQ(Find(Read(get)), "");
  EXPECT_EQ(Find(Read(get, 1, 1, 5)), "");
  EXPECT_EQ(Find(Read(other)), "value");
  store_.DropCluster(2);
  EXPECT_EQ(Find(Read(other)), "value");
  store_.DropCluster(1);
  EXPECT_EQ(Find(Read(other)), "");
  EXPECT_EQ(store_.keys(), 0u);
  EXPECT_EQ(store_.bytes(), 0u);
}

TEST_F(LocalCacheStoreTest, AWriteMakesInvalidWhatIsKeptAndWhatIsOnItsWay) {
  const std::vector<std::string_view> get = {"GET", "k"};
  const StripeIndex stripe = WriteStripes::OfKey(KeyHash("k"), 1);
  ASSERT_TRUE(Keep(Read(get), "old"));
  CachedReply before = Reply(Read(get), "old");
  stripes_->Begin(stripe);
  EXPECT_EQ(Find(Read(get)), "");
  EXPECT_FALSE(store_.StampOf(Read(get)).quiet());
  EXPECT_FALSE(Keep(Read(get), "meanwhile"));
  CachedReply meanwhile = Reply(Read(get), "meanwhile");
  stripes_->End(stripe);
  EXPECT_FALSE(store_.Keep(Read(get), std::move(before)));
  EXPECT_FALSE(store_.Keep(Read(get), std::move(meanwhile)));
  EXPECT_EQ(Find(Read(get)), "");
  EXPECT_TRUE(Keep(Read(get), "new"));
  EXPECT_EQ(Find(Read(get)), "new");
}

TEST_F(LocalCacheStoreTest, AWriteOfUnknownKeysIsOneOfAllOfItsCluster) {
  const std::vector<std::string_view> get = {"GET", "k"};
  ASSERT_TRUE(Keep(Read(get), "value"));
  ASSERT_TRUE(Keep(Read(get, 1, 2), "value"));
  stripes_->Begin(WriteStripes::OfCluster(1));
  stripes_->End(WriteStripes::OfCluster(1));
  EXPECT_EQ(Find(Read(get)), "");
  EXPECT_EQ(Find(Read(get, 1, 2)), "value");
}

TEST_F(LocalCacheStoreTest, WritesMayOverlap) {
  const StripeIndex stripe = WriteStripes::OfKey(KeyHash("k"), 1);
  stripes_->Begin(stripe);
  stripes_->Begin(stripe);
  stripes_->End(stripe);
  EXPECT_FALSE(WriteStripes::IsQuiet(stripes_->Read(stripe)));
  stripes_->End(stripe);
  EXPECT_TRUE(WriteStripes::IsQuiet(stripes_->Read(stripe)));
  EXPECT_EQ(stripes_->Read(stripe), 4u);
}

TEST_F(LocalCacheStoreTest, AScanDoesNotPushOutWhatIsReadOften) {
  constexpr size_t kMax = 50;
  store_.SetLimits(1 << 20, kMax);
  const std::vector<std::string_view> hot = {"GET", "hot"};
  ASSERT_TRUE(Keep(Read(hot), "value"));
  ASSERT_EQ(Find(Read(hot)), "value");
  for (int i = 0; i < 1000; ++i) {
    const std::string name = "scan" + std::to_string(i);
    const std::vector<std::string_view> cold = {"GET", name};
    ASSERT_TRUE(Keep(Read(cold), "value"));
    ASSERT_LE(store_.keys(), kMax);
  }
  EXPECT_EQ(Find(Read(hot)), "value");
  EXPECT_GT(store_.figures().evictions.Get(), 900u);
}

TEST_F(LocalCacheStoreTest, MemoryIsBounded) {
  constexpr size_t kBytes = 64 << 10;
  store_.SetLimits(kBytes, 1000);
  for (int i = 0; i < 200; ++i) {
    const std::string name = "k" + std::to_string(i);
    const std::vector<std::string_view> get = {"GET", name};
    ASSERT_TRUE(Keep(Read(get), std::string(5000, 'x')));
    ASSERT_LE(store_.bytes(), kBytes);
  }
  const std::vector<std::string_view> large = {"GET", "large"};
  EXPECT_FALSE(Keep(Read(large), std::string(kBytes, 'x')));
  store_.SetLimits(0, 1000);
  EXPECT_EQ(store_.keys(), 0u);
  EXPECT_EQ(store_.bytes(), 0u);
}

TEST_F(LocalCacheStoreTest, OneKeyHasSoManyReplies) {
  for (size_t i = 0; i < 2 * kLocalCacheRepliesPerKeyMax; ++i) {
    const std::string field = "f" + std::to_string(i);
    const std::vector<std::string_view> hget = {"HGET", "k", field};
    ASSERT_TRUE(Keep(Read(hget), "value"));
  }
  const std::vector<std::string_view> first = {"HGET", "k", "f0"};
  const std::vector<std::string_view> last = {"HGET", "k", "f31"};
  EXPECT_EQ(Find(Read(first)), "");
  EXPECT_EQ(Find(Read(last)), "value");
  EXPECT_EQ(store_.keys(), 1u);
}

TEST(Resp2OfTest, IsEmptyWhereBothAreTheSame) {
  EXPECT_EQ(Resp2Of("$5\r\nhello\r\n"), "");
  EXPECT_EQ(Resp2Of(":3\r\n"), "");
  EXPECT_EQ(Resp2Of("*2\r\n$1\r\na\r\n$4\r\n_\r\n\r\r\n"), "");
}

TEST(Resp2OfTest, SaysWhatRedisSaysInResp2) {
  EXPECT_EQ(Resp2Of("_\r\n"), "$-1\r\n");
  EXPECT_EQ(Resp2Of(",1.5\r\n"), "$3\r\n1.5\r\n");
  EXPECT_EQ(Resp2Of(",inf\r\n"), "$3\r\ninf\r\n");
  EXPECT_EQ(Resp2Of("*2\r\n$1\r\na\r\n_\r\n"), "*2\r\n$1\r\na\r\n$-1\r\n");
  EXPECT_EQ(Resp2Of("~1\r\n$1\r\na\r\n"), "*1\r\n$1\r\na\r\n");
  EXPECT_EQ(Resp2Of("%1\r\n$1\r\na\r\n$3\r\n%*~\r\n"), "*2\r\n$1\r\na\r\n$3\r\n%*~\r\n");
  EXPECT_EQ(Resp2Of("*2\r\n*2\r\n$1\r\na\r\n,1\r\n*2\r\n$1\r\nb\r\n,2\r\n"),
            "*4\r\n$1\r\na\r\n$1\r\n1\r\n$1\r\nb\r\n$1\r\n2\r\n");
}

}  // namespace
}  // namespace tidegate
