#include "proxy/crash_report.h"

#include <execinfo.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <utility>

#include "base/log.h"
#include "proxy/session/redaction.h"
#include "proxy/session/session.h"
#include "proxy/worker.h"

namespace tidegate::crash_report {
namespace {

constexpr std::array kSignals = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};
constexpr int kFramesMax = 100;
constexpr size_t kHandlerStackBytes = 256 * 1024;
// A handler that takes longer hangs on something the crash has damaged.
constexpr unsigned kReportSecondsMax = 10;

std::atomic<pid_t> reporting_thread{0};  // 0: none
std::function<std::string()> info_source;

void Say(std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = write(log::Descriptor(), text.data(), text.size());
    if (written <= 0) return;
    text.remove_prefix(static_cast<size_t>(written));
  }
}

template <typename... Args>
void SayFormatted(const char* format, Args... args) {
  char line[512];
  const int size = std::snprintf(line, sizeof line, format, args...);
  Say({line, std::min(static_cast<size_t>(size), sizeof line - 1)});
}

void SayRegisters(const ucontext_t& context) {
  Say("\n------ REGISTERS ------\n");
#if defined(__x86_64__)
  struct Register {
    const char* name;
    int index;
  };
  constexpr Register kRegisters[] = {
      {"RAX", REG_RAX}, {"RBX", REG_RBX}, {"RCX", REG_RCX}, {"RDX", REG_RDX}, {"RDI", REG_RDI},
      {"RSI", REG_RSI}, {"RBP", REG_RBP}, {"RSP", REG_RSP}, {"R8 ", REG_R8},  {"R9 ", REG_R9},
      {"R10", REG_R10}, {"R11", REG_R11}, {"R12", REG_R12}, {"R13", REG_R13}, {"R14", REG_R14},
      {"R15", REG_R15}, {"RIP", REG_RIP}, {"EFL", REG_EFL}};
  int column = 0;
  for (const auto& [name, index] : kRegisters) {
    SayFormatted("%s:%016llx%s", name,
                 static_cast<unsigned long long>(context.uc_mcontext.gregs[index]),
                 ++column % 4 == 0 ? "\n" : " ");
  }
  Say("\n");
#else
  static_cast<void>(context);
  Say("not known for this processor\n");
#endif
}

void SayStack() {
  Say("\n------ STACK TRACE ------\n");
  void* frames[kFramesMax];
  const int count = backtrace(frames, kFramesMax);
  backtrace_symbols_fd(frames, count, log::Descriptor());
}

void SayCurrentCommand() {
  const Worker* worker = Worker::Current();
  if (worker == nullptr) return Say("\nThread: not a worker\n");
  SayFormatted("\nThread: worker %d\n", worker->index());
  const Session* session = worker->current_session();
  const Request* request = worker->current_request();
  if (session == nullptr || request == nullptr) return Say("No command was running.\n");
  Say("\n------ CURRENT CLIENT AND COMMAND ------\n");
  SayFormatted("id=%llu addr=%s db=%d argc=%zu\n", static_cast<unsigned long long>(session->id()),
               session->peer_address().c_str(), session->client().db, request->args.size());
  for (size_t i = 0; i < std::min(request->args.size(), kCrashArgumentsMax); ++i) {
    const std::string_view arg = IsRedacted(*request, session->redacted_arguments(), i)
                                     ? kRedacted
                                     : request->args[i].substr(0, kCrashArgumentBytesMax);
    SayFormatted("argv[%zu]: '", i);
    for (const char c : arg) SayFormatted(c >= 0x20 && c < 0x7f ? "%c" : "\\x%02x", c & 0xff);
    Say("'\n");
  }
}

void Report(int number, const siginfo_t& info, const ucontext_t& context) {
  Say("\n\n=== TIDEGATE BUG REPORT START: Cut & paste starting from here ===\n");
  SayFormatted("Tidegate crashed by signal: %d (%s), si_code: %d\n", number, strsignal(number),
               info.si_code);
  if (number == SIGSEGV || number == SIGBUS) SayFormatted("Accessing address: %p\n", info.si_addr);
  SayCurrentCommand();
  SayRegisters(context);
  SayStack();
  if (info_source) {
    Say("\n------ INFO OUTPUT ------\n");
    Say(info_source());
  }
  Say("\n=== TIDEGATE BUG REPORT END. ===\n");
}

void Handle(int number, siginfo_t* info, void* context) {
  const pid_t self = gettid();
  pid_t nobody = 0;
  if (reporting_thread.compare_exchange_strong(nobody, self)) {
    signal(SIGALRM, SIG_DFL);
    alarm(kReportSecondsMax);
    Report(number, *info, *static_cast<const ucontext_t*>(context));
    alarm(0);
  } else if (nobody != self) {
    // What broke one thread often breaks a second at once. It must not end the process before the
    // first has said why.
    for (;;) pause();
  }
  struct sigaction standard {};
  standard.sa_handler = SIG_DFL;
  sigaction(number, &standard, nullptr);
  raise(number);
}

}  // namespace

void Install(std::function<std::string()> info) {
  info_source = std::move(info);
  PrepareThread();
  void* warm[1];
  backtrace(warm, 1);  // loads the unwinder now, while memory can be had
  struct sigaction action {};
  action.sa_sigaction = Handle;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER;
  for (const int number : kSignals) sigaction(number, &action, nullptr);
}

void Uninstall() {
  for (const int number : kSignals) signal(number, SIG_DFL);
  info_source = nullptr;
}

void PrepareThread() {
  // Stays for the life of the process: a crash may come at a thread's very end.
  void* stack =
      mmap(nullptr, kHandlerStackBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (stack == MAP_FAILED) return;
  stack_t handler_stack{};
  handler_stack.ss_sp = stack;
  handler_stack.ss_size = kHandlerStackBytes;
  sigaltstack(&handler_stack, nullptr);
}

}  // namespace tidegate::crash_report
