#include "tools/cofferctl/get_wal.h"

#include <getopt.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "lib/base/error.h"
#include "lib/catalogue/catalogue.h"
#include "lib/config/catalogue_version.h"
#include "lib/config/units.h"
#include "lib/wal/holdings.h"
#include "lib/wal/hole.h"
#include "lib/wal/segment_name.h"
#include "lib/wal/serve.h"
#include "tools/cofferctl/output.h"

namespace coffer::cofferctl {
namespace {

constexpr int not_held = 1, bad_request = 3, damaged = 126;
// PostgreSQL takes 1 to 125 for "there is no such file" and ends the recovery there; above, it stops. So for a
// restore_command everything is above that is not a clear answer.
constexpr int stops_recovery = 126;

constexpr const char* usage_text =
    "usage: cofferctl get-wal [-P] [-o DIRECTORY | --to FILE] [-p COUNT] [-z | -j | --keep-compression] SERVER WAL\n"
    "  -P, --partial               give an unfinished segment too, filled with zeros to its full size\n"
    "  -o, --output-directory DIR  write it there under its own name, whole or not at all (default: standard output)\n"
    "      --to FILE               write it to this file, whole or not at all\n"
    "      --stop-at-hole          with --to: end with 126 where a segment is not whole though later ones are held\n"
    "  -p, --peek COUNT            only print up to COUNT names that are held from WAL on\n"
    "  -z, --gzip; -j, --bzip2     compress what is given\n"
    "      --keep-compression      give the bytes as they are stored\n"
    "  -t, --test                  only say whether WAL would be given; WAL may be left out\n";

struct Request {
    std::string server;
    std::string name;
    Path directory;
    Path file;
    std::uint64_t peek = 0;
    bool test = false;
    bool stop_at_hole = false;
    wal::ServeOptions options;
};

enum LongOnly { to_option = 1000, keep_option, hole_option };
constexpr option long_options[] = {{"partial", no_argument, nullptr, 'P'},
                                   {"output-directory", required_argument, nullptr, 'o'},
                                   {"to", required_argument, nullptr, to_option},
                                   {"stop-at-hole", no_argument, nullptr, hole_option},
                                   {"peek", required_argument, nullptr, 'p'},
                                   {"gzip", no_argument, nullptr, 'z'},
                                   {"compression", no_argument, nullptr, 'z'},
                                   {"bzip2", no_argument, nullptr, 'j'},
                                   {"keep-compression", no_argument, nullptr, keep_option},
                                   {"test", no_argument, nullptr, 't'},
                                   {"help", no_argument, nullptr, 'h'},
                                   {nullptr, 0, nullptr, 0}};

// nullopt with the exit status when there is nothing to do.
std::optional<Request> parse(int argc, char** argv, int& status) {
    Request request;
    optind = 1;
    for (int c; (c = ::getopt_long(argc, argv, "Po:p:zxjth", long_options, nullptr)) != -1;) {
        switch (c) {
            case 'P':
                request.options.allow_partial = true;
                break;
            case 'o':
                request.directory = optarg;
                break;
            case to_option:
                request.file = optarg;
                break;
            case 'p': {
                const auto count = config::parse_number(optarg, 1, 1000000);
                if (!count) throw Error(ErrorCode::invalid_argument, "--peek needs a number above zero", optarg);
                request.peek = *count;
                break;
            }
            case 'z':
            case 'x':
                request.options.compress_with = wal::Codec::gzip;
                break;
            case 'j':
                request.options.compress_with = wal::Codec::bzip2;
                break;
            case keep_option:
                request.options.keep_compression = true;
                break;
            case hole_option:
                request.stop_at_hole = true;
                break;
            case 't':
                request.test = true;
                break;
            case 'h':
                std::fputs(usage_text, stdout);
                status = 0;
                return std::nullopt;
            default:
                std::fputs(usage_text, stderr);
                status = 2;
                return std::nullopt;
        }
    }
    // With --test Barman's clients give a name that is none.
    const int given = argc - optind;
    if (!(given == 2 || (given == 1 && request.test)) || (!request.directory.empty() && !request.file.empty())) {
        std::fputs(usage_text, stderr);
        status = 2;
        return std::nullopt;
    }
    request.server = argv[optind];
    if (given == 2) request.name = argv[optind + 1];
    return request;
}

int not_found(const Request& request, const config::Server& server, Output& out) {
    std::error_code error;
    const bool archive =
        std::filesystem::is_directory(server.wals_directory, error) || error == std::errc::permission_denied;
    out.error(Error(ErrorCode::no_such_wal, "WAL file '" + request.name + "' not found in server '" + server.name + "'",
                    {},
                    archive ? ""
                            : "the WAL archive is not there: " + server.wals_directory.string() +
                                  ": is its volume mounted, and is this the right configuration?"));
    return not_held;
}

// --to is for a restore_command; what it wants is known even when the rest of the call makes no sense.
bool is_for_recovery(int argc, char** argv) {
    return std::any_of(argv, argv + argc,
                       [](std::string_view word) { return word == "--to" || word.starts_with("--to="); });
}

int status_of(const Error& error) {
    switch (error.code()) {
        case ErrorCode::corrupt:
        case ErrorCode::io:
        case ErrorCode::permission_denied:
            return damaged;
        case ErrorCode::no_space:
            return bad_request;
        default:
            return not_held;
    }
}

// A volume that is not mounted has no WAL either, which is no answer.
void refuse_absent_archive(const config::Server& server) {
    if (std::filesystem::is_directory(server.wals_directory)) return;
    throw Error(ErrorCode::io, "the WAL archive is not there", server.wals_directory.string(),
                "is its volume mounted, and is this the right configuration?");
}

int serve(Request request, const config::Server& server, Output& out) {
    using wal::FileKind;
    if (request.test) {
        refuse_absent_archive(server);
        std::printf("Ready to retrieve WAL files from the server %s\n", server.name.c_str());
        return 0;
    }
    const FileKind kind = wal::kind_of(request.name);
    if (kind == FileKind::unknown || kind == FileKind::temporary) {
        out.error("'" + request.name + "' is not a valid wal file name");
        return bad_request;
    }
    if (request.peek > 0) {
        for (const auto& name :
             wal::names_held_from(server, request.name, request.peek, request.options.allow_partial)) {
            std::puts(name.c_str());
        }
        return 0;
    }
    // Whose WAL it is, is said by the WAL too; to end a recovery for want of this comparison would be worse.
    try {
        const auto identity = catalogue::Catalogue(server).identity();
        if (identity) request.options.system_identifier = identity->systemid;
    } catch (const Error& error) {
        out.warning(error.what());
    }
    if (request.directory.empty() && request.file.empty()) {
        const bool found = wal::serve_to(server, request.name, request.options, STDOUT_FILENO, "standard output");
        return found ? 0 : not_found(request, server, out);
    }
    const Path destination =
        request.file.empty() ? request.directory / request.name : std::filesystem::absolute(request.file);
    if (::access(destination.parent_path().c_str(), W_OK | X_OK) != 0) {
        out.error(Error::from_errno(errno, "cannot write into directory", destination.parent_path().string()));
        return bad_request;
    }
    if (request.stop_at_hole) wal::refuse_hole(server, request.name, request.options.allow_partial);
    if (wal::serve_to_file(server, request.name, request.options, destination)) return 0;
    return not_found(request, server, out);
}

}  // namespace

int get_wal(int argc, char** argv, const std::optional<Path>& config_file, bool json) {
    ::signal(SIGPIPE, SIG_DFL);
    Output out(json ? Format::json : Format::console, true, false);
    const bool for_recovery = is_for_recovery(argc, argv);
    int status = 0;
    bool answered = false;  // whether it is held is known
    try {
        const auto request = parse(argc, argv, status);
        if (!request) return for_recovery && status != 0 ? stops_recovery : status;
        const config::Config config = config::load(config::find_config_file(config_file));
        const config::Server& server = config.server(request->server);
        // A disabled server's archive may still be read, as long as its directories are known.
        config::require_known_catalogue(server);
        if (for_recovery) refuse_absent_archive(server);
        status = serve(*request, server, out);
        answered = status == 0 || status == not_held;
    } catch (const Error& error) {
        out.error(error);
        status = status_of(error);
    } catch (const std::exception& error) {
        out.error("internal error: " + std::string(error.what()));
        status = damaged;
    }
    if (for_recovery && !answered) status = stops_recovery;
    out.set_exit_status(status);
    // Standard output belongs to the WAL; JSON goes there only when there is something to say.
    return json && status != 0 ? out.finish() : status;
}

}  // namespace coffer::cofferctl
