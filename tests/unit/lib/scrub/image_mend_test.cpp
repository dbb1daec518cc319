#include "lib/scrub/image_mend.h"

#include <CppUTest/TestHarness.h>
#include <fcntl.h>

#include "lib/base/crc32c.h"
#include "lib/image/manifest_writer.h"
#include "lib/scrub/shared_bytes.h"
#include "tests/unit/lib/wal/server_fixture.h"

using namespace coffer;
using namespace coffer::scrub;

TEST_GROUP(ScrubImageMend) {
    test::ServerFixture place;
    const config::Server& server = place.server;
    catalogue::BackupInfo info;

    Path file(const char* id) const {
        return catalogue::Catalogue(server).data_path(id) / "base/5/16384";
    }
    catalogue::BackupInfo add(const char* id, const std::string& content) {
        const catalogue::Catalogue catalogue(server);
        std::filesystem::create_directories(catalogue.data_path(id) / "global");
        std::filesystem::create_directories(file(id).parent_path());
        std::filesystem::create_directories(server.meta_directory());
        write_file_durably(file(id), content);
        image::ManifestWriter writer(catalogue.data_path(id) / "backup_manifest", std::nullopt);
        writer.add(wanted(content).expected);
        (void)writer.finish({{1, Lsn{0x3000028}, Lsn{0x3000100}}});
        info.backup_id = id;
        info.status = catalogue::BackupStatus::done;
        catalogue.save(info);
        catalogue.save(id, catalogue::Extra{});
        return info;
    }
    static verify::WantedFile wanted(const std::string& content) {
        return {{"base/5/16384", content.size(), "2026-11-28 10:00:00 GMT", "CRC32C",
                 image::manifest_crc32c(crc32c(as_byte_span(content)))},
                true};
    }
    std::optional<std::string> mend(const catalogue::BackupInfo& backup, const std::string& content) {
        return mend_file(server, backup, wanted(content), [](std::size_t) {});
    }
};

TEST(ScrubImageMend, TakesTheSameFileOfAnotherBackupThatProvesRight) {
    add("20261125T000000", "right");
    add("20261126T000000", "wrong");  // by its manifest another file
    add("20261127T000000", "right");
    write_file_durably(file("20261127T000000"), "rigHt");  // damaged as well
    const auto damaged = add("20261128T000000", "right");
    write_file_durably(file("20261128T000000"), "rXght");
    STRCMP_EQUAL("20261125T000000", mend(damaged, "right").value_or("none").c_str());
    STRCMP_EQUAL("right", read_file(file("20261128T000000")).value().c_str());
    STRCMP_EQUAL("rigHt", read_file(file("20261127T000000")).value().c_str());
}

TEST(ScrubImageMend, NeverWritesToAHardLinkOfAnother) {
    const auto first = add("20261127T000000", "right");
    write_file_durably(file("20261127T000000"), "rXght");
    const auto second = add("20261128T000000", "right");
    std::filesystem::remove(file("20261128T000000"));
    std::filesystem::create_hard_link(file("20261127T000000"), file("20261128T000000"));
    CHECK(!mend(second, "right"));  // the only other copy is the same bytes
    add("20261126T000000", "right");
    CHECK(mend(second, "right").has_value());
    STRCMP_EQUAL("rXght", read_file(file("20261127T000000")).value().c_str());
    CHECK(mend(first, "right").has_value());
    STRCMP_EQUAL("right", read_file(file("20261127T000000")).value().c_str());
}

TEST(ScrubImageMend, AFileThatIsMissingComesBack) {
    add("20261127T000000", "right");
    const auto damaged = add("20261128T000000", "right");
    std::filesystem::remove(file("20261128T000000"));
    CHECK(mend(damaged, "right").has_value());
    STRCMP_EQUAL("right", read_file(file("20261128T000000")).value().c_str());
}

TEST(ScrubImageMend, WhatACrashLeftIsTidiedUp) {
    const auto backup = add("20261128T000000", "right");
    const Path left = file("20261128T000000").parent_path() / ".coffer.16384";
    write_file_durably(left, "half");
    tidy_image(server, backup);
    CHECK(!std::filesystem::exists(left));
    CHECK(std::filesystem::exists(file("20261128T000000")));
}

TEST(ScrubImageMend, HardLinksAreTheSameBytesAndCopiesAreNot) {
    add("20261127T000000", std::string(100000, 'x'));
    const Path first = file("20261127T000000"), link = first.parent_path() / "link",
               copy = first.parent_path() / "copy";
    std::filesystem::create_hard_link(first, link);
    write_file_durably(copy, std::string(100000, 'x'));
    const auto map = [](const Path& path) { return byte_map(files().open(path, O_RDONLY).get(), path); };
    STRCMP_EQUAL(map(first).key().c_str(), map(link).key().c_str());
    CHECK(!map(first).key().empty() && map(copy).key().empty());
    CHECK(map(first).overlaps(map(link)) && !map(first).overlaps(map(copy)));
}
