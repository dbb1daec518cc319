#pragma once
// What the kinds of job have in common that somebody waits for at a terminal.
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "lib/base/error.h"
#include "lib/catalogue/backup_lock.h"
#include "lib/config/config.h"
#include "services/job/request.h"

namespace coffer::job {

// Option "jobs"; else parallel_jobs, at least two, up to eight where there are as many processors. Throws
// invalid_argument.
unsigned threads(const Options& given, const config::Server& server);
// Has stop_fd become readable?
std::function<bool()> stop_asked(int stop_fd);
// To standard output, at once, with a newline.
void print(const std::string& text);
// What was asked for is done, and damage was found: that has been told on standard output already.
class Damaged : public Error {
    using Error::Error;
};
// Runs work; with --json an error, unless it is Damaged, is an object on standard output as well.
JobResult with_json_errors(const JobRequest& request, ProgressReporter& progress,
                           JobResult (*work)(const JobRequest&, ProgressReporter&));
// The lease keeps retention away while files are read. A reader of a catalogue that it may not write to goes without,
// with a warning.
std::optional<catalogue::BackupLease> lease(const config::Server& server, const std::string& backup_id,
                                            std::vector<std::string>& warnings);

}  // namespace coffer::job
