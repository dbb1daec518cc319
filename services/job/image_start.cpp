#include "services/job/image_start.h"

#include <algorithm>

#include "lib/base/error.h"
#include "lib/base/log.h"
#include "lib/base/subvolume.h"
#include "lib/image/clone.h"
#include "lib/restore/backup_chain.h"

namespace coffer::job {
namespace {

using catalogue::BackupInfo;
using catalogue::BackupStatus;

class Starter {
  public:
    Starter(const config::Server& server, const BackupInfo& backup, const std::function<bool()>& canceled)
        : catalogue_(server), server_(server), backup_(backup), canceled_(canceled) {}

    ImageStart start(const std::string& base) {
        std::vector<BackupInfo> others = catalogue_.backups();
        std::erase_if(others, [this](const BackupInfo& other) { return other.backup_id == backup_.backup_id; });
        std::reverse(others.begin(), others.end());
        std::optional<ImageStart> begun;
        for (const BackupInfo& other : others) {
            if (other.backup_id == base) begun = tried(other, [&] { return clone(other); });
        }
        for (const BackupInfo& other : others) {
            if (!is_cut_off(other)) continue;
            if (!begun && is_alike(other)) begun = tried(other, [&] { return take_over(other); });
            discard(other);
        }
        for (const BackupInfo& other : others) {
            if (!begun && is_alike(other)) begun = tried(other, [&] { return clone(other); });
        }
        return begun.value_or(ImageStart{});
    }

  private:
    [[nodiscard]] bool is_alike(const BackupInfo& other) const {
        return !restore::needs_unpacking(other) && other.systemid == backup_.systemid &&
               other.version / 10000 == backup_.version / 10000 &&
               std::filesystem::is_directory(catalogue_.data_path(other.backup_id));
    }

    // An attempt of ours that did not come to its end. What came to it and is FAILED has damaged pages: its files are
    // kept for what can still be read.
    [[nodiscard]] bool is_cut_off(const BackupInfo& other) const {
        if (other.status != BackupStatus::failed || other.unreadable || other.end_xlog.valid()) return false;
        const auto extra = catalogue_.extra(other.backup_id);
        return extra && !extra->unreadable;
    }

    std::optional<ImageStart> tried(const BackupInfo& other, const std::function<std::optional<ImageStart>()>& way) {
        try {
            return way();
        } catch (const Error& error) {
            if (error.code() == ErrorCode::canceled || error.code() == ErrorCode::no_space) throw;
            if (error.code() != ErrorCode::busy) {
                log_warning("backup {} does not begin as a clone of {}: {}", backup_.backup_id, other.backup_id,
                            error.full_text());
            }
            catalogue_.discard_trees(backup_.backup_id);
            return std::nullopt;
        }
    }

    std::optional<ImageStart> take_over(const BackupInfo& other) {
        const catalogue::BackupLock lock(server_, other.backup_id);
        for (const Path& tree : image::trees_of(catalogue_.backup_path(other.backup_id))) {
            if (is_subvolume(tree)) set_read_only(tree, false);
            files().rename(tree, catalogue_.backup_path(backup_.backup_id) / tree.filename());
            kill_point("job.backup.taken_over");
        }
        log_info("backup {} goes on with the files of {}, which was cut off", backup_.backup_id, other.backup_id);
        return ImageStart{other.backup_id, "taken over", std::nullopt};
    }

    // One attempt is enough to go on with.
    void discard(const BackupInfo& other) const {
        try {
            const catalogue::BackupLock lock(server_, other.backup_id);
            catalogue_.discard_trees(other.backup_id);
        } catch (const Error& error) {
            log_warning("what is left of backup {} stays: {}", other.backup_id, error.full_text());
        }
    }

    std::optional<ImageStart> clone(const BackupInfo& other) {
        if (other.status != BackupStatus::done && other.status != BackupStatus::waiting_for_wals) return std::nullopt;
        if (!std::filesystem::is_regular_file(catalogue_.data_path(other.backup_id) / "PG_VERSION"))
            return std::nullopt;
        const catalogue::BackupLease lease(server_, other.backup_id);
        const Path mine = catalogue_.backup_path(backup_.backup_id);
        const Path unfinished = mine / "cloning";  // half a clone would be taken for what was copied
        ImageStart start{other.backup_id, {}, std::nullopt};
        for (const Path& tree : image::trees_of(catalogue_.backup_path(other.backup_id))) {
            const auto way = image::clone_tree(tree, unfinished, canceled_);
            files().rename(unfinished, mine / tree.filename());
            kill_point("job.backup.cloned");
            if (tree.filename() == "data") start.clone = image::name_of(way);
        }
        const auto extra = catalogue_.extra(other.backup_id);
        start.full_read_at = extra && extra->full_read_at ? extra->full_read_at : other.begin_time;
        return start;
    }

    const catalogue::Catalogue catalogue_;
    const config::Server& server_;
    const BackupInfo& backup_;
    const std::function<bool()>& canceled_;
};

}  // namespace

ImageStart begin_image(const config::Server& server, const BackupInfo& backup, const std::string& base,
                       const std::function<bool()>& canceled) {
    if (!server.clone_images) return {};
    return Starter(server, backup, canceled).start(base);
}

void seal_image(const Path& backup_path) {
    for (const Path& tree : image::trees_of(backup_path)) {
        if (is_subvolume(tree)) set_read_only(tree, true);
    }
}

}  // namespace coffer::job
