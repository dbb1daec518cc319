#include "lib/restore/plan.h"

#include <fmt/format.h>
#include <pwd.h>
#include <unistd.h>

#include <algorithm>
#include <numeric>

#include "lib/base/error.h"
#include "lib/restore/branches.h"
#include "lib/restore/choose.h"
#include "lib/restore/existing_cluster.h"
#include "lib/restore/fitness.h"
#include "lib/restore/guard.h"
#include "lib/restore/left_pages.h"
#include "lib/restore/manifest_check.h"
#include "lib/restore/new_tablespaces.h"
#include "lib/restore/reachable.h"
#include "lib/wal/codec.h"
#include "lib/wal/timeline_history.h"

namespace coffer::restore {
namespace {

using catalogue::BackupInfo;
using catalogue::Catalogue;

constexpr std::uint64_t largest_history = 1ULL << 20;
// Directories, control files, what PostgreSQL writes before it is up.
constexpr std::uint64_t room_for_starting = 32ULL << 20;

Histories read_histories(const wal::Holdings& holdings) {
    Histories histories;
    for (const auto& [timeline, file] : holdings.histories()) {
        const std::string text = wal::decompress_file(file.path, largest_history);
        const auto history = wal::TimelineHistory::parse(text, timeline, file.path.string());
        for (const wal::TimelineSwitch& left : history.ancestors) {
            histories[timeline].push_back({left.timeline, left.at});
        }
    }
    return histories;
}

class Planner {
  public:
    Planner(const config::Server& server, const PlanRequest& request) : server_(server), request_(request) {}

    Plan make() {
        plan_.server = server_.name;
        plan_.target = request_.target;
        plan_.destination = request_.destination.lexically_normal();
        if (!plan_.destination.has_filename()) plan_.destination = plan_.destination.parent_path();
        plan_.taken = request_.taken;
        plan_.get_wal = request_.get_wal;
        plan_.verify = request_.verify;
        choose();
        check_targets();
        follow_timelines();
        plan_.end =
            find_recovery_end({server_, plan_.backup, plan_.target, plan_.chain, plan_.identity, request_.canceled});
        if (!plan_.end.warning.empty()) plan_.warnings.push_back(plan_.end.warning);
        for (const LeftCommit& left :
             commits_left_out(server_, *holdings_, plan_.path, plan_.identity, request_.canceled)) {
            plan_.warnings.push_back(describe(left));
        }
        trim_chain();
        list_files();
        leave_out_databases();
        make_settings();
        plan_.owner = choose_owner(plan_.destination, plan_.warnings);
        if (plan_.get_wal && plan_.owner) require_reach(*plan_.owner);
        check_room();
        return std::move(plan_);
    }

  private:
    // The backup, and the WAL that belongs to its cluster.
    void choose() {
        const Catalogue catalogue(server_);
        const std::vector<BackupInfo> backups = catalogue.backups();
        // Timelines are compared with what is held now; every backup of one server has one segment size.
        const wal::SegmentSize size = backups.empty() ? wal::SegmentSize() : backups.back().xlog_segment_size;
        holdings_.emplace(wal::Holdings::scan(server_, size));
        histories_ = read_histories(*holdings_);
        plan_.backup = choose_among(backups);
        if (!(plan_.backup.xlog_segment_size == size)) {
            holdings_.emplace(wal::Holdings::scan(server_, plan_.backup.xlog_segment_size));
            histories_ = read_histories(*holdings_);
        }
        data_path_ = catalogue.data_path(plan_.backup.backup_id);
        backup_path_ = catalogue.backup_path(plan_.backup.backup_id);
        require_fit(plan_.backup, data_path_, !request_.verify, plan_.warnings);
        require_undamaged(catalogue.extra(plan_.backup.backup_id), plan_.backup.backup_id, !request_.verify,
                          plan_.warnings);
        plan_.identity = {plan_.backup.systemid, plan_.backup.version / 10000};
    }

    // What is chosen by itself is sound, as long as there is such a backup.
    [[nodiscard]] BackupInfo choose_among(const std::vector<BackupInfo>& backups) const {
        const auto on_timeline = [&](const BackupInfo& backup) {
            const TargetTimeline& wanted = plan_.target.timeline;
            return wanted.kind != TargetTimeline::Kind::number ||
                   descends(wanted.number, backup.timeline, backup.end_xlog, histories_);
        };
        std::vector<BackupInfo> sound = backups;
        std::erase_if(sound, [&](const BackupInfo& backup) { return Catalogue(server_).is_damaged(backup.backup_id); });
        if (request_.backup == "auto" && sound.size() < backups.size()) {
            try {
                return choose_backup(sound, request_.backup, plan_.target, on_timeline);
            } catch (const Error& error) {
                if (error.code() != ErrorCode::target_unreachable) throw;
            }
        }
        return choose_backup(backups, request_.backup, plan_.target, on_timeline);
    }

    void check_targets() {
        check_target(plan_.destination);
        if (plan_.delta) require_same_cluster(plan_.destination, plan_.backup.systemid);
        plan_.tablespaces = place_tablespaces(plan_.backup, backup_path_, plan_.destination, request_.tablespaces);
        for (const TablespaceTarget& tablespace : plan_.tablespaces) {
            try {
                if (check_target(tablespace.target)) {
                    require_own_tablespace(plan_.destination, tablespace, plan_.backup.pgdata);
                }
            } catch (const Error& error) {
                const Error told = error.within(fmt::format("tablespace '{}'", tablespace.name));
                if (error.remedy().find("--tablespace") != std::string::npos) throw told;
                throw told.with_remedy(fmt::format("give it an empty place: --tablespace {}:/PATH", tablespace.name));
            }
            if (!tablespace.mapped) {
                plan_.warnings.push_back(fmt::format("tablespace '{}' goes to its original place {}", tablespace.name,
                                                     tablespace.target.string()));
            }
        }
        if (plan_.delta) require_no_server(real_path(plan_.destination), plan_.tablespaces);
    }

    // Is something there already, onto which a delta restore may go?
    bool check_target(const Path& target) {
        if (!request_.delta) {
            check_empty_target(target, request_.taken);
            return false;
        }
        check_place(target, request_.taken);
        const bool there = !is_empty_target(target);
        plan_.delta = plan_.delta || there;
        return there;
    }

    void follow_timelines() {
        const BackupInfo& backup = plan_.backup;
        plan_.timeline = resolve(plan_.target.timeline, backup.timeline, backup.end_xlog, histories_);
        plan_.path = path_to(plan_.timeline, backup.timeline, backup.end_xlog, histories_);
        plan_.chain = chain_from(*holdings_, plan_.path, backup.begin_xlog, [this](const WalPiece& piece, Lsn began) {
            return reaches_its_timeline(piece, began);
        });
        for (const auto& [timeline, file] : holdings_->histories()) plan_.histories.push_back(file);
        const bool newer = !histories_.empty() && histories_.rbegin()->first > plan_.timeline;
        if (newer && plan_.target.timeline.kind == TargetTimeline::Kind::latest) {
            plan_.warnings.push_back(
                fmt::format("timeline {} is newer, but it left the way of this backup before its end; "
                            "recovery follows timeline {}",
                            histories_.rbegin()->first, plan_.timeline));
        }
    }

    [[nodiscard]] bool reaches_its_timeline(const WalPiece& piece, Lsn began) const {
        WalChain sized;
        sized.size = holdings_->segment_size();
        wal::SegmentChecker checker = checker_for(sized, piece, plan_.identity);
        read_piece(server_, sized, piece, [&](ByteSpan bytes) {
            checker.add(bytes);
            return true;
        });
        const bool reaches = checker.result().valid_end >= began;
        // The restored server would ask for it by its name, and take it.
        if (!reaches && plan_.get_wal) {
            throw Error(ErrorCode::refused,
                        fmt::format("this unfinished segment ends before its timeline began at {}; a recovery that "
                                    "fetches its WAL would lose what the timeline before holds up to there",
                                    began.to_string()),
                        piece.file.path.string(), "restore without --get-wal, or let the streamer receive it anew");
        }
        return reaches;
    }

    void trim_chain() {
        plan_.chain.pieces.resize(std::min(plan_.end.last_piece + 1, plan_.chain.pieces.size()));
        plan_.uses_unfinished_segment = std::any_of(plan_.chain.pieces.begin(), plan_.chain.pieces.end(),
                                                    [](const WalPiece& piece) { return piece.partial(); });
    }

    void list_files() {
        plan_.tablespaces_moved =
            std::any_of(plan_.tablespaces.begin(), plan_.tablespaces.end(),
                        [&](const auto& tablespace) { return tablespace.target != original_place(tablespace.oid); });
        const bool moved = plan_.tablespaces_moved;
        if (needs_unpacking(plan_.backup)) return list_chain();
        plan_.data = list_tree(data_path_, plan_.destination, [&](const std::string& path) {
            // With old WAL in it pg_wal is replaced as a whole.
            return left_out(path, moved) || (plan_.delta && path == "pg_wal");
        });
        plan_.data.spared = {unfinished_marker, wal_aside, "lost+found"};
        const Path real = real_path(plan_.destination);
        for (const TablespaceTarget& tablespace : plan_.tablespaces) {
            plan_.tablespace_trees.push_back(list_tree(tablespace.source, tablespace.target, nullptr));
            plan_.tablespace_trees.back().prefix = fmt::format("pg_tblspc/{}/", tablespace.oid);
            plan_.tablespace_trees.back().spared = {"lost+found"};
            const Path place = real_path(tablespace.target);
            if (is_within(place, real)) plan_.data.spared.insert(place.lexically_relative(real).string());
        }
        if (!request_.verify) {
            plan_.warnings.emplace_back("the files are not held against the backup manifest (--no-verify)");
            return;
        }
        ManifestQuestion question{
            plan_.backup, {&plan_.data}, &plan_.apart, [&](const std::string& path) { return left_out(path, moved); }};
        for (Tree& tree : plan_.tablespace_trees) question.trees.push_back(&tree);
        plan_.verify = expect_from_manifest(question, plan_.warnings);
    }

    void list_chain() {
        const auto refuse = [&](const char* why) {
            throw Error(ErrorCode::not_supported, fmt::format("Barman packed this backup: {}", why),
                        plan_.backup.backup_id, "restore it to an empty directory, whole");
        };
        if (plan_.delta) refuse("it cannot be compared with what the destination holds");
        if (!request_.databases.everything()) refuse("no database of it can be left out");
        plan_.chain_of_backups = chain_of(catalogue::Catalogue(server_), plan_.backup, request_.verify);
        plan_.data.source = data_path_;
        plan_.data.target = plan_.destination;
        std::vector<Tree*> trees{&plan_.data};
        for (const TablespaceTarget& tablespace : plan_.tablespaces) {
            Tree& tree = plan_.tablespace_trees.emplace_back();
            tree.target = tablespace.target;
            tree.prefix = fmt::format("pg_tblspc/{}/", tablespace.oid);
        }
        for (Tree& tree : plan_.tablespace_trees) trees.push_back(&tree);
        estimate(plan_.chain_of_backups, trees);
        if (!request_.verify)
            plan_.warnings.emplace_back("the files are not held against the backup manifest (--no-verify)");
    }

    // After the manifest was asked: their sizes are compared as those of all others.
    void leave_out_databases() {
        if (request_.databases.everything()) return;
        const BackupInfo& backup = plan_.backup;
        plan_.left_databases = choose_databases(
            read_databases(data_path_, plan_.identity.major_version, backup.data_checksums), request_.databases);
        if (plan_.left_databases.empty()) return;
        const auto refuse = [&](const char* why) {
            throw Error(ErrorCode::refused, fmt::format("databases cannot be left out: {}", why), backup.backup_id,
                        "restore all databases, and drop those that you do not want");
        };
        if (plan_.delta) refuse("the destination is not empty, and its own ones would be emptied");
        if (plan_.target.standby_mode) refuse("a standby replays what is not known yet, and cannot drop them");
        if (plan_.get_wal && plan_.target.kind == TargetKind::end) {
            refuse("with --get-wal and no target recovery may fetch WAL that is not known yet");
        }
        const Lsn read =
            require_replay_without(plan_.left_databases, {server_, plan_.chain, plan_.identity, data_path_,
                                                          backup.begin_xlog, records_end(plan_), request_.canceled});
        if (plan_.target.kind == TargetKind::end) end_chain_at(read);
        leave_out(plan_.data, false, plan_.left_databases);
        for (Tree& tree : plan_.tablespace_trees) leave_out(tree, true, plan_.left_databases);
    }

    // The streamer may have gone on by the time the unfinished segment is placed, and nobody looked at what it wrote.
    void end_chain_at(Lsn read) {
        WalPiece& last = plan_.chain.pieces.back();
        const Lsn begin = last.segment.begin(plan_.chain.size);
        if (plan_.end.end > begin && read < plan_.end.end) {
            throw Error(ErrorCode::corrupt,
                        fmt::format("WAL could be read up to {} only, not to its end at {}", read.to_string(),
                                    plan_.end.end.to_string()),
                        last.file.path.string(), "see the log of the archiver; then start again");
        }
        if (!last.partial()) return;
        if (read > begin) {
            last.keep_bytes = std::min(last.keep_bytes.value_or(plan_.chain.size.bytes()), read.value - begin.value);
        } else if (plan_.chain.pieces.size() > 1) {
            plan_.chain.pieces.pop_back();
            plan_.uses_unfinished_segment = false;
        }
    }

    [[nodiscard]] Path original_place(std::uint32_t oid) const {
        for (const catalogue::Tablespace& tablespace : plan_.backup.tablespaces) {
            if (tablespace.oid == oid) return tablespace.location;
        }
        return {};
    }

    void make_settings() {
        if (!in_tar_format(plan_.backup)) {  // else its files cannot be read before it is unpacked
            plan_.configuration = examine_configuration(data_path_, plan_.backup);
            plan_.warnings.insert(plan_.warnings.end(), plan_.configuration.warnings.begin(),
                                  plan_.configuration.warnings.end());
        }
        RecoverySettings& settings = plan_.settings;
        settings.target = plan_.target;
        if (!plan_.target.standby_mode) settings.last_transaction = plan_.end.last_transaction;
        settings.major_version = plan_.identity.major_version;
        if (plan_.target.standby_mode && plan_.target.timeline.kind == TargetTimeline::Kind::latest) {
            settings.timeline = "latest";
        } else {
            settings.timeline =
                plan_.timeline == plan_.backup.timeline ? std::string("current") : std::to_string(plan_.timeline);
        }
        if (plan_.get_wal) {
            settings.restore_command =
                get_wal_command(request_.cofferctl, request_.config_file, server_.name, plan_.target);
        } else if (!plan_.target.standby_mode) {
            // PostgreSQL demands one, and looks into pg_wal when it fails.
            settings.restore_command = "false";
        }
    }

    // Found now, not when the restored server is started and cannot fetch its first segment.
    void require_reach(const Owner& owner) const {
        const auto barred = out_of_reach(owner, {{request_.cofferctl, X_OK},
                                                 {request_.config_file, R_OK},
                                                 {server_.wals_directory, R_OK | X_OK},
                                                 {server_.streaming_wals_directory, R_OK | X_OK}});
        if (!barred) return;
        const passwd* const user = ::getpwuid(owner.user);
        throw Error(ErrorCode::permission_denied,
                    fmt::format("the restored server could not fetch its WAL: its user {} may not read this",
                                user != nullptr ? user->pw_name : std::to_string(owner.user)),
                    barred->string(),
                    "let that user in (usermod -aG coffer NAME, for files of group coffer), or restore without "
                    "--get-wal: WAL is placed then");
    }

    // What an existing directory has of a tree, with the places that no link leads to.
    Existing survey(Tree tree) {
        tree.target = real_path(tree.target);
        if (!plan_.delta || !std::filesystem::is_directory(tree.target)) return {};
        Existing found = survey_existing(tree);
        plan_.existing.kept_files += found.kept_files;
        plan_.existing.kept_space += found.kept_space;
        plan_.existing.surplus_files += found.surplus_files;
        plan_.existing.surplus_bytes += found.surplus_bytes;
        plan_.existing.freed_space += found.freed_space;
        return found;
    }

    void check_room() {
        std::vector<SpaceNeed> needs;
        const auto add_tree = [&](const Tree& tree) {
            const auto file = std::find_if(tree.entries.begin(), tree.entries.end(),
                                           [](const TreeEntry& entry) { return !entry.directory && entry.size > 0; });
            const bool reflink = plan_.chain_of_backups.empty() && file != tree.entries.end() &&
                                 can_reflink(tree.source / file->path, existing_above(tree.target));
            std::uint64_t bytes = 0;
            for (const TreeEntry& entry : tree.entries) {
                bytes += reflink || entry.zeros ? 512 : (entry.size + 4095) / 4096 * 4096;
            }
            const Existing there = survey(tree);
            const std::uint64_t had = (reflink ? 0 : there.kept_space) + there.freed_space;
            needs.push_back({tree.target, bytes - std::min(bytes, had)});
            return reflink;
        };
        plan_.reflink = add_tree(plan_.data);
        if (plan_.reflink && plan_.verify && !request_.read_shared) {
            plan_.data.guarded = file_system_guards(plan_.data.source);
            for (Tree& tree : plan_.tablespace_trees) tree.guarded = file_system_guards(tree.source);
            plan_.reads_shared = !plan_.data.guarded;
        }
        for (const Tree& tree : plan_.tablespace_trees) add_tree(tree);
        needs.push_back({plan_.destination, plan_.wal_bytes() + room_for_starting});
        check_space(needs);
    }

    const config::Server& server_;
    const PlanRequest& request_;
    Plan plan_;
    std::optional<wal::Holdings> holdings_;
    Histories histories_;
    Path data_path_;
    Path backup_path_;
};

}  // namespace

std::uint64_t Plan::files() const {
    return std::accumulate(tablespace_trees.begin(), tablespace_trees.end(), data.files,
                           [](std::uint64_t sum, const Tree& tree) { return sum + tree.files; });
}

std::uint64_t Plan::bytes() const {
    return std::accumulate(tablespace_trees.begin(), tablespace_trees.end(), data.bytes,
                           [](std::uint64_t sum, const Tree& tree) { return sum + tree.bytes; });
}

std::uint64_t Plan::wal_bytes() const {
    return get_wal ? 0 : chain.pieces.size() * chain.size.bytes();
}

Plan make_plan(const config::Server& server, const PlanRequest& request) {
    return Planner(server, request).make();
}

}  // namespace coffer::restore
