// SORT and SORT_RO.
//
//   collect      copies of the elements; the source's slot is held
//   weigh        by what each is sorted: itself, or what BY's pattern names
//   sort
//   fetch        what GET's patterns name, for the elements within LIMIT
//   answer       the reply, or the list that STORE makes
//
// What is locked depends on the call. Without keys that patterns name: the slots of the arguments;
// a large sort without STORE goes on with nothing held once it has its elements. With such keys:
// slot by slot, one look-up at a time, so that nobody else is stopped; every look-up sees its key
// as it is at that moment. STORE with such keys takes the keyspace for itself, so that the list is
// not older than what it was made of, as long as it is a matter of a moment. Millions of elements
// would stop everybody for seconds: they are collected, looked up and sorted as without STORE, and
// the list is put into its key at the end. So the elements are always those of one moment, and what
// a large sort looks up for them is not. In a transaction all of it is one step.
//
// After a restart keys that patterns name may still be on disk. Those are noted, and when a step is
// through they are awaited and the sort begins anew.
#include <algorithm>
#include <memory>
#include <utility>

#include "base/clock.h"
#include "base/output_buffer.h"
#include "config/notify.h"
#include "storage/breathe.h"
#include "storage/command_context.h"
#include "storage/commands/families.h"
#include "storage/commands/sort_arguments.h"
#include "storage/commands/sort_elements.h"
#include "storage/engine_thread.h"
#include "storage/value/hash_value.h"
#include "storage/value/list_value.h"
#include "storage/value/set_view.h"
#include "storage/value/sorted_set_value.h"
#include "storage/value/string_value.h"

namespace tidegate {
namespace {

// How long a turn goes on; looked at after so many steps of the sort, which take 10 to 100 ns.
constexpr int64_t kTurnNanos = 500'000;
constexpr size_t kStepsPerLook = 1024;
constexpr size_t kStepsPerLookup = 8;

// The part of the elements that LIMIT leaves.
struct SortRange {
  size_t first = 0;
  size_t count = 0;

  static SortRange Of(const SortArguments& arguments, size_t size) {
    const auto all = static_cast<int64_t>(size);
    const int64_t first = std::clamp<int64_t>(arguments.limit_start, 0, all);
    const int64_t rest = all - first;
    const int64_t count = arguments.limit_count < 0 ? rest : std::min(arguments.limit_count, rest);
    return {static_cast<size_t>(first), static_cast<size_t>(count)};
  }
};

// What a pattern found: a string, a field of a hash, the element, or nothing.
struct SortFinding {
  const Entry* string = nullptr;
  const HashItem* field = nullptr;
  std::optional<std::string_view> element;

  explicit operator bool() const { return string != nullptr || field != nullptr || element; }
  std::string_view Text(std::string& scratch) const {
    if (string != nullptr) return StringContents(*string, scratch);
    if (field != nullptr) return HashValueText(*field, scratch);
    return element.value_or(std::string_view());
  }
  void Reply(ReplyWriter& reply) const {
    if (string != nullptr) return ReplyString(reply, *string);
    if (field != nullptr) return ReplyHashValue(reply, *field);
    element ? reply.Bulk(*element) : reply.Null();
  }
};

// Elements of a value that can be sorted; 0 for others.
uint64_t SizeOf(CommandContext& context, Entry& entry) {
  switch (entry.type()) {
    case ValueType::kList:
      return ListValue(context.db(), context.key(), &entry).size();
    case ValueType::kSet:
      return SetView(entry).size();
    case ValueType::kSortedSet:
      return SortedSetView(entry).size();
    default:
      return 0;
  }
}

// One SORT on its way. Turn() goes on as far as this turn allows.
class SortRun final : public ClientState::Continuation {
 public:
  explicit SortRun(ReplyWriter& reply) : fetched_(reply.out().pool()), writer_(fetched_) {
    writer_.set_protocol(reply.protocol());
  }

  ExecStatus Turn(CommandContext& context, const SortArguments& arguments);
  // Whether there is anything that the next turn has to know.
  bool has_begun() const { return !begins_anew_ && (phase_ != Phase::kCollect || in_slices_); }

 private:
  enum class Phase : uint8_t { kCollect, kWeigh, kSort, kFetch, kAnswer };

  ExecStatus StepOf(Phase phase, CommandContext& context, const SortArguments& arguments);
  ExecStatus Collect(CommandContext& context, const SortArguments& arguments);
  ExecStatus CollectWhole(CommandContext& context, const SortArguments& arguments, Entry* entry);
  bool CollectFrom(CommandContext& context, const SortArguments& arguments, Entry* entry);
  void CollectInOrder(CommandContext& context, const SortArguments& arguments, Entry& entry);
  void CollectAll(CommandContext& context, Entry& entry);
  ExecStatus Weigh(CommandContext& context, const SortArguments& arguments);
  ExecStatus Sort(CommandContext& context, const SortArguments& arguments);
  ExecStatus Fetch(CommandContext& context, const SortArguments& arguments);
  ExecStatus Answer(CommandContext& context, const SortArguments& arguments);
  ExecStatus Store(CommandContext& context, const SortArguments& arguments);
  template <typename Fn>
  bool LookUp(CommandContext& context, const SortPattern& pattern, std::string_view element,
              Fn&& fn);
  // True when the turn is over.
  bool Spend(CommandContext& context, const SortArguments& arguments, size_t steps) {
    steps_ += steps;
    if (steps_ < kStepsPerLook) return false;
    steps_ = 0;
    if (MayYield(context, arguments)) return TicksToNanos(Ticks() - began_ticks_) >= kTurnNanos;
    Breathe();
    return false;
  }
  // With STORE the slots are held until the list is made, unless it is made in slices.
  bool MayYield(const CommandContext& context, const SortArguments& arguments) const {
    return context.may_yield() && (arguments.store == 0 || in_slices_);
  }
  ExecStatus AwaitMissing(CommandContext& context);
  static ExecStatus Yield(CommandContext& context) {
    context.client().rounds = 0;  // it has its turn behind it
    return context.Yield();
  }

  Phase phase_ = Phase::kCollect;
  uint64_t began_ticks_ = 0;  // of this turn
  size_t steps_ = 0;          // since the last look at the time
  bool in_slices_ = false;    // STORE of many elements with keys that patterns name
  SortElements elements_;
  bool in_order_ = false;
  SortElements::By by_ = SortElements::By::kScore;
  SortRange range_;
  bool failed_ = false;
  size_t next_ = 0;  // element that is weighed or fetched for next
  size_t next_get_ = 0;
  std::string key_;
  std::string scratch_;
  KeyRef busy_;
  OutputBuffer fetched_;  // GET without STORE: encoded already
  ReplyWriter writer_;
  SortElements stored_;               // GET with STORE
  std::vector<std::string> missing_;  // keys that are not in memory
  bool begins_anew_ = false;
};

ExecStatus SortRun::Turn(CommandContext& context, const SortArguments& arguments) {
  steps_ = 0;
  began_ticks_ = Ticks();
  while (phase_ != Phase::kAnswer) {
    const Phase before = phase_;
    const ExecStatus status = StepOf(before, context, arguments);
    if (status != ExecStatus::kDone || phase_ == before) return status;
    if (!missing_.empty()) return AwaitMissing(context);
  }
  return Answer(context, arguments);
}

ExecStatus SortRun::AwaitMissing(CommandContext& context) {
  begins_anew_ = true;
  std::vector<KeyRef> keys;
  for (const std::string& key : missing_) keys.push_back(KeyRef::Of(key));
  return context.AwaitKeys(keys);
}

ExecStatus SortRun::StepOf(Phase phase, CommandContext& context, const SortArguments& arguments) {
  switch (phase) {
    case Phase::kCollect:
      return Collect(context, arguments);
    case Phase::kWeigh:
      return Weigh(context, arguments);
    case Phase::kSort:
      return Sort(context, arguments);
    case Phase::kFetch:
      return Fetch(context, arguments);
    case Phase::kAnswer:
      break;
  }
  return Answer(context, arguments);
}

// The phase stays when an error was written.
ExecStatus SortRun::Collect(CommandContext& context, const SortArguments& arguments) {
  const KeyRef& key = context.key();
  const bool by_slot = in_slices_ || ScopeOfCall(*context.request().command->spec,
                                                 context.args()) == Scope::kSlotBySlot;
  if (by_slot && !context.TryLockSlot(key.slot)) return context.SuspendAtSlot(key.slot);
  if (by_slot && !context.IsInMemory(key)) {
    context.UnlockSlot(key.slot);
    return context.AwaitKeys({&key, 1});
  }
  const ExecStatus status = CollectWhole(context, arguments, context.db().FindForRead(key));
  if (by_slot) context.UnlockSlot(key.slot);
  return status;
}

ExecStatus SortRun::CollectWhole(CommandContext& context, const SortArguments& arguments,
                                 Entry* entry) {
  const uint64_t size = entry == nullptr ? 0 : SizeOf(context, *entry);
  const bool many = size > context.engine().options().short_command_elements_max;
  if (many && context.thread().exclusive && context.may_yield()) {
    in_slices_ = true;
    return Yield(context);
  }
  if (context.IsLong(size)) return context.RunLong();
  if (!CollectFrom(context, arguments, entry)) return context.Fail(errors::kWrongType);
  phase_ = in_order_ ? Phase::kFetch : Phase::kWeigh;
  // The slot is wanted by others.
  return many && MayYield(context, arguments) ? Yield(context) : ExecStatus::kDone;
}

bool SortRun::CollectFrom(CommandContext& context, const SortArguments& arguments, Entry* entry) {
  in_order_ = arguments.keep_order;
  if (!in_order_ && arguments.alpha) {
    by_ = arguments.by ? SortElements::By::kWeightText : SortElements::By::kText;
  }
  if (entry == nullptr) return true;
  switch (entry->type()) {
    case ValueType::kList:
    case ValueType::kSortedSet:
      if (in_order_) {
        CollectInOrder(context, arguments, *entry);
        return true;
      }
      break;
    case ValueType::kSet:
      // A set has no order that STORE could keep: the same members make the same list.
      if (in_order_ && arguments.store != 0) {
        in_order_ = false;
        by_ = SortElements::By::kText;
      }
      break;
    default:
      return false;
  }
  CollectAll(context, *entry);
  range_ = SortRange::Of(arguments, elements_.size());
  next_ = in_order_ ? range_.first : 0;
  return true;
}

// Those within LIMIT alone, in the order that the value has.
void SortRun::CollectInOrder(CommandContext& context, const SortArguments& arguments,
                             Entry& entry) {
  char digits[kListpackDigitsBytes];
  const bool backwards = arguments.descending;
  if (entry.type() == ValueType::kSortedSet) {
    const SortedSetView set(entry);
    const SortRange range = SortRange::Of(arguments, set.size());
    const uint64_t first = backwards ? set.size() - range.first - range.count : range.first;
    elements_.Reserve(range.count);
    set.ForEach({first, first + range.count}, backwards,
                [this](std::string_view member, double) { elements_.Add(member); });
  } else {
    const ListValue list(context.db(), context.key(), &entry);
    const SortRange range = SortRange::Of(arguments, list.size());
    if (range.count == 0) return;
    elements_.Reserve(range.count);
    const auto add = [&](const ListpackValue& value) {
      elements_.Add(value.Render(digits));
      return elements_.size() < range.count;
    };
    backwards ? list.VisitBackward(list.size() - 1 - range.first, add)
              : list.Visit(range.first, add);
  }
  range_ = {0, elements_.size()};
}

void SortRun::CollectAll(CommandContext& context, Entry& entry) {
  char digits[kListpackDigitsBytes];
  if (entry.type() == ValueType::kSortedSet) {
    const SortedSetView set(entry);
    elements_.Reserve(set.size());
    set.ForEach([this](std::string_view member, double) { elements_.Add(member); });
  } else if (entry.type() == ValueType::kSet) {
    const SetView set(entry);
    elements_.Reserve(set.size());
    set.ForEach([&](const ListpackValue& member) { elements_.Add(member.Render(digits)); });
  } else {
    const ListValue list(context.db(), context.key(), &entry);
    elements_.Reserve(list.size());
    list.Visit(0, [&](const ListpackValue& value) {
      elements_.Add(value.Render(digits));
      return true;
    });
  }
}

// Calls fn(const SortFinding&) with what the pattern names for the element. False: the slot is
// busy.
template <typename Fn>
bool SortRun::LookUp(CommandContext& context, const SortPattern& pattern, std::string_view element,
                     Fn&& fn) {
  if (!pattern.names_keys()) {
    SortFinding finding;
    if (pattern.is_element()) finding.element = element;
    fn(finding);
    return true;
  }
  pattern.Key(element, key_);
  const KeyRef key = KeyRef::Of(key_);
  if (!context.TryLockSlot(key.slot)) {
    busy_ = key;
    return false;
  }
  SortFinding finding;
  std::optional<HashItem> item;
  const bool missing = !context.IsInMemory(key);
  if (missing) missing_.push_back(key_);
  const Entry* entry = missing ? nullptr : context.db().FindForRead(key);
  if (entry != nullptr && pattern.field() && entry->type() == ValueType::kHash) {
    item = HashView(*entry, context.now_ms()).Find(*pattern.field());
    if (item) finding.field = &*item;
  } else if (entry != nullptr && !pattern.field() && entry->type() == ValueType::kString) {
    finding.string = entry;
  }
  fn(finding);
  context.UnlockSlot(key.slot);
  return true;
}

ExecStatus SortRun::Weigh(CommandContext& context, const SortArguments& arguments) {
  const bool by_pattern = arguments.by && !arguments.keep_order;
  const auto weigh = [this](const SortFinding& finding) {
    const std::string_view text = finding.Text(scratch_);
    if (by_ == SortElements::By::kWeightText) {
      elements_.WeighBy(next_, finding ? std::optional(text) : std::nullopt);
    } else if (finding) {
      if (text.data() != scratch_.data()) scratch_.assign(text);
      scratch_.resize(text.size());
      failed_ |= !elements_.ScoreBy(next_, scratch_);
    }
  };
  for (; next_ < elements_.size() && by_ != SortElements::By::kText; ++next_) {
    if (Spend(context, arguments, by_pattern ? kStepsPerLookup : 1)) return Yield(context);
    if (!by_pattern) {
      failed_ |= !elements_.ScoreByItself(next_);
    } else if (!LookUp(context, *arguments.by, elements_.text(next_), weigh)) {
      return context.SuspendAtSlot(busy_.slot);
    }
  }
  if (failed_ && missing_.empty())
    return context.Fail("ERR One or more scores can't be converted into double");
  phase_ = Phase::kSort;
  return ExecStatus::kDone;
}

ExecStatus SortRun::Sort(CommandContext& context, const SortArguments& arguments) {
  const SortElements::Order order{by_, arguments.descending};
  while (!elements_.SortSome(order, kStepsPerLook)) {
    if (Spend(context, arguments, kStepsPerLook)) return Yield(context);
  }
  next_ = range_.first;
  phase_ = Phase::kFetch;
  return ExecStatus::kDone;
}

ExecStatus SortRun::Fetch(CommandContext& context, const SortArguments& arguments) {
  const auto keep = [&](const SortFinding& finding) {
    arguments.store != 0 ? stored_.Add(finding.Text(scratch_)) : finding.Reply(writer_);
  };
  const size_t end = range_.first + range_.count;
  const bool replies = arguments.store == 0 && arguments.gets.empty();
  for (; next_ < end && replies; ++next_) {
    if (Spend(context, arguments, 1)) return Yield(context);
    writer_.Bulk(elements_.text(next_));
  }
  if (arguments.store != 0) stored_.Reserve(range_.count * arguments.gets.size());
  for (; next_ < end && !arguments.gets.empty(); ++next_) {
    for (; next_get_ < arguments.gets.size(); ++next_get_) {
      if (Spend(context, arguments, kStepsPerLookup)) return Yield(context);
      if (!LookUp(context, arguments.gets[next_get_], elements_.text(next_), keep))
        return context.SuspendAtSlot(busy_.slot);
    }
    next_get_ = 0;
  }
  phase_ = Phase::kAnswer;
  if (!in_slices_) return ExecStatus::kDone;
  scope = Scope::kManyKeys;  // for the key of the list
  return Yield(context);
}

ExecStatus SortRun::Answer(CommandContext& context, const SortArguments& arguments) {
  if (arguments.store != 0) return Store(context, arguments);
  ReplyWriter& reply = context.reply();
  reply.Array(range_.count * std::max<size_t>(arguments.gets.size(), 1));
  reply.out().TakeAll(fetched_);
  return ExecStatus::kDone;
}

// The list is recorded, not how it came to be: that is of other keys, and of the order in which a
// set is kept. The elements follow.
void BeginRecordOfStored(CommandContext& context, size_t elements, bool replaces) {
  const std::string_view key = context.key(1).name;
  if (replaces) context.RecordAs({"DEL", key});
  context.BeginRecordAs(2 + elements);
  context.thread().effects.Word("RPUSH");
  context.thread().effects.Word(key);
}

ExecStatus SortRun::Store(CommandContext& context, const SortArguments& arguments) {
  constexpr size_t kTextsPerPush = 1024;
  Database& db = context.db();
  const KeyRef& key = context.key(1);
  const SortElements& from = arguments.gets.empty() ? elements_ : stored_;
  const SortRange range = arguments.gets.empty() ? range_ : SortRange{0, stored_.size()};
  if (context.IsLong(range.count)) return context.RunLong();
  if (range.count > 0) {
    std::vector<std::string_view> texts;
    texts.reserve(std::min(range.count, kTextsPerPush));
    Entry* replaced = db.FindForWrite(key);
    ListValue list = ListValue::Instead(db, key, replaced);
    if (context.records()) BeginRecordOfStored(context, range.count, replaced != nullptr);
    for (size_t i = 0; i < range.count;) {
      texts.clear();
      for (; i < range.count && texts.size() < kTextsPerPush; ++i)
        texts.push_back(from.text(range.first + i));
      list.Push(ListEnd::kTail, texts);
      if (!context.records()) continue;
      for (const std::string_view text : texts) context.thread().effects.Word(text);
    }
    list.Commit();
    db.Notify(notify::kList, "sortstore", key);
  } else if (db.Delete(key)) {
    context.RecordAs({"DEL", key.name});
    db.Notify(notify::kGeneric, "del", key);
  }
  context.reply().Integer(static_cast<int64_t>(range.count));
  return ExecStatus::kDone;
}

ExecStatus RunSort(CommandContext& context, SortWords words) {
  SortArguments arguments;
  const std::string_view error = ParseSortArguments(context.args(), words, arguments);
  if (!error.empty()) return context.Fail(error);
  std::unique_ptr<ClientState::Continuation> run = std::move(context.client().continuation);
  if (run == nullptr) run = std::make_unique<SortRun>(context.reply());
  auto& sort = static_cast<SortRun&>(*run);
  const ExecStatus status = sort.Turn(context, arguments);
  if (status == ExecStatus::kSuspended && sort.has_begun())
    context.client().continuation = std::move(run);
  return status;
}

ExecStatus CmdSort(CommandContext& context) { return RunSort(context, SortWords::kAll); }
ExecStatus CmdSortRo(CommandContext& context) { return RunSort(context, SortWords::kReadOnly); }

Scope ScopeOfWords(std::span<const std::string_view> args, SortWords words) {
  SortArguments arguments;
  const bool valid = ParseSortArguments(args, words, arguments).empty();
  if (!valid || !arguments.names_keys()) return Scope::kManyKeys;
  return arguments.store != 0 ? Scope::kWholeKeyspace : Scope::kSlotBySlot;
}

Scope ScopeOfSort(std::span<const std::string_view> args) {
  return ScopeOfWords(args, SortWords::kAll);
}
Scope ScopeOfSortRo(std::span<const std::string_view> args) {
  return ScopeOfWords(args, SortWords::kReadOnly);
}

// The key, and the one behind the last STORE.
bool FindSortKeys(std::span<const std::string_view> args, std::vector<int>& out) {
  size_t store = 0;
  for (size_t i = 2; i < args.size(); ++i) {
    if (EqualsIgnoreCase(args[i], "limit")) {
      i += 2;
    } else if (EqualsIgnoreCase(args[i], "get") || EqualsIgnoreCase(args[i], "by")) {
      ++i;
    } else if (EqualsIgnoreCase(args[i], "store") && i + 1 < args.size()) {
      store = ++i;
    }
  }
  out.push_back(1);
  if (store != 0) out.push_back(static_cast<int>(store));
  return true;
}

bool FindSortRoKeys(std::span<const std::string_view> /*args*/, std::vector<int>& out) {
  out.push_back(1);
  return true;
}

// Names of keys are made of the elements (BY, GET), and STORE may stand anywhere.
constexpr KeywordKeys kSortKeys[] = {{.keyword = "", .flags = "RO access"},
                                     {.keyword = "", .flags = "OW update"}};
constexpr KeywordKeys kSortRoKeys[] = {{.keyword = "", .flags = "RO access"}};
constexpr std::string_view kSortedTypes = "set sortedset list";

constexpr CommandSpec kSortCommands[] = {
    {.name = "SORT",
     .arity = AtLeast(2),
     .keys = {1, 1, 1},
     .find_keys = FindSortKeys,
     .access = Access::kWrite,
     .scope = Scope::kByCall,
     .scope_of_call = ScopeOfSort,
     .flags = kDenyOom | kDangerous | kMeetsAnyKey,
     .cost = Cost::kPerElement,
     .group = Group::kGeneric,
     .since = "1.0.0",
     .complexity = "O(N*log(N)) for N elements; O(N) when their order is kept.",
     .summary = "Gives or stores the elements of a list, a set or a sorted set in another order.",
     .handler = CmdSort,
     .key_flags = "RO access|OW update",
     .acl_categories = kSortedTypes,
     .keyword_keys = kSortKeys},
    {.name = "SORT_RO",
     .arity = AtLeast(2),
     .keys = {1, 1, 1},
     .find_keys = FindSortRoKeys,
     .access = Access::kRead,
     .scope = Scope::kByCall,
     .scope_of_call = ScopeOfSortRo,
     .flags = kDangerous | kMeetsAnyKey,
     .cost = Cost::kPerElement,
     .group = Group::kGeneric,
     .since = "7.0.0",
     .complexity = "O(N*log(N)) for N elements; O(N) when their order is kept.",
     .summary = "Gives the elements of a list, a set or a sorted set in another order.",
     .handler = CmdSortRo,
     .key_flags = "RO access",
     .acl_categories = kSortedTypes,
     .keyword_keys = kSortRoKeys},
};

}  // namespace

static_assert(IsValidFamily(kSortCommands));
constinit const std::span<const CommandSpec> kSortFamily = kSortCommands;

}  // namespace tidegate
