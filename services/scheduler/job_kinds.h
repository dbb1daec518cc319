#pragma once
// What can be asked of the scheduler: the kinds of jobs and the options of each, as coffer-job has them on its command
// line (underscores for dashes).
#include <string>

#include "lib/bus/message.h"

namespace coffer::scheduler {

// Throws not_supported for an unknown kind, invalid_argument for an unknown option, one of the wrong type or one
// missing.
void check_request(const std::string& kind, const bus::Options& options);

// A job that only one may do at a time for a server.
bool is_exclusive(const std::string& kind) noexcept;

// The file that coffer-job --spec reads.
struct SpecPlace {
    std::string job_id;
    std::string config;
    std::string progress_socket;
};
std::string spec_json(const std::string& kind, const std::string& server, const bus::Options& options,
                      const SpecPlace& place);

}  // namespace coffer::scheduler
