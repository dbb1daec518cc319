#include "services/job/start_advice.h"

#include <CppUTest/TestHarness.h>
#include <sys/stat.h>

using namespace coffer;
using namespace coffer::job;

TEST_GROUP(StartAdvice) {
    restore::Plan plan;
    Path root;
    void setup() override {
        char name[] = "/tmp/coffer-advice-XXXXXX";
        root = ::mkdtemp(name);
        plan.destination = "/srv/pg new";
        plan.identity.major_version = 17;
        plan.backup.pgdata = "/var/lib/postgresql/17/main";
        plan.backup.config_file = plan.backup.pgdata + "/postgresql.conf";
        plan.configuration.main_file["port"] = {"port", "5432", "port = 5432"};
    }
    void teardown() override {
        std::filesystem::remove_all(root);
    }
    void settings_elsewhere() {
        plan.backup.config_file = "/etc/postgresql/17/main/postgresql.conf";
        plan.configuration.main_file.clear();
    }
};

TEST(StartAdvice, IsPgCtlOfTheVersionThatIsInstalled) {
    STRCMP_EQUAL("pg_ctl -D '/srv/pg new' start", start_command(plan, root).c_str());
    std::filesystem::create_directories(root / "17/bin");
    write_file_durably(root / "17/bin/pg_ctl", "");
    ::chmod((root / "17/bin/pg_ctl").c_str(), 0755);
    STRCMP_EQUAL((root.string() + "/17/bin/pg_ctl -D '/srv/pg new' start").c_str(), start_command(plan, root).c_str());
}

TEST(StartAdvice, NamesSettingsThatAreElsewhereWithTheNewDataDirectory) {
    settings_elsewhere();
    plan.destination = "/srv/new";
    STRCMP_EQUAL(
        "pg_ctl -D /srv/new -o '-c config_file=/etc/postgresql/17/main/postgresql.conf -c data_directory=/srv/new' "
        "start",
        start_command(plan, root).c_str());
    CHECK(settings_to_look_through(plan).find("/etc/postgresql/17/main/postgresql.conf") != std::string::npos);
}

TEST(StartAdvice, LeavesTheOldPlaceToDebiansOwnCommand) {
    settings_elsewhere();
    plan.destination = plan.backup.pgdata;
    STRCMP_EQUAL("pg_ctlcluster 17 main start", start_command(plan, root).c_str());
    plan.backup.config_file = "/etc/postgres.conf";
    CHECK(start_command(plan, root).starts_with("pg_ctl -D /var/lib/postgresql/17/main -o "));
}
