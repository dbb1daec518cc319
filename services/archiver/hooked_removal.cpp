#include "services/archiver/hooked_removal.h"

#include "lib/base/error.h"
#include "lib/hooks/hooks.h"
#include "lib/hooks/variables.h"

namespace coffer::archiver {

void remove_backup(const config::Server& server, const catalogue::BackupInfo& backup, const hooks::Stop& stop) {
    const catalogue::Catalogue catalogue(server);
    hooks::Hooks scripts(server, hooks::Family::removal, stop);
    if (!scripts.any()) return catalogue.mark_removed(backup.backup_id);
    const hooks::Variables variables = hooks::of_backup(server, backup);
    scripts.before(variables);
    try {
        catalogue.mark_removed(backup.backup_id);
    } catch (const Error& error) {
        scripts.after(variables, error.what());
        throw;
    }
    scripts.after(variables, {});
}

}  // namespace coffer::archiver
