#pragma once
// The catalogue of one server on disk: Barman's layout (reference: documentation of Barman 3.17; docs/architecture.md).
// Stateless: every call reads the disk, so that two processes never disagree. Thread-safe as the file system is.
#include <optional>
#include <string>
#include <vector>

#include "lib/catalogue/backup_info.h"
#include "lib/catalogue/backup_lock.h"
#include "lib/config/config.h"

namespace coffer::catalogue {

struct Identity {
    std::uint64_t systemid = 0;
    std::uint32_t major_version = 0;  // 15
};

// Exempts a backup from retention (Barman's annotation "keep"): with all WAL behind it, or for itself alone.
enum class Keep { none, full, standalone };
std::string_view name_of(Keep keep) noexcept;  // "nokeep", "full", "standalone"

bool is_backup_id(std::string_view name) noexcept;  // YYYYMMDDTHHMMSS

class Catalogue {
  public:
    explicit Catalogue(const config::Server& server);  // server must outlive it

    // Creates the directories that are missing, and the mark of the catalogue's version (config/catalogue_version.h),
    // durably.
    void create_directories() const;

    [[nodiscard]] std::optional<Identity> identity() const;
    // Writes identity.json when absent; throws server_mismatch when another system identifier is there.
    void confirm_identity(const Identity& identity) const;

    // Oldest first, without those that are being removed. A backup whose record cannot be read appears with status
    // failed and the reason in error.
    [[nodiscard]] std::vector<BackupInfo> backups() const;
    // ID, latest/last, oldest/first, last-failed, latest-full/last-full, or a backup's name. nullopt when absent.
    [[nodiscard]] std::optional<BackupInfo> find(std::string_view id_or_alias) const;
    // As find(), but throws no_such_backup with what exists as the remedy.
    [[nodiscard]] BackupInfo get(std::string_view id_or_alias) const;
    // nullopt where there is no such file; one that cannot be read is told of in the log, and says only that.
    [[nodiscard]] std::optional<Extra> extra(std::string_view backup_id) const;
    // Throws not_supported where a newer Coffer wrote what it knows of this backup: then it is not touched, and nothing
    // of it is relied on. Whoever takes a backup's lock or lease (backup_lock.h) has asked.
    void require_known_record(std::string_view backup_id) const;

    // What the scrub found of it and is not mended.
    [[nodiscard]] bool is_damaged(std::string_view backup_id) const;

    // Durable. Writes base/<ID>/backup.info for Barman before 3.13.2 (only the keys that Barman 3.4 knows), then
    // meta/<ID>-backup.info, which is what counts when both are there.
    void save(const BackupInfo& info) const;
    void save(std::string_view backup_id, const Extra& extra) const;

    // A new ID from the clock, unique: claimed by its lock and by creating base/<ID> exclusively; on collision the next
    // second. Keep the lock as long as the backup is being written.
    struct Claim {
        std::string backup_id;
        BackupLock lock;
    };
    [[nodiscard]] Claim claim_backup_id(const Clock& clock) const;
    [[nodiscard]] Path backup_path(std::string_view backup_id) const;  // base/<ID>
    [[nodiscard]] Path data_path(std::string_view backup_id) const;    // base/<ID>/data

    // Marks every backup left in STARTED or EMPTY (or base/<ID> without a record) whose worker no longer holds its lock
    // as FAILED, and discards the files that it had copied. Returns their IDs. Called at the start of the archiver and
    // of each backup.
    std::vector<std::string> fail_abandoned() const;
    [[nodiscard]] Keep keep_of(std::string_view backup_id) const;
    // Durable, where all versions of Barman look. Throws refused for a backup that is neither DONE nor waiting for WAL,
    // and for an incremental one of Barman's; busy while it is being removed.
    void set_keep(std::string_view backup_id, Keep keep) const;

    // Throws refused when it is kept, or where without it fewer good backups than minimum_redundancy are there.
    void check_removable(const BackupInfo& info) const;
    // Deletes a backup, in an instant and durably: a marker makes it invisible. Its tree and its record are still to be
    // removed by finish_removals(). Throws busy while it is written or read, refused when kept, below
    // minimum_redundancy, or needed by an incremental backup of Barman's.
    void mark_removed(const std::string& backup_id) const;
    // Removes the trees and the records of what is marked, which may take minutes. Returns their IDs. One that somebody
    // else is about to remove is left.
    std::vector<std::string> finish_removals() const;
    // Makes a place for a backup that comes from elsewhere: base/<ID>, hidden by the marker of a removal, so that what
    // a crash leaves of it is removed as any other deleted backup is. publish() makes it visible, in one step and
    // durably, when its files and records are there. Keep the lock (a shared one: no removal begins) until then. Throws
    // refused where there is such a backup, busy.
    [[nodiscard]] LockFile begin_import(const std::string& backup_id) const;
    [[nodiscard]] bool is_hidden(std::string_view backup_id) const;
    [[nodiscard]] BackupInfo hidden(const std::string& backup_id) const;  // its record; throws no_such_backup
    // Its records, and that it is kept for itself alone, as Barman does with imports. Durable.
    void record_import(const BackupInfo& info, const Extra& extra) const;
    void publish(std::string_view backup_id) const;
    // Removes base/<ID>/data and the tablespaces, but keeps the record: for a backup that failed.
    void discard_trees(std::string_view backup_id) const;

  private:
    [[nodiscard]] std::vector<std::string> backup_ids() const;
    [[nodiscard]] BackupInfo load(const std::string& backup_id) const;
    [[nodiscard]] Path meta_path(std::string_view backup_id, std::string_view suffix) const;
    void write_keep(std::string_view backup_id, Keep keep) const;
    bool finish_removal(const std::string& backup_id) const;
    bool fail_if_abandoned(const std::string& backup_id) const;
    void remove_marked(std::string_view backup_id) const;
    void check_removable(const BackupInfo& info, const std::vector<BackupInfo>& all) const;

    const config::Server& server_;
};

}  // namespace coffer::catalogue
