#include "lib/restore/new_tablespaces.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include <fmt/format.h>

#include "lib/base/error.h"
#include "lib/wal/little_endian.h"

namespace coffer::restore {
namespace {

constexpr std::uint8_t info_mask = 0xF0, info_create = 0x00;

const TablespaceTarget* of_backup(const Plan& plan, std::uint32_t oid) {
    const auto& all = plan.tablespaces;
    const auto found = std::find_if(all.begin(), all.end(), [oid](const auto& one) { return one.oid == oid; });
    return found == all.end() ? nullptr : &*found;
}

[[noreturn]] void refuse_other_place(const TablespaceTarget& planned, const Path& path) {
    throw Error(
        ErrorCode::refused,
        fmt::format("tablespace '{}' was made while this backup began, so recovery makes it again at {}, not here",
                    planned.name, path.string()),
        planned.target.string(),
        fmt::format("restore a later backup; or let it have its place, which must be free: --tablespace {}:{}",
                    planned.name, path.string()));
}

void require_owner(const Path& path, const Plan& plan) {
    struct stat status {};
    if (::stat(path.c_str(), &status) != 0) throw Error::from_errno(errno, "cannot look at directory", path.string());
    const uid_t owner = plan.owner ? plan.owner->user : ::geteuid();
    if (status.st_uid == owner) return;
    throw Error(ErrorCode::refused,
                fmt::format("a tablespace was made here after the backup; recovery stops because this directory does "
                            "not belong to user {}, as whom the restored server runs",
                            owner),
                path.string(), "change its owner, or remove it: then it is made");
}

}  // namespace

Lsn records_end(const Plan& plan) {
    if (plan.target.standby_mode || plan.target.kind == TargetKind::end) return {};
    // It stops right behind the record of the last transaction (settings.cpp).
    if (plan.end.last_transaction) return *plan.end.last_transaction + 1;
    return plan.target.kind == TargetKind::immediate ? plan.backup.end_xlog : plan.end.end;
}

wal::RecordKinds tablespace_kinds() {
    wal::RecordKinds kinds;
    kinds.set(wal::rm_tablespace);
    return kinds;
}

NewTablespaces::NewTablespaces(const Plan& plan) : begin_(plan.backup.begin_xlog), end_(records_end(plan)) {}

void NewTablespaces::take(const wal::RecordView& record) {
    if (record.rmid != wal::rm_tablespace || (record.info & info_mask) != info_create) return;
    if (record.start < begin_ || (end_.valid() && record.start >= end_)) return;
    const auto data = record.main_data();
    if (!data || data->size() < 6) return;
    const std::uint32_t oid = wal::load32(*data, 0);
    const char* const text = reinterpret_cast<const char*>(data->data()) + 4;
    const Path path(std::string(text, ::strnlen(text, data->size() - 4)));
    // One without a place of its own lies in the data directory (allow_in_place_tablespaces).
    if (!path.is_absolute()) return;
    const std::lock_guard lock(mutex_);
    found_[oid] = path;
}

std::map<std::uint32_t, Path> NewTablespaces::found() const {
    const std::lock_guard lock(mutex_);
    return found_;
}

std::vector<Path> missing_directories(const std::map<std::uint32_t, Path>& tablespaces, const Plan& plan) {
    std::vector<Path> missing;
    for (const auto& [oid, path] : tablespaces) {
        if (const TablespaceTarget* const planned = of_backup(plan, oid)) {
            if (planned->target != path) refuse_other_place(*planned, path);
            continue;
        }
        try {
            check_empty_target(path, plan.taken);
        } catch (const Error& error) {
            throw Error(
                ErrorCode::refused,
                fmt::format("tablespace {} was made after this backup, and recovery would make it again here, where "
                            "something is already, perhaps of a server that lives: {}",
                            oid, error.what()),
                path.string(),
                "move it away if nobody needs it; or restore on another machine, or to a target before the "
                "tablespace was made, or from a backup that has it (then --tablespace gives it another place)");
        }
        if (std::filesystem::exists(path)) {
            require_owner(path, plan);
        } else {
            missing.push_back(path);
        }
    }
    return missing;
}

}  // namespace coffer::restore
