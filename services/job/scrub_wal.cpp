#include "services/job/scrub_wal.h"

#include <algorithm>

#include <fmt/format.h>

#include "lib/base/error.h"
#include "lib/base/log.h"
#include "lib/catalogue/wal_release.h"
#include "lib/scrub/wal_check.h"
#include "lib/wal/holdings.h"
#include "lib/wal/xlogdb.h"

namespace coffer::job {
namespace {

// A file gets its line a moment after its name.
constexpr std::chrono::minutes index_delay{1};
// Then it is not the files.
constexpr std::size_t most_not_judged = 10;
constexpr std::string_view not_understood = " is encrypted, or compressed or of a version that only others know";

wal::KnownSystem known_system(const catalogue::Catalogue& catalogue) {
    wal::KnownSystem known;
    if (const auto identity = catalogue.identity()) {
        known.system_identifier = identity->systemid;
        known.major_version = identity->major_version;
    }
    return known;
}

}  // namespace

WalScrub::WalScrub(ScrubPass& pass) : pass_(pass), known_(known_system(pass.catalogue)) {}

std::vector<scrub::Item> WalScrub::items() const {
    std::vector<scrub::Item> items;
    for (const std::string& folder : scrub::wal_folders(pass_.server)) {
        const auto proof = pass_.state.folders.find(folder);
        const auto item = scrub::wal_item(folder, scrub::wal_files(pass_.server, folder),
                                          proof == pass_.state.folders.end() ? scrub::FolderProof{} : proof->second);
        if (item) items.push_back(*item);
    }
    return items;
}

// A pass goes over all files of a folder; one to prove everything leaves out what was proven since it began.
bool WalScrub::needed(const scrub::FolderProof& proof, const scrub::WalFile& file) const {
    if (!proof.cursor.empty() && file.name <= proof.cursor && file.changed < proof.cursor_at) return false;
    if (!pass_.order.all) return true;
    const auto last = scrub::proof_of(proof, file.name, file.changed);
    return !last || *last < pass_.wanted_since;
}

void WalScrub::prove(const scrub::Item& folder, bool due) {
    scrub::FolderProof& proof = pass_.state.folders[folder.name];
    // What an earlier pass proved does not count when everything is to be proven now.
    if (pass_.order.all && proof.cursor_at < pass_.wanted_since) proof.cursor.clear();
    const WallTime begun = proof.cursor.empty() ? pass_.clock.now() : proof.cursor_at;
    bool all = true;
    for (const scrub::WalFile& file : scrub::wal_files(pass_.server, folder.name)) {
        if (!needed(proof, file)) continue;
        if ((!due && pass_.share_done()) || not_judged_ >= most_not_judged) return;
        check_stop(pass_.stop_fd);
        all &= prove(folder.name, file);
        proof.cursor = std::max(proof.cursor, file.name);
        proof.cursor_at = begun;
        kill_point("job.scrub.wal");
        pass_.note_progress();
    }
    proof = all ? scrub::FolderProof{begun, {}, {}} : scrub::FolderProof{proof.at, {}, {}};
}

// What cannot be looked at now keeps nobody from looking at the others: false.
bool WalScrub::prove(const std::string& folder, const scrub::WalFile& file) {
    const Path path = pass_.server.wals_directory / folder / file.name;
    try {
        judge(path, file);
        return true;
    } catch (const Error& error) {
        if (error.code() != ErrorCode::io && error.code() != ErrorCode::permission_denied) throw;
        pass_.report.notes.push_back(fmt::format("WAL {} was not proven: {}", file.name, error.what()));
        return false;
    }
}

void WalScrub::judge(const Path& path, const scrub::WalFile& file) {
    const auto verdict = scrub::check_wal_file(
        path, [&] { return known_form(file.name); }, !pass_.order.cached,
        [this](std::size_t bytes) { pass_.read(bytes); });
    if (verdict.gone) return;  // retention has removed it
    pass_.proven(file.stored_size);
    ++pass_.report.wal_files;
    if (verdict.opaque) {
        pass_.report.notes.push_back(file.name + std::string(not_understood));
    } else if (verdict.fault) {
        found(file.name, *verdict.fault);
    } else {
        check_index(file, path);
    }
}

bool WalScrub::known_form(const std::string& name) {
    if (!known_forms_) {
        known_forms_.emplace();
        for (const wal::XlogLine& line : wal::read_xlogdb(wal::xlogdb_path(pass_.server)).lines) {
            if (wal::is_known_form(line)) known_forms_->insert(line.name);
        }
    }
    return known_forms_->count(name) != 0;
}

void WalScrub::check_index(const scrub::WalFile& file, const Path& path) {
    if (wal::kind_of(file.name) != wal::FileKind::segment) return;
    const auto fits = [&] { return index_ && index_->size_of(file.name) == file.stored_size; };
    const auto read = [&] {
        index_read_at_ = pass_.clock.now();
        index_.emplace(pass_.server);
    };
    if (!index_) read();
    if (fits() || file.changed > index_read_at_ - index_delay) return;
    read();  // it may have come since
    if (fits() || !std::filesystem::exists(path)) return;
    const auto listed = index_->size_of(file.name);
    ScrubFinding finding;
    finding.finding = {file.name,
                       listed ? fmt::format("has {} bytes, {} in the index of the archive", file.stored_size, *listed)
                              : "is not in the index of the archive",
                       {}};
    const auto judged = pass_.mender.recheck(file.name);
    if (judged.result == "sound") finding.mended_by = "a new line in the index";
    finding.why_not = judged.result.empty() ? judged.fault : "";
    pass_.report.findings.push_back(std::move(finding));
    read();
}

void WalScrub::found(const std::string& name, std::string what) {
    // Known before it is moved: whatever ends this run then, the next one looks for a copy.
    auto& known = pass_.state.wal_damage;
    std::erase_if(known, [&](const scrub::WalDamage& each) { return each.name == name; });
    known.push_back({name, what, pass_.clock.now(), ""});
    pass_.save();
    ScrubFinding finding;
    finding.finding = {name, std::move(what), {}};
    const auto judged = pass_.mender.recheck(name);
    // It was replaced, or removed, meanwhile; or the archiver knows no more of it than that it is not understood.
    if (judged.result == "sound" || judged.result == "absent" || judged.result == "opaque") {
        if (judged.result == "opaque") pass_.report.notes.push_back(name + std::string(not_understood));
        known.pop_back();
        return pass_.save();
    }
    if (judged.unreadable && ++not_judged_ == most_not_judged)
        pass_.report.notes.emplace_back(
            "the archiver cannot read what seems to be damaged, and nothing was moved: no more WAL is proven in this "
            "run; look for the cause in its log and the kernel's");
    known.back().set_aside = finding.set_aside = judged.moved_to;
    if (judged.result.empty()) {
        finding.why_not = judged.fault;
    } else {
        kill_point("job.scrub.set_aside");
        finding.mended_by = pass_.mender.mend(name, judged.moved_to, finding.why_not).value_or("");
    }
    if (!finding.mended_by.empty()) known.pop_back();
    log_message(finding.mended_by.empty() ? LogLevel::error : LogLevel::warning,
                fmt::format("server {}: WAL {}", pass_.server.name, text_of(finding)),
                {{"SERVER", pass_.server.name}, {"WAL", name}});
    pass_.report.findings.push_back(std::move(finding));
    pass_.save();
}

void WalScrub::look_again() {
    auto& known = pass_.state.wal_damage;
    if (known.empty()) return;
    const auto released = catalogue::wal_released(catalogue::remaining_backups(pass_.server));
    for (std::size_t i = 0; i < known.size();) {
        check_stop(pass_.stop_fd);
        const std::string name = known[i].name;
        std::string with = mended_now(known[i]);
        if (with.empty() && released && released->releases(name)) with = "nothing: no backup needs it any more";
        if (with.empty()) {
            ++i;
            continue;
        }
        pass_.report.mended.push_back(fmt::format("WAL {}, with {}", name, with));
        log_message(LogLevel::notice,
                    fmt::format("server {}: damaged WAL {} is mended with {}", pass_.server.name, name, with),
                    {{"SERVER", pass_.server.name}, {"WAL", name}});
        known.erase(known.begin() + static_cast<std::ptrdiff_t>(i));
    }
    pass_.save();
}

std::string WalScrub::mended_now(scrub::WalDamage& damage) {
    if (std::filesystem::exists(wal::archive_path(pass_.server, damage.name))) {
        const auto judged = pass_.mender.recheck(damage.name);
        if (judged.result == "sound" || judged.result == "opaque") return "what lies in the archive now";
        if (judged.result.empty()) return {};
        if (!judged.moved_to.empty()) damage.set_aside = judged.moved_to;
    }
    if (damage.set_aside.empty()) damage.set_aside = set_aside_as(damage.name);
    std::string why;
    if (brought_back(damage, why)) return "what was set aside: it is whole";
    return pass_.mender.mend(damage.name, damage.set_aside, why).value_or("");
}

// Whatever kept it from being read, or made it read wrong, may have been of the machine.
bool WalScrub::brought_back(const scrub::WalDamage& damage, std::string& why) {
    if (damage.set_aside.empty()) return false;
    try {
        const auto stored = read_file(damage.set_aside, wal::largest_wal_file);
        const auto plain =
            stored ? wal::sound_content(damage.set_aside, damage.name, as_byte_span(*stored)) : std::nullopt;
        if (!plain || wal::refusal_of(damage.name, as_byte_span(*plain), known_)) return false;
        return pass_.mender.put_back(damage.name, *plain, why);
    } catch (const Error& error) {
        if (error.code() != ErrorCode::io && error.code() != ErrorCode::permission_denied &&
            error.code() != ErrorCode::corrupt)
            throw;
        return false;
    }
}

// By an earlier run that did not come to saying so.
std::string WalScrub::set_aside_as(const std::string& name) const {
    std::string newest;
    std::error_code absent;
    for (const auto& entry : std::filesystem::directory_iterator(pass_.server.errors_directory, absent)) {
        const std::string file = entry.path().filename().string();
        if (file.starts_with(name + ".") && file.ends_with(".damaged"))
            newest = std::max(newest, entry.path().string());
    }
    return newest;
}

void WalScrub::finish() {
    std::optional<WallTime> oldest;
    const std::vector<scrub::Item> held = items();
    for (const scrub::Item& item : held) oldest = std::min(oldest.value_or(item.since), item.since);
    pass_.state.oldest_wal = oldest;
    // Folders that retention has emptied.
    std::erase_if(pass_.state.folders, [&](const auto& each) {
        return std::none_of(held.begin(), held.end(), [&](const scrub::Item& item) { return item.name == each.first; });
    });
}

}  // namespace coffer::job
