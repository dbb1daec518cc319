#pragma once
// The command line of cofferctl, by CLI11. Global options stand before the command, as with Barman.
#include <optional>
#include <string>

#include "tools/cofferctl/command.h"

namespace coffer::cofferctl {

struct Invocation {
    std::optional<Path> config;
    Format format = Format::console;
    bool quiet = false;
    bool debug = false;
    std::string colour = "auto";
    const Command* command = nullptr;
    Arguments arguments;
};

// nullopt when there is nothing to do (help, version, wrong usage); exit_status is then what main returns: 0, or 2 for
// wrong usage. Throws not_supported for an option of Barman's that this version cannot obey.
// commands must outlive the result.
std::optional<Invocation> parse_command_line(int argc, const char* const* argv, const std::vector<Command>& commands,
                                             int& exit_status);

}  // namespace coffer::cofferctl
