#include "services/job/scrub_command.h"

#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <fmt/format.h>

#include "lib/base/error.h"
#include "lib/base/log.h"
#include "lib/config/catalogue_version.h"
#include "lib/config/units.h"
#include "services/job/foreground.h"
#include "services/job/scrub_image.h"
#include "services/job/scrub_wal.h"

namespace coffer::job {
namespace {

using Kind = OptionSpec::Kind;

constexpr OptionSpec options[] = {
    {"all", Kind::flag, "prove everything now, whenever it was proven last"},
    {"rate", Kind::text, "read so much in a second (default: scrub_rate)"},
    {"cached", Kind::flag, "take what is in memory as read: to measure, not to prove a disk"},
    {"json", Kind::flag, "print the result as JSON"},
};

// ioprio_set(2), whose header C++ does not take.
constexpr int of_this_process = 1;
constexpr int lowest_best_effort = (2 << 13) | 7;
constexpr int niceness = 10;

// Whatever else runs goes first. Not the idle class: on a disk that is never idle nothing would be proven in time.
void stand_back() {
    (void)::setpriority(PRIO_PROCESS, 0, niceness);
    (void)::syscall(SYS_ioprio_set, of_this_process, 0, lowest_best_effort);
}

// What root writes into the catalogue its owner could not read.
void require_owner(const config::Server& server) {
    struct stat status {};
    if (::geteuid() != 0 || ::stat(server.backup_directory.c_str(), &status) != 0 || status.st_uid == 0) return;
    throw Error(ErrorCode::permission_denied, "root does not write into the catalogue of another user",
                server.backup_directory.string(),
                "run it as the user of the services: sudo -u coffer cofferctl scrub …");
}

ScrubOrder order_of(const Options& given, const config::Server& server) {
    ScrubOrder order{given.flag("all"), given.flag("cached"), server.scrub_rate};
    if (const auto text = given.text("rate")) {
        const auto rate = config::parse_rate(*text);
        if (!rate)
            throw Error(ErrorCode::invalid_argument, "this is no rate", *text, "give kB/s, or 100M, 0: no limit");
        order.rate = *rate;
    }
    return order;
}

void prove_all(ScrubPass& pass, ImageScrub& images, WalScrub& wal) {
    std::vector<scrub::Item> items = images.items();
    for (scrub::Item& item : wal.items()) items.push_back(std::move(item));
    const auto interval = pass.order.all ? std::chrono::seconds(0) : pass.server.scrub_interval;
    const scrub::Rota rota(std::move(items), interval, pass.begun);
    for (const scrub::Item& item : rota.items()) pass.report.bytes_held += item.bytes;
    pass.report.share = rota.share();
    pass.progress.phase("scrub", "proving what is held", pass.order.all ? pass.report.bytes_held : rota.share());
    for (const scrub::Item& item : rota.items()) {
        const bool due = rota.due(item);
        if (!due && pass.share_done()) break;
        if (item.kind == scrub::Item::Kind::folder) {
            wal.prove(item, due);
        } else {
            images.prove(item, due);
        }
    }
    pass.state.all_begun.reset();
}

void tell(const ScrubPass& pass, bool json) {
    if (json) return print(json_text(pass.server.name, pass.report));
    for (const ScrubFinding& finding : pass.report.findings) print("damaged: " + text_of(finding));
    for (const std::string& text : pass.report.mended) print("mended: " + text);
    for (const std::string& text : pass.report.notes) print("WARNING: " + text);
    print(summary(pass.server.name, pass.report));
}

JobResult end(const ScrubPass& pass) {
    if (pass.report.damaged > 0) {
        throw Damaged(
            ErrorCode::corrupt,
            fmt::format("server {}: {} things are damaged and could not be mended", pass.server.name,
                        pass.report.damaged),
            {}, "take a backup, which rewrites bad pages; cofferctl show-backup and errors/ tell what is damaged");
    }
    if (pass.report.findings.empty()) return {};
    return {{}, fmt::format("server {}: damage was found, and mended", pass.server.name)};
}

JobResult scrub_now(const JobRequest& request, ProgressReporter& progress) {
    const Clock clock;
    const MonotonicTime began = clock.monotonic();
    const config::Config config = config::load(config::find_config_file(request.config));
    const config::Server& server = config.server(request.server);
    const bool json = request.options.flag("json");
    config::require_known_catalogue(server);
    const ScrubOrder order = order_of(request.options, server);
    require_owner(server);
    if (server.scrub_interval.count() == 0 && !order.all) {
        print(json ? json_text(server.name, {}) : "server " + server.name + ": scrub_interval is off");
        return {};
    }
    make_directories_durably(server.meta_directory());
    const auto lock = catalogue::LockFile::try_lock(server.meta_directory() / ".coffer-scrub.lock",
                                                    catalogue::LockFile::Mode::exclusive);
    if (!lock) throw Error(ErrorCode::busy, "another scrub of this server is running", server.name, "wait for it");
    stand_back();
    ScrubPass pass(server, order, progress, request.stop_fd, clock);
    ImageScrub images(pass);
    WalScrub wal(pass);
    try {
        images.check_records();
        wal.look_again();
        images.look_again();
        prove_all(pass, images, wal);
    } catch (...) {
        pass.save();  // what was proven is not proven again
        throw;
    }
    wal.finish();
    images.finish();
    pass.report.damaged += pass.state.wal_damage.size();
    if (pass.state.oldest_wal)
        pass.report.oldest = std::min(pass.report.oldest.value_or(*pass.state.oldest_wal), *pass.state.oldest_wal);
    pass.save();
    progress.end_line();
    pass.report.seconds = std::chrono::duration<double>(clock.monotonic() - began).count();
    tell(pass, json);
    return end(pass);
}

JobResult run_scrub(const JobRequest& request, ProgressReporter& progress) {
    return with_json_errors(request, progress, scrub_now);
}

}  // namespace

Command scrub_command() {
    return {"scrub", "prove what is held of a server, longest unproven first", options, run_scrub, 3};
}

}  // namespace coffer::job
