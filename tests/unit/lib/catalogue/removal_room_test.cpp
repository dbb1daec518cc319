#include "lib/catalogue/removal_room.h"

#include <CppUTest/TestHarness.h>

#include <filesystem>

using namespace coffer;
using namespace coffer::catalogue;

TEST_GROUP(RemovalRoom) {
    config::Server server;
    void setup() override {
        char directory[] = "/tmp/coffer-room-XXXXXX";
        server.backup_directory = ::mkdtemp(directory);
        std::filesystem::create_directories(server.meta_directory());
    }
    void teardown() override {
        std::filesystem::remove_all(server.backup_directory);
    }
};

TEST(RemovalRoom, IsGivenUpOnceWhenThereIsNoSpace) {
    keep_removal_room(server);
    LONGS_EQUAL(1 << 20, std::filesystem::file_size(removal_room_path(server)));
    int tried = 0;
    with_removal_room(server, [&] {
        if (++tried == 1) throw Error(ErrorCode::no_space, "full", "here");
    });
    LONGS_EQUAL(2, tried);
    CHECK(!std::filesystem::exists(removal_room_path(server)));
    CHECK_THROWS(Error, with_removal_room(server, [] { throw Error(ErrorCode::no_space, "full", "here"); }));
    keep_removal_room(server);
    CHECK_THROWS(Error, with_removal_room(server, [] { throw Error(ErrorCode::busy, "busy", "here"); }));
    CHECK(std::filesystem::exists(removal_room_path(server)));
}

TEST(RemovalRoom, IsMissingWhereItCannotBeMade) {
    std::filesystem::remove(server.meta_directory());
    keep_removal_room(server);
    CHECK(!give_up_removal_room(server));
}
