#include "lib/restore/execute.h"

#include <CppUTest/TestHarness.h>

#include "lib/base/error.h"

using namespace coffer;
using namespace coffer::restore;
namespace fs = std::filesystem;

TEST_GROUP(Execute) {
    Path root;
    Plan plan;
    void setup() override {
        char name[] = "/tmp/coffer-execute-XXXXXX";
        root = ::mkdtemp(name);
        plan.destination = root / "data";
        plan.data.source = root / "backup";
        fs::create_directory(plan.destination);
    }
    void teardown() override {
        fs::remove_all(root);
    }
    ErrorCode refusal() const {
        try {
            execute(plan, {}, {});
        } catch (const Error& error) {
            return error.code();
        }
        return ErrorCode::internal;
    }
};

// Both cases passed the check for an empty directory a moment ago.
TEST(Execute, LeavesADestinationInWhichAnotherRestoreHasBegun) {
    write_file_durably(plan.destination / unfinished_marker, "of the other");
    CHECK(refusal() == ErrorCode::busy);
    STRCMP_EQUAL("of the other", read_file(plan.destination / unfinished_marker)->c_str());
}

TEST(Execute, LeavesADestinationInWhichAnotherRestoreHasEnded) {
    write_file_durably(plan.destination / "PG_VERSION", "15\n");
    CHECK(refusal() == ErrorCode::not_empty);
    CHECK(!fs::exists(plan.destination / unfinished_marker));
}
