#pragma once
// A tar archive in memory, for tests.
#include <archive.h>
#include <archive_entry.h>

#include <string>
#include <vector>

struct TarEntry {
    std::string path;
    unsigned type = AE_IFREG;
    std::string content;  // of a file; where a link leads
};

inline std::string make_tar(const std::vector<TarEntry>& entries) {
    std::string out;
    archive* writer = archive_write_new();
    archive_write_set_format_ustar(writer);
    archive_write_open(
        writer, &out, nullptr,
        [](archive*, void* target, const void* data, std::size_t size) -> la_ssize_t {
            static_cast<std::string*>(target)->append(static_cast<const char*>(data), size);
            return static_cast<la_ssize_t>(size);
        },
        nullptr);
    for (const TarEntry& one : entries) {
        archive_entry* entry = archive_entry_new();
        archive_entry_set_pathname(entry, one.path.c_str());
        archive_entry_set_filetype(entry, one.type);
        archive_entry_set_perm(entry, one.type == AE_IFDIR ? 0700 : 0600);
        archive_entry_set_size(entry, one.type == AE_IFREG ? static_cast<la_int64_t>(one.content.size()) : 0);
        if (one.type == AE_IFLNK) archive_entry_set_symlink(entry, one.content.c_str());
        archive_write_header(writer, entry);
        if (one.type == AE_IFREG) archive_write_data(writer, one.content.data(), one.content.size());
        archive_entry_free(entry);
    }
    archive_write_free(writer);
    return out;
}
