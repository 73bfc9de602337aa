#include "storage/value/set_view.h"

#include <optional>

#include "base/text.h"

namespace tidegate {

bool SetView::Contains(std::string_view member) const {
  switch (form_) {
    case SetForm::kIntset: {
      const std::optional<int64_t> integer = ParseInt64(member);
      return integer && IntsetView(bytes_).Contains(*integer);
    }
    case SetForm::kListpack: {
      const ListpackView list(bytes_);
      return list.Find(member) != list.End();
    }
    case SetForm::kTable:
      break;
  }
  return static_cast<bool>(table_->Find(member));
}

ListpackValue SetView::Random(const std::function<uint64_t()>& random) const {
  TG_DCHECK(size() > 0);
  switch (form_) {
    case SetForm::kIntset: {
      const IntsetView set(bytes_);
      return ListpackValue(set.At(random() % set.count()));
    }
    case SetForm::kListpack: {
      const ListpackView list(bytes_);
      return list.Get(list.Seek(static_cast<int64_t>(random() % list.count())));
    }
    case SetForm::kTable:
      break;
  }
  return ListpackValue::AsText(table_->Random(random).field());
}

}  // namespace tidegate
