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

// False when it still waits, or somebody works on it.
bool finish_one(const config::Server& server, const Catalogue& catalogue, const std::string& backup_id) {
    const auto lock = LockFile::try_lock(backup_lock_path(server, backup_id), LockFile::Mode::exclusive);
    if (!lock) return false;
    // It may have ended, or been removed, while we looked.
    std::optional<BackupInfo> info = catalogue.find(backup_id);
    if (!info || info->status != BackupStatus::waiting_for_wals) return false;
    if (first_missing_wal(server, *info)) return false;
    try {
        prove_wal(server, *info);
    } catch (const Error& error) {
        if (error.code() != ErrorCode::server_mismatch) throw;
        info->status = BackupStatus::failed;
        info->error = error.what();
        catalogue.save(*info);
        throw;
    }
    info->status = BackupStatus::done;
    catalogue.save(*info);
    log_info("backup {} of server {} is DONE: all wal that it needs has arrived", backup_id, server.name);
    return true;
}

}  // namespace

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
        if (listed.status != BackupStatus::waiting_for_wals) continue;
        try {
            if (finish_one(server, catalogue, listed.backup_id)) finished.push_back(listed.backup_id);
        } catch (const Error& error) {  // a bad record, WAL or lock of one must not keep the others waiting
            log_warning("backup {} of server {} cannot become DONE: {}", listed.backup_id, server.name, error.what());
        }
    }
    return finished;
}

}  // namespace coffer::catalogue
