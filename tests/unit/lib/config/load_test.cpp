#include <CppUTest/TestHarness.h>
#include <cstdlib>
#include <fstream>

#include "lib/base/error.h"
#include "lib/config/config.h"

using namespace coffer;
using namespace coffer::config;

TEST_GROUP(ConfigLoad) {
    Path directory;
    void setup() override {
        char name[] = "/tmp/coffer-config-XXXXXX";
        directory = ::mkdtemp(name);
        std::filesystem::create_directory(directory / "coffer.d");
    }
    void teardown() override {
        std::filesystem::remove_all(directory);
    }

    void write(const char* name, const std::string& text) {
        std::ofstream(directory / name) << text;
    }
    Config load_files(const std::string& main, const std::string& included = {}) {
        write("coffer.conf", main);
        if (!included.empty()) write("coffer.d/a.conf", included);
        return load(directory / "coffer.conf");
    }
    static std::string text_of(const std::vector<Problem>& problems) {
        std::string text;
        for (const Problem& problem : problems) {
            text += problem.file.filename().string() + ":" + std::to_string(problem.line) + ": " + problem.text + " [" +
                    problem.remedy + "]" + (problem.fatal ? " fatal\n" : "\n");
        }
        return text;
    }
    static void check_holds(const std::string& text, const char* part) {
        CHECK_TEXT(text.find(part) != std::string::npos, (std::string(part) + " is not in: " + text).c_str());
    }
};

TEST(ConfigLoad, AServerHasDefaultsForEverything) {
    const Config config =
        load_files("[coffer]\ncoffer_home = /srv/c\n", "[main]\nconninfo = host=h\nstreaming_archiver = on\n");
    const Server& s = config.server("main");
    STRCMP_EQUAL("", text_of(config.problems).c_str());
    STRCMP_EQUAL("", text_of(s.problems).c_str());
    CHECK(s.usable() && s.active && s.streaming_archiver && !s.archiver && !s.create_slot && !s.slot_name);
    CHECK(s.backup_method == BackupMethod::postgres && s.compression == Codec::none);
    STRCMP_EQUAL("host=h", s.streaming_conninfo.c_str());
    STRCMP_EQUAL("/srv/c/main", s.backup_directory.c_str());
    STRCMP_EQUAL("/srv/c/main/base", s.basebackups_directory.c_str());
    STRCMP_EQUAL("/srv/c/main/wals", s.xlogdb_directory.c_str());
    STRCMP_EQUAL("/srv/c", config.lock_directory.c_str());
    STRCMP_EQUAL("medium", s.effective.at("compression_level").c_str());
    LONGS_EQUAL(30, s.check_timeout.count());
}

TEST(ConfigLoad, ValuesComeFromTheServerThenTheGlobalSection) {
    const Config config = load_files(
        "[barman]\nbarman_home = /srv/b\ncompression = zstd\nminimum_redundancy = 2\nconninfo = host=wrong\n"
        "archiver = on\n[one]\nconninfo=host=1\ncompression : lz4\n[two]\nconninfo=host=2\nssh_command = ssh two\n");
    CHECK(config.server("one").compression == Codec::lz4);
    CHECK(config.server("two").compression == Codec::zstd);
    CHECK(config.server("two").backup_method == BackupMethod::rsync);
    LONGS_EQUAL(2, config.server("one").minimum_redundancy);
    STRCMP_EQUAL("host=1", config.server("one").conninfo.c_str());
    STRCMP_EQUAL("/srv/b", config.coffer_home.c_str());
    check_holds(text_of(config.problems), "coffer.conf:5: 'conninfo = host=wrong' has no meaning in [barman]");
}

TEST(ConfigLoad, AnIgnoredKeyIsToldWithItsValueButNoSecret) {
    const Config config = load_files("[coffer]\n",
                                     "[main]\nconninfo=h\narchiver=on\ncompresion = gzip\n"
                                     "coninfo = host=h password=secret\npasswd = secret\n");
    const auto& problems = config.server("main").problems;
    LONGS_EQUAL(3, problems.size());
    STRCMP_EQUAL("'compresion = gzip' is ignored: there is no such key", problems[0].text.c_str());
    STRCMP_EQUAL("'coninfo = host=h password=REDACTED' is ignored: there is no such key", problems[1].text.c_str());
    STRCMP_EQUAL("'passwd = REDACTED' is ignored: there is no such key", problems[2].text.c_str());
}

TEST(ConfigLoad, BadValuesAreWarningsWithLineAndRemedy) {
    struct {
        const char* line;
        const char* problem;
    } const cases[] = {
        {"compresion = gzip",
         "a.conf:4: 'compresion = gzip' is ignored: there is no such key [did you mean 'compression'?]"},
        {"compression = snappy", "a.conf:4: 'compression = snappy' cannot be used"},
        {"minimum_redundancy = many", "a.conf:4: 'minimum_redundancy = many' cannot be used"},
        {"slot_name = Bad-Slot", "a.conf:4: 'slot_name = Bad-Slot' cannot be used"},
        {"last_backup_maximum_age = 3", "a.conf:4: 'last_backup_maximum_age = 3' cannot be used"},
        {"retention_policy = KEEP ALL", "a.conf:4: 'retention_policy = KEEP ALL' is no retention policy"},
        {"backup_method = snapshot", "a.conf:4: 'backup_method = snapshot' cannot be used"},
        {"coffer_home = /x", "a.conf:4: 'coffer_home = /x' has no meaning in the section of a server"},
        {"primary_ssh_command = ssh x", "a.conf:4: 'primary_ssh_command = ssh x' is not supported yet"},
        {"encryption = gpg", "a.conf:4: 'encryption = gpg' is not supported yet"},
        {"archiver = on", "a.conf:4: 'archiver' is given again"},
        {"recovery_options = get-wal, delta-restore, fast",
         "a.conf:4: 'recovery_options = fast' is not supported yet"}};
    for (const auto& c : cases) {
        const Config config =
            load_files("[coffer]\n", std::string("[main]\nconninfo=h\narchiver=on\n") + c.line + "\n");
        const Server& server = config.server("main");
        check_holds(text_of(server.problems), c.problem);
        CHECK_TEXT(server.usable(), c.line);
    }
    const Config harmless = load_files("[coffer]\n",
                                       "[main]\nconninfo=h\narchiver=on\nencryption=none\nreuse_backup = off\n"
                                       "backup_options = concurrent_backup\naws_region = x\n");
    STRCMP_EQUAL("", text_of(harmless.server("main").problems).c_str());
}

TEST(ConfigLoad, NothingIsDeletedWhereSomethingOfTheRetentionPolicyIsNotUnderstood) {
    const std::string policy = "[main]\nconninfo=h\narchiver=on\nretention_policy = REDUNDANCY 2\n";
    const auto read = [&](const std::string& lines) { return load_files("[coffer]\n", policy + lines).server("main"); };
    const Server good =
        read("wal_retention_policy = recovery window of 2 weeks\nretention_tiers = 7 daily, 2 YEARLY\n");
    STRCMP_EQUAL("REDUNDANCY 2", good.retention_policy.c_str());
    CHECK(good.wal_retention_window == std::chrono::hours(14 * 24));
    STRCMP_EQUAL("7 DAILY, 2 YEARLY", good.retention_tiers.text.c_str());
    CHECK(read("wal_retention_policy = 2 DAYS\n").wal_retention_window == std::chrono::hours(48));
    CHECK(!read("wal_retention_policy = main\n").wal_retention_window);
    for (const char* const bad :
         {"wal_retention_policy = REDUNDANCY 3", "retention_tiers = 7", "retention_tiers = 7 DAILY, 8 DAILY",
          "retention_tiers = 0 DAILY", "retention_tiers = 7 NIGHTLY", "minimum_redundancy = some"}) {
        const Server server = read(std::string("wal_retention_policy = 2 DAYS\n") + bad + "\n");
        CHECK_TEXT(!server.problems.empty(), bad);
        STRCMP_EQUAL("", server.retention_policy.c_str());
        CHECK_TEXT(!server.wal_retention_window, bad);
    }
    const Server none = load_files("[coffer]\n",
                                   "[main]\nconninfo=h\narchiver=on\nretention_policy = some\n"
                                   "wal_retention_policy = 2 DAYS\n")
                            .server("main");
    CHECK(!none.wal_retention_window);
}

TEST(ConfigLoad, AGlobalBadValueIsReportedOnce) {
    const Config config =
        load_files("[coffer]\ncompression = best\n[a]\nconninfo=h\narchiver=on\n[b]\nconninfo=h\narchiver=on\n");
    STRCMP_EQUAL(
        "coffer.conf:2: 'compression = best' cannot be used and is ignored [use none, gzip, bzip2, xz, zstd or lz4]\n",
        text_of(config.problems).c_str());
    STRCMP_EQUAL("", text_of(config.server("a").problems).c_str());
}

TEST(ConfigLoad, ALevelThatTheCodecDoesNotHaveIsAWarningAndTheNearestIsUsed) {
    struct {
        const char* lines;
        const char* used;
        const char* problem;
    } const cases[] = {
        {"compression = gzip\ncompression_level = 15\n", "9",
         "a.conf:5: 'compression_level = 15' does not exist for gzip; 9 is used [use low, medium, high or a number "
         "from 1 to 9]\n"},
        {"compression_level = 0\ncompression = bzip2\n", "1",
         "a.conf:4: 'compression_level = 0' does not exist for bzip2; 1 is used [use low, medium, high or a number "
         "from 1 to 9]\n"},
        {"compression = zstd\ncompression_level = -8\n", "-8", ""},
        {"compression_level = 500\n", "500", ""},
        {"compression = lz4\ncompression_level = fast\n", "medium",
         "a.conf:5: 'compression_level = fast' cannot be used and is ignored [use low, medium, high or a number]\n"},
    };
    for (const auto& c : cases) {
        const Config config = load_files("[coffer]\n", std::string("[main]\nconninfo=h\narchiver=on\n") + c.lines);
        const Server& server = config.server("main");
        STRCMP_EQUAL(c.used, server.compression_level.c_str());
        STRCMP_EQUAL(c.used, server.effective.at("compression_level").c_str());
        STRCMP_EQUAL(c.problem, text_of(server.problems).c_str());
        CHECK(server.usable());
    }
}

TEST(ConfigLoad, ALevelForAllIsHeldAgainstTheCodecOfEachServer) {
    const Config config = load_files("[coffer]\ncompression = zstd\ncompression_level = 19\n",
                                     "[a]\nconninfo=h\narchiver=on\n[b]\nconninfo=h\narchiver=on\ncompression=xz\n");
    STRCMP_EQUAL("", text_of(config.problems).c_str());
    STRCMP_EQUAL("", text_of(config.server("a").problems).c_str());
    check_holds(text_of(config.server("b").problems), "coffer.conf:3: 'compression_level = 19' does not exist for xz");
    STRCMP_EQUAL("9", config.server("b").compression_level.c_str());
    const Config all =
        load_files("[coffer]\ncompression = gzip\ncompression_level = 19\n", "[a]\nconninfo=h\narchiver=on\n");
    check_holds(text_of(all.problems), "coffer.conf:3: 'compression_level = 19' does not exist for gzip; 9 is used");
    STRCMP_EQUAL("", text_of(all.server("a").problems).c_str());
    STRCMP_EQUAL("9", all.server("a").compression_level.c_str());
}

TEST(ConfigLoad, ABrokenFileDisablesOnlyItsOwnServers) {
    write("coffer.d/b.conf", "[bad]\nconninfo = h\narchiver = on\nthis is no line\n");
    write("coffer.d/c.conf", "nothing here\n");
    const Config config = load_files("[coffer]\n", "[good]\nconninfo = h\narchiver = on\n");
    CHECK(config.server("good").usable());
    CHECK(!config.server("bad").usable());
    check_holds(text_of(config.server("bad").problems), "b.conf:4: this is neither KEY = VALUE nor [SECTION]");
    check_holds(text_of(config.problems), "c.conf:1: this is neither KEY = VALUE nor [SECTION]");
}

TEST(ConfigLoad, ServersAreRefusedForReasonsThatConcernThem) {
    struct {
        const char* text;
        const char* problem;
    } const cases[] = {
        {"[x]\narchiver=on\n", "has no 'conninfo'"},
        {"[x]\nconninfo=h\nwals_directory = relative\n", "is not an absolute path"},
        {"[x]\nconninfo=h\nbasebackups_directory = s3://bucket\n", "names an object store"},
        {"[x]\nconninfo=h\nwals_directory = /srv/w/\nerrors_directory = /srv/w\n",
         "two directories of server 'x' are the same"},
        {"[x]\nconninfo=h\nbackup_directory = %(coffer_home)s/main\n", "shares a directory with server 'main'"}};
    for (const auto& c : cases) {
        const Config config = load_files("[coffer]\n[main]\nconninfo=h\n", c.text);
        CHECK_TEXT(!config.server("x").usable(), c.text);
        CHECK_TEXT(config.server("main").usable(), c.text);
        check_holds(text_of(config.server("x").problems), c.problem);
    }
}

TEST(ConfigLoad, SectionsThatAreNoServersAreSkipped) {
    const Config config = load_files("[coffer]\n[main]\nconninfo=h\n",
                                     "[main]\nconninfo=other\n[all]\nconninfo=h\n[../x]\nconninfo=h\n[m]\nmodel = "
                                     "true\ncluster=main\n[coffer]\nlog_level=DEBUG\n");
    LONGS_EQUAL(1, config.servers.size());
    STRCMP_EQUAL("h", config.server("main").conninfo.c_str());
    const std::string problems = text_of(config.problems);
    for (const char* part :
         {"a.conf:1: server 'main' is defined again", "a.conf:3: [all] is skipped: 'all' is a reserved name",
          "a.conf:5: [../x] is skipped", "a.conf:7: model 'm' is skipped", "a.conf:10: [coffer] is ignored"}) {
        check_holds(problems, part);
    }
}

TEST(ConfigLoad, LongAndContinuedValuesAreKeptWhole) {
    const std::string secret(5000, 'x');
    const Config config =
        load_files("[coffer]\n", "\xEF\xBB\xBF[main]\r\n  conninfo = host=h password='" + secret +
                                     " ; no comment'\r\n  description = \"first\r\n    # comment\r\n\r\n"
                                     "    second\"\n  archiver = on\n");
    const Server& server = config.server("main");
    STRCMP_EQUAL(("host=h password='" + secret + " ; no comment'").c_str(), server.conninfo.c_str());
    STRCMP_EQUAL("first\nsecond", server.description.c_str());
    CHECK(server.archiver);
    STRCMP_EQUAL("host=h password=REDACTED", server.effective.at("conninfo").c_str());
    STRCMP_EQUAL("", text_of(server.problems).c_str());
}

TEST(ConfigLoad, ArchiverIsForcedOnWhenNothingElseIs) {
    const Config config = load_files("[coffer]\n[main]\nconninfo=h\narchiver = off\n");
    CHECK(config.server("main").archiver);
    check_holds(text_of(config.server("main").problems), "'archiver = on' is assumed");
}

TEST(ConfigLoad, AnUnknownServerIsAnsweredWithThoseThatExist) {
    const Config config = load_files("[coffer]\n[one]\nconninfo=h\n[two]\nconninfo=h\n");
    try {
        (void)config.server("three");
        FAIL("no error");
    } catch (const Error& error) {
        CHECK(error.code() == ErrorCode::no_such_server);
        STRCMP_EQUAL("servers are: one, two", error.remedy().c_str());
    }
}

TEST(ConfigLoad, TheFileIsLookedForWhereItMayBe) {
    ::setenv("COFFER_CONFIG", "/somewhere/c.conf", 1);
    STRCMP_EQUAL("/given.conf", find_config_file(Path("/given.conf")).c_str());
    STRCMP_EQUAL("/somewhere/c.conf", find_config_file(std::nullopt).c_str());
    ::unsetenv("COFFER_CONFIG");
    CHECK_THROWS(Error, load(directory / "absent.conf"));
}
