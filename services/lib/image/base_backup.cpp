#include "lib/image/base_backup.h"

#include <fcntl.h>
#include <poll.h>

#include <algorithm>

#include <fmt/format.h>

#include "lib/base/error.h"

namespace coffer::image {
namespace {

constexpr std::string_view data_corrupted = "XX001";
constexpr std::uint64_t slowest_kb = 32, fastest_kb = 1048576;  // what MAX_RATE takes

std::string quoted(const std::string& text) {
    std::string out = "'";
    for (const char c : text) out += c == '\'' ? std::string("''") : std::string(1, c);
    return out + "'";
}

class CopyMessages : public MessageSource {
  public:
    CopyMessages(pg::PgConn& conn, const BaseBackup::OnBytes& on_bytes) : conn_(conn), on_bytes_(on_bytes) {}

    void begin_copy() override {
        const pg::PgResult result = after_copy();
        if (result.status() != PGRES_COPY_OUT) {
            throw Error(ErrorCode::protocol, "the server did not begin to send data");
        }
    }

    std::optional<ByteSpan> next() override {
        auto message = conn_.copy_data();
        if (!message) {
            // Looked at here, so that an error of the server comes before complaints about what it cut off.
            following_ = after_copy();
            return std::nullopt;
        }
        message_ = std::move(*message);
        received_ += message_.bytes().size();
        on_bytes_(received_);
        return message_.bytes();
    }

    // What the server says behind a COPY: the next COPY, or rows.
    pg::PgResult after_copy() {
        if (following_) return std::exchange(following_, pg::PgResult());
        pg::PgResult result = conn_.next_result();
        if (!result.ok()) throw result.error("the server ended the base backup");
        return result;
    }

  private:
    pg::PgConn& conn_;
    const BaseBackup::OnBytes& on_bytes_;
    pg::CopyData message_;
    pg::PgResult following_;
    std::uint64_t received_ = 0;
};

Lsn lsn_at(const pg::PgResult& result, int row, int column) {
    const auto lsn = Lsn::parse(result.text(row, column));
    if (!lsn) throw Error(ErrorCode::protocol, "the server sent an LSN that is none");
    return *lsn;
}

pg::PgResult rows_of(pg::PgConn& conn, const char* what) {
    pg::PgResult result = conn.next_result();
    if (!result.ok()) throw result.error(what);
    if (result.status() != PGRES_TUPLES_OK) {
        throw Error(ErrorCode::protocol, std::string(what) + ": the server sent no rows");
    }
    return result;
}

void write_manifest(BackupStream& stream, const Path& path) {
    files().unlink(path);  // a clone's
    const UniqueFd fd = files().open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
    for (ByteSpan data = stream.data(); !data.empty(); data = stream.data()) files().append(fd.get(), data, path);
}

// The blocks of zeros behind an archive, if libarchive left them.
void skip_rest(BackupStream& stream) {
    while (!stream.data().empty()) {
    }
}

}  // namespace

std::string base_backup_command(std::uint32_t major_version, const BaseBackupOptions& options) {
    const std::uint64_t rate = std::clamp(options.max_rate_kb, slowest_kb, fastest_kb);
    if (major_version < 15) {
        return fmt::format(
            "BASE_BACKUP LABEL {} PROGRESS{} NOWAIT{} MANIFEST 'yes' MANIFEST_CHECKSUMS 'CRC32C'"
            "{}",
            quoted(options.label), options.fast_checkpoint ? " FAST" : "",
            options.max_rate_kb != 0 ? fmt::format(" MAX_RATE {}", rate) : "",
            options.server_verifies ? "" : " NOVERIFY_CHECKSUMS");
    }
    return fmt::format(
        "BASE_BACKUP (LABEL {}, PROGRESS, CHECKPOINT '{}', WAIT 0{}, MANIFEST 'yes', MANIFEST_CHECKSUMS "
        "'CRC32C', VERIFY_CHECKSUMS {}{})",
        quoted(options.label), options.fast_checkpoint ? "fast" : "spread",
        options.max_rate_kb != 0 ? fmt::format(", MAX_RATE {}", rate) : "", options.server_verifies ? 1 : 0,
        options.incremental ? ", INCREMENTAL" : "");
}

BaseBackup::BaseBackup(pg::PgConn& conn, const BaseBackupOptions& options) : conn_(conn) {
    if (PQsendQuery(conn_.get(), base_backup_command(conn_.major_version(), options).c_str()) == 0) {
        throw conn_.lost("cannot ask for a base backup");
    }
    while (!conn_.flush()) (void)conn_.wait(POLLOUT, {});
    read_begin();
    read_tablespaces();
}

void BaseBackup::read_begin() {
    const pg::PgResult result = rows_of(conn_, "the server refused a base backup");
    begin_.begin = lsn_at(result, 0, 0);
    begin_.timeline = static_cast<TimelineId>(result.number(0, 1));
}

void BaseBackup::read_tablespaces() {
    const pg::PgResult result = rows_of(conn_, "the server did not list its tablespaces");
    for (int row = 0; row < result.rows(); ++row) {
        TablespaceRow tablespace;
        if (result.value(row, 0)) tablespace.oid = static_cast<std::uint32_t>(result.number(row, 0));
        tablespace.location = std::string(result.value(row, 1).value_or(""));
        if (result.value(row, 2)) tablespace.size = result.number(row, 2) * 1024;
        begin_.estimated_size += tablespace.size;
        begin_.tablespaces.push_back(std::move(tablespace));
    }
}

BaseBackupEnd BaseBackup::receive(TreeWriter& writer, const OnBytes& on_bytes) {
    CopyMessages messages(conn_, on_bytes);
    const auto stream =
        conn_.major_version() < 15 ? stream_of_copies(messages, begin_.tablespaces) : stream_of_messages(messages);
    bool manifest = false;
    while (const auto section = stream->next_section()) {
        if (section->manifest) {
            write_manifest(*stream, writer.data_path() / "backup_manifest");
            manifest = true;
            continue;
        }
        writer.begin_archive(section->tablespace);
        TarReader reader([&stream] { return stream->data(); });
        writer.write(reader);
        skip_rest(*stream);
    }
    if (!manifest) throw Error(ErrorCode::protocol, "the server sent no backup manifest");
    return read_end(messages.after_copy());
}

BaseBackupEnd BaseBackup::read_end(const pg::PgResult& result) {
    if (result.status() != PGRES_TUPLES_OK) {
        throw Error(ErrorCode::protocol, "the server did not say where the base backup ends");
    }
    BaseBackupEnd end{lsn_at(result, 0, 0), static_cast<TimelineId>(result.number(0, 1)), false};
    while (const pg::PgResult rest = conn_.next_result()) {
        // Said when all is sent, of page checksums; everything else that is corrupt ends a backup earlier.
        const bool damage = rest.sqlstate() == data_corrupted;
        end.server_found_damage = end.server_found_damage || damage;
        if (!rest.ok() && !damage) throw rest.error("the server could not end the base backup");
    }
    return end;
}

}  // namespace coffer::image
