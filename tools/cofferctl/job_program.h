#pragma once
// Work that cofferctl leaves to coffer-job, in the foreground and with the caller's rights.
#include <string>
#include <vector>

namespace coffer::cofferctl {

// This process becomes coffer-job with these arguments. Throws where there is no such program.
[[noreturn]] void become_job(std::vector<std::string> arguments);

}  // namespace coffer::cofferctl
