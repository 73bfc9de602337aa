// Passwords, protected mode and the switches of dangerous commands.
#include "config/rows.h"

namespace tidegate {
namespace {

using enum OptionType;

constexpr EnumName kActions[] = {
    {"no", static_cast<int64_t>(ProtectedAction::kNo)},
    {"yes", static_cast<int64_t>(ProtectedAction::kYes)},
    {"local", static_cast<int64_t>(ProtectedAction::kLocal)},
};
constexpr EnumName kPubsubDefaults[] = {{"allchannels", 0}, {"resetchannels", 1}};

constexpr std::string_view kNoAcl =
    "this version of Tidegate has no ACL users beyond the default one (requirepass)";

constexpr OptionRow kRows[] = {
    {.name = "requirepass",
     .type = kText,
     .initial = "",
     .member = TextMember(&Options::requirepass),
     .secret = true,
     .help = "Password of the default user. Empty: none is asked for."},
    {.name = "protected-mode",
     .type = kYesNo,
     .initial = "yes",
     .member = NumberMember<&Options::protected_mode>(),
     .help = "Without a password, accept clients from this machine only."},
    {.name = "enable-debug-command",
     .type = kEnum,
     .initial = "no",
     .names = kActions,
     .member = NumberMember<&Options::enable_debug_command>(),
     .run_time = false,
     .help = "Who may use DEBUG: nobody, everybody, or clients of this machine."},
    {.name = "enable-protected-configs",
     .type = kEnum,
     .initial = "no",
     .names = kActions,
     .member = NumberMember<&Options::enable_protected_configs>(),
     .run_time = false,
     .help = "Who may change protected settings (`dir`, `dbfilename`) at run time."},
    {.name = "enable-module-command",
     .type = kEnum,
     .initial = "no",
     .names = kActions,
     .run_time = false,
     .help = "Who may load modules. Tidegate loads none."},
    {.name = "aclfile",
     .type = kText,
     .initial = "",
     .run_time = false,
     .fixed = kNoAcl,
     .help = "File of ACL users."},
    {.name = "acl-pubsub-default",
     .type = kEnum,
     .initial = "resetchannels",
     .names = kPubsubDefaults,
     .help = "Channels of new ACL users."},
    {.name = "acllog-max-len",
     .type = kInteger,
     .initial = "128",
     .member = NumberMember<&Options::acllog_max_len>(),
     .help = "Entries that ACL LOG keeps."},
};

}  // namespace

const OptionGroup kSecurityOptions = {
    "Security", "Passwords, protected mode and the switches of dangerous commands.", kRows};

}  // namespace tidegate
