// A whole session: any bytes from a client, over a socket pair, to a server in this process. It
// must neither crash nor hang, every reply must be RESP, and the connection must end when the
// client's side does. The last byte of the input chooses where it is cut.
//
// Left out are commands that stop or stall the process for good reasons of their own, and those
// that change settings for the inputs that follow.
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <future>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

#include "base/check.h"
#include "base/text.h"
#include "config/loader.h"
#include "proxy/commands/families.h"
#include "proxy/server.h"
#include "proxy/worker.h"

namespace tidegate {
namespace {

constexpr int kAnswerTimeMaxMs = 10'000;
constexpr int kInputsBetweenFlushes = 100;

class FuzzedServer final {
 public:
  FuzzedServer() {
    LoadedConfig config;
    config.options.workers = 1;
    config.options.listeners = {{.name = "fuzz", .addresses = {{"127.0.0.1", false}}}};
    config.options.proto_max_bulk_len = 1_MiB;  // SETRANGE and SETBIT make values of any length
    Result<std::unique_ptr<Server>> created =
        Server::Create(std::move(config), ProxyCommandFamilies());
    TG_CHECK(created.ok());
    server_ = std::move(created).value();
    std::promise<void> ready;
    thread_ = std::thread([&] { server_->Run([&ready] { ready.set_value(); }); });
    ready.get_future().wait();
  }
  ~FuzzedServer() {
    server_->RequestShutdown({.now = true});
    thread_.join();
  }

  // Everything the server answers to a client that sends these bytes and then no more.
  std::string Converse(std::string_view input, size_t piece_bytes) {
    int ends[2];
    TG_CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
    AcceptedConnection connection;
    connection.fd = ends[1];
    connection.is_unix = true;
    connection.peer_address = "fuzz:0";
    server_->workers()[0]->PostConnection(std::move(connection));
    while (!input.empty()) {
      const std::string_view piece = input.substr(0, piece_bytes);
      input.remove_prefix(piece.size());
      if (send(ends[0], piece.data(), piece.size(), MSG_NOSIGNAL) < 0) break;  // cut off by now
    }
    shutdown(ends[0], SHUT_WR);
    std::string output;
    char buffer[16384];
    for (;;) {
      pollfd readable{ends[0], POLLIN, 0};
      int answered = 0;
      do {
        answered = poll(&readable, 1, kAnswerTimeMaxMs);
      } while (answered < 0 && errno == EINTR);  // libFuzzer has an alarm every ten minutes
      TG_CHECK(answered == 1);
      const ssize_t got = recv(ends[0], buffer, sizeof buffer, 0);
      if (got <= 0) break;
      output.append(buffer, static_cast<size_t>(got));
    }
    close(ends[0]);
    return output;
  }

 private:
  std::unique_ptr<Server> server_;
  std::thread thread_;
};

// Takes one reply off the front. False: the bytes end within it. Anything that is no RESP aborts.
bool TakeReply(std::string_view& bytes, int depth = 0) {
  TG_CHECK(depth < 64);
  const size_t line_end = bytes.find("\r\n");
  if (line_end == std::string_view::npos) return false;
  TG_CHECK(line_end > 0);
  const char type = bytes[0];
  const std::string_view word = bytes.substr(1, line_end - 1);
  bytes.remove_prefix(line_end + 2);
  constexpr std::string_view kLines = "+-,(#_";
  if (kLines.find(type) != std::string_view::npos) return true;
  const auto number = ParseInt64(word);
  TG_CHECK(number.has_value());
  if (type == ':' || *number == -1) return true;
  TG_CHECK(*number >= 0);
  auto count = static_cast<size_t>(*number);
  if (type == '$' || type == '=') {
    if (bytes.size() < count + 2) return false;
    TG_CHECK(bytes.substr(count, 2) == "\r\n");
    bytes.remove_prefix(count + 2);
    return true;
  }
  TG_CHECK(type == '*' || type == '~' || type == '>' || type == '%' || type == '|');
  if (type == '%' || type == '|') count *= 2;
  for (size_t i = 0; i < count; ++i) {
    if (!TakeReply(bytes, depth + 1)) return false;
  }
  return true;
}

bool IsLeftOut(std::string_view input) {
  const std::string lower = ToLowerAscii(input);
  for (const char* word : {"shutdown", "debug", "pause", "config"}) {
    if (lower.find(word) != std::string::npos) return true;
  }
  return false;
}

}  // namespace

// A table keeps an entry's address beside a tag, where the leak checker does not recognize it. That
// the store gives all its memory back is a unit test's to say, by the allocator's own count.
extern "C" const char* __lsan_default_suppressions() {  // NOLINT: the sanitizer's name
  return "leak:tidegate::MemoryAllocate\n";
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static FuzzedServer server;
  static int inputs = 0;
  if (size < 2) return 0;
  const std::string_view input(reinterpret_cast<const char*>(data), size - 1);
  if (IsLeftOut(input)) return 0;
  if (++inputs % kInputsBetweenFlushes == 0) server.Converse("FLUSHALL\r\n", 64);
  const std::string output = server.Converse(input, 1 + data[size - 1]);
  std::string_view rest = output;
  while (!rest.empty() && TakeReply(rest)) continue;
  return 0;
}

}  // namespace tidegate
