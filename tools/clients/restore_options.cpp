#include "tools/clients/restore_options.h"

#include <getopt.h>

#include <charconv>
#include <cstdio>
#include <cstring>

#include "lib/base/error.h"

namespace coffer::clients {
namespace {

constexpr unsigned most_ahead = 1000, longest_sleep = 3600;
constexpr int wrong_call = 2;

constexpr const char* usage_text =
    "usage: coffer-wal-restore [OPTIONS] HOST SERVER WAL DESTINATION\n"
    "Fetches one WAL file from a Coffer (or Barman) by ssh, as PostgreSQL's restore_command:\n"
    "    restore_command = 'coffer-wal-restore -U coffer -P -p 8 --stop-at-hole backup-host shop %f %p'\n"
    "  -U, --user USER        user on HOST (barman)\n"
    "      --port PORT        port of its ssh\n"
    "  -c, --config FILE      configuration file there\n"
    "  -p, --parallel COUNT   stay ahead of recovery by so many segments, over one connection\n"
    "      --spool-dir DIR    where these wait (/var/tmp/walrestore, or beside DESTINATION on another file system)\n"
    "  -P, --partial          the unfinished segment too, filled with zeros to its full size\n"
    "      --stop-at-hole     end with 126, on which PostgreSQL stops, for whatever is no clear answer: a broken\n"
    "                         connection, or a segment that is missing though later ones are held\n"
    "  -s, --sleep SECONDS    wait before a failure is told\n"
    "  -t, --test             only try the connection\n"
    "  -z, -j, --gzip, --bzip2, --keep-compression, --compression NAME\n"
    "                         accepted: what goes over the connection is compressed in any case\n"
    "Exit status: 0 given, 1 not held, 2 no connection or a wrong call, 3 DESTINATION cannot be written, 126 held but\n"
    "damaged.\n";

enum LongOnly { port_option = 1000, spool_option, hole_option, no_effect_option, version_option };
constexpr option long_options[] = {{"user", required_argument, nullptr, 'U'},
                                   {"port", required_argument, nullptr, port_option},
                                   {"config", required_argument, nullptr, 'c'},
                                   {"sleep", required_argument, nullptr, 's'},
                                   {"parallel", required_argument, nullptr, 'p'},
                                   {"spool-dir", required_argument, nullptr, spool_option},
                                   {"partial", no_argument, nullptr, 'P'},
                                   {"stop-at-hole", no_argument, nullptr, hole_option},
                                   {"gzip", no_argument, nullptr, 'z'},
                                   {"bzip2", no_argument, nullptr, 'j'},
                                   {"keep-compression", no_argument, nullptr, 'z'},
                                   {"compression", required_argument, nullptr, no_effect_option},
                                   {"test", no_argument, nullptr, 't'},
                                   {"version", no_argument, nullptr, version_option},
                                   {"help", no_argument, nullptr, 'h'},
                                   {nullptr, 0, nullptr, 0}};

unsigned number(const char* text, unsigned most, const char* option) {
    unsigned value = 0;
    const char* const end = text + std::strlen(text);
    const auto parsed = std::from_chars(text, end, value);
    if (parsed.ec != std::errc() || parsed.ptr != end || value > most) {
        throw Error(ErrorCode::invalid_argument,
                    std::string(option) + " needs a number from 0 to " + std::to_string(most), text);
    }
    return value;
}

// False when the option ends the call.
bool take(RestoreOptions& options, int option, int& status) {
    switch (option) {
        case 'U':
            options.box.user = optarg;
            return true;
        case port_option:
            options.box.port = optarg;
            return true;
        case 'c':
            options.box.config = optarg;
            return true;
        case 's':
            options.sleep = number(optarg, longest_sleep, "--sleep");
            return true;
        case 'p':
            options.ahead = number(optarg, most_ahead, "--parallel");
            return true;
        case spool_option:
            options.spool_directory = optarg;
            return true;
        case 'P':
            options.wanted.partial = true;
            return true;
        case hole_option:
            options.wanted.whole = true;
            return true;
        case 'z':
        case 'j':
        case no_effect_option:
            return true;
        case 't':
            options.test = true;
            return true;
        case 'V':
        case version_option:
            std::puts("coffer-wal-restore " COFFER_VERSION);
            return false;
        default:
            status = option == 'h' ? 0 : wrong_call;
            std::fputs(usage_text, status == 0 ? stdout : stderr);
            return false;
    }
}

}  // namespace

std::optional<RestoreOptions> parse_restore_options(int argc, char** argv, int& status) {
    RestoreOptions options;
    optind = 0;  // begins anew
    for (int c; (c = ::getopt_long(argc, argv, "U:c:s:p:PzjtVh", long_options, nullptr)) != -1;) {
        if (!take(options, c, status)) return std::nullopt;
    }
    // A test is told no file.
    const int given = argc - optind;
    if (given != 4 && !(options.test && given >= 2)) {
        (void)take(options, '?', status);
        return std::nullopt;
    }
    options.box.host = argv[optind];
    options.box.server = argv[optind + 1];
    if (given > 2) options.wanted.name = argv[optind + 2];
    if (given > 3) options.destination = argv[optind + 3];
    check(options.box);
    return options;
}

}  // namespace coffer::clients
