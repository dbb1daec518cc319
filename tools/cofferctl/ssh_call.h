#pragma once
// What a database host may ask of this box through its ssh key, and what it has asked, as a call that is known to do no
// more than that.
//
// Nothing of the client's text is passed on: its words are held against a list of what is allowed, and the call is
// written anew. So what is not in the list (options that write files on the box, other servers, other commands,
// abbreviations) cannot be reached, whatever cofferctl learns later. Pure functions.
#include <string>
#include <string_view>
#include <vector>

namespace coffer::cofferctl {

struct SshGrant {
    std::string server;
    bool put = false;      // put-wal
    bool get = false;      // get-wal, serve-wal
    bool restore = false;  // what get allows; list-backups, show-backup
    bool accept_conflict = false;
};

// list: "put", "get" and "restore", with commas. Throws invalid_argument.
void grant(SshGrant& to, std::string_view list);

// The arguments of cofferctl for what the client wanted (SSH_ORIGINAL_COMMAND). The program may be called barman,
// cofferctl or coffer, in /usr/bin or without a path. Its -c FILE is accepted and without effect: which configuration
// is used is said by the forced command. Throws refused, which says what of it is not allowed.
std::vector<std::string> allowed_call(const SshGrant& granted, std::string_view original);

}  // namespace coffer::cofferctl
