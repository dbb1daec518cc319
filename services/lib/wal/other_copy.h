#pragma once
// There is a file of this name already: does it hold the same bytes as the one that has come, other ones, or is it a
// broken copy? Compared is the plain content, whatever either is compressed with. Thread-safe.
#include <string_view>

#include "lib/base/files.h"
#include "lib/wal/admission.h"

namespace coffer::wal {

enum class OtherCopy { same, different, damaged };

// held: the file that is there, under this name; plain: the bytes that have come, which are good. A broken copy of the
// same segment is found by its proof, or, without one, by what it says of itself: what is of another system or size
// (another cluster's under the same name, or one that was encrypted) may be good, and is different. Throws io, also
// when held is not there any more.
OtherCopy compare_with_held(const Path& held, std::string_view name, ByteSpan plain, const KnownSystem& known);

}  // namespace coffer::wal
