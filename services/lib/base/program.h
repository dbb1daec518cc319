#pragma once
// Another program, run to its end: rsync, by itself or through ssh.
//
// It has a process group of its own, no descriptor of ours, and ends with the thread
// that runs it. Blocks the calling thread: for jobs and workers, never for an event loop. Any thread; several at once.
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace coffer {

struct Program {
    std::vector<std::string> words;             // the first is looked for in PATH
    std::vector<std::string> environment = {};  // NAME=value, besides ours
    std::string input = {};                     // what it finds on its standard input
    int stop_fd = -1;                           // readable (and never read) from when it is to be ended; -1: never
    // Each line that it writes, without the newline. What this throws ends the program, and is thrown on.
    std::function<void(std::string_view line)> output = {};
};

struct ProgramEnd {
    int status = 0;      // exit status; 128 + the number of the signal that ended it
    std::string errors;  // the end of what it wrote to standard error, without the last newline
};

inline constexpr std::size_t most_kept_errors = 8192;       // bytes
inline constexpr std::size_t longest_program_line = 65536;  // bytes; a longer one is a protocol error

// Throws canceled when stop_fd ended it; not_supported where there is no such program; io.
ProgramEnd run_program(const Program& program);

}  // namespace coffer
