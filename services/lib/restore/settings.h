#pragma once
// The settings with which a restored cluster starts: appended to postgresql.auto.conf, which PostgreSQL reads last, so
// that they win over postgresql.conf and all it includes without touching these (pg_verifybackup then still passes).
// What they replace is kept as comments. Read: PostgreSQL documentation 13 to 18, "Archive Recovery" and "Recovery
// Target". Text in, text out; pure but for examine_configuration, which reads the backup's tree.
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/files.h"
#include "lib/catalogue/backup_info.h"
#include "lib/restore/target.h"

namespace coffer::restore {

// One assignment in a configuration file.
struct Assignment {
    std::string key;    // lower case
    std::string value;  // unquoted
    std::string line;   // as written
};
// nullopt for blank lines, comments and what PostgreSQL would not read either.
std::optional<Assignment> parse_assignment(std::string_view line);
// The last assignment of each key in a file (included files are not followed).
std::map<std::string, Assignment> parse_configuration(std::string_view text);

// 'it''s' with backslashes doubled, as a value in a configuration file.
std::string quote_value(std::string_view value);

struct RecoverySettings {
    RestoreTarget target;
    // Stop behind this record instead, the last one that ends a transaction in front of the target. The same
    // transactions are there; but the first one behind the target, which PostgreSQL would have replayed up to its
    // commit, does not hold its locks while people look: a dropped table could not even be read.
    std::optional<Lsn> last_transaction{};
    std::uint32_t major_version = 0;  // 13 and later
    // What recovery_target_timeline gets: "latest", "current" or a number.
    std::string timeline;
    std::string restore_command;
};

// The whole new content of postgresql.auto.conf. existing: its old content; elsewhere: what postgresql.conf says, whose
// values are noted in a comment when they are replaced.
std::string auto_conf(const RecoverySettings& settings, std::string_view existing,
                      const std::map<std::string, Assignment>& elsewhere);

// restore_command that asks this box for WAL. A recovery without a target must stop where a segment is missing. One
// with a target fails by itself when WAL ends before it, and may read ahead of it (PostgreSQL 15) into a hole that does
// not matter; a standby asks again and again for what is not there yet.
std::string get_wal_command(const Path& cofferctl, const Path& config_file, std::string_view server,
                            const RestoreTarget& target);

struct ConfigurationReport {
    std::map<std::string, Assignment> main_file;  // of postgresql.conf; empty when it is not in the backup
    std::vector<std::string> warnings;            // what points outside of the data directory, what is missing there
};
ConfigurationReport examine_configuration(const Path& data_directory, const catalogue::BackupInfo& backup);

}  // namespace coffer::restore
