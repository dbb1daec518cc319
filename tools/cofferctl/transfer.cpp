// cofferctl export-backup and import-backup: hand over to coffer-job.
#include "lib/catalogue/catalogue.h"
#include "tools/cofferctl/commands.h"
#include "tools/cofferctl/job_program.h"

namespace coffer::cofferctl {
namespace {

[[noreturn]] void hand_over(Context& context, std::vector<std::string> argv) {
    argv.insert(argv.end(), {"--config", std::filesystem::absolute(context.config.main_file).string()});
    if (context.out.json_wanted()) argv.emplace_back("--json");
    become_job(std::move(argv));
}

void run_export(Context& context, const Arguments& arguments) {
    const config::Server& server = one_server(context, arguments.positionals[0], Only::readable);
    const catalogue::BackupInfo backup = catalogue::Catalogue(server).get(arguments.positionals[1]);
    std::vector<std::string> argv{"export", server.name, backup.backup_id, arguments.positionals[2]};
    if (const auto codec = arguments.text("compression")) argv.insert(argv.end(), {"--compression", *codec});
    if (const auto level = arguments.text("compression_level"))
        argv.insert(argv.end(), {"--compression-level", *level});
    hand_over(context, std::move(argv));
}

void run_import(Context& context, const Arguments& arguments) {
    const config::Server& server = one_server(context, arguments.positionals[0], Only::readable);
    hand_over(context, {"import", server.name, arguments.positionals[1]});
}

}  // namespace

Command export_backup_command() {
    return {"export-backup",
            {},
            "write a backup and the WAL that it needs into one file",
            "SERVER BACKUP DIRECTORY",
            3,
            3,
            {{"--compression", OptionSpec::Kind::text, "none (default), gzip, bzip2, xz or zstd"},
             {"--compression-level", OptionSpec::Kind::text, "of the compression"}},
            run_export};
}

Command import_backup_command() {
    return {"import-backup", {}, "take a backup out of such a file", "SERVER FILE", 2, 2, {}, run_import};
}

}  // namespace coffer::cofferctl
