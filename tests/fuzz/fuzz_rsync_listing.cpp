// Lines that rsync on another host prints: parsed or refused, never anything else; and a backup_label.
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "lib/base/error.h"
#include "lib/pg/low_level_backup.h"
#include "lib/rsync/listing.h"
#include "lib/rsync/selection.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    try {
        if (const auto listed = coffer::rsync::parse_listing_line(text)) {
            (void)coffer::rsync::is_part_of_backup(listed->path, listed->directory);
            std::vector<coffer::rsync::Listed> files{*listed};
            coffer::rsync::leave_out_unlogged(files);
        }
    } catch (const coffer::Error&) {
    }
    try {
        (void)coffer::rsync::parse_transfer_line(text);
    } catch (const coffer::Error&) {
    }
    try {
        (void)coffer::pg::parse_backup_label(text);
    } catch (const coffer::Error&) {
    }
    return 0;
}
