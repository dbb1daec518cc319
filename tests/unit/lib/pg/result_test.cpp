#include "lib/pg/result.h"

#include <CppUTest/TestHarness.h>

#include "lib/pg/conn.h"
#include "tests/unit/lib/pg/fake_server.h"

using namespace coffer;

TEST_GROUP(PgResult){};

TEST(PgResult, WhatGoesWrongOnTheServerIsNeverTheBoxsOwn) {
    struct {
        const char* sqlstate;
        ErrorCode code;
    } const cases[] = {
        {"57014", ErrorCode::refused},  // query_canceled
        {"53100", ErrorCode::refused},  // disk_full
        {"58P01", ErrorCode::refused},  // undefined_file
        {"58030", ErrorCode::refused},  // io_error
        {"57P01", ErrorCode::server_unreachable},
        {"53300", ErrorCode::server_unreachable},
        {"42501", ErrorCode::permission_denied},
        {"0A000", ErrorCode::not_supported},
        {"XX001", ErrorCode::refused},
    };
    for (const auto& c : cases) {
        test::FakeServer server([&](const std::string&) { return test::refusal(c.sqlstate); });
        pg::PgConn conn = pg::PgConn::connect({server.conninfo()});
        const Error error = conn.try_exec("SELECT 1").error("asked");
        CHECK_TEXT(error.code() == c.code, c.sqlstate);
        STRCMP_EQUAL("asked: no", error.what());
    }
}
