#include "lib/scrub/state.h"

#include <CppUTest/TestHarness.h>

#include "tests/unit/lib/wal/server_fixture.h"

using namespace coffer;
using namespace coffer::scrub;

namespace {

const WallTime now = WallTime(std::chrono::sys_days(std::chrono::year(2026) / 11 / 28));
constexpr auto hour = std::chrono::hours(1);

}  // namespace

TEST_GROUP(ScrubState) {
    test::ServerFixture place;
    const config::Server& server = place.server;
    void setup() override {
        std::filesystem::create_directories(server.meta_directory());
    }
};

TEST(ScrubState, IsReadAsItWasSaved) {
    State state;
    state.folders["0000000100000000"] = {now, "000000010000000000000007", now + hour};
    state.folders[""] = {now - hour, "", {}};
    state.images["20261126T000000"] = {now, "base/5/1259"};
    state.wal_damage.push_back({"000000010000000000000003", "is bad", now, "/errors/x.damaged"});
    state.oldest_wal = now - hour;
    state.all_begun = now;
    save_state(server, state, now + hour);
    const State read = read_state(server);
    LONGS_EQUAL(2, read.folders.size());
    CHECK(read.folders.at("0000000100000000").at == now);
    STRCMP_EQUAL("000000010000000000000007", read.folders.at("0000000100000000").cursor.c_str());
    CHECK(read.folders.at("0000000100000000").cursor_at == now + hour);
    STRCMP_EQUAL("base/5/1259", read.images.at("20261126T000000").cursor.c_str());
    STRCMP_EQUAL("/errors/x.damaged", read.wal_damage.at(0).set_aside.c_str());
    CHECK(read.oldest_wal == now - hour && read.all_begun == now && read.saved_at == now + hour);
}

TEST(ScrubState, MayBeLostOrBroken) {
    CHECK(read_state(server).folders.empty());
    for (const char* text : {"", "{", "[]", R"({"version": 1})", R"({"version": 2, "saved_at": 0})",
                             R"({"version": 1, "saved_at": 0, "wal": {"a": 3}, "images": {}, "wal_damage": []})"}) {
        write_file_durably(server.meta_directory() / "coffer-scrub.json", text);
        CHECK(read_state(server).folders.empty());
    }
}

TEST(ScrubState, ANewFileMakesOnlyItselfUnproven) {
    const FolderProof proof{now, "b", now + hour};
    CHECK(proof_of(proof, "a", now - hour) == now + hour);  // by the pass under way
    CHECK(proof_of(proof, "c", now - hour) == now);         // by the one before
    CHECK(!proof_of(proof, "c", now + hour / 2));           // came since
    CHECK(!proof_of(proof, "a", now + 2 * hour));           // was replaced since
    CHECK(!proof_of(FolderProof{}, "a", now));
}
