#include "lib/catalogue/wal_proof.h"

#include <cstring>

#include <fmt/format.h>

#include "lib/base/error.h"
#include "lib/catalogue/catalogue.h"
#include "lib/wal/record_reader.h"

namespace coffer::catalogue {
namespace {

constexpr std::uint8_t kind_mask = 0xF0;  // of a record's info: the rest is for XLogInsert's own use
constexpr std::uint8_t shutdown_checkpoint = 0x00;
constexpr std::uint8_t online_checkpoint = 0x10;
constexpr std::uint8_t backup_end = 0x50;
// pg_control: where the checkpoint lies, and a copy of it; in that (and in its record): when it was made.
constexpr std::uint64_t largest_control = 65536;
constexpr std::size_t control_checkpoint = 32;
constexpr std::size_t control_copy = 40;
constexpr std::size_t checkpoint_time = 64;
// The record of the end lies within so much before it, even where it goes over the end of a segment.
constexpr std::uint64_t end_reach = 8192;

std::optional<std::string> label_value(const std::string& label, std::string_view key) {
    const std::size_t at = label.find(key);
    if (at == label.npos || (at != 0 && label[at - 1] != '\n')) return std::nullopt;
    const std::size_t begin = at + key.size();
    return label.substr(begin, label.find_first_of(" \n", begin) - begin);
}

Lsn first_lsn(ByteSpan data) {
    Lsn lsn;
    if (data.size() >= sizeof lsn.value) std::memcpy(&lsn.value, data.data(), sizeof lsn.value);
    return lsn;
}

class Proof {
  public:
    Proof(const config::Server& server, const BackupInfo& info) : server_(server), info_(info) {
        source_.size = info.xlog_segment_size;
        if (info.systemid != 0) source_.system_identifier = info.systemid;
        source_.major_version = info.version / 10000;
        source_.choose = [this](std::uint64_t number) -> std::optional<wal::ChosenSegment> {
            const wal::Segment segment{info_.timeline, number};
            const auto held = find(segment);
            if (!held) return std::nullopt;
            return wal::ChosenSegment{segment, std::nullopt, wal::is_partial(held->place)};
        };
        source_.load = [this](const wal::Segment& segment, const std::function<void(ByteSpan)>& sink) {
            const auto held = find(segment);
            if (!held) {
                throw Error(ErrorCode::no_such_wal, "the segment was removed while it was to be read",
                            segment.name(info_.xlog_segment_size));
            }
            wal::read_held(server_, *held, sink);
        };
        kinds_.set(wal::rm_xlog);
    }

    // A server that was set back and does the same again has the same records at the same places, but not at the same
    // time.
    void time() const {
        const auto control =
            read_file(Catalogue(server_).data_path(info_.backup_id) / "global/pg_control", largest_control);
        if (!control || control->size() < control_copy + checkpoint_time + sizeof(std::uint64_t)) return;
        const ByteSpan bytes = as_byte_span(*control);
        const Lsn checkpoint = first_lsn(bytes.subspan(control_checkpoint));
        if (checkpoint < info_.begin_xlog || checkpoint >= info_.end_xlog) return;
        const ByteSpan copy = bytes.subspan(control_copy);
        const bool found = has_checkpoint(checkpoint, [&](ByteSpan data) {
            return first_lsn(data) == first_lsn(copy) && data.size() >= checkpoint_time + sizeof(std::uint64_t) &&
                   first_lsn(data.subspan(checkpoint_time)) == first_lsn(copy.subspan(checkpoint_time));
        });
        if (!found) refuse("the checkpoint that its pg_control names", checkpoint);
    }

    void begin() const {
        const auto text = label_value(info_.backup_label, "CHECKPOINT LOCATION: ");
        const auto checkpoint = text ? Lsn::parse(*text) : std::nullopt;
        if (!checkpoint || *checkpoint < info_.begin_xlog) return;
        if (!has_checkpoint(*checkpoint, [this](ByteSpan data) { return first_lsn(data) == info_.begin_xlog; }))
            refuse("the checkpoint that it begins with", *checkpoint);
    }

    void end() const {
        if (label_value(info_.backup_label, "BACKUP FROM: ") != "primary") return;
        const std::uint64_t reach = std::min(end_reach, info_.end_xlog.value - info_.begin_xlog.value);
        bool found = false;
        require_read(Lsn{info_.end_xlog.value - reach}, [&](const wal::RecordView& record) {
            const auto data = record.main_data();
            found |= record.rmid == wal::rm_xlog && (record.info & kind_mask) == backup_end && data &&
                     first_lsn(*data) == info_.begin_xlog;
            return !found && record.end < info_.end_xlog;
        });
        if (!found) refuse("the record of its end", info_.end_xlog);
    }

  private:
    template <typename Fits>
    [[nodiscard]] bool has_checkpoint(Lsn at, const Fits& fits) const {
        bool found = false;
        require_read(at, [&](const wal::RecordView& record) {
            const std::uint8_t kind = record.info & kind_mask;
            const auto data = record.main_data();
            found = record.start == at && record.rmid == wal::rm_xlog &&
                    (kind == online_checkpoint || kind == shutdown_checkpoint) && data && fits(*data);
            return false;
        });
        return found;
    }

    // To where the handler wants no more; what is damaged or missing before that proves nothing.
    void require_read(Lsn from, const wal::RecordHandler& handler) const {
        const wal::ReadEnd end = wal::read_records(source_, from, kinds_, handler);
        if (end.reason == wal::ReadEnd::Reason::handler) return;
        const std::string name = wal::Segment{info_.timeline, end.next_segment}.name(info_.xlog_segment_size);
        if (end.reason == wal::ReadEnd::Reason::missing)
            throw Error(ErrorCode::no_such_wal, "WAL that the backup needs is missing", name);
        throw Error(
            ErrorCode::corrupt,
            fmt::format("WAL that the backup needs is damaged, {}", end.stopped ? end.stopped->what : "it ends early"),
            name, "see errors/ and the server's pg_wal for a good copy, and put it into incoming/");
    }

    [[nodiscard]] std::optional<wal::HeldFile> find(const wal::Segment& segment) const {
        return wal::find_now(server_, segment.name(info_.xlog_segment_size), true);
    }

    [[noreturn]] void refuse(std::string_view what, Lsn at) const {
        throw Error(
            ErrorCode::server_mismatch,
            fmt::format("the WAL that is held here is not that of the backup: {} is not at {}", what, at.to_string()),
            info_.backup_id,
            "the server was set back to an older state; see errors/ and the state of its receiver, move the "
            "WAL of the other history away, and take another backup");
    }

    const config::Server& server_;
    const BackupInfo& info_;
    wal::LogSource source_;
    wal::RecordKinds kinds_;
};

}  // namespace

void prove_wal(const config::Server& server, const BackupInfo& info) {
    if (!info.begin_xlog.valid() || info.end_xlog < info.begin_xlog) return;
    const Proof proof(server, info);
    proof.begin();
    proof.time();
    // Barman's "postgres" backups end where the server was a moment later.
    if (const auto extra = Catalogue(server).extra(info.backup_id); extra && !extra->foreign) proof.end();
}

}  // namespace coffer::catalogue
