#include "lib/wal/record.h"

#include "lib/wal/little_endian.h"

namespace coffer::wal {
namespace {

constexpr std::uint8_t info_mask = 0xF0;
constexpr std::uint8_t info_switch = 0x40;

// Identifiers of the parts of a record; smaller ones number its blocks.
constexpr std::uint8_t id_data_short = 255;
constexpr std::uint8_t id_data_long = 254;
constexpr std::uint8_t id_origin = 253;
constexpr std::uint8_t id_toplevel_xid = 252;
constexpr std::uint8_t largest_block_id = 32;

// Bits of a block's fork flags.
constexpr std::uint8_t fork_mask = 0x0F;
constexpr std::uint8_t block_has_image = 0x10;
constexpr std::uint8_t block_will_init = 0x40;
constexpr std::uint8_t block_same_relation = 0x80;

// Bits of a block image's info. PostgreSQL 15 gave those of compression new places.
constexpr std::uint8_t image_has_hole = 0x01;
constexpr std::uint8_t image_compressed_14 = 0x02, image_apply_14 = 0x04, image_apply_15 = 0x02;
constexpr std::uint8_t image_compressed_15 = 0x04 | 0x08 | 0x10;

// Length of the block header that begins behind its identifier; nullopt when the bytes end before.
std::optional<std::size_t> block_header_length(ByteSpan bytes, std::uint32_t major_version) noexcept {
    if (bytes.size() < 3) return std::nullopt;
    const std::uint8_t flags = load8(bytes, 0);
    std::size_t length = 3;  // flags, data length
    if ((flags & block_has_image) != 0) {
        if (bytes.size() < length + 5) return std::nullopt;
        const std::uint8_t image = load8(bytes, length + 4);
        const std::uint8_t compressed = major_version >= 15 ? image_compressed_15 : image_compressed_14;
        length += 5;                                                                  // length, hole offset, info
        if ((image & image_has_hole) != 0 && (image & compressed) != 0) length += 2;  // hole length
    }
    if ((flags & block_same_relation) == 0) length += 12;  // tablespace, database, relation
    return length + 4;                                     // block number
}

// The last bytes of the payload, as many as the data header says.
std::optional<ByteSpan> last_bytes(ByteSpan payload, std::size_t behind_header, std::uint32_t count) noexcept {
    if (behind_header > payload.size() || count > payload.size() - behind_header) return std::nullopt;
    return payload.last(count);
}

}  // namespace

RecordHeader read_record_header(const RawRecordHeader& raw) noexcept {
    const ByteSpan bytes(raw);
    RecordHeader header;
    header.total_length = load32(bytes, 0);
    header.xid = load32(bytes, 4);
    header.previous = Lsn{load64(bytes, 8)};
    header.info = load8(bytes, 16);
    header.rmid = load8(bytes, 17);
    header.crc = load32(bytes, 20);
    return header;
}

bool is_switch(const RecordHeader& header) noexcept {
    return header.rmid == rm_xlog && (header.info & info_mask) == info_switch;
}

std::optional<ByteSpan> RecordView::main_data() const noexcept {
    std::size_t at = 0;
    while (at < payload.size()) {
        const std::uint8_t id = load8(payload, at++);
        const std::size_t left = payload.size() - at;
        if (id == id_data_short) return left < 1 ? std::nullopt : last_bytes(payload, at + 1, load8(payload, at));
        if (id == id_data_long) return left < 4 ? std::nullopt : last_bytes(payload, at + 4, load32(payload, at));
        if (id == id_origin) {
            at += 2;
        } else if (id == id_toplevel_xid) {
            at += 4;
        } else if (id <= largest_block_id) {
            const auto length = block_header_length(payload.subspan(at), major_version);
            if (!length || *length > left) return std::nullopt;
            at += *length;
            if (at == payload.size()) return ByteSpan();
        } else {
            return std::nullopt;
        }
    }
    // A record without main data carries no header for it: what is left behind the block headers is block data, whose
    // first byte could be mistaken for an identifier. Only record kinds that always have main data are asked for it.
    return at == payload.size() ? std::optional(ByteSpan()) : std::nullopt;
}

bool RecordView::for_each_block(const std::function<void(const BlockReference&)>& handle) const {
    BlockReference reference;
    std::size_t at = 0, data = 0;  // data: bytes behind the headers so far
    while (payload.size() - at > data) {
        const std::uint8_t id = load8(payload, at++);
        const std::size_t left = payload.size() - at;
        if (id == id_data_short || id == id_data_long) return true;  // always the last header
        if (id == id_origin || id == id_toplevel_xid) {
            at += id == id_origin ? 2 : 4;
            if (at > payload.size()) return false;
            continue;
        }
        const auto length = block_header_length(payload.subspan(at), major_version);
        if (id > largest_block_id || !length || *length > left) return false;
        const ByteSpan header = payload.subspan(at, *length);
        const std::uint8_t flags = load8(header, 0);
        data += load16(header, 1);
        reference.fork = flags & fork_mask;
        reference.whole = (flags & block_will_init) != 0;
        if ((flags & block_has_image) != 0) {
            data += load16(header, 3);
            const std::uint8_t apply = major_version >= 15 ? image_apply_15 : image_apply_14;
            reference.whole = reference.whole || (load8(header, 7) & apply) != 0;
        }
        if ((flags & block_same_relation) == 0) {
            reference.tablespace = load32(header, *length - 16);
            reference.database = load32(header, *length - 12);
            reference.relation = load32(header, *length - 8);
        }
        reference.block = load32(header, *length - 4);
        handle(reference);
        at += *length;
        if (data > payload.size() - at) return false;
    }
    return payload.size() - at == data;
}

}  // namespace coffer::wal
