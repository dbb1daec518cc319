#include "lib/pg/replication.h"

#include <CppUTest/TestHarness.h>

#include "lib/base/error.h"
#include "tests/unit/lib/pg/fake_server.h"

using namespace coffer;

TEST_GROUP(Replication){};

TEST(Replication, OnlyAFileThatIsNotThereIsNoHistory) {
    struct {
        const char* sqlstate;
        bool none;
    } const cases[] = {{"58P01", true}, {"58030", false}, {"58000", false}, {"XX000", false}};
    for (const auto& c : cases) {
        test::FakeServer server([&](const std::string&) { return test::refusal(c.sqlstate); });
        pg::PgConn conn = pg::PgConn::connect({server.conninfo()});
        if (c.none) {
            CHECK(!pg::timeline_history(conn, 2));
        } else {
            CHECK_THROWS(Error, (void)pg::timeline_history(conn, 2));
        }
    }
}
