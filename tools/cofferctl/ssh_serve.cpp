#include "tools/cofferctl/ssh_serve.h"

#include <getopt.h>
#include <syslog.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "lib/base/error.h"
#include "tools/cofferctl/ssh_call.h"

namespace coffer::cofferctl {
namespace {

constexpr const char* usage_text =
    "usage: cofferctl [-c FILE] ssh-serve SERVER --allow put,get,restore [--accept-conflict]\n"
    "  the forced command of a key in authorized_keys: does what the key may, for this server alone\n"
    "      --allow put          put-wal\n"
    "      --allow get          get-wal, serve-wal\n"
    "      --allow restore      the same, list-backups and show-backup\n"
    "      --accept-conflict    put-wal ends with 0, as Barman's, where other bytes are held under a name\n";

enum LongOnly { allow_option = 1000, accept_option };
constexpr option long_options[] = {{"allow", required_argument, nullptr, allow_option},
                                   {"accept-conflict", no_argument, nullptr, accept_option},
                                   {"help", no_argument, nullptr, 'h'},
                                   {nullptr, 0, nullptr, 0}};

int wrong_usage() {
    std::fputs(usage_text, stderr);
    return ssh_refused;
}

std::string from_environment(const char* name) {
    const char* value = std::getenv(name);
    return value == nullptr ? std::string() : value;
}

// On one line, and nothing in it that a terminal would obey.
std::string one_line(std::string text) {
    constexpr std::size_t most = 1000;
    if (text.size() > most) text = text.substr(0, most) + "...";
    std::replace_if(
        text.begin(), text.end(), [](unsigned char c) { return c < 0x20 || c == 0x7F; }, '?');
    return text;
}

void tell(const SshGrant& granted, const Error& error, const std::string& original) {
    const std::string client = from_environment("SSH_CONNECTION");
    const std::string text =
        one_line("server " + granted.server + ": refused to " +
                 client.substr(0, std::min(client.find(' '), client.size())) + ": " + error.what() + ": " + original);
    ::openlog("coffer-ssh-serve", LOG_PID, LOG_AUTHPRIV);
    ::syslog(LOG_WARNING, "%s", text.c_str());
    ::closelog();
    std::fprintf(stderr, "ERROR: %s\n", one_line(error.what()).c_str());
    if (!error.remedy().empty()) std::fprintf(stderr, "HINT: %s\n", error.remedy().c_str());
}

}  // namespace

int ssh_serve(int argc, char** argv, std::vector<std::string>& call) {
    SshGrant granted;
    std::string allowed;
    optind = 1;
    for (int c; (c = ::getopt_long(argc, argv, "h", long_options, nullptr)) != -1;) {
        switch (c) {
            case allow_option:
                allowed += (allowed.empty() ? "" : ",") + std::string(optarg);
                break;
            case accept_option:
                granted.accept_conflict = true;
                break;
            case 'h':
                std::fputs(usage_text, stdout);
                return 0;
            default:
                return wrong_usage();
        }
    }
    if (argc - optind != 1) return wrong_usage();
    granted.server = argv[optind];
    const std::string original = from_environment("SSH_ORIGINAL_COMMAND");
    try {
        grant(granted, allowed);
        call = allowed_call(granted, original);
        return 0;
    } catch (const Error& error) {
        tell(granted, error, original);
        return ssh_refused;
    }
}

}  // namespace coffer::cofferctl
