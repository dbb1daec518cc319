#include "lib/restore/unpack.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <set>
#include <string_view>
#include <unordered_set>

#include <fmt/format.h>

#include "lib/base/crc32c.h"
#include "lib/base/error.h"
#include "lib/image/file_parts.h"
#include "lib/image/increment.h"
#include "lib/image/incremental_backup.h"
#include "lib/image/tar_reader.h"

namespace coffer::restore {
namespace {

constexpr std::size_t read_step = 1 << 20;
constexpr std::uint64_t largest_label = 1 << 20;
using Pull = std::function<ByteSpan()>;  // empty at the end of a file

// A file's bytes in pieces.
class FileReader {
  public:
    explicit FileReader(const Path& path) : path_(path), fd_(files().open(path, O_RDONLY | O_NOFOLLOW)) {
        ::posix_fadvise(fd_.get(), 0, 0, POSIX_FADV_SEQUENTIAL);
    }
    ByteSpan next() {
        piece_.resize(read_step);
        const std::size_t got = image::read_up_to(fd_.get(), piece_, at_, path_);
        at_ += got;
        return ByteSpan(piece_).first(got);
    }

  private:
    const Path path_;
    const UniqueFd fd_;
    std::vector<std::byte> piece_;
    std::uint64_t at_ = 0;
};

class Unpacker {
  public:
    Unpacker(const UnpackTarget& target, const CopyControl& control) : target_(target), control_(control) {}

    void run() {
        for (const BackupLink& link : target_.chain) {
            link_ = &link;
            now_.clear();
            directories_now_.clear();
            try {
                if (!link.archives.empty()) {
                    take_archives();
                } else if (!link.incremental() && target_.chain.size() > 1) {
                    copy_all();
                } else {
                    take_trees();
                }
                require_all();
            } catch (const Error& error) {
                throw error.within("backup " + link.backup.backup_id);
            }
            remove_surplus();
        }
        copy_manifest();
    }

  private:
    [[nodiscard]] Error bad(const std::string& what, const std::string& name) const {
        return Error(ErrorCode::corrupt, what, name,
                     "choose another backup; --no-verify restores it as it is, for what can still be read from it");
    }

    // nullopt: of a tablespace that the record does not know.
    [[nodiscard]] std::optional<Path> place_of(const std::string& name) const {
        if (name == control_file) return target_.destination / hidden_control_file;
        if (!name.starts_with("pg_tblspc/")) return target_.destination / name;
        for (const Tree& tree : target_.tablespaces) {
            if (name.starts_with(tree.prefix)) return tree.target / name.substr(tree.prefix.size());
        }
        return std::nullopt;
    }

    [[nodiscard]] bool last() const { return link_ == &target_.chain.back(); }

    [[nodiscard]] bool wanted(const std::string& name) const {
        if (!last() && !place_of(name)) return false;  // of a tablespace that was dropped since
        return name == control_file || name == "postgresql.auto.conf" || !target_.left_out(name);
    }

    void take_archives() {
        for (const BackupArchive& archive : link_->archives) {
            const std::string prefix =
                archive.tablespace ? fmt::format("pg_tblspc/{}/", *archive.tablespace) : std::string();
            FileReader file(archive.path);
            image::TarReader reader([&file] { return file.next(); }, image::TarReader::Form::any_compression);
            while (const auto member = reader.next()) {
                const std::string name = prefix + member->path;
                if (!image::is_safe_path(member->path)) throw bad("the archive holds an unsafe name", name);
                switch (member->type) {
                    case image::Member::Type::file:
                        take_file(name, member->size, [&reader] { return reader.data(); });
                        break;
                    case image::Member::Type::directory:
                        take_directory(name);
                        break;
                    case image::Member::Type::symlink:  // of a tablespace: made anew
                        if (!name.starts_with("pg_tblspc/")) throw bad("the archive holds a symbolic link", name);
                        break;
                    case image::Member::Type::other:
                        throw bad("the archive holds what is neither file nor directory", name);
                }
            }
        }
    }

    // A full one as it lies, by all threads and with reflinks where there are. What the increments bring anew, they
    // bring whole.
    void copy_all() {
        const auto brought_anew = [this](const std::string& name) {
            return target_.left_out(name) || name == "backup_manifest" || name == "backup_label";
        };
        std::vector<Tree> trees{list_tree(link_->data(), target_.destination, brought_anew)};
        for (const Tree& target : target_.tablespaces) {
            const std::string oid = target.prefix.substr(10, target.prefix.size() - 11);
            if (!std::filesystem::is_directory(link_->path / oid)) continue;  // it was made later
            trees.push_back(list_tree(link_->path / oid, target.target, nullptr));
            trees.back().prefix = target.prefix;
        }
        for (Tree& tree : trees) {
            for (TreeEntry& entry : tree.entries) {
                const std::string name = tree.prefix + entry.path;
                if (entry.directory)
                    directories_now_.insert(name);
                else
                    now_.insert(name);
                if (!entry.directory && link_->verify) entry.crc32c = expected(name).crc32c;
            }
        }
        copy_trees(trees, control_);
    }

    void take_trees() {
        take_tree(link_->data(), "");
        for (const catalogue::Tablespace& tablespace : link_->backup.tablespaces) {
            take_tree(link_->path / std::to_string(tablespace.oid), fmt::format("pg_tblspc/{}/", tablespace.oid));
        }
    }

    void take_tree(const Path& root, const std::string& prefix) {
        for (const TreeEntry& entry : list_tree(root, {}, nullptr).entries) {
            const std::string name = prefix + entry.path;
            if (entry.directory) {
                take_directory(name);
            } else if (name != "backup_manifest") {
                FileReader file(root / entry.path);
                take_file(name, entry.size, [&file] { return file.next(); });
            }
        }
    }

    void take_directory(const std::string& name) {
        if (!wanted(name)) return;
        const auto place = place_of(name);
        if (!place) return;
        directories_now_.insert(name);
        make_directory(*place, control_.owner);
    }

    void take_file(const std::string& name, std::uint64_t size, const Pull& read) {
        check_canceled(control_);
        if (name.starts_with("pg_wal/")) return;
        ManifestPart got;
        got.crc32c = 0;
        const Pull pull = [&]() -> ByteSpan {
            const ByteSpan piece = read();
            check_canceled(control_);
            got.size += piece.size();
            got.crc32c = crc32c(piece, *got.crc32c);
            if (control_.copied && !piece.empty()) control_.copied(piece.size());
            return piece;
        };
        const auto patched = link_->incremental() ? patched_by(name) : std::nullopt;
        if (!now_.insert(patched.value_or(name)).second) throw bad("the backup holds a file twice", name);
        if (!wanted(patched.value_or(name))) {
            while (!pull().empty()) {
            }
        } else if (patched) {
            patch(*patched, size, pull);
        } else if (name == "backup_label" && link_->incremental()) {
            write_label(pull);
        } else {
            write_file(name, pull);
        }
        compare(name, got);
    }

    [[nodiscard]] UniqueFd create(const std::string& name) {
        const auto place = place_of(name);
        if (!place) throw bad("the backup holds a file of a tablespace that its record does not know", name);
        if (before_.contains(name)) remove_file(*place);
        return create_file(*place, control_.owner);
    }

    void write_file(const std::string& name, const Pull& pull) {
        const UniqueFd fd = create(name);
        const Path path = place_of(name).value();
        std::uint64_t at = 0;
        for (ByteSpan piece = pull(); !piece.empty(); piece = pull()) {
            files().write_at(fd.get(), piece, at, path);
            at += piece.size();
        }
    }

    // PostgreSQL does not start with a label that says that others are needed.
    void write_label(const Pull& pull) {
        std::string text;
        for (ByteSpan piece = pull(); !piece.empty(); piece = pull()) {
            if (text.size() + piece.size() > largest_label) throw bad("this file is too large", "backup_label");
            text.append(reinterpret_cast<const char*>(piece.data()), piece.size());
        }
        const UniqueFd fd = create("backup_label");
        files().write_at(fd.get(), as_byte_span(image::without_increment_lines(text)), 0, "backup_label");
    }

    void patch(const std::string& name, std::uint64_t size, const Pull& pull) {
        const auto place = place_of(name);
        if (!place || !before_.contains(name)) {
            throw bad("the backup holds changes to a file that the one before has not", name);
        }
        const UniqueFd fd = open_target(*place, O_RDWR);
        struct stat status {};
        if (::fstat(fd.get(), &status) != 0) throw Error::from_errno(errno, "cannot look at file", place->string());
        const auto cut = [&](std::uint64_t to) {
            if (::ftruncate(fd.get(), static_cast<off_t>(to)) != 0)
                throw Error::from_errno(errno, "cannot set size of file", place->string());
        };
        image::IncrementParser parser(
            size,
            [&](const image::IncrementHeader& header) {
                const std::uint64_t old =
                    static_cast<std::uint64_t>(status.st_size) / image::page_size * image::page_size;
                // First to what is kept of it: what lies behind that reads as zeros.
                cut(std::min<std::uint64_t>(old, std::uint64_t{header.truncation_blocks} * image::page_size));
                cut(std::uint64_t{header.result_blocks()} * image::page_size);
            },
            [&](std::uint32_t block, image::Page page) {
                files().write_at(fd.get(), page, std::uint64_t{block} * image::page_size, *place);
            });
        try {
            for (ByteSpan piece = pull(); !piece.empty(); piece = pull()) parser.append(piece);
            parser.finish();
        } catch (const Error& error) {
            throw error.within(name);
        }
    }

    [[nodiscard]] const ManifestPart& expected(const std::string& name) const {
        const auto said = link_->manifest.find(name);
        if (said == link_->manifest.end()) throw bad("a file of the backup is not in its manifest", name);
        return said->second;
    }

    void compare(const std::string& name, const ManifestPart& got) const {
        if (!link_->verify) return;
        const ManifestPart& said = expected(name);
        if (said.size == got.size && (!said.crc32c || said.crc32c == got.crc32c)) return;
        throw bad(fmt::format("a file of the backup is not as its manifest says: its {} differs",
                              said.size == got.size ? "checksum" : "size"),
                  name);
    }

    void require_all() const {
        if (!link_->verify) return;
        for (const auto& [name, part] : link_->manifest) {
            if (!last() && (target_.left_out(name) || name == "backup_label" || !place_of(name))) continue;
            const auto patched = link_->incremental() ? patched_by(name) : std::nullopt;
            if (!now_.contains(patched.value_or(name))) throw bad("a file of the backup's manifest is missing", name);
        }
    }

    void remove_surplus() {
        for (const std::string& name : before_) {
            if (now_.contains(name) || !wanted(name)) continue;
            if (const auto place = place_of(name)) remove_file(*place);
        }
        for (auto name = directories_.rbegin(); name != directories_.rend(); ++name) {  // what is inside comes first
            if (directories_now_.contains(*name)) continue;
            if (const auto place = place_of(*name)) remove_directory(*place);
        }
        before_.swap(now_);
        directories_.swap(directories_now_);
    }

    // Of a full backup it is right for what was unpacked.
    void copy_manifest() {
        const BackupLink& last = target_.chain.back();
        if (last.incremental() || !std::filesystem::exists(last.data() / "backup_manifest")) return;
        Tree tree;
        tree.source = last.data();
        copy_file(tree, {"backup_manifest", std::filesystem::file_size(last.data() / "backup_manifest"), false, {}},
                  target_.destination / "backup_manifest", control_);
    }

    const UnpackTarget& target_;
    const CopyControl& control_;
    const BackupLink* link_ = nullptr;
    std::unordered_set<std::string> before_, now_;  // files of the backup before, and of this one
    std::set<std::string> directories_, directories_now_;
};

}  // namespace

void unpack(const UnpackTarget& target, const CopyControl& control) {
    Unpacker(target, control).run();
}

}  // namespace coffer::restore
