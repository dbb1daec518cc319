// Backups that are kept: a file that holds "full" or "standalone".
#include "lib/base/error.h"
#include "lib/catalogue/catalogue.h"
#include "lib/config/units.h"

namespace coffer::catalogue {
namespace {

constexpr std::uint64_t largest_note = 4096;

// Where Barman before 3.13.3 looks; a newer one moves the file to meta/.
Path old_place(const Path& backup) {
    return backup / "annotations" / "keep";
}

void remove_durably(const Path& file) {
    if (!std::filesystem::exists(std::filesystem::symlink_status(file))) return;
    files().unlink(file);
    files().sync_directory(file.parent_path());
}

}  // namespace

std::string_view name_of(Keep keep) noexcept {
    switch (keep) {
        case Keep::none:
            return "nokeep";
        case Keep::full:
            return "full";
        case Keep::standalone:
            return "standalone";
    }
    return "nokeep";
}

Keep Catalogue::keep_of(std::string_view backup_id) const {
    auto note = read_file(meta_path(backup_id, "-keep"), largest_note);
    if (!note) note = read_file(old_place(backup_path(backup_id)), largest_note);
    if (!note) return Keep::none;
    return config::to_lower(config::trim(*note)) == "standalone" ? Keep::standalone : Keep::full;
}

void Catalogue::set_keep(std::string_view backup_id, Keep keep) const {
    const BackupInfo info = get(backup_id);
    const BackupLease lease(server_, info.backup_id);
    const Path place = meta_path(info.backup_id, "-keep");
    const Path old = old_place(backup_path(info.backup_id));
    if (keep == Keep::none) {
        remove_durably(old);
        remove_durably(place);
        return;
    }
    if (info.status != BackupStatus::done && info.status != BackupStatus::waiting_for_wals) {
        throw Error(ErrorCode::refused, "a backup that is " + std::string(name_of(info.status)) + " cannot be kept",
                    info.backup_id, "choose one that is DONE");
    }
    if (!info.parent().empty()) {
        throw Error(ErrorCode::refused, "an incremental backup cannot be kept, it needs others", info.backup_id,
                    "keep the full backup that it belongs to");
    }
    write_keep(info.backup_id, keep);
}

void Catalogue::write_keep(std::string_view backup_id, Keep keep) const {
    const Path old = old_place(backup_path(backup_id));
    make_directories_durably(old.parent_path());
    write_file_durably(old, name_of(keep));
    kill_point("catalogue.keep.barman");
    write_file_durably(meta_path(backup_id, "-keep"), name_of(keep));
}

}  // namespace coffer::catalogue
