#pragma once
// The whole of a call: the command line, the configuration, the command, its output.
#include <vector>

#include "tools/cofferctl/command.h"

namespace coffer::cofferctl {

// commands: those that may be called, which outlive the call. Returns what main returns.
int run_command_line(int argc, char** argv, const std::vector<Command>& commands);

}  // namespace coffer::cofferctl
