// Who may ask what of the admin address, before any page is looked for. Decision 0028 has the why.
//
//   /healthz and /readyz   anybody: probes have no secrets
//   with a token           everything else wants it: `Authorization: Bearer TOKEN` (Prometheus), or
//                          Basic with it as the password and any user (browsers ask for that)
//   without a token        this machine may all; others may /metrics, which names no keys, as
//                          Redis's protected mode lets nobody else in while there is no password
//   what does something    by POST alone, and never by a web page: whatever a browser sends says
//                          from which page it comes (Origin), and is refused
//
// A web page whose name was pointed at our address (DNS rebinding) comes with a foreign Host: it is
// refused where being on this machine is all that is asked for. Where the token is, the browser has
// none for that name. A token in the URL is not taken: URLs end up in logs and histories.
// Immutable; any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "config/options.h"

namespace tidegate {

// Who asks, and where. Views live for the call.
struct AdminCaller {
  std::string_view path;
  std::string_view host = {};           // the header, empty when there was none
  std::string_view authorization = {};  // the header, empty when there was none
  bool is_local = true;                 // the connection comes from this machine
};

enum class AdminVerdict : uint8_t {
  kAllowed,
  kForeignHost,  // 403
  kNotLocal,     // 403
  kNoToken,      // 401: none, or a wrong one
};

class AdminAccess final {
 public:
  // Empty: there is no token. `loopback_only`: nobody but this machine reaches the address.
  AdminAccess(std::string token, bool loopback_only);

  AdminVerdict Judge(const AdminCaller& caller) const;

 private:
  bool HasToken(std::string_view authorization) const;

  const std::string token_;
  const bool loopback_only_;
};

// A line for whom it refuses, what can be done about it included.
std::string_view Explain(AdminVerdict verdict);

// The token of the settings: `admin-token`, or the first line of `admin-token-file`. Error: it
// cannot be read, or what is in it is no token.
Result<std::string> AdminTokenOf(const Options& options);

}  // namespace tidegate
