#pragma once
// One configuration file as sections and entries with their line numbers, before anything is known of their meaning.
//
// inih splits the lines. Two things are done around it, because Barman's files rely on them and the inih of Debian
// (built with lines of 200 bytes) does not: values of any length, kept exactly as written (no inline comments: a
// password may hold " ;"), and continuation lines only where a line is indented deeper than its key. Reading foreign
// bytes: never throws for what the text holds, everything wrong becomes a Problem.
#include <string>
#include <string_view>
#include <vector>

#include "lib/config/config.h"

namespace coffer::config {

struct IniEntry {
    std::string key;  // lower case
    std::string value;
    int line = 0;
};

struct IniSection {
    std::string name;
    int line = 0;
    std::vector<IniEntry> entries;  // as written; the last of a repeated key counts
    [[nodiscard]] const IniEntry* find(std::string_view key) const noexcept;
};

struct IniFile {
    Path path;
    std::vector<IniSection> sections;
    std::vector<Problem> problems;  // lines that could not be read; fatal to the servers of this file
};

IniFile parse_ini(std::string_view text, const Path& path);

}  // namespace coffer::config
