// Names for clang's -Wthread-safety attributes; nothing under other compilers. The owner of a
// member is part of its type: TG_GUARDED_BY(mutex_), and clang proves it in CI (scripts/dev
// thread-safety). Source: clang's "Thread Safety Analysis" page.
#pragma once

#include <mutex>

#if defined(__clang__)
#define TG_THREAD_ATTRIBUTE(x) __attribute__((x))
#else
#define TG_THREAD_ATTRIBUTE(x)
#endif

#define TG_CAPABILITY(x) TG_THREAD_ATTRIBUTE(capability(x))
#define TG_SCOPED_CAPABILITY TG_THREAD_ATTRIBUTE(scoped_lockable)
#define TG_GUARDED_BY(x) TG_THREAD_ATTRIBUTE(guarded_by(x))
#define TG_PT_GUARDED_BY(x) TG_THREAD_ATTRIBUTE(pt_guarded_by(x))
#define TG_REQUIRES(...) TG_THREAD_ATTRIBUTE(requires_capability(__VA_ARGS__))
#define TG_EXCLUDES(...) TG_THREAD_ATTRIBUTE(locks_excluded(__VA_ARGS__))
#define TG_ACQUIRE(...) TG_THREAD_ATTRIBUTE(acquire_capability(__VA_ARGS__))
#define TG_TRY_ACQUIRE(...) TG_THREAD_ATTRIBUTE(try_acquire_capability(__VA_ARGS__))
#define TG_RELEASE(...) TG_THREAD_ATTRIBUTE(release_capability(__VA_ARGS__))
#define TG_ASSERT_CAPABILITY(x) TG_THREAD_ATTRIBUTE(assert_capability(x))
#define TG_RETURN_CAPABILITY(x) TG_THREAD_ATTRIBUTE(lock_returned(x))
#define TG_NO_THREAD_SAFETY_ANALYSIS TG_THREAD_ATTRIBUTE(no_thread_safety_analysis)

namespace tidegate {

// std::mutex with the annotations that the analysis needs.
class TG_CAPABILITY("mutex") Mutex {
 public:
  void lock() TG_ACQUIRE() { mutex_.lock(); }
  void unlock() TG_RELEASE() { mutex_.unlock(); }
  bool try_lock() TG_TRY_ACQUIRE(true) { return mutex_.try_lock(); }
  std::mutex& native() { return mutex_; }

 private:
  std::mutex mutex_;
};

class TG_SCOPED_CAPABILITY MutexLock {
 public:
  explicit MutexLock(Mutex& mutex) TG_ACQUIRE(mutex) : mutex_(mutex) { mutex_.lock(); }
  ~MutexLock() TG_RELEASE() { mutex_.unlock(); }
  MutexLock(const MutexLock&) = delete;
  MutexLock& operator=(const MutexLock&) = delete;

 private:
  Mutex& mutex_;
};

}  // namespace tidegate
