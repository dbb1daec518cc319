#include "lib/restore/target.h"

#include <CppUTest/TestHarness.h>

#include <cstdlib>
#include <ctime>

#include "lib/base/error.h"

using namespace coffer;
using namespace coffer::restore;

namespace {

// Runs a test in a zone of its own.
class Zone {
  public:
    explicit Zone(const char* name) {
        if (const char* before = std::getenv("TZ")) before_ = before;
        ::setenv("TZ", name, 1);
        ::tzset();
    }
    ~Zone() {
        if (before_) {
            ::setenv("TZ", before_->c_str(), 1);
        } else {
            ::unsetenv("TZ");
        }
        ::tzset();
    }

  private:
    std::optional<std::string> before_;
};

constexpr const char* central_europe = "CET-1CEST,M3.5.0,M10.5.0/3";

std::string utc(const char* text) {
    return format_utc(parse_time(text).time);
}

void refuses(const TargetOptions& options) {
    try {
        parse_target(options);
        FAIL("must be refused");
    } catch (const Error& error) {
        CHECK(error.code() == ErrorCode::invalid_argument);
        CHECK(!error.remedy().empty());
    }
}

}  // namespace

TEST_GROUP(RestoreTarget){};

TEST(RestoreTarget, ReadsTimesWithAZone) {
    const struct {
        const char* text;
        const char* utc;
    } cases[] = {
        {"2026-11-23 21:00:00+00", "2026-11-23 21:00:00+00"},
        {"2026-11-23T21:00:00Z", "2026-11-23 21:00:00+00"},
        {"2026-11-23 21:00:00 UTC", "2026-11-23 21:00:00+00"},
        {"2026-11-23 21:00:00.5+01:00", "2026-11-23 20:00:00.500000+00"},
        {"2026-11-23 21:00:00.123456789 -0330", "2026-11-24 00:30:00.123456+00"},
        {"20261123T210000+05", "2026-11-23 16:00:00+00"},
        {"2026-11-23 21:00Z", "2026-11-23 21:00:00+00"},
        {"2024-02-29Z", "2024-02-29 00:00:00+00"},
    };
    for (const auto& c : cases) {
        STRCMP_EQUAL(c.utc, utc(c.text).c_str());
        CHECK(!parse_time(c.text).naive);
    }
}

TEST(RestoreTarget, TakesANaiveTimeInThisMachinesZoneAndSaysSo) {
    const Zone zone(central_europe);
    STRCMP_EQUAL("2026-11-23 20:00:00+00", utc("2026-11-23 21:00:00").c_str());
    STRCMP_EQUAL("2026-07-23 19:00:00.250000+00", utc("2026-07-23 21:00:00.25").c_str());
    TargetOptions options;
    options.time = "2026-11-23 21:00:00";
    const ParsedTarget parsed = parse_target(options);
    UNSIGNED_LONGS_EQUAL(1, parsed.warnings.size());
    CHECK(parsed.warnings[0].find("2026-11-23 20:00:00+00") != std::string::npos);
}

TEST(RestoreTarget, KnowsTheNightsWhenTheClocksChange) {
    const Zone zone(central_europe);
    const ParsedTime twice = parse_time("2026-10-25 02:30:00");
    CHECK(twice.ambiguous);
    STRCMP_EQUAL("2026-10-25 01:30:00+00", format_utc(twice.time).c_str());
    CHECK_THROWS(Error, parse_time("2026-03-29 02:30:00"));
}

TEST(RestoreTarget, RefusesWhatIsNoTime) {
    for (const char* text : {"", "yesterday", "2026-13-01", "2026-02-30 10:00", "2026-11-23 24:00:00Z",
                             "2026-11-23 10:61Z", "2026-11-23 10:00:00.Z", "2026-11-23 10:00:00 Europe/Zurich",
                             "2026-11-23 10:00:00+99", "2026-11-23 10:00:00+01:00x", "26-11-23"}) {
        CHECK_THROWS(Error, parse_time(text));
    }
}

TEST(RestoreTarget, TakesEachKindOfTarget) {
    TargetOptions options;
    CHECK(parse_target(options).target.kind == TargetKind::end);
    CHECK(parse_target(options).target.timeline.kind == TargetTimeline::Kind::latest);
    options.lsn = "16/B374D848";
    options.exclusive = true;
    options.action = "promote";
    options.timeline = "11";
    const RestoreTarget lsn = parse_target(options).target;
    CHECK(lsn.kind == TargetKind::lsn && lsn.lsn == Lsn{0x16B374D848} && !lsn.inclusive);
    CHECK(lsn.action == TargetAction::promote);
    UNSIGNED_LONGS_EQUAL(11, lsn.timeline.number);
    TargetOptions xid;
    xid.xid = "4294968036";  // epoch 1
    UNSIGNED_LONGS_EQUAL(740, parse_target(xid).target.xid);
    TargetOptions name;
    name.name = "before 'the' release";
    STRCMP_EQUAL("to restore point 'before 'the' release'", parse_target(name).target.describe().c_str());
    TargetOptions immediate;
    immediate.immediate = true;
    CHECK(parse_target(immediate).target.kind == TargetKind::immediate);
}

TEST(RestoreTarget, RefusesWhatDoesNotGoTogether) {
    const auto with = [](auto change) {
        TargetOptions options;
        change(options);
        return options;
    };
    refuses(with([](TargetOptions& o) { o.xid = "740", o.immediate = true; }));
    refuses(with([](TargetOptions& o) { o.time = "2026-11-23Z", o.lsn = "0/1"; }));
    refuses(with([](TargetOptions& o) { o.exclusive = true; }));
    refuses(with([](TargetOptions& o) { o.name = "a", o.exclusive = true; }));
    refuses(with([](TargetOptions& o) { o.action = "pause"; }));
    refuses(with([](TargetOptions& o) { o.xid = "740", o.action = "stop"; }));
    refuses(with([](TargetOptions& o) { o.timeline = "0"; }));
    refuses(with([](TargetOptions& o) { o.timeline = "newest"; }));
    refuses(with([](TargetOptions& o) { o.xid = "2"; }));
    refuses(with([](TargetOptions& o) { o.xid = "0x2e4"; }));
    refuses(with([](TargetOptions& o) { o.lsn = "0/0"; }));
    refuses(with([](TargetOptions& o) { o.lsn = "16B374D848"; }));
    refuses(with([](TargetOptions& o) { o.name = ""; }));
    refuses(with([](TargetOptions& o) { o.name = std::string(64, 'a'); }));
}
