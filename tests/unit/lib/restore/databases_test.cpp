#include "lib/restore/databases.h"

#include <CppUTest/TestHarness.h>

#include "lib/base/error.h"

using namespace coffer;
using namespace coffer::restore;

namespace {

const std::vector<Database> all{{1, "template1", true}, {4, "template0", true},  {5, "postgres", false},
                                {16384, "shop", false}, {16385, "stock", false}, {16400, "base", true}};

std::string left(const DatabaseChoice& choice, const std::vector<Database>& databases = all) {
    std::string text;
    try {
        for (const LeftDatabase& one : choose_databases(databases, choice)) text += one.database.name + " ";
    } catch (const Error& error) {
        return error.what();
    }
    return text;
}

}  // namespace

TEST_GROUP(Databases){};

TEST(Databases, AreChosenByName) {
    STRCMP_EQUAL("stock ", left({{"stock"}, {}}).c_str());
    STRCMP_EQUAL("stock base ", left({{}, {"shop"}}).c_str());
    STRCMP_EQUAL("shop stock base ", left({{}, {"postgres"}}).c_str());
    STRCMP_EQUAL("", left({{}, {"shop", "stock", "base"}}).c_str());
}

TEST(Databases, RefusesNamesThatCannotBeLeftOut) {
    CHECK(left({{"nobody"}, {}}).find("no database of this name") != std::string::npos);
    CHECK(left({{}, {"nobody"}}).find("no database of this name") != std::string::npos);
    CHECK(left({{"postgres"}, {}}).find("always restored") != std::string::npos);
    CHECK(left({{"template1"}, {}}).find("always restored") != std::string::npos);
    CHECK(left({{"shop"}, {"stock"}}).find("both") != std::string::npos);
    CHECK(left({{"shop"}, {}}, {{16384, "shop", false}, {16390, "shop", false}}).find("made again") !=
          std::string::npos);
    CHECK(left({{"shop"}, {}}, {{16384, "shop", false}, {16384, "store", false}}).find("renamed") != std::string::npos);
}

TEST(Databases, MakesHolesOfTheirFilesOnly) {
    std::vector<LeftDatabase> databases{{all[3], 0}};
    Tree data;
    for (const char* path : {"base/16384/1", "base/16384/PG_VERSION", "base/16384/pg_filenode.map", "base/16385/1",
                             "base/1/1", "global/16384", "base/16384x/1", "base/16384/deep/1"}) {
        data.entries.push_back({path, 100, false});
        data.bytes += 100;
    }
    leave_out(data, false, databases);
    CHECK(data.entries[0].zeros && data.entries[2].zeros);
    data.entries[2].zeros = false;
    for (std::size_t i = 1; i < data.entries.size(); ++i)
        CHECK_TEXT(!data.entries[i].zeros, data.entries[i].path.c_str());
    Tree space;
    space.entries = {{"PG_15_202209061/16384/1", 50, false}, {"PG_15_202209061/16385/1", 50, false}};
    space.bytes = 100;
    leave_out(space, true, databases);
    CHECK(space.entries[0].zeros && !space.entries[1].zeros);
    UNSIGNED_LONGS_EQUAL(250, databases[0].bytes);
    UNSIGNED_LONGS_EQUAL(600, data.bytes);
}

TEST(Databases, AreDroppedByTheirNumber) {
    STRCMP_EQUAL("SELECT format('DROP DATABASE %I', datname) FROM pg_database WHERE oid = 20000 \\gexec",
                 drop_command({20000, "a\"b", false}).c_str());
    STRCMP_EQUAL(
        "SELECT unnest(ARRAY[format('ALTER DATABASE %I IS_TEMPLATE false', datname), format('DROP DATABASE %I', "
        "datname)]) FROM pg_database WHERE oid = 20001 \\gexec",
        drop_command({20001, "base", true}).c_str());
}
