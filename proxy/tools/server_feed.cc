#include "proxy/tools/server_feed.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "proxy/tools/server_socket.h"

namespace tidegate {
namespace {

// What a server that neither reads nor answers is given.
constexpr int kSilenceMsMax = 60'000;

// Of one reply; ours are short.
constexpr size_t kReplyBytesMax = size_t{64} << 10;

}  // namespace

Result<std::unique_ptr<ServerFeed>> ServerFeed::Connect(const std::string& address) {
  Result<int> fd = ConnectToServer(address);
  if (!fd.ok()) return std::move(fd).error();
  (void)fcntl(*fd, F_SETFL, fcntl(*fd, F_GETFL) | O_NONBLOCK);
  return std::unique_ptr<ServerFeed>(new ServerFeed(*fd, address));
}

ServerFeed::~ServerFeed() { close(descriptor_); }

Error ServerFeed::Failed(std::string_view what) const {
  std::string text = address_ + ": " + std::string(what);
  if (errors_ > 0 && what != first_error_) text += ", after it had answered " + first_error_;
  return Error{std::move(text)};
}

void ServerFeed::TakeLine(std::string_view line) {
  if (line == "+PONG") {
    answered_ = true;
  } else if (line.starts_with("-")) {
    if (errors_++ == 0) first_error_ = line.substr(1);
  }
}

Status ServerFeed::ReadReplies() {
  char bytes[16384];
  const ssize_t size = recv(descriptor_, bytes, sizeof bytes, 0);
  if (size == 0) return Failed("the server closed the connection");
  if (size < 0) {
    if (errno == EAGAIN || errno == EINTR) return {};
    return Failed(std::strerror(errno));
  }
  input_.append(bytes, static_cast<size_t>(size));
  size_t begin = 0;
  for (size_t end; (end = input_.find("\r\n", begin)) != std::string::npos; begin = end + 2)
    TakeLine(std::string_view(input_).substr(begin, end - begin));
  input_.erase(0, begin);
  return input_.size() > kReplyBytesMax ? Status(Failed("this is no Redis server")) : Status();
}

// One step: what can be written is, what has come is read.
Status ServerFeed::Exchange(std::string_view& bytes) {
  pollfd poll_for{descriptor_, POLLIN, 0};
  if (!bytes.empty()) poll_for.events |= POLLOUT;
  const int ready = poll(&poll_for, 1, kSilenceMsMax);
  if (ready < 0 && errno == EINTR) return {};
  if (ready < 0) return Failed(std::strerror(errno));
  if (ready == 0) return Failed("the server neither reads nor answers");
  if ((poll_for.revents & (POLLIN | POLLHUP | POLLERR)) != 0) TG_RETURN_IF_ERROR(ReadReplies());
  if ((poll_for.revents & POLLOUT) == 0) return {};
  const ssize_t size = send(descriptor_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
  if (size >= 0) {
    bytes.remove_prefix(static_cast<size_t>(size));
  } else if (errno != EAGAIN && errno != EINTR) {
    return Failed(std::strerror(errno));
  }
  return {};
}

Status ServerFeed::Write(std::string_view bytes) {
  while (!bytes.empty()) TG_RETURN_IF_ERROR(Exchange(bytes));
  return {};
}

Status ServerFeed::Wait() {
  answered_ = false;
  TG_RETURN_IF_ERROR(Write("*1\r\n$4\r\nPING\r\n"));
  std::string_view nothing;
  while (!answered_ && first_error_.rfind("NOAUTH", 0) != 0) TG_RETURN_IF_ERROR(Exchange(nothing));
  return {};
}

Status ServerFeed::Greet() {
  TG_RETURN_IF_ERROR(Wait());
  return errors_ > 0 ? Status(Failed(first_error_)) : Status();
}

Status ServerFeed::LogIn(const std::string& user, const std::string& password) {
  std::string command = user.empty() ? "*2\r\n$4\r\nAUTH\r\n" : "*3\r\n$4\r\nAUTH\r\n";
  const auto add = [&command](const std::string& word) {
    command += "$" + std::to_string(word.size()) + "\r\n" + word + "\r\n";
  };
  if (!user.empty()) add(user);
  add(password);
  TG_RETURN_IF_ERROR(Write(command));
  return Greet();
}

}  // namespace tidegate
