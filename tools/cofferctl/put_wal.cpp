#include "tools/cofferctl/put_wal.h"

#include <getopt.h>
#include <syslog.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <optional>
#include <vector>

#include "lib/base/error.h"
#include "lib/base/owner.h"
#include "lib/config/catalogue_version.h"
#include "lib/delivery/put_wal.h"
#include "tools/cofferctl/output.h"

namespace coffer::cofferctl {
namespace {

constexpr int not_stored = 1, wrong_usage = 2, conflicting = 4;
constexpr std::size_t piece_size = 256 << 10;

constexpr const char* usage_text =
    "usage: cofferctl put-wal [-t] [--accept-conflict] SERVER < TAR\n"
    "  takes a tar stream with one WAL file, and MD5SUMS or SHA256SUMS with its checksum\n"
    "  -t, --test             only say whether WAL would be taken\n"
    "      --accept-conflict  end with 0, and not with 4, where other bytes are held under this name\n";

struct Request {
    std::optional<Path> config;
    std::string server;
    bool json = false;
    bool test = false;
    bool accept_conflict = false;
};

enum LongOnly { json_option = 1000, accept_option };
constexpr option long_options[] = {
    {"config", required_argument, nullptr, 'c'}, {"json", no_argument, nullptr, json_option},
    {"test", no_argument, nullptr, 't'},         {"accept-conflict", no_argument, nullptr, accept_option},
    {"help", no_argument, nullptr, 'h'},         {nullptr, 0, nullptr, 0}};

// nullopt with the exit status when there is nothing to do.
std::optional<Request> parse(int argc, char** argv, int& status) {
    Request request;
    optind = 1;
    for (int c; (c = ::getopt_long(argc, argv, "c:th", long_options, nullptr)) != -1;) {
        switch (c) {
            case 'c':
                request.config = optarg;
                break;
            case json_option:
                request.json = true;
                break;
            case 't':
                request.test = true;
                break;
            case accept_option:
                request.accept_conflict = true;
                break;
            case 'h':
                std::fputs(usage_text, stdout);
                status = 0;
                return std::nullopt;
            default:
                std::fputs(usage_text, stderr);
                status = wrong_usage;
                return std::nullopt;
        }
    }
    if (argc - optind != 1) {
        std::fputs(usage_text, stderr);
        status = wrong_usage;
        return std::nullopt;
    }
    request.server = argv[optind];
    return request;
}

// The stream of standard input in pieces.
class StandardInput {
  public:
    ByteSpan next() {
        for (;;) {
            const ssize_t got = ::read(STDIN_FILENO, piece_.data(), piece_.size());
            if (got >= 0) return ByteSpan(piece_).first(static_cast<std::size_t>(got));
            if (errno != EINTR) throw Error::from_errno(errno, "cannot read", "standard input");
        }
    }

  private:
    std::vector<std::byte> piece_ = std::vector<std::byte>(piece_size);
};

// Over ssh standard error is the sender's: what an operator of the box must know goes to the system's log too.
void tell_operator(const config::Server& server, const std::string& text) {
    ::openlog("coffer-put-wal", LOG_PID, LOG_DAEMON);
    ::syslog(LOG_WARNING, "server %s: %s", server.name.c_str(), text.c_str());
    ::closelog();
}

int take(const Request& request, const config::Server& server, Output& out) {
    StandardInput input;
    const auto outcome = delivery::put_wal(
        server, [&input] { return input.next(); }, Clock());
    if (outcome.result != delivery::PutOutcome::Result::conflict) return 0;
    const std::string text = "other bytes are held as " + outcome.name + " (" + outcome.where.string() +
                             "); what was sent lies in " + outcome.aside.string();
    tell_operator(server, text);
    const std::string remedy =
        "\nHINT: find out which server sends here: it may be another one, or one that was restored and has no timeline "
        "of its own";
    if (request.accept_conflict) {
        out.warning(text + remedy);
        return 0;
    }
    out.error(text + remedy);
    return conflicting;
}

}  // namespace

int put_wal(int argc, char** argv) {
    int status = 0;
    const auto request = parse(argc, argv, status);
    if (!request) return status;
    Output out(request->json ? Format::json : Format::console, false, false);
    try {
        const config::Config config = config::load(config::find_config_file(request->config));
        const config::Server& server = config.server(request->server);
        delivery::require_put_allowed(server);
        config::require_known_catalogue(server);
        become_owner_of(server.incoming_wals_directory);
        if (request->test) {
            if (::access(server.incoming_wals_directory.c_str(), W_OK | X_OK) != 0)
                throw Error::from_errno(errno, "cannot write into directory", server.incoming_wals_directory.string());
            out.info("Ready to accept WAL files for the server " + server.name);
        } else {
            status = take(*request, server, out);
        }
    } catch (const Error& error) {
        out.error(error);
        status = not_stored;
    } catch (const std::exception& error) {
        out.error("internal error: " + std::string(error.what()));
        status = not_stored;
    }
    out.set_exit_status(status);
    return out.finish();
}

}  // namespace coffer::cofferctl
