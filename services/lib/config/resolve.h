#pragma once
// From sections to values: server, then global, then default; what cannot be used becomes a Problem.
#include <string>

#include "lib/config/config.h"
#include "lib/config/ini_file.h"

namespace coffer::config {

// Where a server's section and the global one come from. Both outlive the call.
struct Sources {
    const Path& server_file;
    const IniSection& server;
    const Path& global_file;
    const IniSection& global;
};

// Never throws for what the files hold. Bad values of the global section are not repeated for each server:
// check_global() reports them once.
Server resolve_server(const Sources& sources, const Path& home);
std::vector<Problem> check_global(const Path& file, const IniSection& global);

// Warnings for keys nobody knows, keys in the wrong place, repeated keys, and keys that this version does not obey.
std::vector<Problem> check_keys(const Path& file, const IniSection& section, bool is_global);

// What is wrong with a server's name; empty when nothing is.
std::string fault_of_name(const std::string& name);

}  // namespace coffer::config
