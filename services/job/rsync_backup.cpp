#include "services/job/rsync_backup.h"

#include <algorithm>
#include <atomic>

#include <fmt/format.h>

#include "lib/base/error.h"
#include "lib/base/log.h"
#include "lib/image/clone.h"
#include "services/job/request.h"

namespace coffer::job {
namespace {

using namespace std::chrono_literals;

constexpr auto between_words = 30s;  // to the session that holds the backup
constexpr int rounds_for_torn_pages = 3;
constexpr int most_attempts_in_a_row = 100;
constexpr const char* taken_over = "taken over";  // Extra::clone
constexpr std::size_t most_bad_pages_kept = 1000;
// A file may be written to in the second in which the backup begins, before and after.
constexpr std::int64_t margin_of_times = 2;

pg::PgConn::Deadline in_half_a_minute() {
    return std::chrono::steady_clock::now() + 30s;
}

}  // namespace

ControlFacts ask_control_facts(pg::PgConn& conn) {
    const pg::PgResult row = conn.exec(
        "SELECT system_identifier, catalog_version_no, (SELECT timeline_id FROM pg_control_checkpoint()) "
        "FROM pg_control_system()",
        in_half_a_minute());
    return {row.number(0, 0), row.number(0, 1), static_cast<TimelineId>(row.number(0, 2))};
}

RsyncBackup::RsyncBackup(const Context& context, catalogue::BackupInfo& backup, catalogue::Extra& extra)
    : context_(context),
      backup_(backup),
      extra_(extra),
      catalogue_(context.server),
      tree_(catalogue_.backup_path(backup.backup_id)) {}

void RsyncBackup::run(const ImageStart& start, bool fast_checkpoint, bool compare_all) {
    control_ = ask_control_facts(context_.sql);
    judge_start(start, compare_all);
    context_.progress.phase("checkpoint",
                            fast_checkpoint ? "waiting for a checkpoint" : "waiting for a spread checkpoint");
    pg::LowLevelBackup session(context_.sql, "coffer backup " + backup_.backup_id, fast_checkpoint);
    backup_.begin_xlog = session.begin();
    backup_.timeline = control_.timeline;
    RsyncCopy rsync(context_.server, plan(), tree_, context_.stop_fd);
    copy(rsync, session);
    read_again_what_was_torn(rsync, session);
    rsync.copy_control();
    tree_.describe(std::nullopt, 1, [](std::uint64_t) {});
    extra_.bytes_received = rsync.received();
    extra_.bytes_written = in_place_ ? std::min(rsync.received(), rsync.written_files()) : rsync.written_files();
    finish(session);
}

// How far the times of files can be believed, and where rsync may write in place.
void RsyncBackup::judge_start(const ImageStart& start, bool compare_all) {
    server_time_ = static_cast<std::int64_t>(
        context_.sql.exec("SELECT floor(extract(epoch FROM clock_timestamp()))::bigint", in_half_a_minute())
            .number(0, 0));
    std::int64_t of_tree = server_time_ - margin_of_times;  // where it begins with nothing
    std::string clone = start.clone;
    if (!start.base.empty()) {
        const auto base = catalogue_.extra(start.base);
        const bool known = base && !base->unreadable && base->imported_from.empty();
        of_tree = known ? base->unchanged_before : 0;
        base_full_read_at_ = start.full_read_at ? start.full_read_at : known ? base->full_read_at : std::nullopt;
        manifest_is_of_tree_ = start.clone != taken_over;
        if (!manifest_is_of_tree_) clone = known ? base->clone : "";  // of the attempt that was cut off
        doubt_damaged_files(start.base);
    }
    // A file that is a hard link is another backup's as well, whatever else the file system could do.
    const auto way = image::clone_way_named(clone);
    in_place_ = image::best_clone_way(catalogue_.backup_path(backup_.backup_id)) != image::CloneWay::hard_link &&
                (start.base.empty() || (way && *way != image::CloneWay::hard_link));
    const bool overdue =
        !base_full_read_at_ || *backup_.begin_time - *base_full_read_at_ >= context_.server.full_read_interval;
    only_changes_ = !start.base.empty() && of_tree > 0 && !compare_all && !overdue;
    unchanged_before_ = only_changes_ ? of_tree : 0;
    extra_.way = only_changes_ ? "incremental" : "full";
    extra_.way_reason = only_changes_        ? ""
                        : start.base.empty() ? "there is no backup to begin with"
                        : compare_all        ? "it was asked for"
                        : of_tree <= 0       ? "the times of the files of backup " + start.base + " say nothing"
                                             : "every page is read again after full_read_interval";
    // What the next attempt has to know if this one is cut off.
    extra_.unchanged_before = of_tree;
    extra_.full_read_at = only_changes_ ? base_full_read_at_ : backup_.begin_time;
    catalogue_.save(backup_.backup_id, extra_);
}

// Those of the base, and of what that one, if it was cut off, began as.
void RsyncBackup::doubt_damaged_files(std::string base) {
    for (int depth = 0; depth < most_attempts_in_a_row && !base.empty(); ++depth) {
        const auto extra = catalogue_.extra(base);
        if (!extra) return;
        for (const catalogue::ImageDamage& damage : extra->damage) doubtful_.insert(damage.file);
        base = extra->base;
    }
}

RsyncPlan RsyncBackup::plan() {
    RsyncPlan plan;
    plan.unchanged_before = unchanged_before_;
    plan.doubtful = doubtful_;
    plan.in_place = in_place_;
    plan.roots.push_back({context_.facts.data_directory, "", tree_.data_path(), 0});
    const pg::PgResult rows = context_.sql.exec(
        "SELECT oid, spcname, pg_tablespace_location(oid) FROM pg_tablespace "
        "WHERE pg_tablespace_location(oid) <> '' ORDER BY oid",
        in_half_a_minute());
    const std::string version = fmt::format("PG_{}_{}", context_.facts.version / 10000, control_.catalog_version);
    for (int row = 0; row < rows.rows(); ++row) {
        const auto oid = static_cast<std::uint32_t>(rows.number(row, 0));
        const std::string name(rows.text(row, 1)), location(rows.text(row, 2));
        if (!location.starts_with('/')) {
            throw Error(ErrorCode::not_supported, "a tablespace within the data directory is not backed up by rsync",
                        name, "set backup_method = postgres");
        }
        backup_.tablespaces.push_back({name, oid, location});
        tree_.add_tablespace(oid);
        const std::string prefix = fmt::format("pg_tblspc/{}/{}", oid, version);
        tree_.add_directory(prefix, 0700);
        const auto& limits = context_.server.tablespace_bandwidth_limit_kb;
        const auto limit = limits.find(name);
        plan.roots.push_back({location + "/" + version, prefix + "/",
                              catalogue_.backup_path(backup_.backup_id) / std::to_string(oid) / version,
                              limit != limits.end() ? limit->second : 0});
    }
    if (!context_.server.external_configuration) {
        for (const std::string& file :
             {context_.facts.config_file, context_.facts.hba_file, context_.facts.ident_file}) {
            if (!file.empty() && !file.starts_with(context_.facts.data_directory + "/"))
                plan.configuration_files.push_back(file);
        }
    }
    return plan;
}

// So that nothing between here and the server forgets the session, and its loss is noticed.
void RsyncBackup::tick(pg::LowLevelBackup& session) {
    check_stop(context_.stop_fd);
    const std::lock_guard lock(mutex_);
    const MonotonicTime now = context_.clock.monotonic();
    if (now - last_word_ < between_words) return;
    last_word_ = now;
    try {
        session.keep_alive();
    } catch (const Error& error) {
        if (error.code() == ErrorCode::canceled) throw;
        throw Error(ErrorCode::refused,
                    std::string("the session in which the backup was begun is lost: ") + error.what(),
                    backup_.backup_id, "start it again: it goes on with what was copied");
    }
}

void RsyncBackup::copy(RsyncCopy& rsync, pg::LowLevelBackup& session) {
    const MonotonicTime begun = context_.clock.monotonic();
    last_word_ = begun;
    context_.progress.phase("list", "listing the files of " + context_.server.name);
    rsync.prepare();
    context_.progress.phase("copy", "copying " + context_.server.name, rsync.bytes());
    std::uint64_t done = 0;
    rsync.copy([&](std::uint64_t bytes) {
        done += bytes;
        context_.progress.advance(done);
        tick(session);
    });
    extra_.copy_seconds = std::chrono::duration<double>(context_.clock.monotonic() - begun).count();
    if (only_changes_ && manifest_is_of_tree_) tree_.describe_trusted();
    kill_point("job.backup.copied");
}

void RsyncBackup::read_again_what_was_torn(RsyncCopy& rsync, pg::LowLevelBackup& session) {
    const bool check_pages = context_.facts.data_checksums && context_.facts.page_format_known;
    context_.progress.phase("verify", "reading what was copied");
    std::atomic<std::uint64_t> read = 0;
    for (int round = 0;; ++round) {
        tree_.describe(check_pages ? std::optional(backup_.begin_xlog) : std::nullopt, context_.server.parallel_jobs,
                       [&](std::uint64_t bytes) {
                           context_.progress.advance(read += bytes);
                           tick(session);
                       });
        std::vector<std::string> torn;
        for (const auto& [path, wrong] : tree_.wrong_pages()) {
            if (!wrong.suspects.empty() && tree_.has_file(path)) torn.push_back(path);
        }
        if (torn.empty() || round == rounds_for_torn_pages) return;
        log_info("backup {}: {} files have pages with wrong checksums and are copied again", backup_.backup_id,
                 torn.size());
        rsync.copy_again(torn);
    }
}

void RsyncBackup::finish(pg::LowLevelBackup& session) {
    const pg::LowLevelEnd end = session.end();
    const ControlFacts now = ask_control_facts(context_.sql);
    if (end.start.start != backup_.begin_xlog) {
        throw Error(ErrorCode::protocol, "the server ended another backup than it began", backup_.backup_id);
    }
    if (now.timeline != control_.timeline || end.start.timeline != control_.timeline) {
        throw Error(
            ErrorCode::refused, "the server changed its timeline while the backup ran", backup_.backup_id,
            context_.facts.in_recovery ? "start it again after the next checkpoint of the primary" : "start it again");
    }
    backup_.end_xlog = end.lsn;
    const auto size = context_.facts.segment_size;
    backup_.begin_wal = wal::Segment::containing(backup_.timeline, backup_.begin_xlog, size).name(size);
    // The last byte counts: at a segment's boundary the segment before is the one that is needed.
    backup_.end_wal = wal::Segment::containing(backup_.timeline, Lsn{end.lsn.value - 1}, size).name(size);
    backup_.backup_label = end.label;
    tree_.write("backup_label", end.label, server_time_);
    judge_pages();
    tree_.remove_surplus();
    const bool named = backup_.version / 10000 >= 17;  // the first whose manifests have it
    extra_.manifest_checksum = tree_.write_manifest(named ? std::optional(backup_.systemid) : std::nullopt,
                                                    backup_.timeline, backup_.begin_xlog, backup_.end_xlog);
    const std::uint64_t manifest = std::filesystem::file_size(tree_.data_path() / "backup_manifest");
    backup_.size = tree_.bytes() + manifest;
    backup_.deduplicated_size = extra_.bytes_written + manifest;
    backup_.unknown["copy_stats"] =
        fmt::format("{{'copy_time': {:.6f}, 'total_time': {:.6f}}}", extra_.copy_seconds, extra_.copy_seconds);
    extra_.files = tree_.files().size();
    extra_.pages_checked = tree_.pages_checked();
    extra_.unchanged_before = server_time_ - margin_of_times;
}

// Wrong pages that WAL since the backup's begin has whole are none; what is left is damaged on the server.
void RsyncBackup::judge_pages() {
    std::vector<catalogue::BadPage> suspects;
    for (const auto& [path, wrong] : tree_.wrong_pages()) {
        if (!tree_.has_file(path)) continue;
        const auto add = [&, &file = path](const image::SuspectPage& page) {
            suspects.push_back({file, page.block % image::blocks_per_segment, page.lsn});
        };
        std::for_each(wrong.suspects.begin(), wrong.suspects.end(), add);
        for (const image::SuspectPage& page : wrong.newer) {
            if (page.lsn <= backup_.end_xlog) {
                ++extra_.pages_torn_allowed;
            } else {
                add(page);
            }
        }
    }
    const std::size_t all = suspects.size();
    if (context_.facts.can_read_files) suspects = recheck_pages(context_.sql, std::move(suspects), backup_.begin_xlog);
    extra_.pages_torn_allowed += all - suspects.size();
    extra_.bad_pages_total = suspects.size();
    if (suspects.size() > most_bad_pages_kept) suspects.resize(most_bad_pages_kept);
    extra_.bad_pages = std::move(suspects);
}

}  // namespace coffer::job
