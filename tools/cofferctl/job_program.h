#pragma once
// Work that cofferctl leaves to coffer-job, in the foreground and with the caller's rights.
#include <string>
#include <vector>

namespace coffer::cofferctl {

// This process becomes coffer-job with these arguments. Throws where there is no such program.
[[noreturn]] void become_job(std::vector<std::string> arguments);

// Runs coffer-job with these arguments and waits for its end, which is this process' own too; its exit status. output:
// gets what it prints; null: that goes where this process prints. Throws where there is no such program.
int run_job(std::vector<std::string> arguments, std::string* output);

}  // namespace coffer::cofferctl
