#include "services/job/import_run.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>

#include <fmt/format.h>

#include "lib/base/error.h"
#include "lib/base/log.h"
#include "lib/base/owner.h"
#include "lib/bus/bus.h"
#include "lib/catalogue/catalogue.h"
#include "lib/config/catalogue_version.h"
#include "lib/transfer/unpack.h"
#include "services/job/image_start.h"

namespace coffer::job {
namespace {

bus::Target archived_server(const std::string& server) {
    return {"org.pgcoffer.Archiver1", bus::encode_path("/org/pgcoffer/Archiver1/server", server).value,
            "org.pgcoffer.Archiver1.Server"};
}

class ImportRun {
  public:
    ImportRun(const config::Server& server, UniqueFd file, Path path, ProgressReporter& progress, int stop_fd)
        : server_(server),
          file_(std::move(file)),
          path_(std::move(path)),
          progress_(progress),
          stop_fd_(stop_fd),
          catalogue_(server) {}

    Imported run() {
        require_archiver();
        transfer::Unpacker unpacker([this] { return pull(); }, path_.string());
        id_ = unpacker.header().backup_id;
        require_same_system(unpacker.header());
        if (!name().starts_with(fmt::format("{}-{}-", unpacker.header().server, id_))) refuse_name();
        if (is_there()) return {id_, true, 0};
        require_space(unpacker.header().bytes);
        catalogue_.create_directories();
        catalogue::LockFile lock = catalogue_.begin_import(id_);
        kill_point("job.import.begun");
        try {
            take(unpacker);
        } catch (...) {
            lock.release();
            discard();
            throw;
        }
        return {id_, false, unpacker.header().bytes};
    }

  private:
    ByteSpan pull() {
        for (;;) {
            const ssize_t got = ::read(file_.get(), buffer_.data(), buffer_.size());
            if (got >= 0) return {buffer_.data(), static_cast<std::size_t>(got)};
            if (errno != EINTR) throw Error::from_errno(errno, "cannot read file", path_.string());
        }
    }

    // It does the last step, and nobody should wait for it in vain.
    void require_archiver() {
        try {
            bus_ = bus::Bus::open_system();
            const auto state = bus_->get_property<std::string>(archived_server(server_.name), "State");
            if (state == "misconfigured")
                throw Error(ErrorCode::invalid_configuration, "the server is misconfigured", server_.name,
                            "see cofferctl check");
        } catch (const Error& error) {
            if (error.code() == ErrorCode::invalid_configuration) throw;
            throw error.within("the archiver cannot be asked")
                .with_remedy("start it (systemctl start coffer-archiver): it owns the archive that the WAL goes into");
        }
    }

    void require_same_system(const transfer::Header& header) const {
        const auto identity = catalogue_.identity();
        if (!identity || identity->systemid == header.systemid) return;
        throw Error(ErrorCode::server_mismatch,
                    fmt::format("the backup is of system {}, but this catalogue belongs to {}", header.systemid,
                                identity->systemid),
                    server_.name, "import it under the name of another server");
    }

    // From this very file?
    [[nodiscard]] bool is_there() const {
        if (!catalogue_.find(id_)) return false;
        const auto extra = catalogue_.extra(id_);
        return extra && !extra->imported_from.empty() && extra->imported_from == name();
    }

    void require_space(std::uint64_t bytes) const {
        struct statvfs status {};
        Path place = server_.basebackups_directory;
        std::error_code error;
        while (!std::filesystem::exists(place, error) && place.has_relative_path()) place = place.parent_path();
        if (::statvfs(place.c_str(), &status) != 0)
            throw Error::from_errno(errno, "cannot look at file system", place.string());
        const std::uint64_t free = static_cast<std::uint64_t>(status.f_bavail) * status.f_frsize;
        if (free >= bytes) return;
        throw Error(ErrorCode::no_space, fmt::format("{} bytes are needed and {} are free", bytes, free),
                    place.string(), "make room, or delete backups that are not needed");
    }

    void take(transfer::Unpacker& unpacker) {
        const Path place = catalogue_.backup_path(id_);
        // Opened before anything is written, so that syncfs tells of every write that failed since.
        const UniqueFd directory = files().open(place, O_RDONLY | O_DIRECTORY);
        progress_.phase("import", "importing the backup", unpacker.header().bytes);
        unpacker.unpack(place, [this](std::uint64_t done) {
            progress_.advance(done);
            check_stop(stop_fd_);
        });
        kill_point("job.import.unpacked");
        if (transfer::stem_of(unpacker.header(), unpacker.index_hash()) != name()) refuse_name();
        progress_.phase("sync", "writing everything to disk");
        seal_image(place);
        files().sync_file_system(directory.get(), place);
        record(unpacker);
        check_stop(stop_fd_);
        progress_.phase("wal", "the archiver takes the WAL");
        bus::Message request = bus_->new_call(archived_server(server_.name), "AdoptBackup");
        request.append(id_, bus::Options{});
        (void)bus_->call(request, std::chrono::hours(1));
        progress_.end_line();
    }

    void record(const transfer::Unpacker& unpacker) const {
        catalogue::BackupInfo info = unpacker.backup();
        info.server_name = server_.name;
        info.deduplicated_size = info.size;
        catalogue::Extra extra = unpacker.extra().value_or(catalogue::Extra{});
        extra.base.clear();
        extra.clone.clear();
        extra.imported_from = name();
        catalogue_.record_import(info, extra);
    }

    // Whatever the archiver did not make visible.
    void discard() const noexcept {
        try {
            if (catalogue_.is_hidden(id_)) (void)catalogue_.finish_removals();
        } catch (const std::exception& error) {
            log_warning("what was imported of backup {} is removed later: {}", id_, error.what());
        }
    }

    // Of the file, without its endings.
    [[nodiscard]] std::string name() const {
        const std::string file = path_.filename().string();
        return file.substr(0, file.rfind(".tar"));
    }

    [[noreturn]] void refuse_name() const {
        throw Error(ErrorCode::refused, "the name of this file is not the one that its content has", path_.string(),
                    "give it the name again that export-backup gave it, or copy it again: one of the two was altered");
    }

    const config::Server& server_;
    UniqueFd file_;
    const Path path_;
    ProgressReporter& progress_;
    const int stop_fd_;
    const catalogue::Catalogue catalogue_;
    std::optional<bus::Bus> bus_;
    std::string id_;
    std::vector<std::byte> buffer_ = std::vector<std::byte>(1 << 20);
};

}  // namespace

Imported import_backup(const JobRequest& request, ProgressReporter& progress) {
    const config::Config config = config::load(config::find_config_file(request.config));
    const config::Server& server = config.server(request.server);
    config::require_known_catalogue(server);
    const Path path = request.options.text("tarball").value_or("");
    UniqueFd file = files().open(path, O_RDONLY);
    become_owner_of(server.backup_directory);
    try {
        return ImportRun(server, std::move(file), path, progress, request.stop_fd).run();
    } catch (const Error& error) {
        if (error.code() != ErrorCode::corrupt || !error.remedy().empty()) throw;
        throw error.within("the export cannot be read: " + path.string())
            .with_remedy("copy it again from where it was exported, or export the backup anew");
    }
}

}  // namespace coffer::job
