#include "lib/restore/copy.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>

#include <algorithm>
#include <cerrno>

#include "lib/base/crc32c.h"
#include "lib/base/error.h"
#include "lib/base/parallel.h"

namespace coffer::restore {
namespace {

// A file larger than this is copied by several threads, a range each.
constexpr std::uint64_t range_size = 64ULL << 20;
// How much is copied between two looks at cancellation and two reports of progress.
constexpr std::uint64_t step_size = 8ULL << 20;
constexpr std::uint64_t checked_step = 1ULL << 20;

constexpr const char* damage_remedy =
    "choose another backup; --no-verify restores it as it is, damage and all, for what can still be read from it";

[[noreturn]] void fail(const char* what, const Path& path) {
    throw Error::from_errno(errno, what, path.string());
}

bool unsupported(int error_number) {
    return error_number == EOPNOTSUPP || error_number == EXDEV || error_number == EINVAL || error_number == ENOTTY ||
           error_number == ENOSYS || error_number == ETXTBSY;
}

// Copies [offset, offset + length), less if the source ends before. Falls back to reading and writing where the kernel
// cannot copy between these file systems.
void copy_range(const Path& source, const Path& target, std::uint64_t offset, std::uint64_t length,
                const CopyControl& control, int in, int out) {
    std::vector<std::byte> buffer;
    const std::uint64_t end = offset + length;
    while (offset < end) {
        check_canceled(control);
        const std::size_t step = std::min(end - offset, step_size);
        ssize_t copied = -1;
        if (buffer.empty()) {
            auto from = static_cast<off_t>(offset);
            auto to = static_cast<off_t>(offset);
            copied = ::copy_file_range(in, &from, out, &to, step, 0);
            if (copied < 0 && errno == EINTR) continue;
            if (copied < 0 && !unsupported(errno)) fail("cannot copy file", target);
            if (copied < 0) buffer.resize(1ULL << 20);
        }
        if (copied < 0) {
            copied = ::pread(in, buffer.data(), std::min(step, buffer.size()), static_cast<off_t>(offset));
            if (copied < 0 && errno == EINTR) continue;
            if (copied < 0) fail("cannot read file", source);
            files().write_at(out, ByteSpan(buffer.data(), static_cast<std::size_t>(copied)), offset, target);
        }
        if (copied == 0) return;
        offset += static_cast<std::uint64_t>(copied);
        if (control.copied) control.copied(static_cast<std::uint64_t>(copied));
    }
}

// Reads all of a file that has a checksum, writes it unless it was reflinked, and holds it against the checksum.
void copy_checked(const Tree& tree, const TreeEntry& entry, const Path& target, bool linked, const CopyControl& control,
                  int in, int out) {
    const Path source = tree.source / entry.path;
    std::vector<std::byte> buffer(std::min<std::uint64_t>(entry.size + 1, checked_step));
    std::uint64_t offset = 0;
    std::uint32_t crc = 0;
    ::posix_fadvise(in, 0, 0, POSIX_FADV_SEQUENTIAL);
    for (;;) {
        check_canceled(control);
        const ssize_t got = ::pread(in, buffer.data(), buffer.size(), static_cast<off_t>(offset));
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) fail("cannot read file", source);
        if (got == 0) break;
        const ByteSpan bytes(buffer.data(), static_cast<std::size_t>(got));
        crc = crc32c(bytes, crc);
        if (!linked) files().write_at(out, bytes, offset, target);
        offset += bytes.size();
        if (control.copied) control.copied(bytes.size());
    }
    require_same(tree, entry, offset, crc, control);
}

struct Task {
    const Tree* tree;
    const TreeEntry* entry;
    std::uint64_t offset = 0;
    std::uint64_t length = 0;
};

// One file or one range of a large one. A reflink copies all of a file at once, so it is tried by the first range, and
// the others find nothing to do.
void run_task(const Task& task, bool reflink, const CopyControl& control) {
    const Path source = task.tree->source / task.entry->path;
    const Path target = task.tree->target / task.entry->path;
    const UniqueFd in = files().open(source, O_RDONLY | O_NOFOLLOW);
    UniqueFd out;
    if (task.length < task.entry->size) {
        out = open_target(target, O_WRONLY);  // made before the threads started
    } else {
        out = create_file(target, control.owner);
    }
    const bool linked = reflink && ::ioctl(out.get(), FICLONE, in.get()) == 0;
    if (task.entry->crc32c && !(linked && task.tree->guarded)) {
        copy_checked(*task.tree, *task.entry, target, linked, control, in.get(), out.get());
        return;
    }
    if (linked) {
        if (control.copied) control.copied(task.entry->size);
        return;
    }
    copy_range(source, target, task.offset, task.length, control, in.get(), out.get());
}

std::vector<Task> tasks_of(const Tree& tree, bool reflink, const CopyControl& control) {
    std::vector<Task> tasks;
    for (const TreeEntry& entry : tree.entries) {
        if (entry.directory) {
            make_directory(tree.target / entry.path, control.owner);
        } else if (reflink || entry.crc32c || entry.size <= range_size) {
            tasks.push_back({&tree, &entry, 0, entry.size});
        } else {
            create_file(tree.target / entry.path, control.owner);
            for (std::uint64_t offset = 0; offset < entry.size; offset += range_size) {
                tasks.push_back({&tree, &entry, offset, std::min(range_size, entry.size - offset)});
            }
        }
    }
    return tasks;
}

}  // namespace

void check_canceled(const CopyControl& control) {
    if (control.canceled && control.canceled()) throw Error(ErrorCode::canceled, "the restore was canceled");
}

void copy_file(const Tree& tree, const TreeEntry& entry, const Path& target, const CopyControl& control) {
    const Path source = tree.source / entry.path;
    const UniqueFd in = files().open(source, O_RDONLY | O_NOFOLLOW);
    const UniqueFd out = create_file(target, control.owner);
    if (entry.crc32c) {
        copy_checked(tree, entry, target, false, control, in.get(), out.get());
    } else {
        copy_range(source, target, 0, entry.size, control, in.get(), out.get());
    }
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
    std::vector<bool> reflinks;
    for (const Tree& tree : trees) {
        const auto file = std::find_if(tree.entries.begin(), tree.entries.end(),
                                       [](const TreeEntry& entry) { return !entry.directory && entry.size > 0; });
        const bool reflink = file != tree.entries.end() && can_reflink(tree.source / file->path, tree.target);
        const std::vector<Task> more = tasks_of(tree, reflink, control);
        tasks.insert(tasks.end(), more.begin(), more.end());
        reflinks.resize(tasks.size(), reflink);
    }
    run_parallel(tasks.size(), control, [&](std::size_t index) { run_task(tasks[index], reflinks[index], control); });
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
