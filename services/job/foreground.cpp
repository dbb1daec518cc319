#include "services/job/foreground.h"

#include <poll.h>

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <thread>

#include "lib/base/error.h"
#include "lib/catalogue/catalogue.h"
#include "services/job/restore_report.h"

namespace coffer::job {

unsigned threads(const Options& given, const config::Server& server) {
    const unsigned processors = std::max(1U, std::thread::hardware_concurrency());
    const std::optional<std::string> text = given.text("jobs");
    if (!text) return std::max({2U, server.parallel_jobs, std::min(processors, 8U)});
    unsigned jobs = 0;
    const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), jobs);
    if (error != std::errc() || end != text->data() + text->size() || jobs == 0 || jobs > 256) {
        throw Error(ErrorCode::invalid_argument, "this is no number of jobs", *text, "give a number from 1 to 256");
    }
    return jobs;
}

std::function<bool()> stop_asked(int stop_fd) {
    return [stop_fd] {
        if (stop_fd < 0) return false;
        pollfd wait{stop_fd, POLLIN, 0};
        return ::poll(&wait, 1, 0) > 0;
    };
}

void print(const std::string& text) {
    std::fwrite(text.data(), 1, text.size(), stdout);
    if (!text.ends_with('\n')) std::fputc('\n', stdout);
    std::fflush(stdout);
}

JobResult with_json_errors(const JobRequest& request, ProgressReporter& progress,
                           JobResult (*work)(const JobRequest&, ProgressReporter&)) {
    const bool json = request.options.flag("json");
    try {
        return work(request, progress);
    } catch (const Damaged&) {
        throw;
    } catch (const Error& error) {
        if (json) print(error_json(error.full_text()));
        throw;
    } catch (const std::exception& error) {
        if (json) print(error_json(std::string("internal error: ") + error.what()));
        throw;
    }
}

std::optional<catalogue::BackupLease> lease(const config::Server& server, const std::string& backup_id,
                                            std::vector<std::string>& warnings) {
    catalogue::Catalogue(server).require_known_record(backup_id);
    try {
        return catalogue::BackupLease(server, backup_id);
    } catch (const Error& error) {
        if (error.code() != ErrorCode::permission_denied) throw;
        warnings.push_back(
            "the backup cannot be protected from deletion while it is read: this user may not write "
            "into the catalogue");
        return std::nullopt;
    }
}

}  // namespace coffer::job
