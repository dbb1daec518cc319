#pragma once
// The bytes of a base backup, told apart into archives and manifest: two dialects, one interface.
//
// PostgreSQL 13 and 14 send one COPY per tablespace and one for the manifest, each message nothing but data. From 15 on
// there is one COPY, whose messages begin with a letter: 'n' a new archive, 'm' the manifest begins, 'd' data, 'p'
// progress. Source: PostgreSQL documentation, "Streaming Replication Protocol", BASE_BACKUP, of 14 and 15 to 18. The
// stream pulls messages from a MessageSource, so that tests can play recorded ones. Foreign bytes: throws protocol.
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "lib/base/files.h"

namespace coffer::image {

// Where COPY messages come from.
class MessageSource {
  public:
    virtual ~MessageSource() = default;
    // The server's next COPY begins.
    virtual void begin_copy() = 0;
    // The next message of the running COPY, valid until the next call; nullopt at its end.
    virtual std::optional<ByteSpan> next() = 0;
};

struct TablespaceRow {
    std::optional<std::uint32_t> oid;  // nullopt: PGDATA
    std::string location;
    std::uint64_t size = 0;  // bytes, an estimate
};

// What the next bytes are.
struct Section {
    bool manifest = false;
    std::optional<std::uint32_t> tablespace;  // nullopt: PGDATA
};

class BackupStream {
  public:
    virtual ~BackupStream() = default;
    // The next archive or the manifest, after the bytes of the one before have been read to their end; nullopt at the
    // end.
    virtual std::optional<Section> next_section() = 0;
    // The next bytes of it, valid until the next call; empty at its end.
    virtual ByteSpan data() = 0;
};

// For 13 and 14; tablespaces in the order in which the server listed them.
std::unique_ptr<BackupStream> stream_of_copies(MessageSource& source, std::vector<TablespaceRow> tablespaces);
// For 15 and later.
std::unique_ptr<BackupStream> stream_of_messages(MessageSource& source);

// One message of the newer dialect.
struct NewArchive {
    std::string name;      // "16384.tar", "base.tar"
    std::string location;  // empty for PGDATA
};
struct ManifestBegins {};
struct ArchiveData {
    ByteSpan bytes;
};
struct ProgressNote {
    std::uint64_t bytes = 0;
};
using BackupMessage = std::variant<NewArchive, ManifestBegins, ArchiveData, ProgressNote>;
BackupMessage parse_backup_message(ByteSpan message);

}  // namespace coffer::image
