#include "lib/catalogue/completion.h"

#include <algorithm>

#include "lib/base/error.h"
#include "lib/base/log.h"
#include "lib/catalogue/catalogue.h"
#include "lib/catalogue/wal_proof.h"
#include "lib/wal/holdings.h"
#include "lib/wal/partial.h"

namespace coffer::catalogue {
namespace {

// Up to where the segment is needed: its end, or the end of the backup.
bool unfinished_reaches(const wal::HeldFile& file, const wal::Segment& segment, const BackupInfo& info) {
    wal::DurableQuery query;
    query.size = info.xlog_segment_size;
    query.major_version = info.version / 10000;
    query.timeline = segment.timeline;
    if (info.systemid != 0) query.system_identifier = info.systemid;
    const wal::DurableEnd end = wal::check_streamed_file(file.path, segment, true, query);
    return end.valid_end >= std::min(segment.end(query.size), info.end_xlog);
}

bool durable(const config::Server& server, const wal::Segment& segment, const BackupInfo& info) {
    const std::string name = segment.name(info.xlog_segment_size);
    for (int attempt = 0;; ++attempt) {
        const auto file = wal::find_now(server, name, true);
        if (!file) return false;
        if (file->place == wal::Place::archive || file->place == wal::Place::streaming) return true;
        if (file->place != wal::Place::streaming_partial) return false;
        try {
            return unfinished_reaches(*file, segment, info);
        } catch (const Error&) {
            // Finished and renamed while we looked: look again. Else the error stands.
            if (attempt == 3 || std::filesystem::exists(file->path)) throw;
        }
    }
}

constexpr std::string_view given_up = "wal that it needs is missing though later wal has arrived: ";

// All WAL is here: DONE, or FAILED and an error where it is another's.
void settle(const config::Server& server, const Catalogue& catalogue, BackupInfo& info) {
    try {
        prove_wal(server, info);
    } catch (const Error& error) {
        if (error.code() != ErrorCode::server_mismatch) throw;
        info.status = BackupStatus::failed;
        info.error = error.what();
        catalogue.save(info);
        throw;
    }
    info.status = BackupStatus::done;
    info.error.clear();
    catalogue.save(info);
    log_info("backup {} of server {} is DONE: all wal that it needs has arrived", info.backup_id, server.name);
}

bool is_given_up(const BackupInfo& info) {
    return info.status == BackupStatus::failed && info.end_xlog.valid() && info.error.starts_with(given_up);
}

// False when it still waits, or somebody works on it.
bool finish_one(const config::Server& server, const Catalogue& catalogue, const std::string& backup_id) {
    const auto lock = LockFile::try_lock(backup_lock_path(server, backup_id), LockFile::Mode::exclusive);
    if (!lock) return false;
    // It may have ended, or been removed, while we looked.
    catalogue.require_known_record(backup_id);
    std::optional<BackupInfo> info = catalogue.find(backup_id);
    if (!info || !waits_for_wal(*info)) return false;
    if (first_missing_wal(server, *info)) return false;
    settle(server, catalogue, *info);
    return true;
}

// Has WAL behind it arrived on its timeline, and is it nowhere? What is on its way was there before what is behind it.
bool is_lost(const config::Server& server, const BackupInfo& info, const std::string& missing) {
    const auto segment = wal::Segment::parse(missing, info.xlog_segment_size);
    if (!segment) return false;
    const auto holdings = wal::Holdings::scan(server, info.xlog_segment_size);
    const auto later = holdings.segments().upper_bound(*segment);
    if (later == holdings.segments().end() || later->first.timeline != segment->timeline) return false;
    return !wal::find_now(server, missing, true);
}

}  // namespace

bool waits_for_wal(const BackupInfo& info) {
    return info.status == BackupStatus::waiting_for_wals || is_given_up(info);
}

std::optional<std::string> first_missing_wal(const config::Server& server, const BackupInfo& info) {
    const std::vector<wal::Segment> required = info.required_segments();
    if (required.empty()) {
        throw Error(ErrorCode::corrupt, "the record of the backup does not say which wal it needs", info.backup_id);
    }
    for (const wal::Segment& segment : required) {
        if (!durable(server, segment, info)) return segment.name(info.xlog_segment_size);
    }
    return std::nullopt;
}

std::vector<std::string> finish_waiting(const config::Server& server) {
    const Catalogue catalogue(server);
    std::vector<std::string> finished;
    for (const BackupInfo& listed : catalogue.backups()) {
        if (!waits_for_wal(listed)) continue;
        try {
            if (finish_one(server, catalogue, listed.backup_id)) finished.push_back(listed.backup_id);
        } catch (const Error& error) {  // a bad record, WAL or lock of one must not keep the others waiting
            log_warning("backup {} of server {} cannot become DONE: {}", listed.backup_id, server.name, error.what());
        }
    }
    return finished;
}

Checked check_backup(const config::Server& server, const std::string& backup_id) {
    const Catalogue catalogue(server);
    catalogue.require_known_record(backup_id);
    // One that is DONE is only looked at: nobody who wants to read it meanwhile is told that it is busy.
    if (const BackupInfo done = catalogue.get(backup_id); done.status == BackupStatus::done)
        return {done.status, first_missing_wal(server, done)};
    const auto lock = LockFile::try_lock(backup_lock_path(server, backup_id), LockFile::Mode::exclusive);
    BackupInfo info = catalogue.get(backup_id);
    const bool waits = info.status == BackupStatus::waiting_for_wals;
    if (info.status == BackupStatus::started || info.status == BackupStatus::empty) {
        throw Error(ErrorCode::refused, "the backup is still being copied", backup_id, "wait for its end");
    }
    if (!waits && info.status != BackupStatus::done && !is_given_up(info)) return {info.status, std::nullopt};
    const auto missing = first_missing_wal(server, info);
    // Whoever takes the backup, and waits for its WAL now, will end it.
    if (info.status == BackupStatus::done || !lock) return {info.status, missing};
    if (!missing) {
        settle(server, catalogue, info);
    } else if (waits && is_lost(server, info, *missing)) {
        info.status = BackupStatus::failed;
        info.error = std::string(given_up) + *missing;
        catalogue.save(info);
        log_warning("backup {} of server {} is FAILED: {}", backup_id, server.name, info.error);
    }
    return {info.status, missing};
}

}  // namespace coffer::catalogue
