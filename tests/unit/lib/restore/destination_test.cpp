#include "lib/restore/destination.h"

#include <CppUTest/TestHarness.h>

#include "lib/base/error.h"

using namespace coffer;
using namespace coffer::restore;

TEST_GROUP(Destination) {
    Path directory;
    void setup() override {
        char name[] = "/tmp/coffer-destination-XXXXXX";
        directory = ::mkdtemp(name);
    }
    void teardown() override {
        std::filesystem::remove_all(directory);
    }

    static ErrorCode refusal(const Path& target, const std::vector<Path>& taken) {
        try {
            check_empty_target(target, taken);
        } catch (const Error& error) {
            return error.code();
        }
        return ErrorCode::internal;
    }
};

TEST(Destination, KeepsOutOfEveryServersCatalogue) {
    config::Config config;
    for (const char* const name : {"one", "two"}) {
        config::Server& server = config.servers[name];
        server.backup_directory = directory / name;
        server.wals_directory = directory / "elsewhere" / name;
    }
    const std::vector<Path> taken = catalogue_directories(config);
    for (const char* const target :
         {"one", "one/base/new", "two", "two/x", "elsewhere/two/x", "elsewhere", "", "x/../two/y"}) {
        CHECK(refusal(directory / target, taken) == ErrorCode::refused);
    }
    std::filesystem::create_directory(directory / "two");
    std::filesystem::create_directory_symlink(directory / "two", directory / "link");
    CHECK(refusal(directory / "link/new", taken) == ErrorCode::refused);
    check_empty_target(directory / "three", taken);
    check_empty_target(directory / "twofold", taken);
}

TEST(Destination, MustBeAbsoluteAndEmpty) {
    CHECK(refusal("relative/path", {}) == ErrorCode::invalid_argument);
    CHECK(refusal(directory / "line\nbreak", {}) == ErrorCode::invalid_argument);
    check_empty_target(directory, {});
    std::filesystem::create_directory(directory / "lost+found");
    check_empty_target(directory, {});
    std::filesystem::create_directory(directory / "base");
    CHECK(refusal(directory, {}) == ErrorCode::not_empty);
}
