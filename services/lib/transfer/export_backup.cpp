#include "lib/transfer/export_backup.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <unordered_map>

#include <fmt/format.h>

#include "lib/base/error.h"
#include "lib/catalogue/catalogue.h"
#include "lib/image/sha256.h"
#include "lib/transfer/tar_writer.h"
#include "lib/verify/backup_files.h"
#include "lib/verify/file_check.h"
#include "lib/wal/holdings.h"
#include "lib/wal/serve.h"

namespace coffer::transfer {
namespace {

constexpr std::size_t piece = 1 << 20;
constexpr std::int64_t second = 1'000'000'000;
constexpr std::string_view spaces = "pg_tblspc/";

std::string_view text_of(ByteSpan bytes) {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

std::string sha256_of(std::string_view text) {
    image::Sha256 hash;
    hash.add(text);
    return hash.hex();
}

// As a reader of the tar takes it: times before 1970 or after 2242 are none.
std::int64_t time_of(const struct stat& status) {
    const std::int64_t seconds = status.st_mtim.tv_sec;
    return seconds >= 0 && seconds < (1LL << 33) ? seconds * second + status.st_mtim.tv_nsec : 0;
}

// A file to be written that has another name until it is whole; gone when it never is.
class UnfinishedFile {
  public:
    explicit UnfinishedFile(Path path)
        : path_(std::move(path)), fd_(files().open(path_, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0600)) {}
    UnfinishedFile(const UnfinishedFile&) = delete;
    UnfinishedFile& operator=(const UnfinishedFile&) = delete;
    ~UnfinishedFile() {
        if (!path_.empty()) ::unlink(path_.c_str());
    }
    [[nodiscard]] int fd() const { return fd_.get(); }
    [[nodiscard]] const Path& path() const { return path_; }
    void publish(const Path& name) {
        files().sync(fd_.get(), path_);
        kill_point("job.export.written");
        files().rename(path_, name);
        path_.clear();
        files().sync_directory(name.parent_path());
        kill_point("job.export.done");
    }

  private:
    Path path_;
    UniqueFd fd_;
};

class Export {
  public:
    Export(const config::Server& server, const catalogue::BackupInfo& backup, const ExportOptions& options)
        : server_(server),
          backup_(backup),
          options_(options),
          catalogue_(server),
          files_(server, backup),
          file_(options.directory / fmt::format(".{}-{}.{}.tmp", server.name, backup.backup_id, ::getpid())),
          tar_(file_.fd(), file_.path(), options.codec, options.level) {}

    Exported run() {
        read_manifest();
        list();
        for (const wal::Segment& segment : backup_.required_segments())
            wal_names_.push_back(segment.name(backup_.xlog_segment_size));
        header_ = {server_.name, backup_.backup_id, backup_.systemid,
                   total_ + wal_names_.size() * backup_.xlog_segment_size.bytes()};
        if (options_.begin) options_.begin(header_.bytes);
        check_space();
        put_text(header_member, header_.format());
        put_text(record_member, backup_.format());
        if (const auto extra = catalogue_.extra(backup_.backup_id); extra && !extra->unreadable)
            put_text(extra_member, catalogue::format_extra(*extra));
        for (Entry& entry : entries_) put(entry);
        put_wal();
        const std::string hash = sha256_of(index_);
        const std::string index = std::move(index_);
        put_text(index_member, index);
        tar_.finish();
        exported_.bytes = done_;
        exported_.stored = tar_.bytes_written();
        exported_.file = options_.directory / (stem_of(header_, hash) + ending_of(options_.codec));
        file_.publish(exported_.file);
        return exported_;
    }

  private:
    void read_manifest() {
        const Path path = files_.manifest();
        if (!std::filesystem::exists(path)) {
            if (backup_.mode == "postgres") damaged("backup_manifest", "is missing");
            return;
        }
        known_ = true;
        image::read_manifest(path, [this](const image::ManifestFile& file) {
            if (!verify::is_left_out(file.path)) manifest_.emplace(file.path, file);
        });
    }

    // All that is there; what is in the manifest must be.
    void list() {
        std::vector<std::string> trees{"data"};
        try {
            for (const auto& entry : std::filesystem::directory_iterator(catalogue_.backup_path(backup_.backup_id))) {
                const std::string name = entry.path().filename().string();
                const bool space = name.find_first_not_of("0123456789") == std::string::npos;
                if (space && entry.is_directory() && !entry.is_symlink()) trees.push_back(name);
            }
            std::sort(trees.begin() + 1, trees.end());
            for (const std::string& tree : trees) walk(tree);
        } catch (const std::filesystem::filesystem_error& error) {
            throw Error::from_errno(error.code().value(), "cannot read directory", error.path1().string());
        }
        std::unordered_map<std::string, const Entry*> there;
        for (const Entry& entry : entries_) there.emplace(name_in_manifest(entry.path), &entry);
        for (const auto& [name, file] : manifest_) {
            const auto found = there.find(name);
            if (found == there.end() || found->second->type != Entry::Type::file) damaged(name, "is missing");
        }
    }

    void walk(const std::string& tree) {
        const Path root = catalogue_.backup_path(backup_.backup_id) / tree;
        std::vector<Path> paths{root};
        for (const auto& entry : std::filesystem::recursive_directory_iterator(root)) paths.push_back(entry.path());
        std::sort(paths.begin(), paths.end());
        for (const Path& path : paths) {
            const Path below = path.lexically_relative(root);
            add(path, below == "." ? tree : tree + "/" + below.string());
        }
    }

    void add(const Path& path, const std::string& name) {
        struct stat status {};
        if (::lstat(path.c_str(), &status) != 0) throw Error::from_errno(errno, "cannot look at file", path.string());
        Entry entry;
        entry.path = name;
        entry.mode = status.st_mode & 07777;
        entry.uid = status.st_uid;
        entry.gid = status.st_gid;
        entry.modified_ns = time_of(status);
        if (S_ISDIR(status.st_mode)) {
            entry.type = Entry::Type::directory;
        } else if (S_ISLNK(status.st_mode)) {
            entry.type = Entry::Type::symlink;
            entry.mode = 0777;
            entry.link_target = link_of(path, name);
        } else if (S_ISREG(status.st_mode)) {
            entry.size = static_cast<std::uint64_t>(status.st_size);
            total_ += entry.size;
            const std::string known = name_in_manifest(name);
            if (known_ && !verify::is_left_out(known) && manifest_.count(known) == 0)
                damaged(known, "is not in the manifest");
        } else {
            throw Error(ErrorCode::not_supported, "the backup holds something that is no file", path.string());
        }
        entries_.push_back(std::move(entry));
    }

    // Of a tablespace: to its tree beside the data directory, wherever that lies.
    [[nodiscard]] static std::string link_of(const Path& path, const std::string& name) {
        const std::string prefix = "data/" + std::string(spaces);
        if (name.starts_with(prefix) && name.find('/', prefix.size()) == name.npos)
            return "../../" + name.substr(prefix.size());
        std::string target = std::filesystem::read_symlink(path).string();
        if (stays_inside(name, target)) return target;
        throw Error(ErrorCode::not_supported, "a link leads out of the backup, to " + target, path.string(),
                    "what it leads to is not part of the backup, which cannot stand for itself elsewhere");
    }

    [[nodiscard]] static std::string name_in_manifest(const std::string& name) {
        if (name.starts_with("data/")) return name.substr(5);
        return std::string(spaces) + name;
    }

    void check_space() const {
        struct statvfs status {};
        if (options_.codec != config::Codec::none || ::statvfs(options_.directory.c_str(), &status) != 0) return;
        const std::uint64_t free = static_cast<std::uint64_t>(status.f_bavail) * status.f_frsize;
        if (free >= header_.bytes) return;
        throw Error(ErrorCode::no_space, fmt::format("{} bytes are needed and {} are free", header_.bytes, free),
                    options_.directory.string(), "make room, choose another directory, or try --compression zstd");
    }

    void put_text(std::string_view name, const std::string& text) {
        Entry entry;
        entry.path = name;
        entry.mode = 0640;
        entry.size = text.size();
        entry.sha256 = sha256_of(text);
        tar_.begin(entry);
        tar_.data(as_byte_span(text));
        list(entry);
    }

    void put(Entry& entry) {
        if (options_.canceled && options_.canceled()) throw Error(ErrorCode::canceled, "the export was canceled");
        tar_.begin(entry);
        if (entry.type == Entry::Type::file) {
            put_file(entry);
            ++exported_.files;
        } else {
            entry.sha256 = sha256_of(entry.link_target);
        }
        list(entry);
    }

    void put_file(Entry& entry) {
        const Path path = catalogue_.backup_path(backup_.backup_id) / entry.path;
        const std::string name = name_in_manifest(entry.path);
        const auto found = manifest_.find(name);
        image::ManifestFile expected{name, entry.size, {}, {}, {}};
        if (found != manifest_.end()) expected = found->second;
        if (expected.size != entry.size)
            damaged(name, fmt::format("has {} bytes, {} in the manifest", entry.size, expected.size));
        const UniqueFd fd = files().open(path, O_RDONLY | O_NOFOLLOW);
        ::posix_fadvise(fd.get(), 0, 0, POSIX_FADV_SEQUENTIAL);
        verify::FileCheck check(backup_, expected);
        entry.sha256 = copy(fd.get(), path, entry.size, [&check](ByteSpan bytes) { check.add(bytes); });
        if (const auto finding = check.finish()) damaged(name, finding->what);
    }

    // The bytes of a file into the archive; their SHA-256.
    std::string copy(int fd, const Path& path, std::uint64_t size, const std::function<void(ByteSpan)>& look) {
        image::Sha256 hash;
        std::uint64_t left = size;
        while (left > 0) {
            if (options_.canceled && options_.canceled()) throw Error(ErrorCode::canceled, "the export was canceled");
            const ssize_t got = ::read(fd, buffer_.data(), std::min<std::uint64_t>(left, buffer_.size()));
            if (got < 0 && errno == EINTR) continue;
            if (got < 0 && errno == EIO) damaged(path.string(), "cannot be read: its file system says it is damaged");
            if (got < 0) throw Error::from_errno(errno, "cannot read file", path.string());
            if (got == 0) damaged(path.string(), "became shorter while it was read");
            const ByteSpan bytes(buffer_.data(), static_cast<std::size_t>(got));
            hash.add(text_of(bytes));
            look(bytes);
            tar_.data(bytes);
            left -= bytes.size();
            done_ += bytes.size();
            if (options_.advance) options_.advance(done_);
        }
        return hash.hex();
    }

    void put_wal() {
        Entry folder;
        folder.type = Entry::Type::directory;
        folder.path = wal_folder;
        folder.mode = 0750;
        put(folder);
        if (backup_.timeline > 1) {
            const std::string history = wal::history_name(backup_.timeline);
            if (wal::find_now(server_, history, false)) put_wal_file(history);
        }
        for (const std::string& name : wal_names_) put_wal_file(name);
    }

    void list(const Entry& entry) {
        index_ += entry.index_line();
        if (index_.size() <= largest_index) return;
        throw Error(ErrorCode::not_supported, "the backup has more files than an export can hold", backup_.backup_id);
    }

    // By way of a file without a name: it is proven as it is taken out of the archive, and has its size then.
    void put_wal_file(const std::string& name) {
        UnfinishedFile scratch(options_.directory / fmt::format(".{}.{}.tmp", name, ::getpid()));
        wal::ServeOptions how;
        if (backup_.systemid != 0) how.system_identifier = backup_.systemid;
        if (!wal::serve_to(server_, name, how, scratch.fd(), scratch.path())) {
            throw Error(ErrorCode::no_such_wal, "WAL that the backup needs is missing, or not finished", name,
                        "where it is the newest: cofferctl switch-wal " + server_.name + ", and try again");
        }
        struct stat status {};
        if (::fstat(scratch.fd(), &status) != 0 || ::lseek(scratch.fd(), 0, SEEK_SET) != 0)
            throw Error::from_errno(errno, "cannot look at file", scratch.path().string());
        Entry entry;
        entry.path = fmt::format("{}/{}", wal_folder, name);
        entry.mode = 0640;
        entry.size = static_cast<std::uint64_t>(status.st_size);
        // The age of WAL is judged by it.
        if (const auto held = wal::find_now(server_, name, false)) {
            struct stat source {};
            if (::stat(held->path.c_str(), &source) == 0) entry.modified_ns = time_of(source);
        }
        tar_.begin(entry);
        entry.sha256 = copy(scratch.fd(), scratch.path(), entry.size, [](ByteSpan) {});
        list(entry);
        ++exported_.wal_files;
    }

    [[noreturn]] void damaged(const std::string& name, const std::string& what) const {
        throw Error(ErrorCode::corrupt, fmt::format("the backup is damaged and is not exported: {} {}", name, what),
                    backup_.backup_id,
                    fmt::format("cofferctl verify-backup {} {} names all of it; export another backup", server_.name,
                                backup_.backup_id));
    }

    const config::Server& server_;
    const catalogue::BackupInfo& backup_;
    const ExportOptions& options_;
    const catalogue::Catalogue catalogue_;
    const verify::BackupFiles files_;
    UnfinishedFile file_;
    TarWriter tar_;
    bool known_ = false;  // there is a manifest
    std::unordered_map<std::string, image::ManifestFile> manifest_;
    std::vector<Entry> entries_;
    std::vector<std::string> wal_names_;
    std::uint64_t total_ = 0, done_ = 0;
    std::vector<std::byte> buffer_ = std::vector<std::byte>(piece);
    Header header_;
    std::string index_;
    Exported exported_;
};

}  // namespace

Exported export_backup(const config::Server& server, const catalogue::BackupInfo& backup,
                       const ExportOptions& options) {
    if (backup.status != catalogue::BackupStatus::done) {
        throw Error(ErrorCode::refused,
                    fmt::format("a backup that is {} is not exported", catalogue::name_of(backup.status)),
                    backup.backup_id, "choose one that is DONE");
    }
    std::error_code error;
    if (!std::filesystem::is_directory(options.directory, error))
        throw Error(ErrorCode::invalid_argument, "this is no directory", options.directory.string());
    return Export(server, backup, options).run();
}

}  // namespace coffer::transfer
