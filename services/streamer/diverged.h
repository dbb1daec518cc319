#pragma once
// What a person can do when a server's history is not the one that is held here (server_mismatch).

namespace coffer::streamer {

inline constexpr const char* diverged_remedy =
    "another server was promoted to the same timeline, or this one was set back to an older copy; nothing is taken "
    "from "
    "it. Let conninfo name the right server; if this is the right one, move the files of this timeline, its history "
    "too, "
    "out of streaming/, incoming/ and wals/ and take a new backup";

}  // namespace coffer::streamer
