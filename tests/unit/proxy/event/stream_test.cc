// Streams of one loop: the order of reads when there is more to do than a turn has time for.
#include "proxy/event/stream.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace tidegate {
namespace {

constexpr size_t kReadBytes = 16;
// Longer than a turn's budget: each read is the last of its turn.
constexpr auto kSlowRead = std::chrono::nanoseconds(kTurnBudgetNanos) * 3 / 2;

// A stream on one end of a socket pair whose other end the test holds.
class Reader final : public StreamOwner {
 public:
  Reader(EventLoop& loop, std::function<void(Reader&)> on_read)
      : loop_(loop), on_read_(std::move(on_read)), stream_(*this) {
    int ends[2];
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
    peer_ = ends[1];
    EXPECT_TRUE(stream_.Open(loop, ends[0], {.is_unix = true}).ok());
    stream_.StartReading();
  }
  ~Reader() override { ClosePeer(); }

  void Feed(size_t bytes) {
    const std::string data(bytes, 'x');
    EXPECT_EQ(send(peer_, data.data(), bytes, MSG_DONTWAIT), static_cast<ssize_t>(bytes));
  }
  void ClosePeer() {
    if (peer_ >= 0) close(peer_);
    peer_ = -1;
  }
  void Close() {
    if (!stream_.closing()) stream_.Close();
  }
  Stream& stream() { return stream_; }
  int reads() const { return reads_; }
  bool at_end() const { return at_end_; }

 private:
  std::span<char> ReadBuffer() override { return buffer_; }
  void OnRead(size_t) override {
    loop_.TurnBegins();
    ++reads_;
    std::this_thread::sleep_for(kSlowRead);
    on_read_(*this);
  }
  void OnReadEnd() override {
    at_end_ = true;
    Close();
  }
  void OnWritten(bool) override {}
  void OnClosed() override {}

  EventLoop& loop_;
  std::function<void(Reader&)> on_read_;
  Stream stream_;
  char buffer_[kReadBytes];
  int peer_ = -1;
  int reads_ = 0;
  bool at_end_ = false;
};

// The loop of a test, with as many readers as it wants, all of which have something to read. Runs
// until every stream is closed; the process's time limit is the test's.
class BusyLoop {
 public:
  explicit BusyLoop(size_t readers, std::function<void(Reader&)> on_read) {
    for (size_t i = 0; i < readers; ++i)
      readers_.push_back(std::make_unique<Reader>(loop_, on_read));
  }
  void Run() { loop_.Run(); }
  EventLoop& loop() { return loop_; }
  Reader& operator[](size_t i) { return *readers_[i]; }
  size_t size() const { return readers_.size(); }
  std::vector<int> Reads() const {
    std::vector<int> reads;
    for (const auto& reader : readers_) reads.push_back(reader->reads());
    return reads;
  }
  void CloseAll() {
    for (const auto& reader : readers_) reader->Close();
  }

 private:
  EventLoop loop_;  // goes last: its readers' handles are closed by then
  std::vector<std::unique_ptr<Reader>> readers_;
};

TEST(Stream, InABusyLoopEverySocketIsReadInItsTurn) {
  constexpr size_t kReaders = 8;
  constexpr int kReadsEach = 10;
  int left = kReaders * kReadsEach;
  BusyLoop* all = nullptr;
  BusyLoop busy(kReaders, [&](Reader&) {
    if (--left == 0) all->CloseAll();
  });
  all = &busy;
  for (size_t i = 0; i < kReaders; ++i) busy[i].Feed(kReadBytes * kReaders * kReadsEach);
  busy.Run();
  const std::vector<int> reads = busy.Reads();
  EXPECT_GE(*std::min_element(reads.begin(), reads.end()), kReadsEach / 2);
}

TEST(Stream, WhatIsDeferredMayCloseStopOrEndMeanwhile) {
  int reads = 0;
  Reader* closed = nullptr;
  Reader* stopped = nullptr;
  Reader* ended = nullptr;
  BusyLoop* all = nullptr;
  BusyLoop busy(6, [&](Reader&) {
    // The first read was too long for the others, so that all of them are deferred, and the second
    // is of one of these.
    if (++reads != 2) return;
    std::vector<Reader*> unread;
    for (size_t i = 0; i < all->size(); ++i) {
      if ((*all)[i].reads() == 0) unread.push_back(&(*all)[i]);
    }
    ASSERT_EQ(unread.size(), 4u);
    (closed = unread[0])->Close();
    (stopped = unread[1])->stream().StopReading();
    (ended = unread[2])->ClosePeer();
  });
  all = &busy;
  Timer end(busy.loop(), [&] { busy.CloseAll(); });
  end.StartOnce(100);
  for (size_t i = 0; i < busy.size(); ++i) busy[i].Feed(kReadBytes);
  busy.Run();
  ASSERT_NE(ended, nullptr);
  EXPECT_EQ(closed->reads(), 0);
  EXPECT_EQ(stopped->reads(), 0);
  EXPECT_EQ(ended->reads(), 1);
  EXPECT_TRUE(ended->at_end());
}

}  // namespace
}  // namespace tidegate
