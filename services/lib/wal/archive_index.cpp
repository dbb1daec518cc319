#include "lib/wal/archive_index.h"

#include <algorithm>
#include <charconv>
#include <tuple>

#include <fmt/format.h>

namespace coffer::wal {

std::optional<ArchiveIndex::Entry> ArchiveIndex::entry_of(std::string_view name, std::uint64_t stored_size) {
    if (kind_of(name) != FileKind::segment) return std::nullopt;
    Entry entry{0, 0, stored_size};
    std::from_chars(name.data(), name.data() + 8, entry.timeline, 16);
    std::from_chars(name.data() + 8, name.data() + 24, entry.number, 16);
    return entry;
}

std::string ArchiveIndex::name_of(const Entry& entry) {
    return fmt::format("{:08X}{:016X}", entry.timeline, entry.number);
}

bool ArchiveIndex::before(const Entry& a, const Entry& b) noexcept {
    return std::tie(a.timeline, a.number) < std::tie(b.timeline, b.number);
}

void ArchiveIndex::add(std::string_view name, std::uint64_t stored_size) {
    remove(name);
    stored_bytes_ += stored_size;
    if (const auto entry = entry_of(name, stored_size)) {
        segments_.insert(std::upper_bound(segments_.begin(), segments_.end(), *entry, before), *entry);
    } else {
        others_.emplace(name, stored_size);
    }
}

void ArchiveIndex::remove(std::string_view name) {
    if (const auto entry = entry_of(name, 0)) {
        const auto [begin, end] = std::equal_range(segments_.begin(), segments_.end(), *entry, before);
        if (begin == end) return;
        stored_bytes_ -= begin->stored_size;
        segments_.erase(begin);
    } else if (const auto other = others_.find(name); other != others_.end()) {
        stored_bytes_ -= other->second;
        others_.erase(other);
    }
}

void ArchiveIndex::remove_all(const std::vector<std::string>& names) {
    std::vector<Entry> gone;
    for (const std::string& name : names) {
        if (const auto entry = entry_of(name, 0)) {
            gone.push_back(*entry);
        } else {
            remove(name);
        }
    }
    std::sort(gone.begin(), gone.end(), before);
    std::erase_if(segments_, [&](const Entry& entry) {
        const bool goes = std::binary_search(gone.begin(), gone.end(), entry, before);
        if (goes) stored_bytes_ -= entry.stored_size;
        return goes;
    });
}

bool ArchiveIndex::has(std::string_view name) const {
    const auto entry = entry_of(name, 0);
    if (!entry) return others_.find(name) != others_.end();
    return std::binary_search(segments_.begin(), segments_.end(), *entry, before);
}

std::vector<std::string> ArchiveIndex::names_if(const std::function<bool(const std::string&)>& wanted) const {
    std::vector<std::string> names;
    for (const Entry& entry : segments_) {
        std::string name = name_of(entry);
        if (wanted(name)) names.push_back(std::move(name));
    }
    for (const auto& [name, size] : others_) {
        if (wanted(name)) names.push_back(name);
    }
    std::sort(names.begin(), names.end());
    return names;
}

std::optional<std::string> ArchiveIndex::first_segment() const {
    if (segments_.empty()) return std::nullopt;
    return name_of(segments_.front());
}

std::optional<std::string> ArchiveIndex::last_segment() const {
    if (segments_.empty()) return std::nullopt;
    return name_of(segments_.back());
}

}  // namespace coffer::wal
