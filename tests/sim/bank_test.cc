// A bank: clients on sockets move money among accounts with WATCH and MULTI, while others read all
// accounts at once. No money is made or lost at any moment, and the whole history is strictly
// serializable (tests/support/history.h; the checker itself is tested here too).
#include <algorithm>
#include <atomic>
#include <charconv>
#include <chrono>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "gtest/gtest.h"
#include "proxy/commands/families.h"
#include "tests/support/history.h"
#include "tests/support/resp_value.h"
#include "tests/support/test_server.h"

namespace tidegate {
namespace {

using testing::CheckHistory;
using testing::HistoryOperation;
using testing::ParseResp;
using testing::RespValue;

using History = std::vector<HistoryOperation>;

TEST(HistoryTest, AcceptsWhatHappenedInTurn) {
  EXPECT_EQ(CheckHistory({}), "");
  const History history = {
      {0, 1, {{0, 0}}, {{0, 1}}}, {2, 3, {{0, 1}}, {{0, 2}}}, {4, 5, {{0, 2}, {1, 0}}, {}}};
  EXPECT_EQ(CheckHistory(history), "");
}

TEST(HistoryTest, AcceptsEitherOrderOfWhatOverlaps) {
  const History history = {{0, 9, {{0, 0}}, {{0, 1}}}, {1, 8, {{0, 0}}, {}}, {1, 8, {{0, 1}}, {}}};
  EXPECT_EQ(CheckHistory(history), "");
}

TEST(HistoryTest, FindsALostUpdate) {
  const History history = {{0, 9, {{0, 0}}, {{0, 1}}}, {0, 9, {{0, 0}}, {{0, 1}}}};
  EXPECT_EQ(CheckHistory(history), "two operations wrote version 1 of object 0");
}

TEST(HistoryTest, FindsAVersionThatNobodyWrote) {
  const History history = {{0, 1, {{0, 3}}, {}}};
  EXPECT_EQ(CheckHistory(history), "nobody wrote version 3 of object 0");
}

TEST(HistoryTest, FindsAReadOfThePast) {
  const History history = {{0, 1, {}, {{0, 1}}}, {2, 3, {{0, 0}}, {}}};
  EXPECT_NE(CheckHistory(history), "");
}

TEST(HistoryTest, FindsHalfATransaction) {
  const History history = {{0, 9, {}, {{0, 1}, {1, 1}}}, {0, 9, {{0, 1}, {1, 0}}, {}}};
  EXPECT_NE(CheckHistory(history), "");
}

TEST(HistoryTest, FindsWriteSkew) {
  const History history = {{0, 9, {{0, 0}, {1, 0}}, {{0, 1}}}, {0, 9, {{0, 0}, {1, 0}}, {{1, 1}}}};
  EXPECT_NE(CheckHistory(history), "");
}

TEST(HistoryTest, FindsTwoReadersThatDisagree) {
  const History history = {{0, 9, {}, {{0, 1}}},
                           {0, 9, {}, {{1, 1}}},
                           {0, 9, {{0, 1}, {1, 0}}, {}},
                           {0, 9, {{0, 0}, {1, 1}}, {}}};
  EXPECT_NE(CheckHistory(history), "");
}

constexpr int kAccounts = 1000;
constexpr int kHotAccounts = 8;  // every other transfer is between two of these
constexpr int kClients = 16;
constexpr int kAuditors = 3;  // of the clients
constexpr int64_t kOpeningBalance = 100;
constexpr std::chrono::seconds kDuration{3};

std::string AccountKey(int account) { return "account:" + std::to_string(account); }

std::string Encode(const std::vector<std::string>& words) {
  std::string text = "*" + std::to_string(words.size()) + "\r\n";
  for (const std::string& word : words)
    text += "$" + std::to_string(word.size()) + "\r\n" + word + "\r\n";
  return text;
}

// Bytes of the first reply; 0: it is not whole yet.
size_t ReplyBytes(std::string_view bytes) {
  size_t at = 0;
  for (int64_t values = 1; values > 0; --values) {
    const size_t end = bytes.find("\r\n", at);
    if (end == std::string_view::npos) return 0;
    int64_t number = 0;
    std::from_chars(bytes.data() + at + 1, bytes.data() + end, number);
    const char type = bytes[at];
    at = end + 2;
    if (type == '*' && number > 0) values += number;
    if (type == '$' && number >= 0) at += static_cast<size_t>(number) + 2;
    if (at > bytes.size()) return 0;
  }
  return at;
}

// "balance version"
struct Account {
  int64_t balance = 0;
  int64_t version = 0;

  static Account Parse(const std::string& text) {
    Account account;
    const char* end = text.data() + text.size();
    const auto balance = std::from_chars(text.data(), end, account.balance);
    std::from_chars(balance.ptr + 1, end, account.version);
    return account;
  }
  std::string Text() const { return std::to_string(balance) + " " + std::to_string(version); }
};

class BankClient final {
 public:
  BankClient(uint16_t port, uint64_t seed) : client_(port), random_(seed) {}

  // Sends the commands together; their replies. Empty: the server said no more.
  std::vector<RespValue> Ask(const std::vector<std::vector<std::string>>& commands) {
    std::string bytes;
    for (const auto& words : commands) bytes += Encode(words);
    client_.Send(bytes);
    std::vector<RespValue> replies;
    while (replies.size() < commands.size()) {
      const size_t size = ReplyBytes(received_);
      if (size > 0) {
        replies.push_back(ParseResp(received_.substr(0, size)));
        received_.erase(0, size);
        continue;
      }
      const std::string more = client_.ReadSome();
      if (more.empty()) {
        failure = "no reply to " + commands[0][0];
        return {};
      }
      received_ += more;
    }
    return replies;
  }

  void Transfer();
  void Audit();

  History history;
  size_t transfers = 0;
  size_t refused = 0;  // somebody else was faster
  size_t audits = 0;
  std::string failure;

 private:
  int PickAccount(bool hot) {
    return static_cast<int>(random_() % static_cast<uint64_t>(hot ? kHotAccounts : kAccounts));
  }

  TestClient client_;
  std::mt19937_64 random_;
  std::string received_;
};

void BankClient::Transfer() {
  const bool hot = random_() % 2 == 0;
  const int from = PickAccount(hot);
  const int to = (from + 1 + PickAccount(hot)) % kAccounts;
  if (from == to) return;
  const int64_t read_at = MonotonicNanos();
  const auto seen = Ask(
      {{"WATCH", AccountKey(from), AccountKey(to)}, {"MGET", AccountKey(from), AccountKey(to)}});
  if (seen.empty()) return;
  Account a = Account::Parse(seen[1].items.at(0).text);
  Account b = Account::Parse(seen[1].items.at(1).text);
  HistoryOperation write;
  write.reads = {{from, a.version}, {to, b.version}};
  write.called_nanos = MonotonicNanos();
  history.push_back({read_at, write.called_nanos, write.reads, {}});

  const auto amount = static_cast<int64_t>(random_() % 20);
  a = {a.balance - amount, a.version + 1};
  b = {b.balance + amount, b.version + 1};
  const auto replies = Ask({{"MULTI"},
                            {"SET", AccountKey(from), a.Text()},
                            {"SET", AccountKey(to), b.Text()},
                            {"EXEC"}});
  if (replies.empty()) return;
  if (replies[3].is_null()) {
    ++refused;
    return;
  }
  if (replies[3].items.size() != 2) failure = "EXEC: " + replies[3].text;
  write.answered_nanos = MonotonicNanos();
  write.writes = {{from, a.version}, {to, b.version}};
  history.push_back(std::move(write));
  ++transfers;
}

void BankClient::Audit() {
  std::vector<std::string> halves[2] = {{"MGET"}, {"MGET"}};
  for (int i = 0; i < kAccounts; ++i) halves[i * 2 / kAccounts].push_back(AccountKey(i));
  HistoryOperation read;
  read.called_nanos = MonotonicNanos();
  const auto replies = Ask({{"MULTI"}, halves[0], halves[1], {"EXEC"}});
  if (replies.empty()) return;
  read.answered_nanos = MonotonicNanos();
  int64_t total = 0;
  for (const RespValue& half : replies[3].items) {
    for (const RespValue& item : half.items) {
      const Account account = Account::Parse(item.text);
      total += account.balance;
      read.reads.push_back({static_cast<int>(read.reads.size()), account.version});
    }
  }
  if (total != kAccounts * kOpeningBalance || read.reads.size() != kAccounts)
    failure = "an audit found " + std::to_string(total);
  history.push_back(std::move(read));
  ++audits;
}

TEST(BankTest, NoMoneyIsMadeOrLost) {
  TestServer server(ProxyCommandFamilies());
  std::vector<std::unique_ptr<BankClient>> clients;
  for (int i = 0; i < kClients; ++i)
    clients.push_back(std::make_unique<BankClient>(server.port(), static_cast<uint64_t>(i)));
  std::vector<std::string> opening = {"MSET"};
  for (int i = 0; i < kAccounts; ++i) {
    opening.push_back(AccountKey(i));
    opening.push_back(Account{kOpeningBalance, 0}.Text());
  }
  ASSERT_FALSE(clients[0]->Ask({opening}).empty());

  const auto end = std::chrono::steady_clock::now() + kDuration;
  std::vector<std::thread> threads;
  for (int i = 0; i < kClients; ++i) {
    threads.emplace_back([&client = *clients[static_cast<size_t>(i)], i, end] {
      while (client.failure.empty() && std::chrono::steady_clock::now() < end)
        i < kAuditors ? client.Audit() : client.Transfer();
    });
  }
  for (std::thread& thread : threads) thread.join();

  History history;
  size_t transfers = 0;
  size_t refused = 0;
  size_t audits = 0;
  for (const auto& client : clients) {
    EXPECT_EQ(client->failure, "");
    transfers += client->transfers;
    refused += client->refused;
    audits += client->audits;
    std::move(client->history.begin(), client->history.end(), std::back_inserter(history));
  }
  EXPECT_GT(transfers, 0u);
  EXPECT_GT(refused, 0u);
  EXPECT_GT(audits, 0u);
  RecordProperty("transfers", static_cast<int>(transfers));
  RecordProperty("refused", static_cast<int>(refused));
  RecordProperty("audits", static_cast<int>(audits));
  EXPECT_EQ(CheckHistory(history), "");
}

}  // namespace
}  // namespace tidegate
