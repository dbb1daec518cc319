#include "lib/pg/conninfo.h"

#include <CppUTest/TestHarness.h>

#include "lib/base/error.h"
#include "lib/pg/replication.h"

using namespace coffer;
using namespace coffer::pg;

namespace {

bool has(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
}

}  // namespace

TEST_GROUP(Conninfo){};

TEST(Conninfo, AddsWhatReplicationNeedsAndKeepsWhatIsGiven) {
    const auto attempts = attempts_of("host=db1 user='me too' keepalives_idle=7", {"barman_receive_wal", true});
    UNSIGNED_LONGS_EQUAL(1, attempts.size());
    for (const char* part : {"host='db1'", "user='me too'", "keepalives_idle='7'", "replication='true'",
                             "application_name='barman_receive_wal'", "dbname='replication'"}) {
        CHECK(has(attempts[0], part));
    }
    CHECK(!has(attempts[0], "target_session_attrs"));
}

TEST(Conninfo, WhatTheStringSaysOfTheSessionWinsOverWhatIsAdded) {
    const std::string timeout = "-c wal_sender_timeout=10s";
    CHECK(has(attempts_of("host=a", {"coffer", true, timeout})[0], "options='-c wal_sender_timeout=10s'"));
    CHECK(has(attempts_of("host=a options='-c wal_sender_timeout=60s'", {"coffer", true, timeout})[0],
              "options='-c wal_sender_timeout=10s -c wal_sender_timeout=60s'"));
    CHECK(!has(attempts_of("host=a", {"coffer", true})[0], "options"));
}

TEST(Conninfo, TriesEachHostForItselfAndLooksForThePrimary) {
    const auto attempts = attempts_of("postgresql://me@db1:5433,db2:5434/postgres", {"coffer", false});
    UNSIGNED_LONGS_EQUAL(2, attempts.size());
    CHECK(has(attempts[0], "host='db1'") && has(attempts[0], "port='5433'"));
    CHECK(has(attempts[1], "host='db2'") && has(attempts[1], "port='5434'"));
    CHECK(has(attempts[1], "target_session_attrs='read-write'"));
    CHECK(!has(attempts[1], "replication"));
}

TEST(Conninfo, LeavesAWishForTheKindOfServerAlone) {
    const auto attempts = attempts_of("host=db1,db2 port=5432 target_session_attrs=any", {"coffer", true});
    UNSIGNED_LONGS_EQUAL(2, attempts.size());
    CHECK(has(attempts[1], "target_session_attrs='any'") && has(attempts[1], "port='5432'"));
}

TEST(Conninfo, QuotesAndHidesSecrets) {
    const std::string shown = without_secrets("host=db1 password='it\\'s me'");
    CHECK(!has(shown, "me"));
    CHECK(has(attempts_of("host=db1 password='it\\'s me'", {})[0], "password='it\\'s me'"));
}

TEST(Conninfo, RefusesNonsenseWithoutQuotingIt) {
    for (const char* bad : {"host=db1 password", "host=db1 nosuch=1", "host=a,b,c port=1,2"}) {
        try {
            (void)attempts_of(bad, {});
            FAIL("accepted");
        } catch (const Error& error) {
            CHECK(error.code() == ErrorCode::invalid_configuration);
            CHECK(!has(error.what(), "db1"));
        }
    }
}

TEST(Conninfo, TakesTheTimeLimitOfTheString) {
    LONGS_EQUAL(3, connect_timeout_of("host=a connect_timeout=3", std::chrono::seconds(10)).count());
    LONGS_EQUAL(10, connect_timeout_of("host=a", std::chrono::seconds(10)).count());
    LONGS_EQUAL(10, connect_timeout_of("host=a connect_timeout=0", std::chrono::seconds(10)).count());
}

TEST_GROUP(ReplicationNames){};

TEST(ReplicationNames, ReadsWalSegmentSizesAsShowPrintsThem) {
    UNSIGNED_LONGS_EQUAL(16 << 20, parse_segment_size("16MB")->bytes());
    UNSIGNED_LONGS_EQUAL(1 << 30, parse_segment_size("1GB")->bytes());
    UNSIGNED_LONGS_EQUAL(1 << 20, parse_segment_size("1048576")->bytes());
    for (const char* bad : {"", "16", "MB", "3MB", "2GB", "16TB", "99999999999999999999MB"})
        CHECK(!parse_segment_size(bad));
}

TEST(ReplicationNames, RefusesSlotNamesThatPostgresRefuses) {
    STRCMP_EQUAL("\"coffer_1\"", quoted_slot("coffer_1").c_str());
    for (const char* bad : {"", "Coffer", "a-b", "a\"b", "a b"}) CHECK_THROWS(Error, (void)quoted_slot(bad));
}
