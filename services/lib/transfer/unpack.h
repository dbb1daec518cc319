#pragma once
// Reads a backup out of one file (bundle.h), and believes nothing of it.
//
// What comes out lies in a directory of the caller's; whether it is what was exported is known only when unpack() has
// returned: by then every byte, mode and time was held against the index. Names that lead out of the directory, links
// to outside, more bytes than the head tells, members without end or of unknown kind: corrupt. Links are made last, so
// that none is ever followed. Nothing is synced here. Owners are not set: files belong to who unpacks. One thread.
#include <functional>
#include <optional>
#include <set>

#include "lib/catalogue/backup_info.h"
#include "lib/image/tar_reader.h"
#include "lib/transfer/bundle.h"

namespace coffer::transfer {

class Unpacker {
  public:
    // Reads the head and the records. where: for errors. Throws corrupt; not_supported for what is no export of
    // Coffer's, or of a newer one.
    Unpacker(image::TarReader::Pull pull, std::string where);

    [[nodiscard]] const Header& header() const noexcept { return header_; }
    [[nodiscard]] const catalogue::BackupInfo& backup() const noexcept { return backup_; }
    [[nodiscard]] const std::optional<catalogue::Extra>& extra() const noexcept { return extra_; }

    // The rest, into an existing directory: data/, OID/, wal/. advance is called with the bytes so far; it may throw.
    void unpack(const Path& into, const std::function<void(std::uint64_t)>& advance);
    // The SHA-256 of the index; known when unpack() has returned.
    [[nodiscard]] const std::string& index_hash() const noexcept { return index_hash_; }

  private:
    std::optional<Entry> next();
    std::string read_text(const Entry& entry, std::uint64_t limit);
    void make(const Entry& entry, const Path& into);
    void make_directory(const Entry& entry, const Path& path);
    void write_file(Entry& entry, const Path& path, const std::function<void(std::uint64_t)>& advance);
    void finish_trees(const Path& into);
    void compare_index(const std::string& index) const;
    [[noreturn]] void refuse(const std::string& what, const std::string& member = {}) const;

    std::string where_;
    image::TarReader reader_;
    Header header_;
    catalogue::BackupInfo backup_;
    std::optional<catalogue::Extra> extra_;
    std::optional<Entry> pending_;     // read already, belongs to unpack()
    std::set<std::string> wal_names_;  // that the backup needs
    std::vector<Entry> directories_, links_;
    std::uint64_t bytes_ = 0;
    std::string index_;  // of what was read
    std::string index_hash_;
};

}  // namespace coffer::transfer
