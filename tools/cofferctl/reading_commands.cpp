#include "tools/cofferctl/commands.h"

namespace coffer::cofferctl {

const std::vector<Command>& reading_commands() {
    static const std::vector<Command> commands{list_servers_command(), list_backups_command(), show_backup_command(),
                                               list_files_command(), why_command()};
    return commands;
}

}  // namespace coffer::cofferctl
