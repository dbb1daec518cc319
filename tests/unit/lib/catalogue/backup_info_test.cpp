#include "lib/catalogue/backup_info.h"

#include <CppUTest/TestHarness.h>

#include "lib/base/error.h"
#include "lib/catalogue/python_literal.h"

using namespace coffer;
using namespace coffer::catalogue;

namespace {

// As Barman 3.4 writes it.
constexpr const char* written_by_barman =
    R"(backup_label='START WAL LOCATION: 0/3000028 (file 000000010000000000000003)\nSTART TIMELINE: 1\n'
begin_offset=40
begin_time=2026-11-23 20:54:29.994347+00:00
begin_wal=000000010000000000000003
begin_xlog=0/3000028
compression=None
config_file=/srv/pg/postgresql.conf
copy_stats={'copy_time': 1.795672, 'total_time': 1.795672}
deduplicated_size=25187748
end_offset=989976
end_time=2026-11-23 20:54:31.802080+00:00
end_wal=000000010000000000000004
end_xlog=0/40F1B18
error=None
hba_file=/srv/pg/pg_hba.conf
ident_file=/srv/pg/pg_ident.conf
included_files=None
mode=postgres
pgdata=/srv/pg
server_name=main
size=25187748
status=DONE
systemid=7711472948050202705
tablespaces=[('ts1', 16384, '/srv/ts1'), ("we ird'x", 16385, '/srv/ts2')]
timeline=1
version=150020
xlog_segment_size=16777216
)";

std::string without(std::string text, const std::string& key) {
    const auto at = ("\n" + text).find("\n" + key + "=");
    return text.erase(at, text.find('\n', at) + 1 - at);
}

}  // namespace

TEST_GROUP(BackupInfo){};

TEST(BackupInfo, ReadsWhatBarmanWrote) {
    const BackupInfo info = BackupInfo::parse(written_by_barman, "20261123T205429", "x");
    STRCMP_EQUAL("20261123T205429", info.backup_id.c_str());
    CHECK(info.status == BackupStatus::done);
    CHECK(info.begin_xlog == Lsn{0x3000028});
    CHECK(info.systemid == 7711472948050202705ULL);
    LONGS_EQUAL(2, info.tablespaces.size());
    STRCMP_EQUAL("we ird'x", info.tablespaces[1].name.c_str());
    LONGS_EQUAL(16385, info.tablespaces[1].oid);
    STRCMP_EQUAL("", info.error.c_str());
    STRCMP_EQUAL("2026-11-23 20:54:31.802080+00:00", format_time(*info.end_time).c_str());
    CHECK(info.backup_label.ends_with("START TIMELINE: 1\n"));
    LONGS_EQUAL(2, info.required_segments().size());
}

TEST(BackupInfo, WritesForOldBarmanExactlyWhatOldBarmanWrites) {
    const BackupInfo info = BackupInfo::parse(written_by_barman, "20261123T205429", "x");
    STRCMP_EQUAL(written_by_barman, without(info.format(BackupInfo::Dialect::barman_3_4), "backup_name").c_str());
}

TEST(BackupInfo, KeepsKeysThatItDoesNotKnow) {
    BackupInfo info = BackupInfo::parse("status=STARTED\ncluster_size=17\ngp_new={'a': 1}\n", "20261123T205429", "x");
    CHECK(info.format().find("gp_new={'a': 1}\n") != std::string::npos);
    CHECK(info.format(BackupInfo::Dialect::barman_3_4).find("gp_new") == std::string::npos);
}

TEST(BackupInfo, SurvivesItsOwnFormat) {
    BackupInfo info;
    info.backup_id = "20261123T205429";
    info.backup_name = "before the move";
    info.error = "first line\nsecond = line";
    info.data_checksums = true;
    info.tablespaces = {{"a\"b'c\\d\n", 77, "/x y/ü"}};
    const BackupInfo again = BackupInfo::parse(info.format(), info.backup_id, "x");
    STRCMP_EQUAL(info.tablespaces[0].name.c_str(), again.tablespaces[0].name.c_str());
    STRCMP_EQUAL(info.tablespaces[0].location.c_str(), again.tablespaces[0].location.c_str());
    STRCMP_EQUAL("first line second = line", again.error.c_str());
    STRCMP_EQUAL("before the move", again.backup_name.c_str());
    CHECK(again.data_checksums);
    STRCMP_EQUAL(info.format().c_str(), again.format().c_str());
}

TEST(BackupInfo, TakesAnEmptyModeForNone) {
    for (const char* const text : {"mode=", "mode=''", "mode=None", "mode='None'", ""}) {
        STRCMP_EQUAL("postgres", BackupInfo::parse(text, "20261123T205429", "here").mode.c_str());
    }
    STRCMP_EQUAL("rsync", BackupInfo::parse("mode=rsync", "20261123T205429", "here").mode.c_str());
}

TEST(BackupInfo, NamesTheLineThatIsWrong) {
    for (const char* const text :
         {"status=DONE\nsize=much\n", "status=DONE\nno equals sign\n", "status=DONE\nbegin_xlog=7\n",
          "status=DONE\ntablespaces=[('a', 'b')]\n", "status=DONE\nbegin_time=yesterday\n",
          "status=DONE\nxlog_segment_size=3\n", "status=DONE\ntimeline=-1\n",
          "status=DONE\nbegin_wal=X00000010000000000000003\n", "status=DONE\nend_wal=0000000100000000000003\n"}) {
        try {
            (void)BackupInfo::parse(text, "20261123T205429", "the file");
            FAIL(text);
        } catch (const Error& error) {
            CHECK(error.code() == ErrorCode::corrupt);
            CHECK(std::string(error.what()).find("line 2") != std::string::npos);
        }
    }
}

TEST(BackupInfo, RefusesAnImpossibleAmountOfWal) {
    BackupInfo info;
    info.begin_wal = "000000010000000000000001";
    info.end_wal = "00000001FFFFFFFF00000001";
    CHECK_THROWS(Error, (void)info.required_segments());
    info.end_wal = "000000020000000000000001";
    CHECK(info.required_segments().empty());
}

TEST(BackupInfo, UnderstandsTimesWithAnyOffset) {
    const char* const same[] = {"2026-11-23 20:54:31.5+00:00", "2026-11-23T20:54:31.500000Z",
                                "2026-11-23 22:24:31.5+01:30", "2026-11-23 17:54:31.5-0300",
                                "2026-11-23 21:54:31.50+01"};
    for (const char* const text : same) {
        CHECK(parse_time(text).has_value());
        STRCMP_EQUAL("2026-11-23 20:54:31.500000+00:00", format_time(*parse_time(text)).c_str());
    }
    for (const char* const text : {"", "2026", "2026-13-01 00:00:00+00:00", "2026-11-23 20:54", "2026-11-23 25:00:00Z",
                                   "2026-11-23 20:54:31+0", "2026-11-23 20:54:31x", "-026-11-23 20:54:31Z"}) {
        CHECK(!parse_time(text).has_value());
    }
}

TEST_GROUP(PythonLiteral){};

TEST(PythonLiteral, QuotesAsPythonDoes) {
    STRCMP_EQUAL("'plain'", python_string("plain").c_str());
    STRCMP_EQUAL("\"it's\"", python_string("it's").c_str());
    STRCMP_EQUAL("'it\\'s \"so\"'", python_string("it's \"so\"").c_str());
    STRCMP_EQUAL("'a\\n\\t\\\\\\x01'", python_string("a\n\t\\\x01").c_str());
}

TEST(PythonLiteral, RefusesWhatIsNoLiteral) {
    for (const char* const text :
         {"", "[", "(1", "[1 2]", "'open", "{1}", "{1:2", "nul", "1x", "[1]]", "'\\x1'", "'\\U00110000'"}) {
        CHECK(!parse_python_literal(text).has_value());
    }
    CHECK(!parse_python_literal(std::string(100000, '[')).has_value());
}

TEST(PythonLiteral, ReadsNestedValues) {
    const auto value = parse_python_literal("{'a': [None, True, -5, 1.5, (\"x\\u00fc\",)], 'b': {}}");
    CHECK(value.has_value());
    const auto& list = *(*(*value->sequence())[0].sequence())[1].sequence();
    LONGS_EQUAL(5, list.size());
    LONGS_EQUAL(-5, *list[2].integer());
    STRCMP_EQUAL("x\xC3\xBC", (*list[4].sequence())[0].string()->c_str());
}
