#pragma once
// What a job is asked to do, and what it gives back. One program, coffer-job, runs every kind of job; each kind is a
// Command.
//
// A request comes from the command line or from a file (--spec) that the scheduler wrote:
//   {"job_id": "1", "kind": "restore", "server": "main", "config": "/etc/coffer/coffer.conf",
//    "progress_socket": "/run/coffer/progress.sock",
//    "options": {"backup": "latest", "destination": "/srv/pg", "target_time": "…", "get_wal": true, "tablespace":
//    ["a:/b"]}}
// Options have the names of the long options with underscores; positional arguments other than the server are options
// as well. A flag is true or false, a number may be a string, what may be repeated is a list. Both ways are held
// against the same table of options; whatever is not in it is refused (invalid_argument).
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/files.h"

namespace coffer::job {

struct OptionSpec {
    enum class Kind { flag, text, repeated, positional };
    std::string_view name;  // with underscores: "target_time" is --target-time
    Kind kind = Kind::flag;
    std::string_view help;
};

class Options {
  public:
    void add(std::string_view name, std::string value) { values_[std::string(name)].push_back(std::move(value)); }
    [[nodiscard]] bool flag(std::string_view name) const { return values_.count(std::string(name)) != 0; }
    [[nodiscard]] std::optional<std::string> text(std::string_view name) const;  // the last one given
    [[nodiscard]] std::vector<std::string> all(std::string_view name) const;

  private:
    std::map<std::string, std::vector<std::string>> values_;
};

struct JobRequest {
    std::string job_id;
    std::string kind;  // the command's name
    std::string server;
    std::optional<Path> config;
    Path progress_socket;  // empty: none
    Options options;
    int stop_fd = -1;  // readable (and never to be read) from the moment on that the job must stop; not owned
};

struct JobResult {
    std::string backup_id;
    std::string warning;  // done, but somebody should look: exit status 2
};

class ProgressReporter;

struct Command {
    std::string_view name;
    std::string_view description;
    std::span<const OptionSpec> options;
    // Throws coffer::Error; canceled when stop_fd ended it.
    JobResult (*run)(const JobRequest& request, ProgressReporter& progress);
    int status_when_canceled = 1;
};

// Throws invalid_argument, invalid_configuration.
JobRequest read_spec(const Path& file, std::span<const Command> commands);
JobRequest parse_spec(std::string_view text, std::span<const Command> commands, std::string_view where);
// Parses argv. nullopt when there is nothing to do (--help, --version, or a usage error), and exit_status is what main
// returns.
std::optional<JobRequest> parse_arguments(int argc, char** argv, std::span<const Command> commands, int& exit_status);

const Command& command_named(std::string_view name, std::span<const Command> commands);

// Throws canceled when stop_fd is readable.
void check_stop(int stop_fd);

}  // namespace coffer::job
