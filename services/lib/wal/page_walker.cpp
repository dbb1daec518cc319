#include "lib/wal/page_walker.h"

#include <algorithm>

#include <fmt/format.h>

#include "lib/base/crc32c.h"
#include "lib/wal/little_endian.h"

namespace coffer::wal {
namespace {

bool all_zero(ByteSpan bytes) noexcept {
    // Comparing with itself, shifted by one, lets the C library's fast compare do it.
    return bytes.empty() ||
           (bytes[0] == std::byte{0} && std::memcmp(bytes.data(), bytes.data() + 1, bytes.size() - 1) == 0);
}

}  // namespace

bool PageWalker::stop_here(Stop why, Lsn at, std::string what) {
    stop_ = why;
    stopped_at_ = Damage{at, std::move(what)};
    return false;
}

void PageWalker::page(ByteSpan bytes, const Expected& expected, Lsn address) {
    if (stop_ != Stop::none || switched_) return;
    const auto header = read_page_header(bytes);
    if (all_zero(bytes.first(std::min(bytes.size(), short_header_size)))) {
        stop_here(Stop::zeros, address, "page header: empty");
        return;
    }
    if (!header) {
        stop_here(Stop::short_data, address + bytes.size(), "the data ends within a page header");
        return;
    }
    if (const std::string fault = fault_of(*header, expected, address, timeline_); !fault.empty()) {
        stop_here(Stop::damage, address, "page header: " + fault);
        return;
    }
    timeline_ = header->timeline;
    major_version_ = major_version_of(header->magic);
    if (!enter(*header, address)) return;

    std::size_t offset = header->size();
    for (;;) {
        if (remaining_ == 0 && (offset == page_size || !begin_record(bytes, offset, address + offset))) return;
        const ByteSpan fragment = bytes.subspan(offset, std::min<std::size_t>(remaining_, bytes.size() - offset));
        take(fragment);
        const std::size_t end = offset + fragment.size();
        if (header_bytes_ == record_header_size && !header_is_plausible()) return;
        offset = remaining_ == 0 ? align8(end) : end;
        if (offset > bytes.size() || (remaining_ != 0 && bytes.size() < page_size)) {
            stop_here(Stop::short_data, address + bytes.size(), "the data ends within a record");
            return;
        }
        if (remaining_ != 0) return;
        if (!finish_record(fragment, address + offset)) return;
        if (switched_) return;
    }
}

// Do the page and the record under way agree about whether it goes on?
bool PageWalker::enter(const PageHeader& header, Lsn address) {
    const bool first = std::exchange(first_page_, false);
    if (header.has(PageHeader::continues_record)) {
        if (first) {
            tail_only_ = true;
            start_ = Lsn{};
            remaining_ = header.remaining;
        }
        if (header.remaining == 0 || header.remaining != remaining_) {
            return stop_here(
                Stop::damage, address,
                fmt::format("page header: {} bytes of a continued record instead of {}", header.remaining, remaining_));
        }
        return true;
    }
    if (remaining_ == 0) return true;
    if (!header.has(PageHeader::overwrites_record)) {
        return stop_here(Stop::damage, address, "page header: the record begun before does not go on here");
    }
    remaining_ = 0;  // given up by a crash of the server; the records go on with the one that says so
    return true;
}

bool PageWalker::begin_record(ByteSpan bytes, std::size_t offset, Lsn at) {
    if (bytes.size() < offset + sizeof(std::uint32_t)) {
        return stop_here(Stop::short_data, at, "the data ends where a record should begin");
    }
    const std::uint32_t length = load32(bytes, offset);
    if (length == 0) return stop_here(Stop::zeros, at, "record: empty");
    if (length < record_header_size || length > largest_record) {
        return stop_here(Stop::damage, at, fmt::format("record: impossible length {}", length));
    }
    start_ = at;
    remaining_ = length;
    tail_only_ = false;
    header_bytes_ = 0;
    crc_ = 0;
    kept_.clear();
    return true;
}

void PageWalker::take(ByteSpan fragment) {
    remaining_ -= static_cast<std::uint32_t>(fragment.size());
    if (tail_only_) {
        rest_.size += fragment.size();
        rest_.crc32c = crc32c(fragment, rest_.crc32c);
        return;
    }
    if (header_bytes_ < record_header_size) {
        const std::size_t count = std::min(record_header_size - header_bytes_, fragment.size());
        std::memcpy(raw_header_.data() + header_bytes_, fragment.data(), count);
        header_bytes_ += count;
        fragment = fragment.subspan(count);
        if (header_bytes_ == record_header_size) header_ = read_record_header(raw_header_);
    }
    crc_ = crc32c(fragment, crc_);
    const bool within_one_page = remaining_ == 0 && kept_.empty();
    if (!within_one_page && header_bytes_ == record_header_size && keep_[header_.rmid]) {
        kept_.insert(kept_.end(), fragment.begin(), fragment.end());
    }
}

// Cheap, and possible before the CRC is: also for a record that ends in a segment which is not here.
bool PageWalker::header_is_plausible() {
    if (tail_only_) return true;
    const bool right = last_start_ ? header_.previous == *last_start_ : header_.previous < start_;
    if (right) return true;
    remaining_ = 0;
    return stop_here(Stop::damage, start_,
                     fmt::format("record: the one before is said to be at {}", header_.previous.to_string()));
}

// in_place: the record's last fragment.
bool PageWalker::finish_record(ByteSpan in_place, Lsn end) {
    if (std::exchange(tail_only_, false)) {
        valid_end_ = end;
        rest_.ends = true;
        return true;
    }
    const std::uint32_t crc = crc32c(ByteSpan(raw_header_).first(record_header_size - sizeof header_.crc), crc_);
    if (crc != header_.crc) return stop_here(Stop::damage, start_, "record: CRC is wrong");
    valid_end_ = end;
    last_start_ = start_;
    switched_ = is_switch(header_);

    RecordView view{start_, end, header_.xid, header_.rmid, header_.info, major_version_, {}};
    if (keep_[header_.rmid]) {
        const std::size_t size = header_.total_length - record_header_size;
        view.payload = kept_.empty() && size <= in_place.size() ? in_place.last(size) : ByteSpan(kept_);
    }
    if (handler_ && !handler_(view)) return stop_here(Stop::handler, end, "no more records were wanted");
    return true;
}

}  // namespace coffer::wal
