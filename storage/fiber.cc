#include "storage/fiber.h"

#include <sys/mman.h>

#include <cstdint>
#include <utility>

#include "base/bytes.h"
#include "base/check.h"

#if defined(__SANITIZE_ADDRESS__)
#define TG_FIBER_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define TG_FIBER_ASAN 1
#endif
#endif
#if defined(__SANITIZE_THREAD__)
#define TG_FIBER_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define TG_FIBER_TSAN 1
#endif
#endif

#ifdef TG_FIBER_ASAN
#include <sanitizer/common_interface_defs.h>
#endif
#ifdef TG_FIBER_TSAN
#include <sanitizer/tsan_interface.h>
#endif

namespace tidegate {
namespace {

// Only what is used is there. liblzf has a table of half a mebibyte on its caller's stack; frames
// are several times as large under the sanitizers.
#ifdef TIDEGATE_SANITIZE
constexpr Bytes kStackBytes = 8_MiB;
#else
constexpr Bytes kStackBytes = 2_MiB;
#endif
constexpr size_t kGuardBytes = (4_KiB).count;
constexpr size_t kMappingBytes = kGuardBytes + kStackBytes.count;

}  // namespace

FiberStack::FiberStack() {
  void* memory = mmap(nullptr, kMappingBytes, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
  TG_CHECK(memory != MAP_FAILED);
  TG_CHECK(mprotect(memory, kGuardBytes, PROT_NONE) == 0);
  bottom_ = static_cast<char*>(memory) + kGuardBytes;
}

FiberStack::~FiberStack() { munmap(bottom_ - kGuardBytes, kMappingBytes); }

Fiber::Fiber(std::unique_ptr<FiberStack> stack, Body body, void* argument)
    : stack_(std::move(stack)), body_(body), argument_(argument) {
  TG_CHECK(getcontext(&own_) == 0);
  own_.uc_stack.ss_sp = stack_->bottom();
  own_.uc_stack.ss_size = kStackBytes.count;
  own_.uc_link = nullptr;  // Run never returns
  const auto self = reinterpret_cast<uintptr_t>(this);
  makecontext(&own_, reinterpret_cast<void (*)()>(&Fiber::Main), 2,
              static_cast<unsigned>(self >> 32), static_cast<unsigned>(self));
#ifdef TG_FIBER_TSAN
  sanitizer_own_ = __tsan_create_fiber(0);
#endif
}

Fiber::~Fiber() {
  TG_CHECK(through_);
#ifdef TG_FIBER_TSAN
  __tsan_destroy_fiber(sanitizer_own_);
#endif
}

std::unique_ptr<FiberStack> Fiber::TakeStack() {
  TG_CHECK(through_);
  return std::move(stack_);
}

bool Fiber::Resume() {
  TG_CHECK(!through_);
#ifdef TG_FIBER_ASAN
  void* fake_stack = nullptr;
  __sanitizer_start_switch_fiber(&fake_stack, stack_->bottom(), kStackBytes.count);
#endif
#ifdef TG_FIBER_TSAN
  sanitizer_caller_ = __tsan_get_current_fiber();
  __tsan_switch_to_fiber(sanitizer_own_, 0);
#endif
  TG_CHECK(swapcontext(&caller_, &own_) == 0);
#ifdef TG_FIBER_ASAN
  __sanitizer_finish_switch_fiber(fake_stack, nullptr, nullptr);
#endif
  return through_;
}

void Fiber::Leave() {
#ifdef TG_FIBER_ASAN
  // The end of a fiber takes its fake stack along.
  __sanitizer_start_switch_fiber(through_ ? nullptr : &sanitizer_own_, caller_stack_,
                                 caller_stack_bytes_);
#endif
#ifdef TG_FIBER_TSAN
  __tsan_switch_to_fiber(sanitizer_caller_, 0);
#endif
  TG_CHECK(swapcontext(&own_, &caller_) == 0);
#ifdef TG_FIBER_ASAN
  __sanitizer_finish_switch_fiber(sanitizer_own_, &caller_stack_, &caller_stack_bytes_);
#endif
}

void Fiber::Main(unsigned high, unsigned low) {
  const uintptr_t self = static_cast<uintptr_t>(high) << 32 | low;
  reinterpret_cast<Fiber*>(self)->Run();
}

void Fiber::Run() {
#ifdef TG_FIBER_ASAN
  __sanitizer_finish_switch_fiber(nullptr, &caller_stack_, &caller_stack_bytes_);
#endif
  body_(argument_);
  through_ = true;
  Leave();
  CheckFailed(__FILE__, __LINE__, "a fiber that is through was resumed");
}

}  // namespace tidegate
