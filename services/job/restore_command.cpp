#include "services/job/restore_command.h"

#include <poll.h>
#include <unistd.h>

#include <charconv>
#include <climits>
#include <cstdio>
#include <thread>

#include <nlohmann/json.hpp>

#include "lib/base/error.h"
#include "lib/catalogue/backup_lock.h"
#include "lib/config/catalogue_version.h"
#include "lib/hooks/variables.h"
#include "lib/restore/execute.h"
#include "services/job/foreground.h"
#include "services/job/progress.h"
#include "services/job/restore_report.h"

namespace coffer::job {
namespace {

using Kind = OptionSpec::Kind;

constexpr std::chrono::seconds time_for_hooks_at_the_end{5};

constexpr OptionSpec options[] = {
    {"backup", Kind::positional, "backup: ID, name, latest, oldest or auto"},
    {"destination", Kind::positional, "new or empty directory, absolute"},
    {"target_time", Kind::text, "recover to this time: 2026-11-23 21:00:00+01"},
    {"target_xid", Kind::text, "recover to this transaction"},
    {"target_lsn", Kind::text, "recover to this LSN"},
    {"target_name", Kind::text, "recover to this restore point"},
    {"target_immediate", Kind::flag, "recover to the first consistent moment"},
    {"target_tli", Kind::text, "timeline: a number, current or latest (default)"},
    {"exclusive", Kind::flag, "stop just before the target"},
    {"target_action", Kind::text, "at the target: pause (default), shutdown or promote"},
    {"standby_mode", Kind::flag, "make a standby"},
    {"get_wal", Kind::flag, "fetch WAL during recovery through cofferctl get-wal"},
    {"no_get_wal", Kind::flag, "place WAL in pg_wal whatever recovery_options says"},
    {"tablespace", Kind::repeated, "NAME:PATH, a new place for a tablespace (may be repeated)"},
    {"exclude_database", Kind::repeated, "leave this database out (may be repeated)"},
    {"only_database", Kind::repeated, "leave all others out (may be repeated)"},
    {"jobs", Kind::text, "copy with this many threads (default: parallel_jobs, at least 2)"},
    {"verify", Kind::flag, "read reflinked files too where the file system finds damage by itself"},
    {"no_verify", Kind::flag, "do not hold the files against the backup manifest: take a damaged backup as it is"},
    {"dry_run", Kind::flag, "show the plan and stop"},
    {"json", Kind::flag, "print plan and summary as JSON"},
    {"remote_ssh_command", Kind::text, "not supported"},
    {"delta_restore", Kind::flag, "onto a data directory of the same cluster: write only what differs"},
    {"no_delta_restore", Kind::flag, "to an empty directory only, whatever recovery_options says"},
    {"staging_path", Kind::text, "not supported"},
    {"staging_location", Kind::text, "not supported"},
    {"staging_wal_directory", Kind::text, "not supported"},
    {"combine_mode", Kind::text, "not supported"},
};

void refuse_unsupported(const Options& given) {
    const auto refuse = [](const char* option, const char* remedy) {
        throw Error(ErrorCode::not_supported, "this option is not supported", option, remedy);
    };
    if (given.text("remote_ssh_command")) {
        refuse("--remote-ssh-command",
               "restore to a directory here and move it, or run coffer-job restore on a machine that "
               "mounts the catalogue");
    }
    for (const char* name : {"staging_path", "staging_location", "staging_wal_directory", "combine_mode"}) {
        if (given.text(name)) refuse(name, "leave it out: backups are plain directories and need no staging");
    }
}

restore::TargetOptions target_options(const Options& given) {
    restore::TargetOptions target;
    target.time = given.text("target_time");
    target.xid = given.text("target_xid");
    target.lsn = given.text("target_lsn");
    target.name = given.text("target_name");
    target.timeline = given.text("target_tli");
    target.action = given.text("target_action");
    target.immediate = given.flag("target_immediate");
    target.exclusive = given.flag("exclusive");
    target.standby_mode = given.flag("standby_mode");
    return target;
}

// cofferctl as it is installed (…/libexec/coffer/coffer-job, …/bin/cofferctl) or built (side by side).
Path find_cofferctl() {
    char self[PATH_MAX];
    const ssize_t length = ::readlink("/proc/self/exe", self, sizeof self);
    if (length <= 0 || length == static_cast<ssize_t>(sizeof self)) return "cofferctl";
    const Path folder = Path(std::string(self, static_cast<std::size_t>(length))).parent_path();
    for (const Path& candidate : {folder / "cofferctl", folder.parent_path().parent_path() / "bin/cofferctl"}) {
        if (::access(candidate.c_str(), X_OK) == 0) return candidate;
    }
    return "cofferctl";
}

restore::PlanRequest plan_request(const JobRequest& request, const config::Config& config, const config::Server& server,
                                  const Path& config_file, restore::ParsedTarget& target) {
    const Options& given = request.options;
    if (given.flag("get_wal") && given.flag("no_get_wal")) {
        throw Error(ErrorCode::invalid_argument, "get-wal and no-get-wal are both given");
    }
    if (given.flag("verify") && given.flag("no_verify")) {
        throw Error(ErrorCode::invalid_argument, "verify and no-verify are both given");
    }
    if (given.flag("delta_restore") && given.flag("no_delta_restore")) {
        throw Error(ErrorCode::invalid_argument, "delta-restore and no-delta-restore are both given");
    }
    restore::PlanRequest wanted;
    wanted.delta = given.flag("delta_restore") || (server.delta_restore_by_default && !given.flag("no_delta_restore"));
    wanted.backup = given.text("backup").value_or("");
    wanted.destination = given.text("destination").value_or("");
    wanted.taken = restore::catalogue_directories(config);
    wanted.target = target.target;
    wanted.tablespaces = restore::parse_tablespace_mapping(given.all("tablespace"));
    wanted.databases = {given.all("exclude_database"), given.all("only_database")};
    wanted.get_wal = given.flag("get_wal") || (server.get_wal_by_default && !given.flag("no_get_wal"));
    wanted.verify = !given.flag("no_verify");
    wanted.read_shared = given.flag("verify");
    wanted.cofferctl = find_cofferctl();
    wanted.config_file = std::filesystem::absolute(config_file);
    wanted.canceled = stop_asked(request.stop_fd);
    return wanted;
}

// What hook scripts are told: Barman's variables.
hooks::Variables hook_variables(const JobRequest& request, const config::Server& server, const restore::Plan& plan) {
    nlohmann::json asked = nlohmann::json::object();
    for (const OptionSpec& option : options) {
        if (option.kind == Kind::positional) continue;
        if (option.kind == Kind::flag && request.options.flag(option.name)) asked[option.name] = true;
        if (option.kind == Kind::text && request.options.text(option.name))
            asked[option.name] = *request.options.text(option.name);
        if (option.kind == Kind::repeated && !request.options.all(option.name).empty())
            asked[option.name] = request.options.all(option.name);
    }
    nlohmann::json moved = nlohmann::json::object();
    for (const auto& [name, place] : restore::parse_tablespace_mapping(request.options.all("tablespace")))
        moved[name] = place.string();
    return hooks::of_recovery(server, plan.backup,
                              {plan.destination, moved.empty() ? "" : moved.dump(), "", asked.dump()});
}

restore::Executed execute_between(hooks::Hooks& scripts, const hooks::Variables& variables, restore::Plan& plan,
                                  const config::Server& server, const restore::ExecuteControl& control) {
    if (!scripts.any()) return restore::execute(plan, server, control);
    scripts.before(variables);
    try {
        restore::Executed executed = restore::execute(plan, server, control);
        scripts.after(variables, {});
        return executed;
    } catch (const std::exception& error) {
        scripts.after(variables, error.what());
        throw;
    }
}

JobResult restore_now(const JobRequest& request, ProgressReporter& progress) {
    const Clock clock;
    const WallTime began = clock.now();
    const MonotonicTime started = clock.monotonic();
    refuse_unsupported(request.options);
    restore::ParsedTarget target = restore::parse_target(target_options(request.options));
    const Path config_file = config::find_config_file(request.config);
    const config::Config config = config::load(config_file);
    const config::Server& server = config.server(request.server);
    config::require_known_catalogue(server);
    const bool json = request.options.flag("json");

    progress.phase("plan", "looking at what is needed");
    restore::Plan plan = restore::make_plan(server, plan_request(request, config, server, config_file, target));
    plan.warnings.insert(plan.warnings.begin(), target.warnings.begin(), target.warnings.end());
    const bool dry_run = request.options.flag("dry_run");
    const std::optional<catalogue::BackupLease> held =
        dry_run ? std::nullopt : lease(server, plan.backup.backup_id, plan.warnings);
    progress.end_line();
    if (dry_run || !json) print(json ? plan_json(plan) : plan_text(plan));
    if (dry_run) return {plan.backup.backup_id, {}};

    restore::ExecuteControl control;
    control.jobs = threads(request.options, server);
    control.canceled = stop_asked(request.stop_fd);
    control.phase = [&](std::string_view name, std::string_view message, std::uint64_t total) {
        progress.phase(name, message, total);
    };
    control.advance = [&](std::uint64_t done) { progress.advance(done); };
    hooks::Hooks scripts(server, hooks::Family::recovery, {request.stop_fd, time_for_hooks_at_the_end});
    restore::Executed executed = execute_between(
        scripts, scripts.any() ? hook_variables(request, server, plan) : hooks::Variables(), plan, server, control);
    progress.end_line();
    plan.configuration = executed.configuration;
    for (std::string& warning : executed.warnings) {
        if (!json) print("WARNING: " + warning);
        plan.warnings.push_back(std::move(warning));
    }
    const std::chrono::duration<double> took = clock.monotonic() - started;
    print(json ? summary_json(plan, executed, began, took) : summary_text(plan, executed, took));
    return {plan.backup.backup_id, {}};
}

JobResult run_restore(const JobRequest& request, ProgressReporter& progress) {
    return with_json_errors(request, progress, restore_now);
}

}  // namespace

Command restore_command() {
    return {"restore", "make a data directory of a backup and the WAL behind it", options, run_restore};
}

}  // namespace coffer::job
