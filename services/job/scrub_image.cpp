#include "services/job/scrub_image.h"

#include <fcntl.h>

#include <algorithm>

#include <fmt/format.h>

#include "lib/base/error.h"
#include "lib/base/log.h"
#include "lib/catalogue/backup_lock.h"
#include "lib/scrub/image_mend.h"

namespace coffer::job {
namespace {

constexpr std::size_t most_noted = 1000;
constexpr const char* record_name = "backup.info";

using catalogue::BackupStatus;
using catalogue::Extra;

bool may_be_gone(const Error& error) {
    return error.code() == ErrorCode::no_such_backup || error.code() == ErrorCode::busy ||
           error.code() == ErrorCode::not_supported;
}

std::optional<WallTime> proof_of(const std::optional<Extra>& extra) {
    if (!extra) return std::nullopt;
    if (!extra->scrubbed_at || !extra->verified_at) return extra->scrubbed_at ? extra->scrubbed_at : extra->verified_at;
    return std::max(*extra->scrubbed_at, *extra->verified_at);
}

}  // namespace

std::vector<scrub::Item> ImageScrub::items() const {
    std::vector<scrub::Item> items;
    for (const Backup& backup : pass_.catalogue.backups()) {
        if (backup.status != BackupStatus::done || !backup.parent().empty()) continue;
        const auto came = backup.end_time.value_or(WallTime{});
        items.push_back({scrub::Item::Kind::image, backup.backup_id,
                         proof_of(pass_.catalogue.extra(backup.backup_id)).value_or(came), backup.size});
    }
    return items;
}

// Coffer keeps two, in two dialects: each must be what the other says.
void ImageScrub::check_records() {
    for (const Backup& backup : pass_.catalogue.backups()) {
        if (backup.unreadable) {
            ScrubFinding finding{backup.backup_id, {record_name, backup.error, {}}, {}, "", "", ""};
            pass_.report.findings.push_back(std::move(finding));
            continue;
        }
        if (backup.status != BackupStatus::done) continue;
        const Path inside = pass_.catalogue.backup_path(backup.backup_id) / record_name;
        if (!std::filesystem::exists(pass_.server.meta_directory() / (backup.backup_id + "-backup.info"))) continue;
        std::string fault;
        try {
            const auto text = read_file(inside, 16 << 20);
            constexpr auto dialect = Backup::Dialect::barman_3_4;
            if (text &&
                Backup::parse(*text, backup.backup_id, inside.string()).format(dialect) != backup.format(dialect))
                fault = "says otherwise than meta/" + backup.backup_id + "-backup.info";
        } catch (const Error& error) {
            if (error.code() != ErrorCode::corrupt && error.code() != ErrorCode::io) throw;
            fault = error.fact();
        }
        const auto extra = pass_.catalogue.extra(backup.backup_id);
        const bool known = extra && std::any_of(extra->damage.begin(), extra->damage.end(),
                                                [](const auto& each) { return each.file == record_name; });
        if (fault.empty() && known) clear(backup.backup_id, record_name);
        if (!fault.empty() && !known) found(backup, nullptr, {record_name, fault, {}});
    }
}

void ImageScrub::prove(const scrub::Item& image, bool due) {
    const auto backup = pass_.catalogue.find(image.name);
    if (!backup || backup->status != BackupStatus::done) return;
    try {
        const catalogue::BackupLease lease(pass_.server, backup->backup_id);
        prove(*backup, due);
    } catch (const Error& error) {
        if (!may_be_gone(error)) throw;
        if (error.code() == ErrorCode::not_supported)
            pass_.report.notes.push_back(fmt::format("backup {}: {}", backup->backup_id, error.what()));
    }
}

void ImageScrub::prove(const Backup& backup, bool due) {
    const auto last = proof_of(pass_.catalogue.extra(backup.backup_id));
    if (pass_.order.all && last && *last >= pass_.wanted_since) return;
    const verify::BackupFiles files(pass_.server, backup);
    auto& passes = pass_.state.images;
    auto entry = passes.find(backup.backup_id);
    if (entry != passes.end() && pass_.order.all && entry->second.begun < pass_.wanted_since) {
        passes.erase(entry);
        entry = passes.end();
    }
    if (entry == passes.end()) entry = passes.emplace(backup.backup_id, scrub::ImagePass{pass_.clock.now(), ""}).first;
    scrub::ImagePass& progress = entry->second;

    scrub::tidy_image(pass_.server, backup);
    verify::FileList list = verify::list_files(files, backup, {});
    for (verify::Finding& finding : list.findings) found(backup, nullptr, std::move(finding));
    for (const std::string& path : list.surplus)
        pass_.report.notes.push_back(fmt::format("backup {}: {} is not in the manifest", backup.backup_id, path));
    for (const std::string& text : list.notes)
        pass_.report.notes.push_back(fmt::format("backup {}: {}", backup.backup_id, text));
    std::sort(list.files.begin(), list.files.end(),
              [](const auto& a, const auto& b) { return a.expected.path < b.expected.path; });
    for (const verify::WantedFile& file : list.files) {
        if (!progress.cursor.empty() && file.expected.path <= progress.cursor) continue;
        if (!due && pass_.share_done()) return;
        if (auto finding = look_at(backup, files, file)) found(backup, &file, std::move(*finding));
        pass_.proven(file.expected.size);
        progress.cursor = file.expected.path;
        kill_point("job.scrub.image");
        pass_.note_progress();
    }
    finished(backup, progress.begun);
    passes.erase(entry);
    pass_.save();
}

// Not the page checksums alone: what is right by its manifest is as it was copied, and was judged then.
std::optional<verify::Finding> ImageScrub::look_at(const Backup& backup, const verify::BackupFiles& files,
                                                   const verify::WantedFile& file) {
    check_stop(pass_.stop_fd);
    const Path path = files.place_of(file.expected.path);
    const verify::OpenedFile opened = verify::open_file(path, file);
    if (opened.fault) return verify::Finding{file.expected.path, *opened.fault, {}};
    const auto content = content_of(opened.fd.get(), path, file, backup);
    if (!content) return verify::Finding{file.expected.path, verify::unreadable_file, {}};
    auto finding = verify::judge(file, *content, backup);
    if (!finding || content->digest.empty() || content->digest != file.expected.checksum) return finding;
    const auto extra = pass_.catalogue.extra(backup.backup_id);
    if (extra && extra->pages_torn_allowed > 0) return std::nullopt;  // WAL mends them
    return finding;
}

std::optional<verify::Content> ImageScrub::content_of(int fd, const Path& path, const verify::WantedFile& file,
                                                      const Backup& backup) {
    std::string key = scrub::byte_map(fd, path).key();
    if (!key.empty()) {
        key += fmt::format(" {} {} {}", file.expected.algorithm, file.expected.path, backup.data_checksums);
        if (const auto known = read_.find(key); known != read_.end()) return known->second;
    }
    if (!pass_.order.cached) ::posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
    auto content =
        verify::read_content(fd, path, file, backup.data_checksums, [this](std::size_t bytes) { pass_.read(bytes); });
    if (!pass_.order.cached) ::posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
    if (content && !key.empty()) read_.emplace(std::move(key), *content);
    return content;
}

void ImageScrub::found(const Backup& backup, const verify::WantedFile* file, verify::Finding what) {
    ScrubFinding finding{backup.backup_id, std::move(what), {}, "", "", ""};
    note(backup.backup_id, finding.finding);
    kill_point("job.scrub.noted");
    if (file != nullptr) {
        const verify::BackupFiles files(pass_.server, backup);
        found_in_sharers(backup, files, *file, finding);
        if (finding.finding.what == verify::copied_damaged) {
            finding.why_not = "they were so when they were copied";
        } else if (mend(backup, *file, finding)) {
            clear(backup.backup_id, file->expected.path);
        }
    }
    log_message(finding.mended_by.empty() ? LogLevel::error : LogLevel::warning,
                fmt::format("server {}: {}", pass_.server.name, text_of(finding)),
                {{"SERVER", pass_.server.name}, {"BACKUP", backup.backup_id}});
    pass_.report.findings.push_back(std::move(finding));
}

// Other backups that have some of its bytes: they are looked at now, since their next proof may be weeks away.
void ImageScrub::found_in_sharers(const Backup& backup, const verify::BackupFiles& files,
                                  const verify::WantedFile& file, ScrubFinding& finding) {
    const std::string& path = file.expected.path;
    const UniqueFd fd(::open(files.place_of(path).c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
    if (!fd) return;
    const scrub::ByteMap damaged = scrub::byte_map(fd.get(), files.place_of(path));
    if (!damaged.shared) return;
    for (const Backup& other : pass_.catalogue.backups()) {
        if (other.backup_id == backup.backup_id || other.status != BackupStatus::done) continue;
        try {
            if (!shares(other, path, damaged)) continue;
            const catalogue::BackupLease lease(pass_.server, other.backup_id);
            const verify::BackupFiles other_files(pass_.server, other);
            const verify::FileList list = verify::list_files(other_files, other, {});
            const auto same = std::find_if(list.files.begin(), list.files.end(),
                                           [&](const auto& each) { return each.expected.path == path; });
            if (same == list.files.end()) continue;
            const auto also = look_at(other, other_files, *same);
            if (!also) continue;
            note(other.backup_id, *also);
            finding.shared_by.push_back(other.backup_id);
        } catch (const Error& error) {
            if (!may_be_gone(error)) throw;
        }
    }
}

bool ImageScrub::shares(const Backup& other, const std::string& path, const scrub::ByteMap& damaged) const {
    const verify::BackupFiles files(pass_.server, other);
    const Path place = files.place_of(path);
    const UniqueFd fd(::open(place.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
    return fd && scrub::byte_map(fd.get(), place).overlaps(damaged);
}

bool ImageScrub::mend(const Backup& backup, const verify::WantedFile& file, ScrubFinding& finding) {
    try {
        const auto donor =
            scrub::mend_file(pass_.server, backup, file, [this](std::size_t bytes) { pass_.read(bytes); });
        if (donor) finding.mended_by = "backup " + *donor;
        if (!donor) finding.why_not = "no other backup has this file on bytes of its own; the next one rewrites it";
        return donor.has_value();
    } catch (const Error& error) {
        if (error.code() == ErrorCode::canceled) throw;
        finding.why_not = error.what();
        return false;
    }
}

void ImageScrub::look_again() {
    for (const Backup& backup : pass_.catalogue.backups()) {
        if (backup.status != BackupStatus::done || !pass_.catalogue.is_damaged(backup.backup_id)) continue;
        try {
            const catalogue::BackupLease lease(pass_.server, backup.backup_id);
            look_again(backup);
        } catch (const Error& error) {
            if (!may_be_gone(error)) throw;
        }
    }
}

void ImageScrub::look_again(const Backup& backup) {
    scrub::tidy_image(pass_.server, backup);
    const auto extra = pass_.catalogue.extra(backup.backup_id);
    const verify::BackupFiles files(pass_.server, backup);
    const verify::FileList list = verify::list_files(files, backup, {});
    for (const catalogue::ImageDamage& damage : extra->damage) {
        if (damage.file == record_name) continue;
        std::string with;
        const auto file = std::find_if(list.files.begin(), list.files.end(),
                                       [&](const auto& each) { return each.expected.path == damage.file; });
        if (damage.file == "backup_manifest") {
            if (list.findings.empty()) with = "what lies there now";
        } else if (file != list.files.end()) {
            ScrubFinding finding;
            if (!look_at(backup, files, *file)) {
                with = "what lies there now";
            } else if (mend(backup, *file, finding)) {
                with = finding.mended_by;
            }
        }
        if (with.empty()) continue;
        clear(backup.backup_id, damage.file);
        pass_.report.mended.push_back(fmt::format("backup {}: {}, with {}", backup.backup_id, damage.file, with));
        log_message(LogLevel::notice,
                    fmt::format("server {}: backup {}: damaged {} is mended with {}", pass_.server.name,
                                backup.backup_id, damage.file, with),
                    {{"SERVER", pass_.server.name}, {"BACKUP", backup.backup_id}});
    }
}

void ImageScrub::note(const std::string& backup_id, const verify::Finding& finding) {
    update(backup_id, [&](Extra& extra) {
        std::erase_if(extra.damage, [&](const auto& each) { return each.file == finding.path; });
        if (extra.damage.size() < most_noted)
            extra.damage.push_back({finding.path, finding.what, finding.blocks, pass_.clock.now()});
    });
}

void ImageScrub::clear(const std::string& backup_id, const std::string& path) {
    update(backup_id,
           [&](Extra& extra) { std::erase_if(extra.damage, [&](const auto& each) { return each.file == path; }); });
}

void ImageScrub::update(const std::string& backup_id, const std::function<void(Extra&)>& change) {
    pass_.catalogue.require_known_record(backup_id);
    auto extra = pass_.catalogue.extra(backup_id);
    if (!extra) {
        extra.emplace();
        extra->foreign = true;
    } else if (extra->unreadable) {
        // Nobody knows when its pages were last all read on the server.
        extra.emplace();
        extra->full_read_at = WallTime{};
    }
    change(*extra);
    pass_.catalogue.save(backup_id, *extra);
}

void ImageScrub::finished(const Backup& backup, WallTime begun) {
    update(backup.backup_id, [&](Extra& extra) {
        extra.scrubbed_at = begun;
        if (extra.damage.empty()) extra.verified_at = begun;
    });
    pass_.report.images.push_back(backup.backup_id);
}

void ImageScrub::finish() {
    const std::vector<scrub::Item> held = items();
    for (const scrub::Item& item : held) {
        pass_.report.oldest = std::min(pass_.report.oldest.value_or(item.since), item.since);
        if (pass_.catalogue.is_damaged(item.name)) ++pass_.report.damaged;
    }
    for (const Backup& backup : pass_.catalogue.backups()) pass_.report.damaged += backup.unreadable ? 1 : 0;
    std::erase_if(pass_.state.images, [&](const auto& each) {
        return std::none_of(held.begin(), held.end(), [&](const scrub::Item& item) { return item.name == each.first; });
    });
}

}  // namespace coffer::job
