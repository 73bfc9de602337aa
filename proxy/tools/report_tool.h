// `tidegate rdb-report`: which keys take the memory. storage/key_report.h does the work; here are
// the files, and what is told to people: on the standard output, or on standard error when the
// lines of CSV go there.
#pragma once

#include "proxy/tools/tool_arguments.h"
#include "storage/data_convert.h"

namespace tidegate {

// The status the process ends with.
int RunReport(const DataSource& source, const ToolArguments& arguments, ConvertOptions options);

}  // namespace tidegate
