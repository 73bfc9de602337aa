#include "tests/support/source_folder.h"

namespace tidegate::testing {

std::string SourceFolder() { return TIDEGATE_SOURCE_DIR; }

}  // namespace tidegate::testing
