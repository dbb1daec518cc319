#include "lib/restore/execute.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <atomic>

#include "lib/base/crc32c.h"
#include "lib/base/error.h"
#include "lib/restore/existing_cluster.h"
#include "lib/restore/existing_tree.h"
#include "lib/restore/fitness.h"
#include "lib/restore/manifest_check.h"
#include "lib/restore/new_tablespaces.h"
#include "lib/restore/unpack.h"

namespace coffer::restore {
namespace {

// The same plan with destinations that no symbolic link leads to: from here on none is followed.
Plan with_real_paths(Plan plan) {
    plan.destination = plan.data.target = real_path(plan.destination);
    for (std::size_t i = 0; i < plan.tablespaces.size(); ++i) {
        plan.tablespaces[i].target = plan.tablespace_trees[i].target = real_path(plan.tablespaces[i].target);
    }
    return plan;
}

bool is_there(const Path& path) {
    return std::filesystem::exists(std::filesystem::symlink_status(path));
}

class Execution {
  public:
    Execution(const Plan& plan, const config::Server& server, const ExecuteControl& control)
        : given_(plan),
          plan_(with_real_paths(plan)),
          server_(server),
          control_(control),
          configuration_(plan.configuration) {
        copy_.owner = plan.owner;
        copy_.jobs = control.jobs;
        copy_.canceled = control.canceled;
        copy_.explain = [this](const Tree& tree, const TreeEntry& entry) {
            return damaged_blocks(plan_.backup, tree, entry);
        };
        if (plan.delta) copy_.delta = &delta_;
        copy_.copied = [this](std::uint64_t bytes) {
            const std::uint64_t done = done_.fetch_add(bytes) + bytes;
            if (control_.advance) control_.advance(done);
        };
    }

    Executed run() {
        begin();
        kill_point("job.restore.begin");
        try {
            bring_wal();
        } catch (...) {
            give_up();
            throw;
        }
        kill_point("job.restore.wal");
        std::vector<Tree> trees = plan_.tablespace_trees;
        trees.push_back(plan_.data);
        if (plan_.delta) make_way(trees);
        phase("copy", plan_.delta ? "comparing with the backup" : "copying the backup", plan_.bytes());
        plan_.chain_of_backups.empty() ? copy_trees(trees, copy_) : unpack_backup();
        kill_point("job.restore.tree");
        link_tablespaces();
        write_settings();
        kill_point("job.restore.settings");
        phase("sync", "making everything durable", 0);
        sync_everything();
        kill_point("job.restore.sync");
        check_canceled(copy_);
        finish();
        kill_point("job.restore.done");
        result_.read = delta_.read;
        result_.equal = delta_.equal;
        result_.written = delta_.written;
        result_.shared = delta_.shared;
        result_.configuration = configuration_;
        return std::move(result_);
    }

  private:
    [[nodiscard]] Path at(const char* relative) const { return plan_.destination / relative; }

    void phase(std::string_view name, std::string_view message, std::uint64_t total) {
        done_ = 0;
        if (control_.phase) control_.phase(name, message, total);
    }

    void write(const Path& path, std::string_view content) const {
        files().append(create_file(path, plan_.owner).get(), as_byte_span(content), path);
    }

    // Directories above the destination keep what they are; those that are missing get the owner as well.
    void make_with_parents(const Path& directory) const {
        if (!std::filesystem::is_directory(directory.parent_path())) make_with_parents(directory.parent_path());
        make_directory(directory, plan_.owner);
    }

    [[noreturn]] void refuse_other() const {
        throw Error(ErrorCode::busy, "another restore to this destination has begun", given_.destination.string(),
                    "let it end, or choose another directory");
    }

    [[nodiscard]] UniqueFd claim_name() const {
        try {
            return create_file(at(unfinished_marker), plan_.owner);
        } catch (const Error& error) {
            if (error.code() != ErrorCode::not_empty) throw;
            refuse_other();
        }
    }

    // Of two restores that found the same directory empty one makes the marker.
    [[nodiscard]] UniqueFd claim() const {
        UniqueFd marker = claim_name();
        lock(marker);
        for (const auto& entry : std::filesystem::directory_iterator(plan_.destination)) {
            const Path name = entry.path().filename();
            if (name == unfinished_marker || name == "lost+found") continue;
            remove_file(at(unfinished_marker));
            throw Error(ErrorCode::not_empty, "the destination is not empty any more", entry.path().string(),
                        "see who else writes there, and choose another directory");
        }
        return marker;
    }

    // Of two restores onto the same directory one gets the lock, whether or not a marker was left there.
    [[nodiscard]] UniqueFd claim_existing() const {
        UniqueFd marker = open_existing(at(unfinished_marker), plan_.owner);
        if (!marker) marker = claim_name();
        lock(marker);
        return marker;
    }

    void lock(const UniqueFd& marker) const {
        if (::flock(marker.get(), LOCK_EX | LOCK_NB) != 0) refuse_other();
    }

    // The marker is durable before anything else is written.
    void begin() {
        make_with_parents(plan_.destination);
        to_sync_.push_back(open_target(plan_.destination, O_RDONLY | O_DIRECTORY));
        const std::string text = marker_text(plan_.server, plan_.backup, plan_.tablespaces, plan_.delta);
        marker_ = plan_.delta ? claim_existing() : claim();
        struct stat status {};
        // One that was left behind says what the destination was, and pg_control may be gone already.
        if (::fstat(marker_.get(), &status) == 0 && status.st_size == 0) {
            files().append(marker_.get(), as_byte_span(text), at(unfinished_marker));
            files().sync(marker_.get(), at(unfinished_marker));
        }
        files().sync_directory(plan_.destination);
        files().sync_directory(plan_.destination.parent_path());
        if (plan_.delta) make_unstartable();
        for (const TablespaceTarget& tablespace : plan_.tablespaces) {
            make_with_parents(tablespace.target);
            to_sync_.push_back(open_target(tablespace.target, O_RDONLY | O_DIRECTORY));
        }
    }

    // Without pg_control PostgreSQL does not start. One that was started just before is found after that.
    void make_unstartable() {
        try {
            if (is_there(at("global/pg_control"))) {
                rename_target(at("global/pg_control"), at(control_aside));
                files().sync_directory(at("global"));
            }
            require_no_server(plan_.destination, plan_.tablespaces);
        } catch (...) {
            give_up();
            throw;
        }
    }

    // A server that was whole before is whole again.
    void put_back() const {
        remove_tree(at(wal_aside));
        if (is_there(at(control_aside))) {
            rename_target(at(control_aside), at("global/pg_control"));
            files().sync_directory(at("global"));
        }
        if (is_there(at("global/pg_control"))) remove_file(at(unfinished_marker));
    }

    // Takes away what the backup does not have, old WAL and settings among it, and puts the new WAL in its place.
    void make_way(const std::vector<Tree>& trees) {
        phase("surplus", "removing what is not in the backup", 0);
        // From here on nothing may go back to where it was.
        if (is_there(at(control_aside))) {
            remove_file(at(control_aside));
            files().sync_directory(at("global"));
        }
        for (const Tree& tree : trees) {
            const Existing found = remove_surplus(tree, copy_);
            result_.removed += found.surplus_bytes;
            result_.removed_files += found.surplus_files;
        }
        kill_point("job.restore.surplus");
        rename_target(at(wal_aside), at("pg_wal"));
    }

    // Refused, or canceled, before a data file was copied: nothing is left to be in the way of the next attempt.
    void give_up() const noexcept {
        if (plan_.delta) {
            try {
                put_back();
            } catch (const std::exception&) {
                // The marker says what to do.
            }
            return;
        }
        try {
            remove_tree(at("pg_wal"));
            remove_file(at(unfinished_marker));
        } catch (const std::exception&) {
            // The marker says what to do.
        }
    }

    void bring_wal() {
        const Path pg_wal = at(plan_.delta ? wal_aside : "pg_wal");
        if (plan_.delta) remove_tree(pg_wal);
        make_directory(pg_wal, plan_.owner);
        make_directory(pg_wal / "archive_status", plan_.owner);
        NewTablespaces tablespaces(plan_);
        if (plan_.get_wal) {
            phase("wal", "checking WAL", plan_.chain.pieces.size() * plan_.chain.size.bytes());
            prove_wal(plan_, server_, copy_, tablespaces);
        } else {
            phase("wal", "placing WAL", plan_.wal_bytes());
            place_wal(plan_, server_, pg_wal, copy_, tablespaces);
        }
        for (const Path& path : missing_directories(tablespaces.found(), given_)) {
            make_with_parents(path);
            result_.warnings.push_back("a tablespace was made after the backup; recovery makes it again at " +
                                       path.string() + ", so this directory was made for it");
        }
    }

    void unpack_backup() {
        unpack({plan_.chain_of_backups, plan_.destination, plan_.tablespace_trees,
                [this](const std::string& path) { return left_out(path, plan_.tablespaces_moved); }},
               copy_);
        if (!in_tar_format(plan_.backup)) return;
        configuration_ = examine_configuration(plan_.destination, plan_.backup);
        result_.warnings.insert(result_.warnings.end(), configuration_.warnings.begin(), configuration_.warnings.end());
    }

    void link_tablespaces() const {
        make_directory(at("pg_tblspc"), plan_.owner);
        for (const TablespaceTarget& tablespace : given_.tablespaces) {
            make_link(tablespace.target, at("pg_tblspc") / std::to_string(tablespace.oid), plan_.owner);
        }
    }

    // With the checksum that the manifest has for it, if there is one.
    [[nodiscard]] TreeEntry apart(const std::string& path) const {
        for (const TreeEntry& entry : plan_.apart) {
            if (entry.path == path) return entry;
        }
        std::error_code error;
        const auto size = std::filesystem::file_size(plan_.data.source / path, error);
        return {path, error ? 0 : size, false, {}};
    }

    // What the server had in postgresql.auto.conf.
    [[nodiscard]] std::string take_settings() const {
        constexpr std::uint64_t largest = 16ULL << 20;
        if (!plan_.chain_of_backups.empty()) {
            std::string unpacked = read_target(at("postgresql.auto.conf"), largest + 1).value_or("");
            if (unpacked.size() > largest) {
                throw Error(ErrorCode::corrupt, "this file is too large", at("postgresql.auto.conf").string());
            }
            remove_file(at("postgresql.auto.conf"));
            return unpacked;
        }
        std::string existing = read_file(plan_.data.source / "postgresql.auto.conf", largest).value_or("");
        require_same(plan_.data, apart("postgresql.auto.conf"), existing.size(), crc32c(as_byte_span(existing)), copy_);
        return existing;
    }

    void write_settings() const {
        const std::string existing = take_settings();
        write(at("postgresql.auto.conf"), auto_conf(plan_.settings, existing, configuration_.main_file));
        write(at(plan_.target.standby_mode ? "standby.signal" : "recovery.signal"), "");
        if (!std::filesystem::exists(at("backup_label"))) write(at("backup_label"), plan_.backup.backup_label);
    }

    void sync_everything() const {
        for (std::size_t i = 0; i < to_sync_.size(); ++i) {
            files().sync_file_system(to_sync_[i].get(), i == 0 ? plan_.destination : plan_.tablespaces[i - 1].target);
        }
    }

    // The marker goes first: should power fail in between, PostgreSQL still does not start without pg_control.
    void finish() {
        const Path directory = at("global");
        const Path temporary = at(hidden_control_file);
        CopyControl whole = copy_;
        whole.delta = nullptr;
        if (plan_.chain_of_backups.empty()) copy_file(plan_.data, apart(control_file), temporary, whole);
        files().sync(open_target(temporary, O_RDONLY).get(), temporary);
        remove_file(at(unfinished_marker));
        files().sync_directory(plan_.destination);
        kill_point("job.restore.control");
        rename_target(temporary, directory / "pg_control");
        files().sync_directory(directory);
    }

    const Plan& given_;
    const Plan plan_;
    const config::Server& server_;
    const ExecuteControl& control_;
    ConfigurationReport configuration_;
    CopyControl copy_;
    std::atomic<std::uint64_t> done_{0};
    UniqueFd marker_;  // locked while the restore runs
    // The destination and the tablespaces. The kernel tells a failed write only to descriptors that were open before.
    std::vector<UniqueFd> to_sync_;
    DeltaCounts delta_;
    Executed result_;
};

}  // namespace

Executed execute(const Plan& plan, const config::Server& server, const ExecuteControl& control) {
    return Execution(plan, server, control).run();
}

}  // namespace coffer::restore
