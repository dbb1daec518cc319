#include "lib/verify/backup_check.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <mutex>
#include <unordered_set>

#include <fmt/format.h>

#include "lib/base/error.h"
#include "lib/base/parallel.h"
#include "lib/catalogue/wal_proof.h"
#include "lib/image/manifest.h"
#include "lib/verify/backup_files.h"
#include "lib/verify/file_check.h"
#include "lib/wal/holdings.h"
#include "lib/wal/proof.h"

namespace coffer::verify {
namespace {

constexpr std::size_t piece = 1 << 20;

class Check {
  public:
    Check(const config::Server& server, const catalogue::BackupInfo& backup, const Control& control)
        : server_(server), backup_(backup), control_(control), files_(server, backup) {}

    Report run() {
        const bool known = read_manifest();
        find_files(known);
        std::uint64_t total = 0;
        for (const Wanted& file : wanted_) total += file.expected.size;
        if (control_.begin) control_.begin(total);
        run_parallel(wanted_.size(), control_.jobs, [this](std::size_t i) { look_at(wanted_[i]); });
        check_wal();
        std::sort(report_.findings.begin(), report_.findings.end(),
                  [](const Finding& a, const Finding& b) { return a.path < b.path; });
        report_.files = wanted_.size();
        report_.bytes = bytes_;
        report_.pages = pages_;
        return std::move(report_);
    }

  private:
    struct Wanted {
        image::ManifestFile expected;
        bool in_manifest = false;
    };

    bool read_manifest() {
        const Path manifest = files_.manifest();
        if (!std::filesystem::exists(manifest)) {
            // PostgreSQL sends one with every base backup that it is asked for.
            if (backup_.mode == "postgres") {
                find("backup_manifest", "is missing");
            } else {
                report_.notes.emplace_back("the backup has no manifest: only its pages are looked at");
            }
            return false;
        }
        try {
            const auto head = image::read_manifest(manifest, [this](const image::ManifestFile& file) {
                if (is_left_out(file.path)) return;
                (void)FileDigest(file.algorithm);
                wanted_.push_back({file, true});
            });
            if (head.system_identifier && backup_.systemid != 0 && *head.system_identifier != backup_.systemid)
                find("backup_manifest", "is that of another cluster");
            return true;
        } catch (const Error& error) {
            if (error.code() != ErrorCode::corrupt) throw;
            find("backup_manifest", error.fact());
            wanted_.clear();
            return false;
        }
    }

    // What is there and not in the manifest; or, without one, everything.
    void find_files(bool known) {
        std::unordered_set<std::string> names;
        for (const Wanted& file : wanted_) names.insert(file.expected.path);
        const auto take = [&](const std::string& path, std::uint64_t size) {
            check_canceled();
            if (names.count(path) != 0) return;
            if (known) return find(path, "is not in the manifest");
            wanted_.push_back({{path, size, {}, {}, {}}, false});
        };
        files_.for_each(take);
    }

    void look_at(const Wanted& file) {
        check_canceled();
        const std::string& name = file.expected.path;
        const Path path = files_.place_of(name);
        const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
        if (!fd) {
            if (errno == ENOENT || errno == ENOTDIR) return find(name, "is missing");
            if (errno == ELOOP) return find(name, "is no file");
            throw Error::from_errno(errno, "cannot open file", path.string());
        }
        struct stat status {};
        if (::fstat(fd.get(), &status) != 0) throw Error::from_errno(errno, "cannot look at file", path.string());
        if (!S_ISREG(status.st_mode)) return find(name, "is no file");
        const auto size = static_cast<std::uint64_t>(status.st_size);
        if (file.in_manifest && size != file.expected.size)
            return find(name, fmt::format("has {} bytes, {} in the manifest", size, file.expected.size));
        read(fd.get(), path, file);
    }

    void read(int fd, const Path& path, const Wanted& file) {
        ::posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
        FileCheck check(backup_, file.expected);
        std::vector<std::byte> buffer(piece);
        for (;;) {
            check_canceled();
            const ssize_t got = ::read(fd, buffer.data(), buffer.size());
            if (got < 0 && errno == EINTR) continue;
            if (got < 0) {
                // A file system that keeps checksums says so of damage.
                if (errno == EIO) return find(file.expected.path, "cannot be read: its file system says it is damaged");
                throw Error::from_errno(errno, "cannot read file", path.string());
            }
            if (got == 0) break;
            const ByteSpan bytes(buffer.data(), static_cast<std::size_t>(got));
            check.add(bytes);
            const std::uint64_t done = bytes_ += bytes.size();
            if (control_.advance) control_.advance(done);
        }
        pages_ += check.pages();
        auto finding = check.finish();
        if (!finding) return;
        const std::lock_guard lock(mutex_);
        report_.findings.push_back(std::move(*finding));
    }

    void check_wal() {
        wal::KnownSystem known;
        if (backup_.systemid != 0) known.system_identifier = backup_.systemid;
        known.major_version = backup_.version / 10000;
        for (const wal::Segment& segment : backup_.required_segments()) {
            check_canceled();
            const std::string name = segment.name(backup_.xlog_segment_size);
            const auto held = wal::find_now(server_, name, true);
            if (!held) {
                find(name, "is missing, and the backup needs it");
            } else if (held->place == wal::Place::archive && !is_sound(*held, known)) {
                find(name, "is damaged, and the backup needs it");
            } else {
                ++report_.wal_files;
            }
        }
        if (backup_.status != catalogue::BackupStatus::done) return;
        try {
            catalogue::prove_wal(server_, backup_);
        } catch (const Error& error) {
            // What is damaged or missing has been found already.
            if (error.code() == ErrorCode::corrupt || error.code() == ErrorCode::no_such_wal) return;
            if (error.code() != ErrorCode::server_mismatch) throw;
            find(backup_.begin_wal, error.fact());
        }
    }

    [[nodiscard]] bool is_sound(const wal::HeldFile& held, const wal::KnownSystem& known) const {
        try {
            return wal::is_sound(held.path, backup_.xlog_segment_size, known);
        } catch (const Error& error) {
            if (error.code() != ErrorCode::corrupt) throw;
            return false;
        }
    }

    void find(const std::string& path, std::string what) {
        const std::lock_guard lock(mutex_);
        report_.findings.push_back({path, std::move(what), {}});
    }

    void check_canceled() const {
        if (control_.canceled && control_.canceled())
            throw Error(ErrorCode::canceled, "the verification was canceled", backup_.backup_id);
    }

    const config::Server& server_;
    const catalogue::BackupInfo& backup_;
    const Control& control_;
    const BackupFiles files_;
    std::vector<Wanted> wanted_;
    std::mutex mutex_;
    Report report_;
    std::atomic<std::uint64_t> bytes_{0}, pages_{0};
};

}  // namespace

Report check_backup(const config::Server& server, const catalogue::BackupInfo& backup, const Control& control) {
    return Check(server, backup, control).run();
}

}  // namespace coffer::verify
