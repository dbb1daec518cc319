#pragma once
// A WAL archive in a directory of its own, for the tests of it.
#include <CppUTest/TestHarness.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <optional>
#include <string>
#include <vector>

#include "lib/wal/archive.h"
#include "lib/wal/quarantine.h"
#include "tests/unit/lib/wal/wal_builder.h"

namespace coffer::wal::archive_tests {

inline constexpr std::uint64_t our_system = 7312000000000000001ULL;
inline constexpr std::uint64_t other_system = 7440000000000000002ULL;

inline std::string segment_of(std::uint64_t number, std::uint64_t system = our_system, std::size_t first_record = 100) {
    coffer::test::WalOptions options;
    options.first = {1, number};
    options.system_identifier = system;
    coffer::test::WalBuilder builder(options);
    builder.filler(first_record);
    builder.fill_segment();
    return builder.segment(number);
}

inline std::string name_of_segment(std::uint64_t number) {
    return Segment{1, number}.name(SegmentSize::from_bytes(1 << 20).value());
}

// Fails the calls whose path holds a text, with a full disk.
class FullDisk : public Files {
  public:
    std::string full_for = "nothing";
    std::string fail_sync_of = "nothing";
    void append(int fd, ByteSpan data, const Path& path) override {
        fail_if(path, full_for);
        Files::append(fd, data, path);
    }
    void sync(int fd, const Path& path) override {
        fail_if(path, fail_sync_of);
        Files::sync(fd, path);
    }

  private:
    static void fail_if(const Path& path, const std::string& text) {
        if (path.string().find(text) != std::string::npos)
            throw Error::from_errno(ENOSPC, "cannot write to file", path.string());
    }
};

class ArchiveBox : public Utest {
  public:
    Path home;
    config::Server server;
    Clock clock;
    WalArchive::Settings settings;
    std::optional<WalArchive> archive;

    void setup() override {
        char name[] = "/tmp/coffer-archive-XXXXXX";
        home = ::mkdtemp(name);
        server.name = "main";
        server.backup_directory = home;
        server.wals_directory = server.xlogdb_directory = home / "wals";
        server.incoming_wals_directory = home / "incoming";
        server.errors_directory = home / "errors";
        server.compression = Codec::gzip;
        server.compression_level = "low";
        for (const char* folder : {"incoming", "meta"}) std::filesystem::create_directory(home / folder);
        settings.known_system = [] { return KnownSystem{our_system, 15, std::nullopt}; };
        settings.quiet_time = std::chrono::milliseconds(0);
        open();
    }
    void teardown() override {
        archive.reset();
        std::filesystem::remove_all(home);
    }
    void open() { archive.emplace(server, settings, clock); }
    Path incoming(const std::string& name, std::string_view bytes) {
        write_file_durably(home / "incoming" / name, bytes);
        return home / "incoming" / name;
    }
    StoreOutcome store(const std::string& name, std::string_view bytes) {
        return archive->store(incoming(name, bytes));
    }
    std::vector<std::string> indexed() {
        std::vector<std::string> names;
        for (const XlogLine& line : read_xlogdb(xlogdb_path(server)).lines) names.push_back(line.name);
        return names;
    }
    std::size_t files_below(const char* folder) {
        std::size_t count = 0;
        if (!std::filesystem::exists(home / folder)) return 0;
        for (const auto& entry : std::filesystem::recursive_directory_iterator(home / folder)) {
            count += entry.is_regular_file() ? 1 : 0;
        }
        return count;
    }
    void check_stored(const StoreOutcome& outcome, std::string_view bytes) {
        CHECK_TEXT(outcome.result == StoreResult::stored, outcome.reason.c_str());
        CHECK(decompress_file(archive->path_of(outcome.name), 64 << 20) == bytes);
        CHECK(!std::filesystem::exists(home / "incoming" / outcome.name));
        CHECK(archive->has(outcome.name));
    }
};

}  // namespace coffer::wal::archive_tests
