#include "lib/verify/backup_check.h"

#include <algorithm>
#include <atomic>
#include <mutex>

#include "lib/base/error.h"
#include "lib/base/parallel.h"
#include "lib/catalogue/wal_proof.h"
#include "lib/verify/backup_files.h"
#include "lib/verify/wanted_files.h"
#include "lib/wal/holdings.h"
#include "lib/wal/proof.h"

namespace coffer::verify {
namespace {

class Check {
  public:
    Check(const config::Server& server, const catalogue::BackupInfo& backup, const Control& control)
        : server_(server), backup_(backup), control_(control), files_(server, backup) {}

    Report run() {
        FileList list = list_files(files_, backup_, control_.canceled);
        report_.findings = std::move(list.findings);
        report_.notes = std::move(list.notes);
        for (const std::string& path : list.surplus) find(path, "is not in the manifest");
        const std::vector<WantedFile> wanted = std::move(list.files);
        std::uint64_t total = 0;
        for (const WantedFile& file : wanted) total += file.expected.size;
        if (control_.begin) control_.begin(total);
        run_parallel(wanted.size(), control_.jobs, [&](std::size_t i) { look_at(wanted[i]); });
        check_wal();
        std::sort(report_.findings.begin(), report_.findings.end(),
                  [](const Finding& a, const Finding& b) { return a.path < b.path; });
        report_.files = wanted.size();
        report_.bytes = bytes_;
        report_.pages = pages_;
        return std::move(report_);
    }

  private:
    void look_at(const WantedFile& file) {
        check_canceled();
        const std::string& name = file.expected.path;
        const Path path = files_.place_of(name);
        const OpenedFile opened = open_file(path, file);
        if (opened.fault) return find(name, *opened.fault);
        const auto content = read_content(opened.fd.get(), path, file, backup_.data_checksums, [this](std::size_t got) {
            check_canceled();
            const std::uint64_t done = bytes_ += got;
            if (control_.advance) control_.advance(done);
        });
        if (!content) return find(name, unreadable_file);
        pages_ += content->pages;
        if (auto finding = judge(file, *content, backup_)) {
            const std::lock_guard lock(mutex_);
            report_.findings.push_back(std::move(*finding));
        }
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
    std::mutex mutex_;
    Report report_;
    std::atomic<std::uint64_t> bytes_{0}, pages_{0};
};

}  // namespace

Report check_backup(const config::Server& server, const catalogue::BackupInfo& backup, const Control& control) {
    return Check(server, backup, control).run();
}

}  // namespace coffer::verify
