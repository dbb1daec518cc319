// cofferctl restore: hands over to coffer-job restore, in the foreground and with the caller's rights.
#include "lib/base/error.h"
#include "lib/catalogue/catalogue.h"
#include "tools/cofferctl/commands.h"
#include "tools/cofferctl/job_program.h"

namespace coffer::cofferctl {
namespace {

using Kind = OptionSpec::Kind;

// What coffer-job knows under the same name.
constexpr const char* passed_texts[] = {"target-time", "target-xid",    "target-lsn", "target-name",
                                        "target-tli",  "target-action", "jobs"};
constexpr const char* passed_flags[] = {"target-immediate", "exclusive",       "standby-mode", "dry-run",
                                        "get-wal",          "no-get-wal",      "verify",       "no-verify",
                                        "delta-restore",    "no-delta-restore"};

std::string key_of(std::string name) {
    for (char& c : name) c = c == '-' ? '_' : c;
    return name;
}

void run(Context& context, const Arguments& arguments) {
    const auto& words = arguments.positionals;
    const config::Server& server = one_server(context, words[0], Only::readable);
    const std::string backup = words.size() == 3 ? words[1] : "auto";
    if (backup != "auto" && !catalogue::Catalogue(server).find(backup)) {
        throw Error(ErrorCode::no_such_backup, "Unknown backup '" + backup + "' for server '" + server.name + "'", {},
                    "cofferctl list-backups " + server.name + " shows what exists");
    }
    std::vector<std::string> argv{"restore",  server.name,
                                  backup,     words.back(),
                                  "--config", std::filesystem::absolute(context.config.main_file).string()};
    for (const char* name : passed_texts) {
        if (const auto value = arguments.text(key_of(name)))
            argv.insert(argv.end(), {std::string("--") + name, *value});
    }
    for (const char* name : passed_flags) {
        if (arguments.flag(key_of(name))) argv.push_back(std::string("--") + name);
    }
    if (context.out.json_wanted()) argv.emplace_back("--json");
    for (const std::string& mapping : arguments.all("tablespace")) argv.insert(argv.end(), {"--tablespace", mapping});
    for (const char* name : {"exclude-database", "only-database"}) {
        for (const std::string& database : arguments.all(key_of(name))) {
            argv.insert(argv.end(), {std::string("--") + name, database});
        }
    }
    become_job(std::move(argv));
}

}  // namespace

Command restore_command() {
    return {"restore",
            {"recover"},
            "restore a backup into a local directory",
            "SERVER [BACKUP] DESTINATION",
            2,
            3,
            {{"--target-time", Kind::text, "recover up to this time"},
             {"--target-xid", Kind::text, "recover up to this transaction"},
             {"--target-lsn", Kind::text, "recover up to this position"},
             {"--target-name", Kind::text, "recover up to this restore point"},
             {"--target-immediate", Kind::flag, "recover only until the backup is consistent"},
             {"--target-tli", Kind::text, "timeline: a number, current or latest"},
             {"--target-action", Kind::text, "pause, shutdown or promote at the target"},
             {"--exclusive", Kind::flag, "stop just before the target instead of just after it"},
             {"--standby-mode", Kind::flag, "make it a standby"},
             {"--get-wal", Kind::flag, "fetch WAL from here during recovery"},
             {"--no-get-wal", Kind::flag, "copy the WAL that is needed"},
             {"--dry-run", Kind::flag, "show what would be done, or why it cannot be, and write nothing"},
             {"--verify", Kind::flag, "read reflinked files too where the file system finds damage by itself"},
             {"--no-verify", Kind::flag, "take a damaged backup as it is, without looking at its manifest"},
             {"--delta-restore", Kind::flag, "onto a data directory of the same cluster: write only what differs"},
             {"--no-delta-restore", Kind::flag, "to an empty directory only, whatever recovery_options says"},
             {"--tablespace", Kind::repeated, "NAME:DIRECTORY, may be repeated"},
             {"--exclude-database", Kind::repeated, "leave this database out, may be repeated"},
             {"--only-database", Kind::repeated, "leave all others out, may be repeated"},
             {"-j,--jobs", Kind::text, "files copied at the same time"},
             {"--retry-times", Kind::refused_text},
             {"--retry-sleep", Kind::refused_text},
             {"--no-retry", Kind::ignored},
             {"--remote-ssh-command", Kind::refused_text},
             {"--bwlimit", Kind::refused_text},
             {"--network-compression", Kind::refused_flag},
             {"--no-network-compression", Kind::ignored},
             {"--staging-wal-directory", Kind::refused_text},
             {"--restore-command", Kind::refused_text},
             {"--staging-path", Kind::refused_text},
             {"--staging-location", Kind::refused_text},
             {"--local-staging-path", Kind::refused_text},
             {"--recovery-staging-path", Kind::refused_text},
             {"--combine-mode", Kind::refused_text},
             {"--recovery-conf-filename", Kind::refused_text},
             {"--recovery-option-port", Kind::refused_text},
             {"--snapshot-recovery-instance", Kind::refused_text},
             {"--snapshot-recovery-zone", Kind::refused_text},
             {"--gcp-zone", Kind::refused_text},
             {"--azure-resource-group", Kind::refused_text},
             {"--aws-region", Kind::refused_text}},
            run};
}

}  // namespace coffer::cofferctl
