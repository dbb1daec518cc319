#pragma once
// Connection strings: completed with what Coffer needs, taken apart by host, and shown without their secrets.
//
// Pure functions over libpq's own parser (PostgreSQL documentation, "Connection Strings"); both notations are read, the
// keyword/value one is written. They throw invalid_configuration, never quoting the string itself (it may hold a
// password).
#include <chrono>
#include <string>
#include <vector>

namespace coffer::pg {

struct ConninfoAdditions {
    std::string application_name;  // empty: left alone; an application_name in the string wins
    bool replication = false;      // physical replication mode
    std::string options = {};      // "-c name=value" for the session; what the string itself says of it wins
};

// One string for each host named, in their order, each complete in itself. Several hosts are tried one after the other
// by us and not by libpq, because libpq without its own (blocking) loop has no time limit per host: one dead host would
// hide the others. With several hosts and no target_session_attrs, read-write is asked for: the primary is followed.
std::vector<std::string> attempts_of(const std::string& conninfo, const ConninfoAdditions& additions);

// connect_timeout of the string, or fallback where there is none.
std::chrono::seconds connect_timeout_of(const std::string& conninfo, std::chrono::seconds fallback);

// For logs and errors: passwords replaced by "*****".
std::string without_secrets(const std::string& conninfo);

}  // namespace coffer::pg
