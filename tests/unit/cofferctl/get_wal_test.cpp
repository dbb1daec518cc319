#include "tools/cofferctl/get_wal.h"

#include <CppUTest/TestHarness.h>

#include <string>
#include <vector>

#include "lib/base/files.h"
#include "tests/unit/lib/wal/wal_builder.h"

using namespace coffer;

TEST_GROUP(CofferctlGetWal) {
    Path home;
    void setup() override {
        char name[] = "/tmp/coffer-get-wal-XXXXXX";
        home = ::mkdtemp(name);
        write_file_durably(home / "coffer.conf", "[coffer]\nbarman_home = " + (home / "box").string() +
                                                     "\n[main]\nconninfo = host=/nowhere\narchiver = on\n");
        for (const char* folder : {"wals", "incoming"}) std::filesystem::create_directories(home / "box/main" / folder);
    }
    void teardown() override {
        std::filesystem::remove_all(home);
    }
    int call(std::vector<std::string> words, const char* config = "coffer.conf") {
        words.insert(words.begin(), "get-wal");
        std::vector<char*> argv;
        for (std::string& word : words) argv.push_back(word.data());
        const auto count = static_cast<int>(argv.size());
        argv.push_back(nullptr);
        return cofferctl::get_wal(count, argv.data(), home / config, false);
    }
};

TEST(CofferctlGetWal, EndsARecoveryOnlyByAClearAnswer) {
    const std::string to = "--to=" + (home / "out").string();
    const std::string segment = "000000010000000000000001";
    LONGS_EQUAL(1, call({to, "main", segment}));
    LONGS_EQUAL(126, call({to, "main"}));
    LONGS_EQUAL(126, call({to, "main", "nonsense"}));
    LONGS_EQUAL(126, call({to, "other", segment}));
    LONGS_EQUAL(126, call({to, "main", segment}, "absent.conf"));
    LONGS_EQUAL(126, call({"--to=/nowhere/at/all", "main", segment}));
    LONGS_EQUAL(126, call({to, "--unknown", "main", segment}));
    write_file_durably(home / "box/main/wals/00000002.history", "1\t0/3000000\tno reason\n");
    LONGS_EQUAL(0, call({to, "main", "00000002.history"}));
    std::filesystem::remove_all(home / "box/main/wals");  // the volume is not mounted
    LONGS_EQUAL(126, call({to, "main", segment}));
}

TEST(CofferctlGetWal, KeepsBarmansStatusElsewhere) {
    const std::string segment = "000000010000000000000001";
    LONGS_EQUAL(1, call({"-o", home.string(), "main", segment}));
    LONGS_EQUAL(3, call({"-o", home.string(), "main", "nonsense"}));
    LONGS_EQUAL(1, call({"-o", home.string(), "other", segment}));
    LONGS_EQUAL(2, call({"main"}));
}

// Barman's clients ask so whether all is well.
TEST(CofferctlGetWal, TestsTheCallWhateverTheName) {
    LONGS_EQUAL(0, call({"--test", "main", "dummy_wal_name"}));
    LONGS_EQUAL(0, call({"-t", "main"}));
    LONGS_EQUAL(1, call({"-t", "other", "dummy_wal_name"}));
    std::filesystem::remove_all(home / "box/main/wals");
    LONGS_EQUAL(126, call({"-t", "main"}));
}

// What a server archives of the old timeline when it is promoted.
TEST(CofferctlGetWal, GivesAPartialFileByItsOwnName) {
    test::WalBuilder wal;
    wal.filler(100000);
    const wal::Segment segment{1, 5};
    const std::string name = segment.name(wal.options().size) + ".partial";
    LONGS_EQUAL(1, call({"-o", home.string(), "main", name}));
    const Path folder = home / "box/main/wals/0000000100000000";
    std::filesystem::create_directories(folder);
    write_file_durably(folder / name, wal.segment(5));
    LONGS_EQUAL(0, call({"-o", home.string(), "main", name}));
    CHECK(read_file(home / name).value() == wal.segment(5));
    LONGS_EQUAL(1, call({"-o", home.string(), "main", segment.name(wal.options().size)}));
}

// The streamer gives it its name at its next start; a recovery may be sooner.
TEST(CofferctlGetWal, ServesAWholeSegmentThatLacksItsNameOnly) {
    test::WalBuilder wal;
    wal.fill_segment();
    wal.fill_segment();
    const auto name = [&](std::uint64_t number) { return wal::Segment{1, number}.name(wal.options().size); };
    const Path streaming = home / "box/main/streaming";
    std::filesystem::create_directories(streaming);
    const Path partial = streaming / (name(5) + ".partial");
    std::string content = wal.segment(5);
    write_file_durably(partial, content);
    write_file_durably(home / "box/main/incoming" / name(6), wal.segment(6));
    const std::string to = "--to=" + (home / "out").string();
    LONGS_EQUAL(0, call({"-P", "--stop-at-hole", to, "main", name(5)}));
    CHECK(read_file(home / "out").value() == content);
    std::fill(content.end() - 100000, content.end(), '\0');
    write_file_durably(partial, content);
    LONGS_EQUAL(126, call({"-P", "--stop-at-hole", to, "main", name(5)}));
}
