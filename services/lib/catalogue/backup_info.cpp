#include "lib/catalogue/backup_info.h"

#include <algorithm>
#include <charconv>
#include <functional>

#include <fmt/format.h>

#include "lib/base/error.h"
#include "lib/catalogue/python_literal.h"

namespace coffer::catalogue {
namespace {

constexpr std::pair<BackupStatus, std::string_view> statuses[] = {
    {BackupStatus::empty, "EMPTY"},
    {BackupStatus::started, "STARTED"},
    {BackupStatus::waiting_for_wals, "WAITING_FOR_WALS"},
    {BackupStatus::done, "DONE"},
    {BackupStatus::failed, "FAILED"},
    {BackupStatus::syncing, "SYNCING"},
};

constexpr std::uint64_t most_segments = 1ULL << 22;  // 64 TB of 16 MB segments

template <typename Number>
bool read_number(std::string_view text, Number& out) {
    const auto got = std::from_chars(text.data(), text.data() + text.size(), out);
    return got.ec == std::errc() && got.ptr == text.data() + text.size();
}

// A plain text or a quoted one.
bool read_text(std::string_view text, std::string& out) {
    if (!text.empty() && (text.front() == '\'' || text.front() == '"')) {
        if (const auto literal = parse_python_literal(text); literal && literal->string()) {
            out = *literal->string();
            return true;
        }
    }
    out = text;
    return true;
}

bool read_lsn(std::string_view text, Lsn& out) {
    const auto lsn = Lsn::parse(text);
    if (lsn) out = *lsn;
    return lsn.has_value();
}

bool read_time(std::string_view text, std::optional<WallTime>& out) {
    std::string plain;
    out = read_text(text, plain) ? parse_time(plain) : std::nullopt;
    return out.has_value();
}

bool read_tablespaces(std::string_view text, std::vector<Tablespace>& out) {
    const auto literal = parse_python_literal(text);
    if (!literal || !literal->sequence()) return false;
    for (const PythonValue& item : *literal->sequence()) {
        const auto* const fields = item.sequence();
        if (!fields || fields->size() != 3) return false;
        const auto *const name = (*fields)[0].string(), *const location = (*fields)[2].string();
        const auto* const oid = (*fields)[1].integer();
        if (!name || !oid || !location || *oid <= 0 || *oid > 0xFFFFFFFF) return false;
        out.push_back({*name, static_cast<std::uint32_t>(*oid), *location});
    }
    return true;
}

std::string_view trim(std::string_view text) {
    const auto first = text.find_first_not_of(" \t\r");
    return first == text.npos ? std::string_view() : text.substr(first, text.find_last_not_of(" \t\r") - first + 1);
}

// The value as plain text, None as empty; quoted where a plain line would not read back the same.
std::string or_none(const std::string& text) {
    if (text.empty()) return "None";
    const bool plain =
        trim(text) == text && text.find_first_of("\n\r") == text.npos && text.front() != '\'' && text.front() != '"';
    return plain ? text : python_string(text);
}

bool read_switch(std::string_view text, bool& out) {
    std::string plain;
    read_text(text, plain);
    out = plain == "on" || plain == "True";
    return out || plain == "off" || plain == "False";
}

bool read_segment_size(std::string_view text, wal::SegmentSize& out) {
    std::uint64_t bytes = 0;
    const auto size = read_number(text, bytes) ? wal::SegmentSize::from_bytes(bytes) : std::nullopt;
    if (size) out = *size;
    return size.has_value();
}

// A key: how its value is read and written. Written in this order, which is alphabetical as Barman's is.
struct Key {
    std::string_view name;
    bool known_to_3_4;
    std::function<bool(std::string_view, BackupInfo&)> read;
    std::function<std::string(const BackupInfo&)> write;
};

Key text_key(std::string_view name, std::string BackupInfo::*member) {
    return {name, true, [member](std::string_view text, BackupInfo& info) { return read_text(text, info.*member); },
            [member](const BackupInfo& info) { return or_none(info.*member); }};
}

// The name of a segment: retention and completion count on it.
Key segment_key(std::string_view name, std::string BackupInfo::*member) {
    Key key = text_key(name, member);
    key.read = [member, read = key.read](std::string_view text, BackupInfo& info) {
        if (!read(text, info)) return false;
        const std::string& value = info.*member;
        return value.empty() || (value.size() == 24 && value.find_first_not_of("0123456789ABCDEF") == value.npos);
    };
    return key;
}

Key quoted_key(std::string_view name, std::string BackupInfo::*member) {
    Key key = text_key(name, member);
    key.write = [member](const BackupInfo& info) {
        return (info.*member).empty() ? std::string("None") : python_string(info.*member);
    };
    return key;
}

template <typename Number>
Key number_key(std::string_view name, Number BackupInfo::*member) {
    return {name, true, [member](std::string_view text, BackupInfo& info) { return read_number(text, info.*member); },
            [member](const BackupInfo& info) { return info.*member == 0 ? "None" : fmt::format("{}", info.*member); }};
}

Key lsn_key(std::string_view name, Lsn BackupInfo::*member) {
    return {name, true, [member](std::string_view text, BackupInfo& info) { return read_lsn(text, info.*member); },
            [member](const BackupInfo& info) { return (info.*member).valid() ? (info.*member).to_string() : "None"; }};
}

// The offset in its segment is derived from the LSN.
Key offset_key(std::string_view name, Lsn BackupInfo::*member) {
    return {name, true, [](std::string_view, BackupInfo&) { return true; },
            [member](const BackupInfo& info) {
                const Lsn lsn = info.*member;
                return lsn.valid() ? fmt::format("{}", lsn.value % info.xlog_segment_size.bytes())
                                   : std::string("None");
            }};
}

Key time_key(std::string_view name, std::optional<WallTime> BackupInfo::*member) {
    return {name, true, [member](std::string_view text, BackupInfo& info) { return read_time(text, info.*member); },
            [member](const BackupInfo& info) { return info.*member ? format_time(*(info.*member)) : "None"; }};
}

std::string write_tablespaces(const BackupInfo& info) {
    if (info.tablespaces.empty()) return "None";
    std::string text = "[";
    for (const Tablespace& one : info.tablespaces) {
        if (text.size() > 1) text += ", ";
        text += fmt::format("({}, {}, {})", python_string(one.name), one.oid, python_string(one.location));
    }
    return text + "]";
}

Key status_key() {
    return {"status", true,
            [](std::string_view text, BackupInfo& info) {
                const auto status = status_named(text);
                if (status) info.status = *status;
                return status.has_value();
            },
            [](const BackupInfo& info) { return std::string(name_of(info.status)); }};
}

// None says nothing, and neither does an empty text: the mode stays what it is without the key.
Key mode_key() {
    Key key = text_key("mode", &BackupInfo::mode);
    key.read = [](std::string_view text, BackupInfo& info) {
        std::string mode;
        read_text(text, mode);
        if (!mode.empty() && mode != "None") info.mode = mode;
        return true;
    };
    return key;
}

// An error is one line for whoever reads it with grep.
Key error_key() {
    Key key = text_key("error", &BackupInfo::error);
    key.write = [](const BackupInfo& info) {
        std::string line = info.error;
        std::replace_if(
            line.begin(), line.end(), [](char c) { return c == '\n' || c == '\r'; }, ' ');
        return or_none(std::string(trim(line)));
    };
    return key;
}

const std::vector<Key>& keys() {
    static const std::vector<Key> all{
        quoted_key("backup_label", &BackupInfo::backup_label),
        text_key("backup_name", &BackupInfo::backup_name),
        offset_key("begin_offset", &BackupInfo::begin_xlog),
        time_key("begin_time", &BackupInfo::begin_time),
        segment_key("begin_wal", &BackupInfo::begin_wal),
        lsn_key("begin_xlog", &BackupInfo::begin_xlog),
        text_key("config_file", &BackupInfo::config_file),
        {"data_checksums", false,
         [](std::string_view text, BackupInfo& info) { return read_switch(text, info.data_checksums); },
         [](const BackupInfo& info) { return std::string(info.data_checksums ? "on" : "off"); }},
        number_key("deduplicated_size", &BackupInfo::deduplicated_size),
        offset_key("end_offset", &BackupInfo::end_xlog),
        time_key("end_time", &BackupInfo::end_time),
        segment_key("end_wal", &BackupInfo::end_wal),
        lsn_key("end_xlog", &BackupInfo::end_xlog),
        error_key(),
        text_key("hba_file", &BackupInfo::hba_file),
        text_key("ident_file", &BackupInfo::ident_file),
        text_key("included_files", &BackupInfo::included_files),
        mode_key(),
        text_key("pgdata", &BackupInfo::pgdata),
        text_key("server_name", &BackupInfo::server_name),
        number_key("size", &BackupInfo::size),
        status_key(),
        number_key("systemid", &BackupInfo::systemid),
        {"tablespaces", true,
         [](std::string_view text, BackupInfo& info) { return read_tablespaces(text, info.tablespaces); },
         write_tablespaces},
        number_key("timeline", &BackupInfo::timeline),
        number_key("version", &BackupInfo::version),
        {"xlog_segment_size", true,
         [](std::string_view text, BackupInfo& info) { return read_segment_size(text, info.xlog_segment_size); },
         [](const BackupInfo& info) { return fmt::format("{}", info.xlog_segment_size.bytes()); }},
    };
    return all;
}

// Keys without a member that Barman 3.4 knows as well.
bool old_key(std::string_view name) {
    return name == "copy_stats" || name == "compression";
}

void read_line(std::string_view line, int number, BackupInfo& info, std::string_view where) {
    const auto bad = [&](std::string_view what) {
        return Error(ErrorCode::corrupt, fmt::format("line {} of the backup's record {}", number, what),
                     std::string(where), "delete this backup, or mend its record by hand");
    };
    const std::size_t equals = line.find('=');
    if (equals == line.npos) throw bad("is not of the form key=value");
    const std::string_view name = trim(line.substr(0, equals)), value = trim(line.substr(equals + 1));
    const auto key = std::find_if(keys().begin(), keys().end(), [&](const Key& one) { return one.name == name; });
    if (key == keys().end()) {
        info.unknown[std::string(name)] = value;
    } else if (value != "None" && !key->read(value, info)) {
        throw bad(fmt::format("has no valid value for {}", name));
    }
}

}  // namespace

std::string_view name_of(BackupStatus status) noexcept {
    for (const auto& [value, name] : statuses) {
        if (value == status) return name;
    }
    return "EMPTY";
}

std::optional<BackupStatus> status_named(std::string_view name) noexcept {
    for (const auto& [value, known] : statuses) {
        if (known == name) return value;
    }
    return std::nullopt;
}

BackupInfo BackupInfo::parse(std::string_view text, std::string_view backup_id, std::string_view where) {
    BackupInfo info;
    info.backup_id = backup_id;
    int number = 0;
    while (!text.empty()) {
        const std::size_t end = std::min(text.find('\n'), text.size());
        const std::string_view line = trim(text.substr(0, end));
        text.remove_prefix(std::min(end + 1, text.size()));
        ++number;
        if (!line.empty() && line.front() != '#') read_line(line, number, info, where);
    }
    return info;
}

std::string BackupInfo::format(Dialect dialect) const {
    std::map<std::string, std::string> lines;
    for (const char* const absent : {"compression", "copy_stats"}) lines[absent] = "None";
    for (const auto& [name, value] : unknown) {
        if (dialect == Dialect::complete || old_key(name)) lines[name] = value;
    }
    for (const Key& key : keys()) {
        if (dialect == Dialect::complete || key.known_to_3_4) lines[std::string(key.name)] = key.write(*this);
    }
    std::string text;
    for (const auto& [name, value] : lines) text += name + "=" + value + "\n";
    return text;
}

std::vector<wal::Segment> BackupInfo::required_segments() const {
    const auto first = wal::Segment::parse(begin_wal, xlog_segment_size);
    const auto last = wal::Segment::parse(end_wal, xlog_segment_size);
    std::vector<wal::Segment> all;
    if (!first || !last || first->timeline != last->timeline || last->number < first->number) return all;
    if (last->number - first->number > most_segments) {
        throw Error(ErrorCode::corrupt, "the record of the backup asks for an impossible amount of wal", backup_id);
    }
    for (wal::Segment one = *first; one.number <= last->number; one = one.next()) all.push_back(one);
    return all;
}

std::string BackupInfo::parent() const {
    const auto found = unknown.find("parent_backup_id");
    if (found == unknown.end() || found->second == "None") return {};
    std::string id = found->second;
    std::erase_if(id, [](char c) { return c == '\'' || c == '"'; });
    return id;
}

}  // namespace coffer::catalogue
