// What a service manager is told, over a socket like its own.
#include "base/service_notify.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cstddef>
#include <cstdlib>
#include <string>

#include "tests/support/temporary_folder.h"

namespace tidegate {
namespace {

class ServiceNotify : public ::testing::Test {
 protected:
  ~ServiceNotify() override {
    unsetenv("NOTIFY_SOCKET");
    if (descriptor_ >= 0) close(descriptor_);
  }

  // As systemd writes it: "@" stands for the zero byte of an abstract name.
  void Listen(const std::string& name) {
    descriptor_ = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    name.copy(address.sun_path, sizeof(address.sun_path) - 1);
    if (name[0] == '@') address.sun_path[0] = '\0';
    const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name.size());
    ASSERT_EQ(bind(descriptor_, reinterpret_cast<const sockaddr*>(&address), length), 0);
    setenv("NOTIFY_SOCKET", name.c_str(), 1);
  }

  std::string Received() {
    std::array<char, 256> text{};
    const ssize_t size = recv(descriptor_, text.data(), text.size(), 0);
    return size < 0 ? "" : std::string(text.data(), static_cast<size_t>(size));
  }

  testing::TemporaryFolder folder_;
  int descriptor_ = -1;
};

TEST_F(ServiceNotify, SendsTheStateToASocketInTheFileSystem) {
  Listen(folder_.File("notify"));
  EXPECT_TRUE(NotifyService("READY=1"));
  EXPECT_EQ(Received(), "READY=1");
}

TEST_F(ServiceNotify, SendsTheStateToAnAbstractSocket) {
  Listen("@tidegate-test-" + std::to_string(getpid()));
  EXPECT_TRUE(NotifyService("STOPPING=1"));
  EXPECT_EQ(Received(), "STOPPING=1");
}

TEST_F(ServiceNotify, DoesNothingWhenNobodyListens) {
  EXPECT_FALSE(NotifyService("READY=1"));
  for (const std::string& name :
       {folder_.File("nobody"), std::string("relative"), std::string("/"), std::string(200, '/')}) {
    setenv("NOTIFY_SOCKET", name.c_str(), 1);
    EXPECT_FALSE(NotifyService("READY=1")) << name;
  }
}

}  // namespace
}  // namespace tidegate
