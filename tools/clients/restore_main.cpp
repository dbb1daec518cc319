// coffer-wal-restore: the restore_command of a database host.
//
// What PostgreSQL makes of an exit status (xlogarchive.c, RestoreArchivedFile): 0 and the file is there; 1 to 125
// "there is no such file", after which a recovery ends (a standby asks again); above 125, or ended by a signal, it
// stops. ssh's own 255 must never get there as it is. Ended by SIGTERM, as PostgreSQL does at its shutdown, we say so
// by dying of it.
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "lib/base/error.h"
#include "tools/clients/names.h"
#include "tools/clients/restore_options.h"
#include "tools/clients/spool.h"

namespace {

using namespace coffer;
using namespace coffer::clients;

enum Status { given = 0, not_held = 1, no_connection = 2, bad_destination = 3, stop = 126 };

void tell(const Error& error) {
    std::fprintf(stderr, "ERROR: %s\n", error.full_text().c_str());
}

Status status_of(ErrorCode code) {
    switch (code) {
        case ErrorCode::corrupt:
        case ErrorCode::wal_gap:
            return stop;
        case ErrorCode::io:
        case ErrorCode::no_space:
        case ErrorCode::permission_denied:
            return bad_destination;
        default:
            return no_connection;
    }
}

// nullopt: to be fetched without it.
std::optional<bool> from_spool(const RestoreOptions& options, bool& is_barman) {
    try {
        const Spool spool(options.box, options.spool_directory, options.destination);
        is_barman = spool.is_barman();
        if (is_barman) return std::nullopt;
        return take_ahead(spool, options.box, options.ahead, options.wanted, options.destination);
    } catch (const Error& error) {
        std::fprintf(stderr, "WARNING: no read-ahead: %s\n", error.full_text().c_str());
        return std::nullopt;
    }
}

bool get(const RestoreOptions& options) {
    bool is_barman = false;
    if (options.ahead > 0) {
        if (const auto taken = from_spool(options, is_barman)) return *taken;
    }
    if (!is_barman) {
        try {
            return fetch(options.box, options.wanted, options.destination);
        } catch (const Error& error) {
            if (error.code() != ErrorCode::not_supported) throw;
        }
    }
    return fetch_from_barman(options.box, options.wanted, options.destination);
}

int restore(RestoreOptions& options) {
    if (options.test) {
        try_connection(options.box);
        std::printf("ready to fetch WAL of %s from %s\n", options.box.server.c_str(), options.box.host.c_str());
        return given;
    }
    if (!is_wal_name(options.wanted.name)) {
        std::fprintf(stderr, "ERROR: not the name of a WAL file: %s\n", options.wanted.name.c_str());
        return bad_destination;
    }
    std::error_code error;
    options.destination = std::filesystem::absolute(options.destination, error);
    const Path folder = std::filesystem::canonical(options.destination.parent_path(), error);
    if (error || ::access(folder.c_str(), W_OK | X_OK) != 0) {
        std::fprintf(stderr, "ERROR: cannot write into directory: %s\n", options.destination.parent_path().c_str());
        return bad_destination;
    }
    options.destination = folder / options.destination.filename();
    if (get(options)) return given;
    std::fprintf(stderr, "WAL file %s is not held\n", options.wanted.name.c_str());
    return not_held;
}

}  // namespace

int main(int argc, char** argv) {
    ::signal(SIGPIPE, SIG_IGN);
    // Known even when the rest of the call makes no sense.
    const bool stops = std::any_of(argv, argv + argc, [](std::string_view word) { return word == "--stop-at-hole"; });
    std::optional<RestoreOptions> options;
    int status = no_connection;
    try {
        int ended = 0;
        options = parse_restore_options(argc, argv, ended);
        if (!options) return stops && ended != 0 ? static_cast<int>(stop) : ended;
        status = restore(*options);
    } catch (const Error& error) {
        tell(error);
        status = status_of(error.code());
    } catch (const std::exception& error) {
        std::fprintf(stderr, "ERROR: internal error: %s\n", error.what());
    }
    if (options && status != given) ::sleep(options->sleep);
    return stops && status > not_held ? static_cast<int>(stop) : status;
}
