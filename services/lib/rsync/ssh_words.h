#pragma once
// ssh_command of the configuration ("ssh -q postgres@db1"), as the words of a command.
//
// Whatever it says, ssh never asks anybody, always checks the host's key, and notices a dead connection: options of
// ours stand before those of the configuration, and the first one counts (ssh_config(5)).
#include <string>
#include <string_view>
#include <vector>

namespace coffer::rsync {

// Throws invalid_configuration for what a shell would have to expand.
std::vector<std::string> ssh_words(std::string_view ssh_command);

// The words as rsync takes them for its option --rsh: blanks part them, quotes hold them together, and a quote within
// quotes is doubled (rsync(1)).
std::string rsh_text(const std::vector<std::string>& words);

}  // namespace coffer::rsync
