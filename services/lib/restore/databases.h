#pragma once
// Restoring some databases of a cluster only.
//
// PostgreSQL recovers all of a cluster or nothing: WAL is about all databases, and it stops where a page that WAL
// speaks of is not there. So the files of a database that is left out become files of the same size that are nothing
// but a hole (as pgBackRest does): replay finds them, and they take no room. Whatever WAL changes in them begins with
// an image of the whole page, because a backup begins with a checkpoint, as long as full_page_writes is on and, for the
// visibility map's records, page checksums are (PostgreSQL 13 to 18, heapam.c, log_heap_visible: without them the page
// has no image, and replay on an empty page is a PANIC). Where that does not hold it is refused. Nobody can connect to
// such a database; it is there to be dropped.
//
// template0, template1, postgres and what else initdb made is always restored, and so is every database that was made
// after the backup: it is in WAL only. Errors: invalid_argument, refused, corrupt.
#include <string>
#include <vector>

#include "lib/restore/copy.h"
#include "lib/restore/pg_database.h"

namespace coffer::restore {

struct DatabaseChoice {
    std::vector<std::string> excluded;  // these not
    std::vector<std::string> only;      // none but these
    [[nodiscard]] bool everything() const { return excluded.empty() && only.empty(); }
};

struct LeftDatabase {
    Database database;
    std::uint64_t bytes = 0;  // that are not restored
    bool dropped = false;     // by WAL up to the target
};

// Which of the databases are left out. Throws invalid_argument for a name that does not exist or must be restored,
// refused for one that was being renamed.
std::vector<LeftDatabase> choose_databases(const std::vector<Database>& databases, const DatabaseChoice& choice);

// Makes holes of their files; of a tablespace's tree those below its one directory.
void leave_out(Tree& tree, bool tablespace, std::vector<LeftDatabase>& left);

// What removes it from the restored server, for psql. It goes by the oid: by then the name may be that of another
// database, which was made after the backup. Finds nothing when the database is gone.
std::string drop_command(const Database& database);

}  // namespace coffer::restore
