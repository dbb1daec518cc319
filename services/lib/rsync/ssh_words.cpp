#include "lib/rsync/ssh_words.h"

#include "lib/base/error.h"
#include "lib/base/shell_words.h"

namespace coffer::rsync {

std::vector<std::string> ssh_words(std::string_view ssh_command) {
    std::vector<std::string> given;
    try {
        given = split_shell_words(ssh_command);
    } catch (const Error& error) {
        throw Error(ErrorCode::invalid_configuration, std::string("ssh_command cannot be used: ") + error.what(),
                    std::string(ssh_command), "write plain words, as in: ssh postgres@db1");
    }
    if (given.size() < 2) {
        throw Error(ErrorCode::invalid_configuration, "ssh_command names no host", std::string(ssh_command),
                    "write for instance: ssh_command = ssh postgres@db1");
    }
    std::vector<std::string> words{
        given.front(),       "-o", "BatchMode=yes",          "-o", "StrictHostKeyChecking=yes", "-o",
        "ConnectTimeout=30", "-o", "ServerAliveInterval=15", "-o", "ServerAliveCountMax=4"};
    words.insert(words.end(), given.begin() + 1, given.end());
    return words;
}

std::string rsh_text(const std::vector<std::string>& words) {
    std::string text;
    for (const std::string& word : words) {
        if (!text.empty()) text += ' ';
        if (!word.empty() && word.find_first_of(" '\"") == std::string::npos) {
            text += word;
            continue;
        }
        text += '\'';
        for (const char c : word) text += c == '\'' ? std::string("''") : std::string(1, c);
        text += '\'';
    }
    return text;
}

}  // namespace coffer::rsync
