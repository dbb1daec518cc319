#include "services/job/backup_command.h"

#include <algorithm>
#include <array>
#include <charconv>

#include <fmt/format.h>

#include "lib/base/error.h"
#include "lib/catalogue/catalogue.h"
#include "lib/config/config.h"
#include "services/job/backup_run.h"
#include "services/job/progress.h"

namespace coffer::job {
namespace {

constexpr std::array options{
    OptionSpec{"name", OptionSpec::Kind::text, "a name to find the backup by"},
    OptionSpec{"fast", OptionSpec::Kind::flag, "ask for an immediate checkpoint"},
    OptionSpec{"spread", OptionSpec::Kind::flag, "let the checkpoint take its time"},
    OptionSpec{"full", OptionSpec::Kind::flag,
               "let the server send every page, even where it knows which have changed"},
    OptionSpec{"incremental", OptionSpec::Kind::text,
               "let it send what has changed since this backup (ID, name, latest), or fail"},
    OptionSpec{"wait_timeout", OptionSpec::Kind::text,
               "seconds to wait for the wal that the backup needs (default 3600)"},
};

// A name that could be taken for an ID or for one of the words that find a backup would never be found.
void check_name(const std::string& name) {
    for (const char* const word :
         {"latest", "last", "oldest", "first", "last-failed", "latest-full", "last-full", "auto"}) {
        if (name == word) throw Error(ErrorCode::invalid_argument, "this name has a meaning of its own", name);
    }
    const bool plain = std::all_of(name.begin(), name.end(), [](unsigned char c) { return c >= 0x20 && c != 0x7F; });
    if (name.empty() || name.size() > 200 || !plain || name.front() == ' ' || name.back() == ' ') {
        throw Error(ErrorCode::invalid_argument, "a backup cannot have this name", name,
                    "use a short name of one line");
    }
    if (name.size() == 15 && name[8] == 'T' && name.find_first_not_of("0123456789T") == name.npos) {
        throw Error(ErrorCode::invalid_argument, "the name looks like the ID of a backup", name, "use another name");
    }
}

// A backup that failed gives its name away: whoever tries again means the same one.
void require_free_name(const std::string& name, const catalogue::Catalogue& catalogue) {
    for (const catalogue::BackupInfo& other : catalogue.backups()) {
        if (name.empty() || other.backup_name != name || other.status == catalogue::BackupStatus::failed) continue;
        throw Error(ErrorCode::invalid_argument, fmt::format("backup {} has this name already", other.backup_id), name,
                    "use another name, or delete that backup");
    }
}

std::chrono::seconds wait_timeout_of(const Options& given) {
    const auto text = given.text("wait_timeout");
    if (!text) return std::chrono::hours(1);
    std::uint32_t seconds = 0;
    const auto got = std::from_chars(text->data(), text->data() + text->size(), seconds);
    if (got.ec != std::errc() || got.ptr != text->data() + text->size()) {
        throw Error(ErrorCode::invalid_argument, "the time to wait is no number of seconds", *text);
    }
    return std::chrono::seconds(seconds);
}

void check_server(const config::Server& server) {
    if (!server.usable()) {
        const auto fatal =
            std::find_if(server.problems.begin(), server.problems.end(), [](const auto& one) { return one.fatal; });
        const bool known = fatal != server.problems.end();
        throw Error(ErrorCode::invalid_configuration, "the configuration of this server has an error",
                    known ? fatal->to_string() : server.name, known ? fatal->remedy : "");
    }
    if (!server.active) throw Error(ErrorCode::refused, "the server is not active", server.name, "set active = true");
    if (server.backup_method == config::BackupMethod::rsync && server.ssh_command.empty()) {
        throw Error(ErrorCode::invalid_configuration, "backup_method = rsync needs ssh_command", server.name,
                    "set for instance ssh_command = ssh postgres@db1, or backup_method = postgres");
    }
    if (!server.archiver && !server.streaming_archiver) {
        throw Error(ErrorCode::invalid_configuration,
                    "no wal of this server comes here, so no backup could be restored", server.name,
                    "set streaming_archiver = on, or archiver = on");
    }
}

JobResult run(const JobRequest& request, ProgressReporter& progress) {
    if (request.options.flag("fast") && request.options.flag("spread")) {
        throw Error(ErrorCode::invalid_argument, "fast and spread exclude each other");
    }
    if (request.options.flag("full") && request.options.text("incremental")) {
        throw Error(ErrorCode::invalid_argument, "full and incremental exclude each other");
    }
    const config::Config config = config::load(config::find_config_file(request.config));
    const config::Server& server = config.server(request.server);
    check_server(server);
    const catalogue::Catalogue catalogue(server);
    BackupPlan plan;
    plan.way = {request.options.flag("full"), request.options.text("incremental").value_or("")};
    if (!plan.way.base.empty() && server.backup_method != config::BackupMethod::postgres) {
        throw Error(ErrorCode::invalid_argument, "a backup by rsync is incremental by itself", plan.way.base,
                    "leave --incremental out");
    }
    plan.wait_timeout = wait_timeout_of(request.options);
    plan.fast_checkpoint =
        request.options.flag("fast") || (server.immediate_checkpoint && !request.options.flag("spread"));
    if (const auto name = request.options.text("name")) {
        check_name(*name);
        plan.name = *name;
    }
    catalogue.create_directories();
    const catalogue::ServerBackupLock lock(config, server);
    catalogue.fail_abandoned();
    require_free_name(plan.name, catalogue);
    return BackupRun(server, plan, progress, request.stop_fd).run();
}

}  // namespace

Command backup_command() {
    return {"backup", "takes a backup of a server", options, &run, 3};
}

}  // namespace coffer::job
