// EffectLog: what the execution that is under way on a thread has done to the data so far, in the
// form of a record (effect_record.h).
//
//   BeginCommand ── handler ── EndCommand        its own effects, or the command as it was sent
//   BeginCommand ── handler ── EndCommand        of a client that was blocked, served by the first
//   the engine appends the record, Clear ── slots are unlocked
//
// A command that changed something has itself as its effect, word for word, unless its handler says
// something else: that is right for most, costs one copy of the arguments, and leaves it to those
// commands to act that depend on the time, on chance, on other keys, or on what was sent before.
// Effects are in the order in which they happened: a key that is found expired is deleted in the
// record before the command that found it acts. One log for each thread, and one for each long
// command, exchanged with the thread's for its turns (long_command.h), so that effects of two
// executions never mix. Owner: the thread. Cost: a flag per change when nothing is recorded;
// a SET of a few bytes takes some 20 ns.
#pragma once

#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <memory>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/check.h"
#include "storage/journal/effect_record.h"

namespace tidegate {

// Memory that a log keeps for the next record.
inline constexpr Bytes kEffectLogKeptBytes = 64_KiB;

class EffectLog final {
 public:
  // What a command that encloses another one has said about itself.
  struct Outer {
    bool changed;
    bool given;
  };

  // Data was changed, whoever did it: the command under way has an effect.
  void NoteChange() { changed_ = true; }

  Outer BeginCommand() { return {std::exchange(changed_, false), std::exchange(given_, false)}; }
  // `ended`: it was carried out, and has not been put off.
  void EndCommand(Outer outer, int db, std::span<const std::string_view> args, bool ended) {
    if (changed_ && !given_ && ended) Add(db, {}, args);
    changed_ = outer.changed;
    given_ = outer.given;
  }
  // The command under way says itself what it does: nothing but what is added.
  void Give() { given_ = true; }

  // A command that does again what was done: the words of `head`, then those of `tail`.
  void Add(int db, std::initializer_list<std::string_view> head,
           std::span<const std::string_view> tail = {}) {
    TG_DCHECK(words_left_ == 0);
    const size_t words = head.size() + tail.size();
    TG_DCHECK(words > 0);
    size_t bytes = (2 + words) * kVarintBytesMax;
    for (const std::string_view word : head) bytes += word.size();
    for (const std::string_view word : tail) bytes += word.size();
    char* at = PutVarint(Reserve(bytes), static_cast<uint64_t>(db));
    at = PutVarint(at, words);
    for (const std::string_view word : head) at = PutWord(at, word);
    for (const std::string_view word : tail) at = PutWord(at, word);
    Commit(at);
  }
  // The same word by word, as many as were said. Nothing else may be added in between, so nothing
  // may be looked up: a key that is found expired is.
  void Begin(int db, size_t words) {
    TG_DCHECK(words_left_ == 0);
    TG_DCHECK(words > 0);
    char* at = PutVarint(Reserve(2 * kVarintBytesMax), static_cast<uint64_t>(db));
    Commit(PutVarint(at, words));
    words_left_ = words;
  }
  void Word(std::string_view bytes) {
    TG_DCHECK(words_left_ > 0);
    Commit(PutWord(Reserve(kVarintBytesMax + bytes.size()), bytes));
    --words_left_;
  }

  // So many keys are there more, and so many with a time to live.
  void Count(int db, int64_t keys, int64_t expires) {
    if (__builtin_expect(counts_.size() == 1 && counts_[0].db == db, 1)) {
      counts_[0].keys += keys;
      counts_[0].expires += expires;
    } else {
      CountSlowly(db, keys, expires);
    }
  }
  // The object on disk that holds this value of a key, which is overwritten or removed.
  void NoteObject(uint64_t id) { objects_.push_back(id); }
  // A database was dropped, or became another: nobody has counted that.
  void CountNoMore() { counts_are_void_ = true; }

  // Whether there is a record; it is whole between commands, but for its notes.
  bool pending() const { return size_ != 0; }
  // Puts the notes behind the commands. Once for a record.
  void Finish();
  std::string_view record() const { return {bytes_.get(), size_}; }
  void Clear() {
    size_ = 0;
    counts_.clear();
    counts_are_void_ = false;
    objects_.clear();
    if (__builtin_expect(capacity_ <= kEffectLogKeptBytes.count, 1)) return;
    bytes_.reset();
    capacity_ = 0;
  }

 private:
  // Most words are short, and a call for each would cost more than the rest.
  static char* PutWord(char* at, std::string_view word) {
    const size_t n = word.size();
    const char* from = word.data();
    at = PutVarint(at, n);
    if (n > 16) {
      std::memcpy(at, from, n);
    } else if (n >= 8) {
      std::memcpy(at, from, 8);
      std::memcpy(at + n - 8, from + n - 8, 8);
    } else if (n >= 4) {
      std::memcpy(at, from, 4);
      std::memcpy(at + n - 4, from + n - 4, 4);
    } else {
      for (size_t i = 0; i < n; ++i) at[i] = from[i];
    }
    return at + n;
  }
  char* Reserve(size_t more) {
    if (__builtin_expect(capacity_ - size_ < more, 0)) Grow(more);
    return bytes_.get() + size_;
  }
  void Commit(const char* end) { size_ = static_cast<size_t>(end - bytes_.get()); }
  void Grow(size_t more);
  void CountSlowly(int db, int64_t keys, int64_t expires);

  std::unique_ptr<char[]> bytes_;
  size_t size_ = 0;
  size_t capacity_ = 0;
  size_t words_left_ = 0;  // of the command that is being added
  std::vector<EffectCounts> counts_;
  std::vector<uint64_t> objects_;
  bool counts_are_void_ = false;
  bool changed_ = false;
  bool given_ = false;
};

}  // namespace tidegate
