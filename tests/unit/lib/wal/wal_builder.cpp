#include "tests/unit/lib/wal/wal_builder.h"

#include <algorithm>

#include "lib/base/crc32c.h"

namespace coffer::test {
namespace {

constexpr std::size_t page = 8192;

template <typename Number>
void number(std::string& to, Number value) {
    to.append(reinterpret_cast<const char*>(&value), sizeof value);
}

std::uint16_t magic_of(std::uint32_t version) {
    switch (version) {
        case 13:
            return 0xD106;
        case 14:
            return 0xD10D;
        case 15:
            return 0xD110;
        case 16:
            return 0xD113;
        case 17:
            return 0xD116;
        default:
            return 0xD118;
    }
}

// Microseconds since 2000-01-01.
std::int64_t timestamp(WallTime time) {
    return time.time_since_epoch().count() - 946684800LL * 1000000;
}

std::string text_of(WallTime time) {
    std::string data;
    number(data, timestamp(time));
    return data;
}

}  // namespace

WalBuilder::WalBuilder(const WalOptions& options)
    : options_(options), timeline_(options.first.timeline), begin_(options.first.begin(options.size)) {}

void WalBuilder::page_header(std::size_t remaining) {
    const Lsn at = position();
    const bool first = at.value % options_.size.bytes() == 0;
    number(bytes_, magic_of(options_.major_version));
    number(bytes_, static_cast<std::uint16_t>((remaining != 0 ? 1 : 0) | (first ? 2 : 0) | (overwrite_ ? 8 : 0)));
    number(bytes_, timeline_);
    number(bytes_, at.value);
    number(bytes_, static_cast<std::uint32_t>(remaining));
    number(bytes_, std::uint32_t{0});
    if (first) {
        number(bytes_, options_.system_identifier);
        number(bytes_, static_cast<std::uint32_t>(options_.size.bytes()));
        number(bytes_, static_cast<std::uint32_t>(page));
    }
    overwrite_ = false;
}

void WalBuilder::put(std::string_view bytes, std::size_t remaining_after) {
    bool begun = false;
    while (!bytes.empty()) {
        if (bytes_.size() % page == 0) page_header(begun ? bytes.size() + remaining_after : 0);
        const std::size_t count = std::min(bytes.size(), page - bytes_.size() % page);
        bytes_.append(bytes.substr(0, count));
        bytes.remove_prefix(count);
        begun = true;
    }
}

std::string WalBuilder::encode(std::uint8_t rmid, std::uint8_t info, std::uint32_t xid,
                               std::string_view main_data) const {
    std::string body;
    if (!main_data.empty() && main_data.size() < 256) {
        body.push_back('\xFF');
        body.push_back(static_cast<char>(main_data.size()));
    } else if (!main_data.empty()) {
        body.push_back('\xFE');
        number(body, static_cast<std::uint32_t>(main_data.size()));
    }
    body += main_data;
    std::string header;
    number(header, static_cast<std::uint32_t>(24 + body.size()));
    number(header, xid);
    number(header, previous_.value);
    number(header, info);
    number(header, rmid);
    number(header, std::uint16_t{0});
    const std::uint32_t crc = crc32c(as_byte_span(header), crc32c(as_byte_span(body)));
    number(header, crc);
    return header + body;
}

Lsn WalBuilder::record(std::uint8_t rmid, std::uint8_t info, std::uint32_t xid, std::string_view main_data) {
    if (bytes_.size() % page == 0) page_header(0);
    const Lsn start = position();
    const std::string whole = encode(rmid, info, xid, main_data);
    put(whole, 0);
    bytes_.resize((bytes_.size() + 7) / 8 * 8);
    previous_ = start;
    return start;
}

Lsn WalBuilder::filler(std::size_t main_data_bytes) {
    std::string data(main_data_bytes, '\0');
    for (std::size_t i = 0; i < data.size(); ++i) data[i] = static_cast<char>(i * 31 + 7);
    return record(10, 0, 700, data);
}

Lsn WalBuilder::commit(std::uint32_t xid, WallTime time) {
    return record(1, 0x00, xid, text_of(time));
}
Lsn WalBuilder::abort(std::uint32_t xid, WallTime time) {
    return record(1, 0x20, xid, text_of(time));
}

std::string WalBuilder::twophase(std::uint32_t xid, WallTime time, bool commit) const {
    const bool has_stats = options_.major_version >= 15;
    std::string data = text_of(time);
    number(data, std::uint32_t{1 | 2 | 4 | 16 | 128} | (commit ? 8 : 0) | (has_stats ? 256 : 0));
    data.append(8, '\1');  // database, tablespace
    const auto list = [&data](std::int32_t count, std::size_t item) {
        number(data, count);
        data.append(static_cast<std::size_t>(count) * item, '\2');
    };
    list(3, 4);   // subtransactions
    list(2, 12);  // dropped relations
    if (has_stats) list(2, options_.major_version >= 18 ? 16 : 12);
    if (commit) list(1, 16);  // invalidations
    number(data, xid);
    return data + std::string("name\0", 5);
}

Lsn WalBuilder::commit_prepared(std::uint32_t xid, WallTime time) {
    return record(1, 0xB0, 0, twophase(xid, time, true));
}
Lsn WalBuilder::abort_prepared(std::uint32_t xid, WallTime time) {
    return record(1, 0xC0, 0, twophase(xid, time, false));
}

Lsn WalBuilder::restore_point(std::string_view name, WallTime time) {
    std::string data = text_of(time) + std::string(name);
    data.resize(8 + 64);
    return record(0, 0x70, 0, data);
}

Lsn WalBuilder::checkpoint(std::chrono::sys_seconds time) {
    std::string data(88, '\0');
    const std::int64_t seconds = time.time_since_epoch().count();
    data.replace(8, 4, reinterpret_cast<const char*>(&timeline_), 4);
    data.replace(12, 4, reinterpret_cast<const char*>(&timeline_), 4);
    data.replace(64, 8, reinterpret_cast<const char*>(&seconds), 8);
    return record(0, 0x10, 0, data);
}

Lsn WalBuilder::switch_segment() {
    const Lsn start = record(0, 0x40, 0, {});
    const std::size_t segment_bytes = options_.size.bytes();
    bytes_.resize((bytes_.size() + segment_bytes - 1) / segment_bytes * segment_bytes);
    return start;
}

Lsn WalBuilder::abandon(std::size_t main_data_bytes) {
    if (bytes_.size() % page == 0) page_header(0);
    const Lsn start = position();
    const std::string whole = encode(10, 0, 700, std::string(main_data_bytes, 'a'));
    const std::size_t written = std::min(whole.size() - 1, page - bytes_.size() % page);
    put(std::string_view(whole).substr(0, written), whole.size() - written);
    bytes_.resize((bytes_.size() + page - 1) / page * page);
    overwrite_ = true;
    return start;
}

void WalBuilder::fill_segment() {
    const std::uint64_t number = position().value / options_.size.bytes();
    while (position().value / options_.size.bytes() == number) filler(1000);
}

std::string WalBuilder::segment(std::uint64_t number) const {
    const std::size_t size = options_.size.bytes();
    const std::size_t from = (number - options_.first.number) * size;
    std::string result = from < bytes_.size() ? bytes_.substr(from, size) : std::string();
    result.resize(size);
    return result;
}

}  // namespace coffer::test
