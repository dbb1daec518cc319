// cofferctl verify-backup and generate-manifest: hand over to coffer-job verify.
#include "lib/catalogue/catalogue.h"
#include "tools/cofferctl/commands.h"
#include "tools/cofferctl/job_program.h"

namespace coffer::cofferctl {
namespace {

[[noreturn]] void hand_over(Context& context, const Arguments& arguments, const char* more) {
    const config::Server& server = one_server(context, arguments.positionals[0], Only::readable);
    const catalogue::BackupInfo backup = catalogue::Catalogue(server).get(arguments.positionals[1]);
    std::vector<std::string> argv{"verify", server.name, backup.backup_id, "--config",
                                  std::filesystem::absolute(context.config.main_file).string()};
    if (const auto jobs = arguments.text("jobs")) argv.insert(argv.end(), {"--jobs", *jobs});
    if (context.out.json_wanted()) argv.emplace_back("--json");
    if (more != nullptr) argv.emplace_back(more);
    become_job(std::move(argv));
}

void verify(Context& context, const Arguments& arguments) {
    hand_over(context, arguments, nullptr);
}
void generate(Context& context, const Arguments& arguments) {
    hand_over(context, arguments, "--make-manifest");
}

}  // namespace

Command verify_backup_command() {
    return {"verify-backup",
            {"verify"},
            "read all of a backup and say what is damaged",
            "SERVER BACKUP",
            2,
            2,
            {{"--jobs", OptionSpec::Kind::text, "read with so many threads"}},
            verify};
}

Command generate_manifest_command() {
    return {"generate-manifest",
            {},
            "write the manifest of a backup that has none",
            "SERVER BACKUP",
            2,
            2,
            {{"--jobs", OptionSpec::Kind::text, "read with so many threads"}},
            generate};
}

}  // namespace coffer::cofferctl
