// TLS. This version has none: every value that would ask for it is refused.
#include "config/rows.h"

namespace tidegate {
namespace {

using enum OptionType;

constexpr std::string_view kNoTls = "this version of Tidegate has no TLS";

constexpr EnumName kAuthClients[] = {{"no", 0}, {"yes", 1}, {"optional", 2}};

constexpr OptionRow kRows[] = {
    {.name = "tls-port",
     .type = kInteger,
     .initial = "0",
     .max = kPortMax,
     .fixed = kNoTls,
     .help = "TCP port for TLS."},
    {.name = "tls-cert-file",
     .type = kText,
     .initial = "",
     .fixed = kNoTls,
     .help = "Certificate."},
    {.name = "tls-key-file", .type = kText, .initial = "", .fixed = kNoTls, .help = "Private key."},
    {.name = "tls-key-file-pass",
     .type = kText,
     .initial = "",
     .secret = true,
     .fixed = kNoTls,
     .help = "Password of the private key."},
    {.name = "tls-client-cert-file",
     .type = kText,
     .initial = "",
     .fixed = kNoTls,
     .help = "Certificate of outgoing connections."},
    {.name = "tls-client-key-file",
     .type = kText,
     .initial = "",
     .fixed = kNoTls,
     .help = "Private key of outgoing connections."},
    {.name = "tls-client-key-file-pass",
     .type = kText,
     .initial = "",
     .secret = true,
     .fixed = kNoTls,
     .help = "Password of that key."},
    {.name = "tls-dh-params-file",
     .type = kText,
     .initial = "",
     .fixed = kNoTls,
     .help = "Diffie-Hellman parameters."},
    {.name = "tls-ca-cert-file",
     .type = kText,
     .initial = "",
     .fixed = kNoTls,
     .help = "Trusted authorities, a file."},
    {.name = "tls-ca-cert-dir",
     .type = kText,
     .initial = "",
     .fixed = kNoTls,
     .help = "Trusted authorities, a directory."},
    {.name = "tls-auth-clients",
     .type = kEnum,
     .initial = "yes",
     .names = kAuthClients,
     .help = "Whether clients must show a certificate."},
    {.name = "tls-replication",
     .type = kYesNo,
     .initial = "no",
     .fixed = kNoTls,
     .help = "TLS to the primary."},
    {.name = "tls-cluster",
     .type = kYesNo,
     .initial = "no",
     .fixed = kNoTls,
     .help = "TLS on the cluster bus."},
    {.name = "tls-protocols", .type = kText, .initial = "", .help = "Protocol versions."},
    {.name = "tls-ciphers", .type = kText, .initial = "", .help = "Ciphers up to TLS 1.2."},
    {.name = "tls-ciphersuites", .type = kText, .initial = "", .help = "Ciphers of TLS 1.3."},
    {.name = "tls-prefer-server-ciphers",
     .type = kYesNo,
     .initial = "no",
     .help = "Whose order of ciphers counts."},
    {.name = "tls-session-caching", .type = kYesNo, .initial = "yes", .help = "Resume sessions."},
    {.name = "tls-session-cache-size",
     .type = kInteger,
     .initial = "20480",
     .max = kInt32Max,
     .help = "Sessions kept."},
    {.name = "tls-session-cache-timeout",
     .type = kInteger,
     .initial = "300",
     .max = kInt32Max,
     .help = "Seconds a session is kept."},
};

}  // namespace

const OptionGroup kTlsOptions = {"TLS", "This version has none. What would ask for it is an error.",
                                 kRows};

}  // namespace tidegate
