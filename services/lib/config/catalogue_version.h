#pragma once
// Which version of the catalogue on disk this program knows, and which one a server's is.
//
// meta/coffer-catalogue.json: {"version": 1, "written_by": "0.1.0"}. Written when Coffer first writes to a catalogue.
// Where it is absent the version is 1: what Barman made has none, and Barman takes no notice of it. The version rises
// when an older program would misread or spoil what lies there; config::load() disables a server whose catalogue is
// newer than this program. A mark that cannot be read, or says nothing, is only told: it must not end the streaming of
// a server, nor keep anybody from restoring. Thread-safe.
#include <optional>

#include "lib/config/config.h"

namespace coffer::config {

inline constexpr std::uint64_t known_catalogue_version = 1;

Path catalogue_mark(const Server& server);
// What is wrong with its version, fatal when it is newer; nullopt when nothing is.
std::optional<Problem> problem_of_catalogue(const Server& server);
// Throws not_supported when it is newer.
void require_known_catalogue(const Server& server);

}  // namespace coffer::config
