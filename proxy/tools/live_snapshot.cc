#include "proxy/tools/live_snapshot.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string_view>
#include <system_error>
#include <thread>
#include <utility>

#include "base/file.h"
#include "proxy/tools/server_socket.h"
#include "proxy/topology/reply.h"

namespace tidegate {
namespace {

using topology::Reply;

// Of an answer; BGSAVE is not waited for with one.
constexpr int kAnswerMsMax = 60'000;
constexpr std::chrono::milliseconds kAskAgain{100};
constexpr size_t kPasswordFileBytesMax = 65536;

// One request after the other, each with its answer.
class Conversation final {
 public:
  static Result<std::unique_ptr<Conversation>> Open(const std::string& address) {
    Result<int> fd = ConnectToServer(address);
    if (!fd.ok()) return std::move(fd).error();
    return std::unique_ptr<Conversation>(new Conversation(*fd, address));
  }
  ~Conversation() { close(descriptor_); }
  Conversation(const Conversation&) = delete;
  Conversation& operator=(const Conversation&) = delete;

  // An answer that is an error is one here.
  Result<Reply> Ask(std::initializer_list<std::string_view> words) {
    std::string request = "*" + std::to_string(words.size()) + "\r\n";
    for (const std::string_view word : words) {
      request += "$" + std::to_string(word.size()) + "\r\n";
      request += word;
      request += "\r\n";
    }
    TG_RETURN_IF_ERROR(Send(request));
    Result<Reply> reply = Receive();
    if (reply.ok() && reply->is_error()) return Failed(reply->text);
    return reply;
  }
  Error Failed(std::string_view what) const { return Error{address_ + ": " + std::string(what)}; }

 private:
  Conversation(int descriptor, std::string address)
      : descriptor_(descriptor), address_(std::move(address)) {}

  Status Send(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t size = send(descriptor_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (size < 0 && errno == EINTR) continue;
      if (size < 0) return Failed(std::strerror(errno));
      bytes.remove_prefix(static_cast<size_t>(size));
    }
    return {};
  }
  Result<Reply> Receive() {
    for (;;) {
      Result<std::optional<Reply>> reply = reader_.Next();
      if (!reply.ok()) return Failed(reply.error().message);
      if (*reply) return std::move(**reply);
      pollfd readable{descriptor_, POLLIN, 0};
      const int ready = poll(&readable, 1, kAnswerMsMax);
      if (ready < 0 && errno == EINTR) continue;
      if (ready == 0) return Failed("the server does not answer");
      char bytes[16384];
      const ssize_t size = recv(descriptor_, bytes, sizeof bytes, 0);
      if (size < 0 && errno == EINTR) continue;
      if (size < 0) return Failed(std::strerror(errno));
      if (size == 0) return Failed("the server closed the connection");
      reader_.Feed({bytes, static_cast<size_t>(size)});
    }
  }

  const int descriptor_;
  const std::string address_;
  topology::ReplyReader reader_;
};

Status LogIn(Conversation& server, const LiveServer& who) {
  if (who.password_file.empty()) return {};
  Result<std::string> text = ReadSmallFile(who.password_file, kPasswordFileBytesMax);
  if (!text.ok()) return std::move(text).error();
  const std::string password = text->substr(0, text->find_first_of("\r\n"));
  Result<Reply> reply =
      who.user.empty() ? server.Ask({"AUTH", password}) : server.Ask({"AUTH", who.user, password});
  if (!reply.ok()) return std::move(reply).error();
  return {};
}

// A line of INFO; empty: there is none.
std::string FieldOf(std::string_view info, std::string_view name) {
  for (size_t at = 0; at < info.size();) {
    const size_t end = std::min(info.find('\n', at), info.size());
    std::string_view line = info.substr(at, end - at);
    at = end + 1;
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.starts_with(name) && line.substr(name.size()).starts_with(':'))
      return std::string(line.substr(name.size() + 1));
  }
  return {};
}

Result<std::string> Info(Conversation& server, std::string_view section) {
  Result<Reply> reply = server.Ask({"INFO", section});
  if (!reply.ok()) return std::move(reply).error();
  return std::string(reply->AsText().value_or(""));
}

Result<std::string> Setting(Conversation& server, std::string_view name) {
  Result<Reply> reply = server.Ask({"CONFIG", "GET", name});
  if (!reply.ok()) return std::move(reply).error();
  std::string value(reply->FindText(name));
  if (value.empty()) return server.Failed("no setting " + std::string(name));
  return value;
}

// Until none is under way, and the last one went well.
Status WaitForSave(Conversation& server) {
  for (;;) {
    Result<std::string> info = Info(server, "persistence");
    if (!info.ok()) return std::move(info).error();
    if (FieldOf(*info, "rdb_bgsave_in_progress") == "0") {
      if (FieldOf(*info, "rdb_last_bgsave_status") == "ok") return {};
      return server.Failed("BGSAVE did not work; the server's log says why");
    }
    std::this_thread::sleep_for(kAskAgain);
  }
}

// One that is under way already began before we came: its data may be older than what is asked for.
Status Save(Conversation& server) {
  Result<std::string> info = Info(server, "persistence");
  if (!info.ok()) return std::move(info).error();
  if (FieldOf(*info, "rdb_bgsave_in_progress") == "1") TG_RETURN_IF_ERROR(WaitForSave(server));
  Result<Reply> began = server.Ask({"BGSAVE"});
  if (!began.ok()) return std::move(began).error();
  return WaitForSave(server);
}

// A directory as the server sees it: one that is relative is so to where the server was started.
std::string DirectoryOf(const std::string& dir, const std::string& process_id) {
  if (dir.starts_with("/")) return dir;
  std::error_code error;
  const auto cwd = std::filesystem::read_symlink("/proc/" + process_id + "/cwd", error);
  return error ? dir : (cwd / dir).lexically_normal().string();
}

// Whether the snapshot lies here, and is the one that was just made.
Status CheckIsHere(const std::string& path, time_t begin) {
  struct stat file {};
  const bool there = stat(path.c_str(), &file) == 0;
  if (there && file.st_mtime >= begin) return {};
  return Error{path +
               (there ? ": older than the snapshot that was just made"
                      : std::string(": ") + std::strerror(errno)) +
               "; the server has to be on this machine, else bring its snapshot here and report "
               "on that"};
}

}  // namespace

Result<LiveSnapshot> SaveLiveServer(const LiveServer& who) {
  Result<std::unique_ptr<Conversation>> opened = Conversation::Open(who.address);
  if (!opened.ok()) return std::move(opened).error();
  Conversation& server = **opened;
  TG_RETURN_IF_ERROR(LogIn(server, who));
  Result<std::string> info = Info(server, "server");
  if (!info.ok()) return std::move(info).error();
  Result<std::string> dir = Setting(server, "dir");
  if (!dir.ok()) return std::move(dir).error();
  Result<std::string> file = Setting(server, "dbfilename");
  if (!file.ok()) return std::move(file).error();
  // Times of files have the resolution of the kernel's ticks: they may be a little behind ours.
  const time_t begin = std::time(nullptr) - 1;
  TG_RETURN_IF_ERROR(Save(server));
  LiveSnapshot snapshot;
  snapshot.path = DirectoryOf(*dir, FieldOf(*info, "process_id")) + "/" + *file;
  snapshot.kind = FieldOf(*info, "tidegate_version").empty() ? SizesOf::kRedis : SizesOf::kTidegate;
  TG_RETURN_IF_ERROR(CheckIsHere(snapshot.path, begin));
  return snapshot;
}

}  // namespace tidegate
