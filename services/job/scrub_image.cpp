#include "services/job/scrub_image.h"

#include <fcntl.h>

#include <algorithm>

#include <fmt/format.h>

#include "lib/base/error.h"
#include "lib/base/log.h"
#include "lib/catalogue/backup_lock.h"
#include "lib/scrub/image_mend.h"
#include "lib/scrub/standing.h"

namespace coffer::job {
namespace {

constexpr std::size_t most_noted = 1000;
constexpr const char* record_name = "backup.info";
constexpr const char* data_name = "data";  // the tree as a whole

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

// The line of this text that the other one has not.
std::string first_difference(const std::string& text, const std::string& other) {
    const auto at = static_cast<std::size_t>(std::mismatch(text.begin(), text.end(), other.begin(), other.end()).first -
                                             text.begin());
    const std::size_t end = text.find('\n', at);
    const std::size_t begin = at == 0 ? std::string::npos : text.rfind('\n', at - 1);
    const std::size_t first = begin == std::string::npos ? 0 : begin + 1;
    return text.substr(first, end == std::string::npos ? end : end - first);
}

}  // namespace

std::vector<scrub::Item> ImageScrub::items() const {
    std::vector<scrub::Item> items;
    for (const Backup& backup : pass_.catalogue.backups()) {
        if (backup.status != BackupStatus::done || !scrub::can_be_proven(backup)) continue;
        const auto came = backup.end_time.value_or(WallTime{});
        items.push_back({scrub::Item::Kind::image, backup.backup_id,
                         proof_of(pass_.catalogue.extra(backup.backup_id)).value_or(came), backup.size});
    }
    return items;
}

// Coffer keeps two, in two dialects: each must be what the other says. The one below meta/ is what counts.
void ImageScrub::check_records() {
    for (const Backup& backup : pass_.catalogue.backups()) {
        if (backup.unreadable) {
            ScrubFinding finding{backup.backup_id, {record_name, backup.error, {}}, {}, "", "", ""};
            pass_.report.findings.push_back(std::move(finding));
        } else if (backup.status == BackupStatus::done) {
            with_lease(backup, [&] { check_record(backup.backup_id); });
        }
    }
}

void ImageScrub::check_record(const std::string& backup_id) {
    const auto backup = pass_.catalogue.find(backup_id);
    if (!backup || backup->unreadable || backup->status != BackupStatus::done) return;
    if (!std::filesystem::exists(pass_.server.meta_directory() / (backup_id + "-backup.info"))) return;
    // Earlier versions noted these as damage of the backup.
    const auto extra = pass_.catalogue.extra(backup_id);
    const bool noted = extra && std::any_of(extra->damage.begin(), extra->damage.end(),
                                            [](const auto& each) { return each.file == record_name; });
    if (noted) clear(backup_id, record_name);
    const std::string fault = fault_of_record(*backup);
    if (fault.empty()) return;
    ScrubFinding finding{backup_id, {record_name, fault, {}}, {}, "", "", ""};
    try {
        pass_.catalogue.save(*backup);
        finding.mended_by = "meta/" + backup_id + "-backup.info";
    } catch (const Error& error) {
        finding.why_not = error.what();
        ++pass_.report.damaged;
    }
    tell(std::move(finding));
}

std::string ImageScrub::fault_of_record(const Backup& backup) const {
    constexpr auto dialect = Backup::Dialect::barman_3_4;
    const Path inside = pass_.catalogue.backup_path(backup.backup_id) / record_name;
    try {
        const auto text = read_file(inside, 16 << 20);
        if (!text) return {};
        const std::string mirror = Backup::parse(*text, backup.backup_id, inside.string()).format(dialect);
        const std::string right = backup.format(dialect);
        if (mirror == right) return {};
        return fmt::format("in base/ says \"{}\", and \"{}\" in meta/", first_difference(mirror, right),
                           first_difference(right, mirror));
    } catch (const Error& error) {
        if (error.code() != ErrorCode::corrupt) throw;
        return error.fact();
    }
}

// What cannot be looked at now keeps nobody from looking at the others.
void ImageScrub::with_lease(const Backup& backup, const std::function<void()>& work) {
    try {
        const catalogue::BackupLease lease(pass_.server, backup.backup_id);
        work();
    } catch (const Error& error) {
        if (error.code() == ErrorCode::no_such_backup || error.code() == ErrorCode::busy) return;
        if (error.code() != ErrorCode::not_supported && error.code() != ErrorCode::io &&
            error.code() != ErrorCode::permission_denied)
            throw;
        pass_.report.notes.push_back(fmt::format("backup {} was not proven: {}", backup.backup_id, error.what()));
    }
}

void ImageScrub::prove(const scrub::Item& image, bool due) {
    const auto backup = pass_.catalogue.find(image.name);
    if (!backup || backup->status != BackupStatus::done) return;
    with_lease(*backup, [&] { prove(*backup, due); });
}

// nullopt: it is damaged as a whole, which is noted.
std::optional<verify::FileList> ImageScrub::list(const Backup& backup) {
    auto fault = verify::fault_of_data(pass_.catalogue, backup.backup_id);
    if (!fault) {
        try {
            scrub::tidy_image(pass_.server, backup);
            return verify::list_files(verify::BackupFiles(pass_.server, backup), backup, {});
        } catch (const Error& error) {
            if (error.code() != ErrorCode::corrupt) throw;
            fault = error.what();
        }
    }
    found(backup, nullptr, {data_name, *fault, {}});
    return std::nullopt;
}

void ImageScrub::prove(const Backup& backup, bool due) {
    const auto last = proof_of(pass_.catalogue.extra(backup.backup_id));
    if (pass_.order.all && last && *last >= pass_.wanted_since) return;
    auto listed = list(backup);
    if (!listed) return;
    verify::FileList& list = *listed;
    const verify::BackupFiles files(pass_.server, backup);
    auto& passes = pass_.state.images;
    auto entry = passes.find(backup.backup_id);
    if (entry != passes.end() && pass_.order.all && entry->second.begun < pass_.wanted_since) {
        passes.erase(entry);
        entry = passes.end();
    }
    if (entry == passes.end()) entry = passes.emplace(backup.backup_id, scrub::ImagePass{pass_.clock.now(), ""}).first;
    scrub::ImagePass& progress = entry->second;

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
        key += fmt::format(" {} {} {} {}", file.expected.size, file.expected.algorithm, file.expected.path,
                           backup.data_checksums);
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
    if (copied_so(backup.backup_id, what)) {
        pass_.report.notes.push_back(fmt::format("backup {}: {} {}", backup.backup_id, what.path, what.what));
        return;
    }
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
    tell(std::move(finding));
}

// Nobody has judged the pages of a backup of Barman's when it was taken: that is told, and no reason to refuse it.
bool ImageScrub::copied_so(const std::string& backup_id, const verify::Finding& finding) const {
    if (finding.what != verify::copied_damaged) return false;
    const auto extra = pass_.catalogue.extra(backup_id);
    return !extra || extra->foreign;
}

void ImageScrub::tell(ScrubFinding finding) {
    log_message(finding.mended_by.empty() ? LogLevel::error : LogLevel::warning,
                fmt::format("server {}: {}", pass_.server.name, text_of(finding)),
                {{"SERVER", pass_.server.name}, {"BACKUP", finding.backup}});
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
        const bool waits = other.status == BackupStatus::waiting_for_wals;
        if (other.backup_id == backup.backup_id || (other.status != BackupStatus::done && !waits)) continue;
        try {
            if (!scrub::can_be_proven(other) || !shares(other, path, damaged)) continue;
            const auto lease = lease_of(other);
            const verify::BackupFiles other_files(pass_.server, other);
            const verify::FileList list = verify::list_files(other_files, other, {});
            const auto same = std::find_if(list.files.begin(), list.files.end(),
                                           [&](const auto& each) { return each.expected.path == path; });
            if (same == list.files.end()) continue;
            const auto also = look_at(other, other_files, *same);
            if (!also || copied_so(other.backup_id, *also)) continue;
            note(other.backup_id, *also);
            finding.shared_by.push_back(other.backup_id);
        } catch (const Error& error) {
            // Its own proof tells of what cannot be looked at now.
            if (!may_be_gone(error) && error.code() != ErrorCode::io && error.code() != ErrorCode::corrupt &&
                error.code() != ErrorCode::permission_denied)
                throw;
        }
    }
}

// nullopt: the process that takes it holds it, and heeds what is noted meanwhile when it records it as DONE.
std::optional<catalogue::BackupLease> ImageScrub::lease_of(const Backup& backup) const {
    try {
        return std::optional<catalogue::BackupLease>(std::in_place, pass_.server, backup.backup_id);
    } catch (const Error& error) {
        const bool written = error.code() == ErrorCode::busy && backup.status == BackupStatus::waiting_for_wals &&
                             !pass_.catalogue.is_hidden(backup.backup_id);
        if (!written) throw;
        return std::nullopt;
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
        if (scrub::can_be_proven(backup)) with_lease(backup, [&] { look_again(backup); });
    }
}

void ImageScrub::look_again(const Backup& backup) {
    const auto extra = pass_.catalogue.extra(backup.backup_id);
    if (verify::fault_of_data(pass_.catalogue, backup.backup_id)) return;
    scrub::tidy_image(pass_.server, backup);
    const verify::BackupFiles files(pass_.server, backup);
    const verify::FileList list = verify::list_files(files, backup, {});
    for (const catalogue::ImageDamage& damage : extra->damage) {
        std::string with;
        const auto file = std::find_if(list.files.begin(), list.files.end(),
                                       [&](const auto& each) { return each.expected.path == damage.file; });
        if (damage.file == "backup_manifest") {
            if (list.findings.empty()) with = "what lies there now";
        } else if (damage.file == data_name) {
            with = "what lies there now";
        } else if (file != list.files.end()) {
            ScrubFinding finding;
            const auto still = look_at(backup, files, *file);
            if (!still || copied_so(backup.backup_id, *still)) {
                with = "what lies there now";
            } else if (mend(backup, *file, finding)) {
                with = finding.mended_by;
            }
        } else if (list.findings.empty() && !list.files.empty() && list.files.front().in_manifest) {
            with = "nothing: by its manifest it is no file of the backup";
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
