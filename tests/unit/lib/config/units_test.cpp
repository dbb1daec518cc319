#include "lib/config/units.h"

#include <CppUTest/TestHarness.h>

#include "lib/config/keys.h"
#include "lib/config/retention_policy.h"

using namespace coffer::config;
using namespace std::chrono_literals;

TEST_GROUP(ConfigUnits){};

TEST(ConfigUnits, IntervalsAreANumberAndAUnit) {
    struct {
        const char* text;
        std::optional<std::chrono::seconds> expected;
    } const cases[] = {{"1 HOUR", 3600s},
                       {"12 hours", 43200s},
                       {"7 DAYS", 604800s},
                       {"1 week", 604800s},
                       {"2 WEEKS", 1209600s},
                       {"1 MONTH", 31 * 86400s},
                       {" 3  Months ", 93 * 86400s},
                       {"1day", 86400s},
                       {"", {}},
                       {"7", {}},
                       {"DAYS", {}},
                       {"0 DAYS", {}},
                       {"-1 DAYS", {}},
                       {"1.5 DAYS", {}},
                       {"7 YEARS", {}},
                       {"7 DAYS ago", {}},
                       {"99999999999999999999 DAYS", {}}};
    for (const auto& c : cases) CHECK_TEXT(parse_interval(c.text) == c.expected, c.text);
}

TEST(ConfigUnits, SizesKnowBothKindsOfPrefixes) {
    struct {
        const char* text;
        std::optional<std::uint64_t> expected;
    } const cases[] = {{"0", 0},
                       {"12345", 12345},
                       {"1k", 1000},
                       {"1Ki", 1024},
                       {"2 M", 2000000},
                       {"2Mi", 2097152},
                       {"1G", 1000000000},
                       {"1Gi", 1073741824},
                       {"1t", 1000000000000},
                       {"1TI", 1099511627776},
                       {"", {}},
                       {"k", {}},
                       {"1K B", {}},
                       {"-1", {}},
                       {"1P", {}},
                       {"18446744073709551615Ti", {}}};
    for (const auto& c : cases) CHECK_TEXT(parse_size(c.text) == c.expected, c.text);
}

TEST(ConfigUnits, RatesAreKilobytesUnlessTheyHaveAUnit) {
    CHECK(parse_rate("0") == 0U);
    CHECK(parse_rate("100") == 102400U);
    CHECK(parse_rate("100k") == 100000U);
    CHECK(parse_rate("50Mi") == 52428800U);
    CHECK(!parse_rate("fast"));
    CHECK(!parse_rate("18446744073709551615"));
}

TEST(ConfigUnits, BooleansHaveManyWords) {
    for (const char* yes : {"on", "ON", "true", "yes", "1", " t "}) CHECK_TEXT(parse_boolean(yes) == true, yes);
    for (const char* no : {"off", "False", "no", "0", "n"}) CHECK_TEXT(parse_boolean(no) == false, no);
    for (const char* neither : {"", "2", "onn", "auto"}) CHECK_TEXT(!parse_boolean(neither).has_value(), neither);
}

TEST(ConfigUnits, RetentionPoliciesAreOfTwoKinds) {
    LONGS_EQUAL(3, RetentionPolicy::parse("redundancy 3")->redundancy);
    STRCMP_EQUAL("RECOVERY WINDOW OF 2 WEEKS", RetentionPolicy::parse(" recovery  window of 2 weeks")->text.c_str());
    CHECK(RetentionPolicy::parse("RECOVERY WINDOW OF 1 MONTH")->window == 31 * 24h);
    for (const char* bad :
         {"", "3", "REDUNDANCY 0", "REDUNDANCY -1", "RECOVERY WINDOW 3 DAYS", "RECOVERY WINDOW OF 3 HOURS"}) {
        CHECK_TEXT(!RetentionPolicy::parse(bad).has_value(), bad);
    }
}

TEST(ConfigUnits, TheNearestKeyIsProposed) {
    STRCMP_EQUAL("retention_policy", nearest_key("retention_polcy")->c_str());
    STRCMP_EQUAL("streaming_conninfo", nearest_key("streaming-conninfo")->c_str());
    CHECK(!nearest_key("something_completely_different").has_value());
}

TEST(ConfigUnits, PasswordsAreMaskedWhereverTheyStand) {
    struct {
        const char* text;
        const char* expected;
    } const cases[] = {{"host=h user=u", "host=h user=u"},
                       {"host=h password=secret user=u", "host=h password=REDACTED user=u"},
                       {"password = 'a b\\' c' user=u", "password = REDACTED user=u"},
                       {"password=", "password=REDACTED"},
                       {"password=a\\ b user=u", "password=REDACTED user=u"},
                       {"password='open", "password=REDACTED"},
                       {"postgresql://u:se:cret@h:5432/db", "postgresql://u:REDACTED@h:5432/db"},
                       {"postgresql://u:p@ss@h/db", "postgresql://u:REDACTED@h/db"},
                       {"postgresql://h/db?user=u&password=x&sslmode=require",
                        "postgresql://h/db?user=u&password=REDACTED&sslmode=require"},
                       {"postgresql://u@h:5432/db", "postgresql://u@h:5432/db"}};
    for (const auto& c : cases) STRCMP_EQUAL(c.expected, mask_password(c.text).c_str());
}
