// coffer-wal-archive: the archive_command of a database host.
//
// Exit status: 0 the box has it, durably; 2 something of ours, or a wrong call; 3 ssh could not connect; 4 the box
// holds other bytes under this name; else what put-wal ended with. PostgreSQL tries again whatever it is; above 125 it
// would restart its archiver too, for nothing, so nothing that the box says becomes such a status.
#include <getopt.h>
#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <optional>

#include "lib/base/error.h"
#include "tools/clients/box.h"
#include "tools/clients/names.h"
#include "tools/clients/wal_tar.h"

namespace {

using namespace coffer;
using namespace coffer::clients;

constexpr int own_error = 2, no_connection = 3, highest_passed_on = 125;

constexpr const char* usage_text =
    "usage: coffer-wal-archive [OPTIONS] HOST SERVER WAL_PATH\n"
    "Gives one WAL file to a Coffer (or Barman) by ssh, as PostgreSQL's archive_command:\n"
    "    archive_command = 'coffer-wal-archive -U coffer backup-host shop %p'\n"
    "  -U, --user USER    user on HOST (barman)\n"
    "      --port PORT    port of its ssh\n"
    "  -c, --config FILE  configuration file there\n"
    "      --md5          send an MD5 checksum, for a Barman that knows no other\n"
    "  -t, --test         only try the connection and the configuration\n"
    "Exit status: 0 the box has it, 2 an error here, 3 no connection, 4 the box holds other bytes under this name.\n";

struct Options {
    Box box;
    Path path;
    Digest digest = Digest::sha256;
    bool test = false;
};

enum LongOnly { port_option = 1000, md5_option, compression_option, version_option };
constexpr option long_options[] = {{"user", required_argument, nullptr, 'U'},
                                   {"port", required_argument, nullptr, port_option},
                                   {"config", required_argument, nullptr, 'c'},
                                   {"md5", no_argument, nullptr, md5_option},
                                   {"test", no_argument, nullptr, 't'},
                                   {"gzip", no_argument, nullptr, compression_option},
                                   {"bzip2", no_argument, nullptr, compression_option},
                                   {"xz", no_argument, nullptr, compression_option},
                                   {"snappy", no_argument, nullptr, compression_option},
                                   {"zstd", no_argument, nullptr, compression_option},
                                   {"lz4", no_argument, nullptr, compression_option},
                                   {"compression-level", required_argument, nullptr, compression_option},
                                   {"version", no_argument, nullptr, version_option},
                                   {"help", no_argument, nullptr, 'h'},
                                   {nullptr, 0, nullptr, 0}};

// nullopt with the exit status when there is nothing to do.
std::optional<Options> parse(int argc, char** argv, int& status) {
    Options options;
    for (int c; (c = ::getopt_long(argc, argv, "U:c:tzjVh", long_options, nullptr)) != -1;) {
        switch (c) {
            case 'U':
                options.box.user = optarg;
                break;
            case port_option:
                options.box.port = optarg;
                break;
            case 'c':
                options.box.config = optarg;
                break;
            case md5_option:
                options.digest = Digest::md5;
                break;
            case 't':
                options.test = true;
                break;
            case 'z':
            case 'j':
            case compression_option:
                throw Error(ErrorCode::not_supported, "WAL is not compressed on this host", {},
                            "leave the option out: the box compresses what it stores (its setting: compression)");
            case 'V':
            case version_option:
                std::puts("coffer-wal-archive " COFFER_VERSION);
                return std::nullopt;
            default:
                status = c == 'h' ? 0 : own_error;
                std::fputs(usage_text, c == 'h' ? stdout : stderr);
                return std::nullopt;
        }
    }
    const int given = argc - optind;
    if (given != 3 && !(options.test && given == 2)) {
        std::fputs(usage_text, stderr);
        status = own_error;
        return std::nullopt;
    }
    options.box.host = argv[optind];
    options.box.server = argv[optind + 1];
    if (given == 3) options.path = argv[optind + 2];
    check(options.box);
    return options;
}

// Who reads has ended: its exit status says more than EPIPE.
struct NobodyReads {};

void write_all(int fd, ByteSpan bytes) {
    while (!bytes.empty()) {
        const ssize_t written = ::write(fd, bytes.data(), bytes.size());
        if (written < 0 && errno == EINTR) continue;
        if (written < 0 && errno == EPIPE) throw NobodyReads();
        if (written < 0) throw Error::from_errno(errno, "cannot write to ssh", {});
        bytes = bytes.subspan(static_cast<std::size_t>(written));
    }
}

// What put-wal says is for the log of PostgreSQL.
void pass_on_output(const Child& ssh) {
    char buffer[4096];
    for (ssize_t got; (got = ::read(ssh.from(), buffer, sizeof buffer)) > 0;) {
        (void)!::write(STDERR_FILENO, buffer, static_cast<std::size_t>(got));
    }
}

int put_by(const std::string& program, const Options& options) {
    std::vector<std::string> words{"put-wal", options.box.server};
    if (options.test) words.emplace_back("--test");
    Child ssh(ssh_command(options.box, program, words), false);
    try {
        if (!options.test)
            write_wal_tar(options.path, options.digest, [&](ByteSpan bytes) { write_all(ssh.to(), bytes); });
    } catch (const NobodyReads&) {
    } catch (const Error&) {
        ssh.stop();  // before the end of its input could be taken for the end of a stream
        throw;
    }
    ssh.close_input();
    pass_on_output(ssh);
    return ssh.wait();
}

int put(const Options& options) {
    std::string name = options.path.filename().string();
    if (name.ends_with(".partial")) name.resize(name.size() - std::strlen(".partial"));
    if (!options.test && !is_wal_name(name)) {
        throw Error(ErrorCode::invalid_argument, "not the name of a WAL file", options.path.string());
    }
    int status = put_by("cofferctl", options);
    if (status == no_such_command) status = put_by("barman", options);
    if (status == 0) return 0;
    if (status == ssh_failed) {
        std::fprintf(stderr, "ERROR: the box cannot be reached by ssh: %s\n", options.box.host.c_str());
        return no_connection;
    }
    if (status == no_such_command) {
        std::fprintf(stderr, "ERROR: there is neither cofferctl nor barman on %s\n", options.box.host.c_str());
        return own_error;
    }
    std::fprintf(stderr, "ERROR: put-wal on %s ended with %d\n", options.box.host.c_str(), status);
    return status <= highest_passed_on ? status : own_error;
}

}  // namespace

int main(int argc, char** argv) {
    ::signal(SIGPIPE, SIG_IGN);
    try {
        int status = 0;
        const auto options = parse(argc, argv, status);
        return options ? put(*options) : status;
    } catch (const Error& error) {
        std::fprintf(stderr, "ERROR: %s\n", error.full_text().c_str());
    } catch (const std::exception& error) {
        std::fprintf(stderr, "ERROR: internal error: %s\n", error.what());
    }
    return own_error;
}
