#include "proxy/event/loop.h"

#include <sys/eventfd.h>
#include <unistd.h>
#include <uv.h>

#include <utility>

#include "base/check.h"
#include "proxy/event/stream.h"

namespace tidegate {

static_assert(sizeof(uv_loop_t) <= kLoopBytes);
static_assert(sizeof(uv_prepare_t) <= kPhaseBytes && sizeof(uv_idle_t) <= kPhaseBytes);

struct EventLoopCallbacks {
  static uv_prepare_t* PrepareOf(EventLoop& loop) {
    return reinterpret_cast<uv_prepare_t*>(loop.prepare_);
  }
  static void OnPrepare(uv_prepare_t* handle) {
    auto& loop = *static_cast<EventLoop*>(handle->data);
    EndTurn(loop);
    if (loop.deferred_first_ != nullptr) {
      loop.ReadDeferred();
      EndTurn(loop);
    }
    if (__builtin_expect(loop.awake_, 0) && loop.deferred_first_ == nullptr) loop.SetAwake(false);
  }
  static uv_idle_t* IdleOf(EventLoop& loop) { return reinterpret_cast<uv_idle_t*>(loop.idle_); }
  static void EndTurn(EventLoop& loop) {
    if (loop.before_wait_ != nullptr) loop.before_wait_(loop.before_wait_context_);
    loop.EndTurn();
  }
};

EventLoop::EventLoop() {
  TG_CHECK(uv_loop_init(native()) == 0);
  uv_prepare_t* prepare = EventLoopCallbacks::PrepareOf(*this);
  uv_prepare_init(native(), prepare);
  prepare->data = this;
  uv_prepare_start(prepare, EventLoopCallbacks::OnPrepare);
  // It alone does not keep the loop running.
  uv_unref(reinterpret_cast<uv_handle_t*>(prepare));
  uv_idle_init(native(), EventLoopCallbacks::IdleOf(*this));
  uv_unref(reinterpret_cast<uv_handle_t*>(EventLoopCallbacks::IdleOf(*this)));
}

EventLoop::~EventLoop() {
  uv_close(reinterpret_cast<uv_handle_t*>(EventLoopCallbacks::PrepareOf(*this)), nullptr);
  uv_close(reinterpret_cast<uv_handle_t*>(EventLoopCallbacks::IdleOf(*this)), nullptr);
  before_wait_ = nullptr;
  uv_run(native(), UV_RUN_DEFAULT);  // lets close callbacks run
  TG_CHECK(uv_loop_close(native()) == 0);
}

// One turn's worth. What is left is readable still, or keeps the loop awake, so that it does not
// wait and comes back.
void EventLoop::ReadDeferred() {
  TurnBegins();
  while (deferred_first_ != nullptr && !TurnIsLong()) {
    Stream& stream = *deferred_first_;
    DropDeferred(stream);
    read_waited_ticks_ = Ticks() - stream.deferred_since_ticks_;
    stream.ReadDeferred();
  }
  read_waited_ticks_ = 0;
}

// A loop with an active idle handle does not wait.
void EventLoop::SetAwake(bool awake) {
  awake_ = awake;
  if (awake) {
    uv_idle_start(EventLoopCallbacks::IdleOf(*this), [](uv_idle_t*) {});
  } else {
    uv_idle_stop(EventLoopCallbacks::IdleOf(*this));
  }
}

void EventLoop::Defer(Stream& stream, bool in_memory) {
  if (in_memory && !awake_) SetAwake(true);
  stream.deferred_since_ticks_ = Ticks();
  stream.deferred_before_ = deferred_last_;
  stream.deferred_after_ = nullptr;
  (deferred_last_ != nullptr ? deferred_last_->deferred_after_ : deferred_first_) = &stream;
  deferred_last_ = &stream;
}

void EventLoop::DropDeferred(Stream& stream) {
  Stream* const before = stream.deferred_before_;
  Stream* const after = stream.deferred_after_;
  (before != nullptr ? before->deferred_after_ : deferred_first_) = after;
  (after != nullptr ? after->deferred_before_ : deferred_last_) = before;
}

void EventLoop::Run() { uv_run(native(), UV_RUN_DEFAULT); }
void EventLoop::Stop() { uv_stop(native()); }

namespace {

// Handle with a callback; frees itself when libuv is done with it.
template <typename UvHandle>
struct CallbackHandle {
  UvHandle uv;
  EventLoop* loop;
  std::function<void()> callback;

  void Fire() {
    loop->TurnBegins();
    callback();
  }
  // May be called by the callback itself, which therefore goes with the handle and not before;
  // libuv calls nothing of a closing handle any more.
  void Close() {
    uv_close(reinterpret_cast<uv_handle_t*>(&uv),
             [](uv_handle_t* handle) { delete static_cast<CallbackHandle*>(handle->data); });
  }
};

}  // namespace

struct Timer::Handle : CallbackHandle<uv_timer_t> {};
// An eventfd and not a uv_async_t: a loop that is woken by that one spins until the sender has
// returned, and who was woken on the sender's processor keeps the sender from it.
struct WakeUp::Handle : CallbackHandle<uv_poll_t> {
  int fd = -1;

  void Fire() {
    uint64_t count = 0;
    static_cast<void>(!read(fd, &count, sizeof count));  // all Sends by now are this one
    CallbackHandle::Fire();
  }
};
struct SignalWatcher::Handle : CallbackHandle<uv_signal_t> {};
struct ReadWatcher::Handle : CallbackHandle<uv_poll_t> {};

namespace {

template <typename Handle>
Handle* MakeHandle(EventLoop& loop, std::function<void()>&& callback) {
  auto* handle = new Handle;
  handle->loop = &loop;
  handle->callback = std::move(callback);
  return handle;
}

template <typename Handle, typename UvHandle>
void Fire(UvHandle* handle) {
  static_cast<Handle*>(handle->data)->Fire();
}

}  // namespace

Timer::Timer(EventLoop& loop, std::function<void()> callback)
    : handle_(MakeHandle<Handle>(loop, std::move(callback))) {
  TG_CHECK(uv_timer_init(loop.native(), &handle_->uv) == 0);
  handle_->uv.data = handle_;
}
Timer::~Timer() { handle_->Close(); }
void Timer::Start(uint64_t delay_ms, uint64_t repeat_ms) {
  uv_update_time(handle_->loop->native());
  uv_timer_start(&handle_->uv, Fire<Handle, uv_timer_t>, delay_ms, repeat_ms);
}
void Timer::Stop() { uv_timer_stop(&handle_->uv); }

WakeUp::WakeUp(EventLoop& loop, std::function<void()> callback)
    : handle_(MakeHandle<Handle>(loop, std::move(callback))) {
  handle_->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  TG_CHECK(handle_->fd >= 0);
  TG_CHECK(uv_poll_init(loop.native(), &handle_->uv, handle_->fd) == 0);
  handle_->uv.data = handle_;
  uv_poll_start(&handle_->uv, UV_READABLE,
                [](uv_poll_t* uv, int, int) { Fire<Handle, uv_poll_t>(uv); });
}
WakeUp::~WakeUp() {
  const int fd = handle_->fd;
  uv_close(reinterpret_cast<uv_handle_t*>(&handle_->uv),
           [](uv_handle_t* handle) { delete static_cast<Handle*>(handle->data); });
  close(fd);  // which libuv has let go of
}
void WakeUp::Send() {
  const uint64_t one = 1;
  static_cast<void>(!write(handle_->fd, &one, sizeof one));  // it fails when it is full of them
}

SignalWatcher::SignalWatcher(EventLoop& loop, int signal, std::function<void()> callback)
    : handle_(MakeHandle<Handle>(loop, std::move(callback))) {
  TG_CHECK(uv_signal_init(loop.native(), &handle_->uv) == 0);
  handle_->uv.data = handle_;
  uv_signal_start(
      &handle_->uv, [](uv_signal_t* uv, int) { Fire<Handle, uv_signal_t>(uv); }, signal);
}
SignalWatcher::~SignalWatcher() { handle_->Close(); }

ReadWatcher::ReadWatcher(EventLoop& loop, int fd, std::function<void()> callback)
    : handle_(MakeHandle<Handle>(loop, std::move(callback))) {
  TG_CHECK(uv_poll_init(loop.native(), &handle_->uv, fd) == 0);
  handle_->uv.data = handle_;
  uv_poll_start(&handle_->uv, UV_READABLE,
                [](uv_poll_t* uv, int, int) { Fire<Handle, uv_poll_t>(uv); });
}
ReadWatcher::~ReadWatcher() { handle_->Close(); }

}  // namespace tidegate
