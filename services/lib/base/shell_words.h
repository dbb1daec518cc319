#pragma once
// Splits a command line into its words as a POSIX shell would (XCU 2.2 quoting), and refuses whatever such a shell
// would do more than that.
//
// For command lines that somebody else has written, such as SSH_ORIGINAL_COMMAND: nothing is ever expanded or run, so
// what means more than itself (variables, substitutions, patterns, redirections, several commands, comments, ~) is an
// error, and not taken for text. In quotes and behind a backslash all characters but control characters are allowed.
#include <string>
#include <string_view>
#include <vector>

namespace coffer {

constexpr std::size_t longest_command = 4096;

// Throws invalid_argument that names what is refused and where.
std::vector<std::string> split_shell_words(std::string_view line);

// A word as it has to be written for such a shell.
std::string quote_shell_word(std::string_view word);

}  // namespace coffer
