#include "services/job/backup_run.h"

#include <fcntl.h>

#include <fmt/format.h>

#include "lib/base/error.h"
#include "lib/base/log.h"
#include "lib/catalogue/wal_proof.h"
#include "lib/hooks/variables.h"
#include "lib/image/incremental_backup.h"
#include "lib/image/manifest.h"
#include "lib/pg/replication.h"
#include "services/job/rsync_backup.h"
#include "services/job/wal_wait.h"

namespace coffer::job {
namespace {

constexpr std::uint64_t between_stop_checks = 4 << 20;  // bytes
constexpr std::size_t most_named_pages = 10;
constexpr std::chrono::seconds time_for_hooks_at_the_end{5};

void log_warning_of_server(void*, const char* message) noexcept {
    std::string_view text(message);
    while (!text.empty() && text.back() == '\n') text.remove_suffix(1);
    log_warning("server: {}", text);
}

// Not where the network, the disk here or the will to stop this job ended it.
bool another_way_may_help(ErrorCode code) {
    return code != ErrorCode::canceled && code != ErrorCode::no_space && code != ErrorCode::io &&
           code != ErrorCode::server_unreachable && code != ErrorCode::timeout && code != ErrorCode::server_mismatch;
}

double seconds_since(const Clock& clock, MonotonicTime begin) {
    return std::chrono::duration<double>(clock.monotonic() - begin).count();
}

}  // namespace

BackupRun::BackupRun(const config::Server& server, BackupPlan plan, ProgressReporter& progress, int stop_fd)
    : server_(server),
      plan_(std::move(plan)),
      progress_(progress),
      stop_fd_(stop_fd),
      catalogue_(server),
      primary_(server, clock_, stop_fd) {}

JobResult BackupRun::run() {
    connect();
    if (!by_rsync()) way_ = choose_way(server_, info_, facts_, plan_.way);
    extra_.way_reason = way_.reason;
    const auto claim = catalogue_.claim_backup_id(clock_);
    begin_record(claim.backup_id);
    hooks::Hooks scripts(server_, hooks::Family::backup, {stop_fd_, time_for_hooks_at_the_end});
    try {
        if (scripts.any()) scripts.before(hooks::of_backup(server_, info_));
        make();
    } catch (const Error& error) {
        fail(error);
        tell(scripts);
        throw;
    } catch (const std::exception& error) {
        fail(Error(ErrorCode::internal, error.what()));
        tell(scripts);
        throw;
    }
    tell(scripts);
    if (info_.status == catalogue::BackupStatus::failed) {
        throw Error(ErrorCode::corrupt, info_.error, info_.backup_id,
                    "mend the server and take another backup; the files of this one are kept until it is deleted: "
                    "restore --no-verify takes it for what can still be read");
    }
    wait();
    return {info_.backup_id, {}};
}

void BackupRun::tell(hooks::Hooks& scripts) noexcept {
    if (!scripts.any()) return;
    // Neither is needed any more, and scripts take as long as they take.
    replication_ = {};
    sql_ = {};
    try {
        scripts.after(hooks::of_backup(server_, info_), info_.error);
    } catch (const std::exception& error) {
        log_warning("hooks cannot be told of backup {}: {}", info_.backup_id, error.what());
    }
}

void BackupRun::connect() {
    progress_.phase("connect", "connecting to " + server_.name);
    sql_ = pg::PgConn::connect({server_.conninfo, "coffer-job", false, stop_fd_});
    PQsetNoticeProcessor(sql_.get(), &log_warning_of_server, nullptr);
    if (sql_.major_version() < 13) {
        throw Error(ErrorCode::not_supported, fmt::format("PostgreSQL {} is too old", sql_.major_version()),
                    server_.name, "upgrade it to 13 or later");
    }
    if (by_rsync()) {
        info_.systemid = ask_control_facts(sql_).system_identifier;
    } else {
        connect_replication();
        info_.systemid = pg::identify_system(replication_).system_identifier;
    }
    catalogue_.confirm_identity({info_.systemid, sql_.major_version()});
    facts_ = ask_server(sql_);
    if (facts_.in_recovery) primary_.compare(info_.systemid);
    if (by_rsync() && facts_.data_directory.empty()) {
        throw Error(ErrorCode::permission_denied, "the role may not read where the data directory is", server_.name,
                    "grant pg_read_all_settings to it");
    }
    info_.version = facts_.version;
    info_.data_checksums = facts_.data_checksums;
    info_.begin_time = clock_.now();
    if (facts_.data_checksums && !facts_.page_format_known) {
        log_warning("pages of this server are not of 8 kB in files of 1 GB: their checksums are not verified");
    }
    for (const std::string& file : {facts_.config_file, facts_.hba_file, facts_.ident_file}) {
        const bool copied = by_rsync() && !server_.external_configuration;
        if (!copied && !file.empty() && !file.starts_with(facts_.data_directory + "/")) {
            log_warning("a configuration file outside of the data directory is not part of the backup: {}", file);
        }
    }
}

void BackupRun::connect_replication() {
    replication_ = pg::PgConn::connect({server_.streaming_conninfo, server_.streaming_backup_name, true, stop_fd_});
    PQsetNoticeProcessor(replication_.get(), &log_warning_of_server, nullptr);
}

void BackupRun::begin_record(const std::string& backup_id) {
    info_.backup_id = backup_id;
    info_.server_name = server_.name;
    info_.backup_name = plan_.name;
    info_.status = catalogue::BackupStatus::started;
    if (by_rsync()) {
        info_.mode =
            server_.backup_method == config::BackupMethod::rsync ? "rsync-concurrent" : "local-rsync-concurrent";
    }
    info_.pgdata = facts_.data_directory;
    info_.xlog_segment_size = facts_.segment_size;
    info_.config_file = facts_.config_file;
    info_.hba_file = facts_.hba_file;
    info_.ident_file = facts_.ident_file;
    info_.begin_time = clock_.now();
    catalogue_.save(info_);
    catalogue_.save(info_.backup_id, extra_);  // tells an attempt of ours from one of Barman's
    kill_point("job.backup.started");
}

void BackupRun::make() {
    // Opened before anything is written, so that syncfs tells of every write that failed since.
    const UniqueFd directory = files().open(catalogue_.backup_path(info_.backup_id), O_RDONLY | O_DIRECTORY);
    if (by_rsync()) {
        make_by_rsync();
    } else {
        begin_tree();
        if (!incremental_ || !receive_increments()) receive();
    }
    sync(directory.get());
    record();
}

bool BackupRun::by_rsync() const {
    return server_.backup_method != config::BackupMethod::postgres;
}

void BackupRun::make_by_rsync() {
    if (server_.backup_politeness != pace::Manners::off) {
        log_warning("backup_politeness has no effect on backups by rsync: bandwidth_limit has");
    }
    const ImageStart start = begin_tree();
    RsyncBackup backup({server_, facts_, sql_, progress_, clock_, stop_fd_}, info_, extra_);
    backup.run(start, plan_.fast_checkpoint, plan_.way.full);
    mended_ = backup.mended();
    info_.error = damage_text();
    kill_point("job.backup.verified");
}

// False: it is to be tried the other way, with what lies here for a start.
bool BackupRun::receive_increments() {
    try {
        receive();
        return true;
    } catch (const Error& error) {
        if (!another_way_may_help(error.code()) || !plan_.way.base.empty()) throw;
        log_warning("backup {} becomes a full one: {}", info_.backup_id, error.full_text());
        extra_.way_reason = std::string("the incremental one failed: ") + error.what();
        incremental_ = false;
        info_.end_xlog = {};
        connect_replication();
        return false;
    }
}

void BackupRun::receive() {
    if (incremental_) image::upload_manifest(replication_, catalogue_.data_path(info_.backup_id) / "backup_manifest");
    ServerWatch watch(server_, facts_.in_recovery, stop_fd_);  // learns what is usual before the server reads
    progress_.phase("checkpoint",
                    plan_.fast_checkpoint ? "waiting for a checkpoint" : "waiting for a spread checkpoint");
    image::BaseBackupOptions options;
    options.label = "coffer backup " + info_.backup_id;
    options.fast_checkpoint = plan_.fast_checkpoint;
    options.max_rate_kb = server_.bandwidth_limit_kb;
    // Torn pages must be read again by somebody: the server, where this role may not.
    options.server_verifies = facts_.data_checksums && !facts_.can_read_files;
    options.incremental = incremental_;
    image::BaseBackup backup(replication_, options);
    const image::BaseBackupBegin& begin = backup.begin();
    info_.tablespaces = name_tablespaces(sql_, begin.tablespaces);
    info_.begin_xlog = begin.begin;
    info_.timeline = begin.timeline;
    info_.begin_wal =
        wal::Segment::containing(begin.timeline, begin.begin, facts_.segment_size).name(facts_.segment_size);

    const bool check_pages = facts_.data_checksums && facts_.page_format_known;
    image::TreeWriter writer(catalogue_.backup_path(info_.backup_id),
                             check_pages ? std::optional(begin.begin) : std::nullopt);
    if (incremental_) writer.apply_increments(std::move(before_));
    copy(backup, writer, watch);
    verify(writer);
}

// Before the server begins, that it need not wait for it.
ImageStart BackupRun::begin_tree() {
    progress_.phase("clone", "cloning the newest backup");
    const ImageStart start = begin_image(server_, info_, way_.base, [this] {
        check_stop(stop_fd_);
        return false;
    });
    extra_.base = start.base;
    extra_.clone = start.clone;
    base_full_read_at_ = start.full_read_at;
    if (!start.base.empty()) log_info("backup {}: {} of {}", info_.backup_id, start.clone, start.base);
    if (way_.base.empty()) return start;
    try {
        if (start.base != way_.base) {
            throw Error(ErrorCode::refused, "backup " + way_.base + " cannot be cloned", info_.backup_id);
        }
        before_ = image::files_of_manifest(catalogue_.data_path(info_.backup_id) / "backup_manifest");
        incremental_ = true;
    } catch (const Error& error) {
        if (!plan_.way.base.empty()) throw;
        extra_.way_reason = error.what();
    }
    return start;
}

void BackupRun::copy(image::BaseBackup& backup, image::TreeWriter& writer, ServerWatch& watch) {
    const MonotonicTime begun = clock_.monotonic();
    progress_.phase("copy", "copying " + server_.name, backup.begin().estimated_size);
    std::uint64_t next_check = between_stop_checks;
    watch.start();
    const image::BaseBackupEnd end = backup.receive(writer, [&](std::uint64_t received) {
        progress_.advance(incremental_ ? writer.statistics().bytes : received);
        extra_.bytes_received = received;
        watch.received(received);
        if (received < next_check) return;
        next_check = received + between_stop_checks;
        check_stop(stop_fd_);
        kill_point("job.backup.copying");
    });
    extra_.copy_seconds = seconds_since(clock_, begun);
    extra_.slowed_seconds = watch.slowed_seconds();
    if (end.timeline != info_.timeline) {
        // A standby begins at its last restart point, which may be older than the timeline that it follows.
        throw Error(ErrorCode::refused,
                    facts_.in_recovery
                        ? fmt::format("the standby has no restart point on timeline {} yet", end.timeline)
                        : "the server was promoted while the backup ran",
                    info_.backup_id,
                    facts_.in_recovery ? "start it again after the next checkpoint of the primary" : "start it again");
    }
    info_.end_xlog = end.end;
    writer.remove_surplus();
    writer.judge_newer_pages(end.end);
    if (end.server_found_damage && writer.suspects().empty()) {
        throw Error(ErrorCode::corrupt, "the server found damaged pages in what it sent", info_.backup_id,
                    "its log names them");
    }
    // The last byte counts: at a segment's boundary the segment before is the one that is needed.
    const Lsn last{end.end.value - 1};
    info_.end_wal = wal::Segment::containing(end.timeline, last, facts_.segment_size).name(facts_.segment_size);
    info_.unknown["copy_stats"] =
        fmt::format("{{'copy_time': {:.6f}, 'total_time': {:.6f}}}", extra_.copy_seconds, extra_.copy_seconds);
    kill_point("job.backup.copied");
}

void BackupRun::verify(const image::TreeWriter& writer) {
    progress_.phase("verify", "verifying the manifest");
    const Path manifest = writer.data_path() / "backup_manifest";
    const image::ManifestHead head = image::compare_with_manifest(manifest, writer.received());
    if (head.system_identifier && *head.system_identifier != info_.systemid) {
        throw Error(ErrorCode::server_mismatch, "the manifest is that of another cluster", manifest.string());
    }
    if (incremental_) extra_.manifest_checksum = image::finish_increments(writer);
    info_.backup_label = read_file(writer.data_path() / "backup_label", 1 << 20).value_or("");
    info_.size = writer.statistics().bytes + std::filesystem::file_size(manifest);
    info_.deduplicated_size = writer.statistics().bytes_written + std::filesystem::file_size(manifest);
    extra_.bytes_written = writer.statistics().bytes_written;
    extra_.way = incremental_ ? "incremental" : "full";
    extra_.full_read_at = incremental_ ? base_full_read_at_ : info_.begin_time;
    if (!incremental_) extra_.manifest_checksum = head.checksum;
    extra_.files = writer.received().size();
    extra_.pages_checked = writer.statistics().pages_checked;
    extra_.pages_torn_allowed = writer.statistics().pages_torn_allowed;
    extra_.bad_pages = writer.suspects();
    if (facts_.can_read_files) extra_.bad_pages = recheck_pages(sql_, writer.suspects(), info_.begin_xlog);
    const std::uint64_t mended = writer.suspects().size() - extra_.bad_pages.size();
    extra_.pages_torn_allowed += mended;
    extra_.bad_pages_total = writer.statistics().suspects_total - mended;
    info_.error = damage_text();
    kill_point("job.backup.verified");
}

std::string BackupRun::damage_text() const {
    if (extra_.bad_pages_total == 0) return {};
    std::string text = fmt::format("{} damaged pages:", extra_.bad_pages_total);
    for (std::size_t i = 0; i < std::min(most_named_pages, extra_.bad_pages.size()); ++i) {
        text += fmt::format("{} {} block {}", i == 0 ? "" : ",", extra_.bad_pages[i].file, extra_.bad_pages[i].block);
    }
    return text + (extra_.bad_pages_total > most_named_pages ? ", …" : "");
}

void BackupRun::sync(int directory_fd) {
    progress_.phase("sync", "writing everything to disk");
    const MonotonicTime begun = clock_.monotonic();
    seal_image(catalogue_.backup_path(info_.backup_id));
    files().sync_file_system(directory_fd, catalogue_.backup_path(info_.backup_id));
    extra_.sync_seconds = seconds_since(clock_, begun);
    check_stop(stop_fd_);
    kill_point("job.backup.synced");
}

void BackupRun::record() {
    info_.end_time = clock_.now();
    // Damaged pages were so on the server. The files stay, for what can be read from them, but nobody may count on
    // them.
    info_.status =
        extra_.bad_pages_total == 0 ? catalogue::BackupStatus::waiting_for_wals : catalogue::BackupStatus::failed;
    inherit_damage();
    catalogue_.save(info_.backup_id, extra_);
    catalogue_.save(info_);
    kill_point("job.backup.recorded");
}

// A scrub may have found damage meanwhile in what this one shares; a scrub clears what proves right here.
void BackupRun::inherit_damage() {
    if (extra_.way != "incremental" || extra_.base.empty()) return;
    const auto base = catalogue_.extra(extra_.base);
    if (!base) return;
    std::copy_if(base->damage.begin(), base->damage.end(), std::back_inserter(extra_.damage), [this](const auto& each) {
        return !mended_.contains(each.file) && each.file != "data" && each.file != "backup_manifest" &&
               each.file != "backup.info";
    });
}

// From here on the files are safe: whatever happens now, the backup stays, and becomes DONE when its WAL is here.
void BackupRun::wait() {
    progress_.phase("wait", "waiting for the wal from " + info_.begin_wal + " to " + info_.end_wal);
    replication_ = {};
    const MonotonicTime begun = clock_.monotonic();
    // A primary has switched its segment at the end of the backup; a standby cannot.
    WalPrompt prompt;
    if (facts_.in_recovery) prompt = {[this] { return primary_.ask(); }, primary_.remedy()};
    wait_for_wal(server_, info_, begun + plan_.wait_timeout, stop_fd_, prompt);
    try {
        catalogue::prove_wal(server_, info_);
    } catch (const Error& error) {
        if (error.code() != ErrorCode::server_mismatch) throw;
        info_.status = catalogue::BackupStatus::failed;
        info_.error = error.what();
        catalogue_.save(info_);
        throw;
    }
    extra_.wal_wait_seconds = seconds_since(clock_, begun);
    // A scrub may have found damage since, or mended it.
    if (const auto known = catalogue_.extra(info_.backup_id); known && !known->unreadable)
        extra_.damage = known->damage;
    catalogue_.save(info_.backup_id, extra_);
    info_.status = catalogue::BackupStatus::done;
    catalogue_.save(info_);
    kill_point("job.backup.done");
    log_info("backup {} of server {} is DONE: {} files, {} bytes", info_.backup_id, server_.name, extra_.files,
             info_.size);
}

void BackupRun::fail(const Error& error) noexcept {
    try {
        // The next attempt goes on with the files; but on a full disk they are what makes room, for the record first.
        if (error.code() == ErrorCode::no_space || !server_.clone_images) catalogue_.discard_trees(info_.backup_id);
    } catch (const std::exception& further) {
        log_error("what was copied of backup {} stays: {}", info_.backup_id, further.what());
    }
    try {
        info_.status = catalogue::BackupStatus::failed;
        info_.end_xlog = {};  // whatever it was, it did not come to its end
        info_.error = error.what();
        info_.end_time = clock_.now();
        catalogue_.save(info_);
    } catch (const std::exception& further) {
        log_error("backup {} cannot be marked FAILED (the next start of the archiver does it): {}", info_.backup_id,
                  further.what());
    }
}

}  // namespace coffer::job
