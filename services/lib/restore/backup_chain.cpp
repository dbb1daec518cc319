#include "lib/restore/backup_chain.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <string_view>

#include <fmt/format.h>

#include "lib/base/error.h"
#include "lib/image/increment.h"
#include "lib/image/manifest.h"

namespace coffer::restore {
namespace {

using catalogue::BackupInfo;
using catalogue::BackupStatus;

constexpr std::size_t longest_chain = 10'000;
constexpr std::array<std::string_view, 4> endings{".tar", ".tar.gz", ".tar.lz4", ".tar.zst"};

// "base.tar.gz", "16384.tar.gz"; nullopt: no archive.
std::optional<BackupArchive> archive_named(const Path& path) {
    const std::string name = path.filename().string();
    const auto ending = std::find_if(endings.begin(), endings.end(), [&](auto one) { return name.ends_with(one); });
    if (ending == endings.end()) return std::nullopt;
    const std::string stem = name.substr(0, name.size() - ending->size());
    if (stem == "base") return BackupArchive{path, std::nullopt};
    std::uint32_t oid = 0;
    const auto got = std::from_chars(stem.data(), stem.data() + stem.size(), oid);
    if (got.ec != std::errc() || got.ptr != stem.data() + stem.size() || oid == 0) return std::nullopt;
    return BackupArchive{path, oid};
}

// The data directory's first; all that the record asks for.
std::vector<BackupArchive> archives_of(const BackupInfo& backup, const Path& data) {
    std::vector<BackupArchive> archives;
    std::error_code error;
    for (const auto& entry : std::filesystem::directory_iterator(data, error)) {
        if (const auto archive = archive_named(entry.path())) archives.push_back(*archive);
    }
    if (error) throw Error::from_errno(error.value(), "cannot read directory", data.string());
    std::sort(archives.begin(), archives.end(),
              [](const BackupArchive& a, const BackupArchive& b) { return a.tablespace < b.tablespace; });
    const auto require = [&](std::optional<std::uint32_t> tablespace, const std::string& name) {
        const auto count = std::count_if(archives.begin(), archives.end(),
                                         [&](const BackupArchive& one) { return one.tablespace == tablespace; });
        if (count == 1) return;
        throw Error(ErrorCode::corrupt,
                    fmt::format("the backup {} an archive {}", count == 0 ? "has lost" : "has more than once", name),
                    data.string(), "choose another backup");
    };
    require(std::nullopt, "base.tar");
    for (const catalogue::Tablespace& one : backup.tablespaces) require(one.oid, fmt::format("{}.tar", one.oid));
    return archives;
}

void read_manifest_of(BackupLink& link) {
    const Path path = link.data() / "backup_manifest";
    if (!std::filesystem::exists(path)) {
        throw Error(ErrorCode::corrupt, "the backup has lost its manifest", path.string(),
                    "choose another backup; --no-verify restores it without looking at its files");
    }
    try {
        (void)image::read_manifest(path, [&](const image::ManifestFile& file) {
            if (!file.path.starts_with("pg_wal/")) link.manifest[file.path] = {file.size, image::crc32c_of(file)};
        });
    } catch (const Error& error) {
        if (error.code() != ErrorCode::corrupt) throw;
        throw error.with_remedy("choose another backup; --no-verify restores it without looking at its files");
    }
}

BackupLink link_of(const catalogue::Catalogue& catalogue, const BackupInfo& backup, bool verify) {
    BackupLink link;
    link.backup = backup;
    link.path = catalogue.backup_path(backup.backup_id);
    for (const char* const key : {"encryption", "snapshots_info"}) {
        const auto found = backup.unknown.find(key);
        if (found == backup.unknown.end() || found->second.empty() || found->second == "None") continue;
        throw Error(ErrorCode::not_supported, "an encrypted or snapshot backup of Barman cannot be restored here",
                    backup.backup_id, "restore it with barman, or choose another");
    }
    if (in_tar_format(backup)) link.archives = archives_of(backup, link.data());
    try {
        read_manifest_of(link);
    } catch (const Error& error) {
        if (verify) throw;  // else it only tells how much room is needed, if it can
        link.manifest.clear();
    }
    link.verify = verify;
    return link;
}

// The record has the text of backup_label, which says what the server was told to build on.
void require_successor(const BackupInfo& parent, const BackupInfo& child) {
    const auto refuse = [&](const std::string& why) {
        throw Error(ErrorCode::corrupt,
                    fmt::format("the incremental backup cannot be built on {}: {}", parent.backup_id, why),
                    child.backup_id, "choose another backup");
    };
    if (parent.status != BackupStatus::done && parent.status != BackupStatus::waiting_for_wals)
        refuse(fmt::format("that is {}", catalogue::name_of(parent.status)));
    if (parent.systemid != child.systemid || parent.version / 10000 != child.version / 10000)
        refuse("that is of another cluster, or another major version");
    constexpr std::string_view key = "INCREMENTAL FROM LSN: ";
    const std::size_t at = child.backup_label.find(key);
    if (at == std::string::npos) return;
    const std::size_t begin = at + key.size();
    const std::string from = child.backup_label.substr(begin, child.backup_label.find('\n', begin) - begin);
    if (Lsn::parse(from) != parent.begin_xlog)
        refuse(
            fmt::format("it was made from a backup that began at {}, not at {}", from, parent.begin_xlog.to_string()));
}

}  // namespace

bool in_tar_format(const BackupInfo& backup) {
    const auto found = backup.unknown.find("compression");
    return found != backup.unknown.end() && !found->second.empty() && found->second != "None" && found->second != "''";
}

bool needs_unpacking(const BackupInfo& backup) {
    return in_tar_format(backup) || !backup.parent().empty();
}

BackupChain chain_of(const catalogue::Catalogue& catalogue, const BackupInfo& backup, bool verify) {
    BackupChain chain{link_of(catalogue, backup, verify)};
    while (chain.back().incremental()) {
        const BackupInfo& child = chain.back().backup;
        const auto parent = catalogue.find(child.parent());
        if (!parent || parent->backup_id != child.parent() || chain.size() >= longest_chain) {
            throw Error(ErrorCode::no_such_backup,
                        fmt::format("the incremental backup needs {}, which is not there", child.parent()),
                        child.backup_id, "choose another backup");
        }
        require_successor(*parent, child);
        chain.push_back(link_of(catalogue, *parent, verify));
    }
    std::reverse(chain.begin(), chain.end());
    return chain;
}

std::optional<std::string> patched_by(const std::string& path) {
    const std::size_t name = path.rfind('/') + 1;  // 0 without one
    if (path.compare(name, image::increment_prefix.size(), image::increment_prefix) != 0) return std::nullopt;
    return path.substr(0, name) + path.substr(name + image::increment_prefix.size());
}

void estimate(const BackupChain& chain, const std::vector<Tree*>& trees) {
    std::unordered_map<std::string, std::uint64_t> sizes;
    for (const BackupLink& link : chain) {
        std::unordered_map<std::string, std::uint64_t> now;
        for (const auto& [path, part] : link.manifest) {
            const auto patched = link.incremental() ? patched_by(path) : std::nullopt;
            // Of a file that grew only its new blocks are in the increment: never less than that, or than before.
            if (patched)
                now[*patched] = std::max(part.size, sizes[*patched]);
            else
                now[path] = part.size;
        }
        sizes = std::move(now);
    }
    for (const auto& [path, size] : sizes) {
        for (Tree* const tree : trees) {
            const bool tablespace = path.starts_with("pg_tblspc/");
            if (tablespace ? tree->prefix.empty() || !path.starts_with(tree->prefix) : !tree->prefix.empty()) continue;
            tree->entries.push_back({path.substr(tree->prefix.size()), size, false, {}});
            tree->bytes += size;
            ++tree->files;
        }
    }
}

}  // namespace coffer::restore
