// NotifyService: tells the service manager that started this process how it is (systemd,
// Type=notify; podman too). Why not libsystemd's sd_notify: a datagram to the socket that
// $NOTIFY_SOCKET names is all there is to it, and the library would come with every installation.
// Without that variable nothing is done. Any thread; blocks no longer than a send to a local socket
// does. Source: sd_notify(3), "Notes".
#pragma once

#include <string_view>

namespace tidegate {

// `state` as sd_notify(3) has it: "READY=1", "STOPPING=1", lines for several. Whether it was sent.
bool NotifyService(std::string_view state);

}  // namespace tidegate
