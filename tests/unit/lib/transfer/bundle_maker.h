#pragma once
// An export in memory, of which a test may alter anything before it is written.
#include <sys/mman.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "lib/catalogue/backup_info.h"
#include "lib/image/sha256.h"
#include "lib/transfer/tar_writer.h"

namespace coffer::transfer::tests {

struct Made {
    Entry entry;
    std::string content{};
    std::optional<std::string> indexed{};  // what the index takes for its content, when that is not so
};

inline std::string hash_of(std::string_view text) {
    image::Sha256 hash;
    hash.add(text);
    return hash.hex();
}

class BundleMaker {
  public:
    static constexpr const char* id = "20261128T120000";
    static constexpr const char* segment = "000000010000000000000003";
    Header header{"main", id, 7312, (1 << 20) + 1000};
    catalogue::BackupInfo info;
    std::vector<Made> members;
    bool with_index = true;

    BundleMaker() {
        info.backup_id = id;
        info.status = catalogue::BackupStatus::done;
        info.systemid = 7312;
        info.version = 150000;
        info.timeline = 1;
        info.xlog_segment_size = wal::SegmentSize::from_bytes(1 << 20).value();
        info.begin_wal = info.end_wal = segment;
        directory("data");
        directory("data/base");
        directory("data/pg_tblspc");
        file("data/PG_VERSION", "15\n");
        file("data/base/with space \xc3\xa4", "x");
        link("data/pg_tblspc/16384", "../../16384");
        directory("16384");
        file("16384/PG_VERSION", "15\n");
        directory("wal");
        file(std::string("wal/") + segment, std::string(1 << 20, 'w'));
    }
    Made& file(std::string path, std::string content) {
        return add(Entry::Type::file, std::move(path), std::move(content));
    }
    Made& directory(std::string path) { return add(Entry::Type::directory, std::move(path), {}); }
    Made& link(std::string path, std::string target) {
        return add(Entry::Type::symlink, std::move(path), std::move(target));
    }
    Made& member(const std::string& path) {
        for (Made& made : members) {
            if (made.entry.path == path) return made;
        }
        throw path;
    }

    [[nodiscard]] std::string write(config::Codec codec = config::Codec::none) const {
        const UniqueFd fd(::memfd_create("bundle", MFD_CLOEXEC));
        TarWriter tar(fd.get(), "bundle", codec, std::nullopt);
        std::string index;
        const auto put = [&](Entry entry, const std::string& content, const std::string& indexed) {
            if (entry.type == Entry::Type::file) entry.size = content.size();
            tar.begin(entry);
            if (entry.type == Entry::Type::file) tar.data(as_byte_span(content));
            entry.sha256 = hash_of(indexed);
            index += entry.index_line();
        };
        put(text_entry(header_member), header.format(), header.format());
        put(text_entry(record_member), info.format(), info.format());
        for (const Made& made : members) put(made.entry, made.content, made.indexed.value_or(made.content));
        const std::string whole = index;
        if (with_index) put(text_entry(index_member), whole, whole);
        tar.finish();
        std::string bytes(static_cast<std::size_t>(::lseek(fd.get(), 0, SEEK_END)), '\0');
        if (::pread(fd.get(), bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size())) throw bytes.size();
        return bytes;
    }

  private:
    static Entry text_entry(std::string_view path) {
        Entry entry;
        entry.path = path;
        entry.mode = 0640;
        return entry;
    }
    Made& add(Entry::Type type, std::string path, std::string content) {
        Made made;
        made.entry.type = type;
        made.entry.path = std::move(path);
        made.entry.mode = type == Entry::Type::directory ? 0750 : 0640;
        made.entry.modified_ns = 1'700'000'000'123'456'789;
        if (type == Entry::Type::symlink) {
            made.entry.link_target = content;
            made.entry.mode = 0777;
        }
        made.content = std::move(content);
        return members.emplace_back(std::move(made));
    }
};

}  // namespace coffer::transfer::tests
