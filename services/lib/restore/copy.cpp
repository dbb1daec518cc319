#include "lib/restore/copy.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>

#include "lib/base/crc32c_combine.h"
#include "lib/base/error.h"
#include "lib/base/parallel.h"
#include "lib/restore/move_range.h"

namespace coffer::restore {
namespace {

// A file larger than this is copied by several threads, a range each. A multiple of the size of a page.
constexpr std::uint64_t range_size = 64ULL << 20;

constexpr const char* damage_remedy =
    "choose another backup; --no-verify restores it as it is, damage and all, for what can still be read from it";

// The ranges of one large file, whose checksums are joined when the last of them is done.
struct Parts {
    std::vector<Moved> moved;
    std::atomic<std::size_t> left;
    bool linked = false;
    bool existing = false;
};

// One file, or one range of a large one.
struct Task {
    const Tree* tree;
    const TreeEntry* entry;
    std::uint64_t offset = 0;
    std::uint64_t length = 0;
    std::shared_ptr<Parts> parts{};  // empty when it is the whole file
    bool reflink = false;
};

void set_size(int fd, std::uint64_t size, const Path& path) {
    if (::ftruncate(fd, static_cast<off_t>(size)) != 0) {
        throw Error::from_errno(errno, "cannot set the size of file", path.string());
    }
}

struct Target {
    UniqueFd file;
    bool existing = false;  // with old content
    bool linked = false;
};

// The file to write to, which has its size where the content does not give it.
Target open_for(const Task& task, int in, const CopyControl& control) {
    const Path path = task.tree->target / task.entry->path;
    Target target;
    if (control.delta != nullptr) {
        if (!task.reflink && !task.entry->zeros) target.file = open_existing(path, control.owner);
        target.existing = static_cast<bool>(target.file);
        if (!target.existing) remove_file(path);
    }
    if (!target.existing) target.file = create_file(path, control.owner);
    target.linked = task.reflink && !task.entry->zeros && ::ioctl(target.file.get(), FICLONE, in) == 0;
    if (target.linked && control.delta != nullptr) control.delta->shared += task.entry->size;
    const bool large = task.entry->size > range_size;
    if (!target.linked && (target.existing || large || task.entry->zeros || is_sparse(in))) {
        set_size(target.file.get(), task.entry->size, path);
    }
    return target;
}

Way way_of(bool linked, bool existing) {
    if (linked) return Way::read;
    return existing ? Way::compare : Way::copy;
}

void finish_part(const Task& task, Moved moved, const CopyControl& control) {
    Parts& parts = *task.parts;
    parts.moved[task.offset / range_size] = moved;
    if (--parts.left > 0) return;
    Moved whole;
    for (const Moved& part : parts.moved) {
        whole.crc32c = crc32c_joined(whole.crc32c, part.crc32c, part.size);
        whole.size += part.size;
    }
    require_same(*task.tree, *task.entry, whole.size, whole.crc32c, control);
}

void run_task(const Task& task, const CopyControl& control) {
    const TreeEntry& entry = *task.entry;
    const UniqueFd in = files().open(task.tree->source / entry.path, O_RDONLY | O_NOFOLLOW);
    Target target;
    if (task.parts) {
        const Path path = task.tree->target / entry.path;
        target = {open_target(path, O_RDWR), task.parts->existing, task.parts->linked};
    } else {
        target = open_for(task, in.get(), control);
    }
    if (entry.zeros) return;
    const Range range{*task.tree, entry, task.offset, task.length, in.get(), target.file.get()};
    const bool checked = entry.crc32c && !(target.linked && task.tree->guarded);
    if (checked || target.existing) {
        const Moved moved = move_range(range, way_of(target.linked, target.existing), control);
        if (task.parts) return finish_part(task, moved, control);
        return require_same(*task.tree, entry, moved.size, moved.crc32c, control);
    }
    if (!target.linked) return copy_range(range, control);
    if (control.copied) control.copied(entry.size);
}

// A large file is made here; what is left to do in its ranges is added to tasks.
void add_ranges(Task task, const CopyControl& control, std::vector<Task>& tasks) {
    const TreeEntry& entry = *task.entry;
    const UniqueFd in = files().open(task.tree->source / entry.path, O_RDONLY | O_NOFOLLOW);
    const Target target = open_for(task, in.get(), control);
    if (target.linked && (task.tree->guarded || !entry.crc32c)) {
        if (control.copied) control.copied(entry.size);
        return;
    }
    task.parts = std::make_shared<Parts>();
    task.parts->moved.resize((entry.size + range_size - 1) / range_size);
    task.parts->left = task.parts->moved.size();
    task.parts->linked = target.linked;
    task.parts->existing = target.existing;
    for (task.offset = 0; task.offset < entry.size; task.offset += range_size) {
        task.length = std::min(range_size, entry.size - task.offset);
        tasks.push_back(task);
    }
}

void add_tasks(const Tree& tree, const CopyControl& control, std::vector<Task>& tasks) {
    const auto file = std::find_if(tree.entries.begin(), tree.entries.end(),
                                   [](const TreeEntry& entry) { return !entry.directory && entry.size > 0; });
    const bool reflink = file != tree.entries.end() && can_reflink(tree.source / file->path, tree.target);
    for (const TreeEntry& entry : tree.entries) {
        check_canceled(control);
        const Task task{&tree, &entry, 0, entry.size, {}, reflink};
        if (entry.directory) {
            make_directory(tree.target / entry.path, control.owner);
        } else if (entry.size > range_size && !entry.zeros) {
            add_ranges(task, control, tasks);
        } else {
            tasks.push_back(task);
        }
    }
}

}  // namespace

void check_canceled(const CopyControl& control) {
    if (control.canceled && control.canceled()) throw Error(ErrorCode::canceled, "the restore was canceled");
}

void copy_file(const Tree& tree, const TreeEntry& entry, const Path& target, const CopyControl& control) {
    const Path source = tree.source / entry.path;
    const UniqueFd in = files().open(source, O_RDONLY | O_NOFOLLOW);
    const UniqueFd out = create_file(target, control.owner);
    const Range range{tree, entry, 0, entry.size, in.get(), out.get()};
    if (!entry.crc32c) return copy_range(range, control);
    const Moved moved = move_range(range, Way::copy, control);
    require_same(tree, entry, moved.size, moved.crc32c, control);
}

void require_same(const Tree& tree, const TreeEntry& entry, std::uint64_t size, std::uint32_t crc32c,
                  const CopyControl& control) {
    if (!entry.crc32c || (size == entry.size && crc32c == *entry.crc32c)) return;
    const std::string more = size == entry.size && control.explain ? control.explain(tree, entry) : std::string();
    throw Error(ErrorCode::corrupt,
                "a file of the backup is not as its manifest says: its " +
                    std::string(size == entry.size ? "checksum" : "size") + " differs" + more,
                (tree.source / entry.path).string(), damage_remedy);
}

void copy_trees(const std::vector<Tree>& trees, const CopyControl& control) {
    std::vector<Task> tasks;
    for (const Tree& tree : trees) add_tasks(tree, control, tasks);
    run_parallel(tasks.size(), control, [&](std::size_t index) { run_task(tasks[index], control); });
}

void run_parallel(std::size_t count, const CopyControl& control, const std::function<void(std::size_t)>& work) {
    coffer::run_parallel(count, control.jobs, [&](std::size_t index) {
        check_canceled(control);
        work(index);
    });
}

bool can_reflink(const Path& source_file, const Path& target_directory) {
    const UniqueFd in = files().open(source_file, O_RDONLY | O_NOFOLLOW);
    const UniqueFd out(::open(target_directory.c_str(), O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600));
    return out && ::ioctl(out.get(), FICLONE, in.get()) == 0;
}

}  // namespace coffer::restore
