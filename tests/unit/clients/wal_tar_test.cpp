#include "tools/clients/wal_tar.h"

#include <CppUTest/TestHarness.h>
#include <archive.h>
#include <archive_entry.h>

#include "lib/base/error.h"

using namespace coffer;
using namespace coffer::clients;

namespace {

// (name, content) of its members, as libarchive reads it.
std::vector<std::pair<std::string, std::string>> members_of(const std::string& tar) {
    std::vector<std::pair<std::string, std::string>> members;
    archive* const reader = ::archive_read_new();
    ::archive_read_support_format_tar(reader);
    LONGS_EQUAL(ARCHIVE_OK, ::archive_read_open_memory(reader, tar.data(), tar.size()));
    for (archive_entry* entry = nullptr; ::archive_read_next_header(reader, &entry) == ARCHIVE_OK;) {
        std::string content(static_cast<std::size_t>(::archive_entry_size(entry)), '\0');
        LONGS_EQUAL(content.size(), ::archive_read_data(reader, content.data(), content.size()));
        members.emplace_back(::archive_entry_pathname(entry), content);
    }
    ::archive_read_free(reader);
    return members;
}

}  // namespace

TEST_GROUP(WalTar) {
    Path folder;
    void setup() override {
        char name[] = "/tmp/coffer-tar-XXXXXX";
        folder = ::mkdtemp(name);
    }
    void teardown() override {
        std::filesystem::remove_all(folder);
    }
    std::string tar_of(const std::string& name, const std::string& content, Digest digest) {
        write_file_durably(folder / name, content);
        std::string tar;
        write_wal_tar(folder / name, digest,
                      [&](ByteSpan bytes) { tar.append(reinterpret_cast<const char*>(bytes.data()), bytes.size()); });
        LONGS_EQUAL(0, tar.size() % 512);
        return tar;
    }
};

TEST(WalTar, HoldsTheFileAndItsChecksum) {
    const auto members = members_of(tar_of("00000002.history", "abc", Digest::sha256));
    LONGS_EQUAL(2, members.size());
    STRCMP_EQUAL("00000002.history", members[0].first.c_str());
    STRCMP_EQUAL("abc", members[0].second.c_str());
    STRCMP_EQUAL("SHA256SUMS", members[1].first.c_str());
    STRCMP_EQUAL("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad *00000002.history\n",
                 members[1].second.c_str());
}

TEST(WalTar, HasMd5ForThoseWhoKnowNoOther) {
    const auto members = members_of(tar_of("00000002.history", "abc", Digest::md5));
    STRCMP_EQUAL("MD5SUMS", members[1].first.c_str());
    STRCMP_EQUAL("900150983cd24fb0d6963f7d28e17f72 *00000002.history\n", members[1].second.c_str());
}

TEST(WalTar, FitsEverySizeIntoBlocks) {
    for (const std::size_t size :
         {std::size_t{0}, std::size_t{511}, std::size_t{512}, std::size_t{513}, std::size_t{1000000}}) {
        const std::string content(size, 'w');
        const auto members = members_of(tar_of("000000010000000000000001", content, Digest::sha256));
        LONGS_EQUAL(2, members.size());
        CHECK(members[0].second == content);
    }
}

TEST(WalTar, WhatIsNoFileIsRefused) {
    CHECK_THROWS(Error, write_wal_tar(folder / "absent", Digest::sha256, [](ByteSpan) {}));
    CHECK_THROWS(Error, write_wal_tar(folder, Digest::sha256, [](ByteSpan) {}));
    CHECK_THROWS(Error, (void)tar_header(std::string(100, 'x'), 1, 0));
}
