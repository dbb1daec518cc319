#include "tools/cofferctl/text.h"

#include <CppUTest/TestHarness.h>
#include <cstdlib>
#include <ctime>

using namespace coffer;
using namespace coffer::cofferctl;

TEST_GROUP(CofferctlText){void setup() override{::setenv("TZ", "UTC", 1);
::tzset();
}
}
;

TEST(CofferctlText, DurationsAreWords) {
    STRCMP_EQUAL("less than one second", pretty_duration(0.5).c_str());
    STRCMP_EQUAL("1 second", pretty_duration(1.9).c_str());
    STRCMP_EQUAL("2 minutes, 3 seconds", pretty_duration(123).c_str());
    STRCMP_EQUAL("1 day, 1 hour", pretty_duration(90000).c_str());
}

TEST(CofferctlText, TimesHaveBarmansTwoForms) {
    const WallTime time{std::chrono::microseconds(1795468495422273)};
    STRCMP_EQUAL("Mon Nov 23 21:14:55 2026", ctime_text(time).c_str());
    STRCMP_EQUAL("2026-11-23 21:14:55.422273+00:00", iso_text(time).c_str());
    LONGS_EQUAL(1795468495, seconds_of(time));
    STRCMP_EQUAL("15.20", version_text(150020).c_str());
}

TEST(CofferctlText, AnErrorFitsOnOneLine) {
    STRCMP_EQUAL("no slot; make one", in_one_line("no slot\nHINT: make one").c_str());
    STRCMP_EQUAL("one two", in_one_line("one\ntwo").c_str());
}
