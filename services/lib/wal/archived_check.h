#pragma once
// Is a file of the archive still what was archived? Unlike admission, which asks whether a file may enter: what is held
// may be of another system (the server was upgraded, the archive is older than that), of a version whose WAL is not
// understood, or in a form that only those know who archived it. Thread-safe.
#include <functional>
#include <string>

#include "lib/wal/proof.h"
#include "lib/wal/xlogdb.h"

namespace coffer::wal {

struct ArchivedCheck {
    enum class Result { sound, damaged, opaque } result = Result::sound;  // opaque: nothing can be told
    std::string fault;  // "is bad at 0/3004000: …"; of an opaque one, why nothing can be told
    Proof found;        // of the plain bytes; with sound only
};

// Was nothing done to this file that is not known here, as the index says? Asked only where the file does not tell, of
// one without a kept checksum; false where it has no line.
using FormKnown = std::function<bool()>;

// The kept checksum decides, where there is one. Else what the file says of itself: a segment is held against its own
// system and its own version. stored: the bytes as they lie, of the file at path.
ArchivedCheck check_archived(const Path& path, ByteSpan stored, const FormKnown& form_known);

// The plain bytes of one that was set aside under another name, where they are sound as name; else nullopt.
std::optional<std::string> sound_content(const Path& path, const std::string& name, ByteSpan stored);

// What FormKnown answers for a file with this line.
bool is_known_form(const XlogLine& line) noexcept;

}  // namespace coffer::wal
