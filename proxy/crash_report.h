// CrashReport: what a dying process says: signal, stack, registers, the command that ran, INFO.
//
// Written to the log as redis-server writes its own, because that page is what people send with a
// bug. The handler runs on a stack of its own and writes with write(2); stack symbols and INFO need
// memory, which a damaged heap may not give, so they come last and an alarm ends a handler that
// hangs. A second fault inside the handler ends the process at once; other threads that crash
// meanwhile wait for the report. Afterwards the signal's default action runs, so that a core file
// is still written. Arguments that are secrets are "(redacted)". The process has one crash handler
// by nature: state here is global. Threads: any may crash.
#pragma once

#include <functional>
#include <string>

namespace tidegate {

// Arguments of the current command that are shown, and bytes of each.
inline constexpr size_t kCrashArgumentsMax = 32;
inline constexpr size_t kCrashArgumentBytesMax = 128;

namespace crash_report {

// Handles SIGSEGV, SIGBUS, SIGFPE, SIGILL and SIGABRT from now on. `info` gives the INFO page and
// must be callable from any thread; it may be empty.
void Install(std::function<std::string()> info);

// Back to the default actions, before what `info` uses goes.
void Uninstall();

// Gives the calling thread a stack for the handler, so that a stack overflow can be reported too.
void PrepareThread();

}  // namespace crash_report
}  // namespace tidegate
