// open_loop RATE SECONDS CONNECTIONS KEYS PORT…: GETs at fixed times, whatever becomes of those
// before, to several servers on the loopback interface in turn, a second each; how long each took
// from the moment it was due. One line per server and kind of figure is for upstream_latency.py:
//
//   PORT requests N late N p50 us p99 us p99.9 us max us
//
// What a closed loop hides shows here: while a server pauses, requests go on being due.
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <random>
#include <string>
#include <string_view>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;

// A request that was sent so long after it was due says something of this program, not of the
// server: such are counted.
constexpr std::chrono::microseconds kLate{200};
constexpr int kReadBytes = 65536;

[[noreturn]] void Fail(const char* what) {
  std::perror(what);
  std::exit(1);
}

struct Connection {
  int fd = -1;
  std::deque<Clock::time_point> due;  // of the requests whose replies have not come
  size_t bulk_left = 0;               // bytes of a value, and its line end, that have not come
  std::string line;                   // the beginning of a reply
};

struct Target {
  int port = 0;
  int epoll = -1;
  std::vector<Connection> connections;
  std::vector<double> micros;
  size_t late = 0;
};

void Connect(Target& target, int count) {
  target.epoll = epoll_create1(0);
  target.connections.resize(static_cast<size_t>(count));
  for (size_t i = 0; i < target.connections.size(); ++i) {
    const int fd = socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<uint16_t>(target.port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) Fail("connect");
    const int one = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    target.connections[i].fd = fd;
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.u64 = i;
    if (epoll_ctl(target.epoll, EPOLL_CTL_ADD, fd, &event) != 0) Fail("epoll_ctl");
  }
}

void EndReply(Target& target, Connection& connection, Clock::time_point now) {
  const std::chrono::duration<double, std::micro> took = now - connection.due.front();
  connection.due.pop_front();
  target.micros.push_back(took.count());
}

// Replies are "$-1", "_" or "$N" with a value behind it.
void Take(Target& target, Connection& connection, std::string_view bytes, Clock::time_point now) {
  while (!bytes.empty()) {
    if (connection.bulk_left > 0) {
      const size_t taken = std::min(connection.bulk_left, bytes.size());
      bytes.remove_prefix(taken);
      connection.bulk_left -= taken;
      if (connection.bulk_left == 0) EndReply(target, connection, now);
      continue;
    }
    connection.line += bytes.front();
    bytes.remove_prefix(1);
    if (connection.line.back() != '\n') continue;
    const char kind = connection.line.front();
    const int64_t size = kind == '$' ? std::atoll(connection.line.c_str() + 1) : -1;
    if (kind != '$' && kind != '_') {
      std::fprintf(stderr, "%s", connection.line.c_str());
      std::exit(1);
    }
    connection.line.clear();
    if (size < 0) {
      EndReply(target, connection, now);
    } else {
      connection.bulk_left = static_cast<size_t>(size) + 2;
    }
  }
}

void Receive(Target& target, std::chrono::nanoseconds wait) {
  static std::array<char, kReadBytes> buffer;
  std::array<epoll_event, 64> events;
  const timespec timeout{.tv_sec = 0, .tv_nsec = std::max<int64_t>(wait.count(), 0)};
  const int count = epoll_pwait2(target.epoll, events.data(), events.size(), &timeout, nullptr);
  for (int i = 0; i < count; ++i) {
    Connection& connection = target.connections[events[static_cast<size_t>(i)].data.u64];
    const ssize_t size = read(connection.fd, buffer.data(), buffer.size());
    if (size <= 0) Fail("read");
    Take(target, connection, {buffer.data(), static_cast<size_t>(size)}, Clock::now());
  }
}

void Send(Target& target, Connection& connection, uint64_t key, Clock::time_point due) {
  std::array<char, 96> request;
  const std::string name = "key:" + std::to_string(key);
  const int size = std::snprintf(request.data(), request.size(),
                                 "*2\r\n$3\r\nGET\r\n$%zu\r\n%s\r\n", name.size(), name.c_str());
  if (Clock::now() - due > kLate) ++target.late;
  connection.due.push_back(due);
  if (write(connection.fd, request.data(), static_cast<size_t>(size)) != size) Fail("write");
}

// A second, or a part of it, at the rate; then what is in flight comes.
void RunFor(Target& target, std::chrono::nanoseconds duration, double rate, uint64_t keys,
            std::mt19937_64& random) {
  const std::chrono::nanoseconds period(static_cast<int64_t>(1e9 / rate));
  const Clock::time_point end = Clock::now() + duration;
  size_t next = 0;
  for (Clock::time_point due = Clock::now(); due < end; due += period) {
    for (Clock::time_point now = Clock::now(); now < due; now = Clock::now())
      Receive(target, due - now);
    Send(target, target.connections[next], random() % keys, due);
    next = (next + 1) % target.connections.size();
  }
  const auto is_done = [](const Connection& connection) { return connection.due.empty(); };
  while (!std::all_of(target.connections.begin(), target.connections.end(), is_done))
    Receive(target, std::chrono::milliseconds(10));
}

double At(const std::vector<double>& sorted, double part) {
  const auto at = static_cast<size_t>(static_cast<double>(sorted.size()) * part);
  return sorted[std::min(sorted.size() - 1, at)];
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 6) {
    std::fprintf(stderr, "open_loop RATE SECONDS CONNECTIONS KEYS PORT...\n");
    return 2;
  }
  prctl(PR_SET_TIMERSLACK, 1UL);
  const double rate = std::atof(argv[1]);
  const int seconds = std::atoi(argv[2]);
  const auto keys = static_cast<uint64_t>(std::atoll(argv[4]));
  std::vector<Target> targets;
  for (int i = 5; i < argc; ++i) {
    Target& target = targets.emplace_back();
    target.port = std::atoi(argv[i]);
    Connect(target, std::atoi(argv[3]));
  }
  std::mt19937_64 random(1);
  for (int second = -1; second < seconds; ++second) {
    for (Target& target : targets) {
      RunFor(target, std::chrono::seconds(1), rate, keys, random);
      if (second < 0) {  // everybody has met everybody
        target.micros.clear();
        target.late = 0;
      }
    }
  }
  for (Target& target : targets) {
    std::sort(target.micros.begin(), target.micros.end());
    std::printf("%d requests %zu late %zu p50 %.0f p99 %.0f p99.9 %.0f max %.0f\n", target.port,
                target.micros.size(), target.late, At(target.micros, 0.5), At(target.micros, 0.99),
                At(target.micros, 0.999), target.micros.back());
  }
  return 0;
}
