#include "lib/config/ini_file.h"

#include <ini.h>

#include <algorithm>
#include <cstring>

#include "lib/config/units.h"

namespace coffer::config {
namespace {

constexpr std::size_t longest_name = 48;  // inih keeps 49 bytes of a section's name
constexpr const char* section_mark = "\x01";

// One line for inih. Values are handed over by their number in this list, so that inih's line length does not matter.
struct Line {
    enum class Kind { header, header_mark, entry, continuation };
    Kind kind;
    std::string fed;
    std::string value;
    int number;
};

class Parser {
  public:
    Parser(std::string_view text, const Path& path) : text_(text) { file_.path = path; }

    IniFile run() {
        split();
        ini_parse_stream(&Parser::read_line, this, &Parser::take, this);
        return std::move(file_);
    }

  private:
    void problem(int line, std::string text, std::string remedy) {
        file_.problems.push_back(Problem{file_.path, line, std::move(text), std::move(remedy), true});
    }

    void split() {
        if (text_.substr(0, 3) == "\xEF\xBB\xBF") text_.remove_prefix(3);
        int number = 0;
        while (!text_.empty()) {
            const auto end = std::min(text_.find('\n'), text_.size());
            add(text_.substr(0, end), ++number);
            text_.remove_prefix(std::min(end + 1, text_.size()));
        }
    }

    void add(std::string_view raw, int number) {
        const std::string_view line = trim(raw);
        if (line.empty() || line.front() == '#' || line.front() == ';') return;
        const auto bad = [](char c) { return static_cast<unsigned char>(c) < 0x20 && c != '\t'; };
        if (std::any_of(line.begin(), line.end(), bad)) {
            in_entry_ = false;
            return problem(number, "the line holds control characters", "save the file as plain text (UTF-8)");
        }
        const std::size_t indent = static_cast<std::size_t>(line.data() - raw.data());
        if (in_entry_ && indent > indent_) {
            lines_.push_back({Line::Kind::continuation, " ", std::string(line), number});
        } else if (line.front() == '[') {
            add_header(line, number);
        } else {
            add_entry(line, indent, number);
        }
    }

    void add_header(std::string_view line, int number) {
        in_entry_ = false;
        const auto end = line.find(']');
        const std::string_view name = end == std::string_view::npos ? "" : trim(line.substr(1, end - 1));
        if (name.empty() || name.size() > longest_name) {
            return problem(number, "this is not the name of a section in brackets",
                           "write [NAME] with at most 48 characters");
        }
        const std::string fed(name);
        lines_.push_back({Line::Kind::header, "[" + fed + "]", fed, number});
        lines_.push_back({Line::Kind::header_mark, section_mark, fed, number});
    }

    void add_entry(std::string_view line, std::size_t indent, int number) {
        in_entry_ = false;
        const auto split = line.find_first_of("=:");
        const std::string_view key = split == std::string_view::npos ? "" : trim(line.substr(0, split));
        if (key.empty() || key.size() > longest_name || key.find(';') != std::string_view::npos) {
            return problem(number, "this is neither KEY = VALUE nor [SECTION] nor a comment",
                           "correct the line, or put # in front of it");
        }
        in_entry_ = true;
        indent_ = indent;
        lines_.push_back({Line::Kind::entry, to_lower(key), std::string(trim(line.substr(split + 1))), number});
    }

    // inih's reader: one line of lines_ at a time.
    static char* read_line(char* buffer, int size, void* parser) noexcept {
        auto& self = *static_cast<Parser*>(parser);
        if (self.next_ >= self.lines_.size()) return nullptr;
        const Line& line = self.lines_[self.next_];
        std::string text = line.fed;
        if (line.kind != Line::Kind::header) {
            if (line.kind != Line::Kind::continuation) text += "=";
            text += "@" + std::to_string(self.next_);
        }
        ++self.next_;
        const std::size_t length = std::min(text.size(), static_cast<std::size_t>(size) - 1);
        std::memcpy(buffer, text.data(), length);
        buffer[length] = '\0';
        return buffer;
    }

    // inih's handler; nothing may leave it.
    static int take(void* parser, const char*, const char*, const char* value) noexcept try {
        auto& self = *static_cast<Parser*>(parser);
        const auto index = parse_number(std::string_view(value).substr(1), 0, self.lines_.size() - 1);
        if (index) self.take_line(self.lines_[*index]);
        return 1;
    } catch (...) {
        return 0;
    }

    void take_line(const Line& line) {
        if (line.kind == Line::Kind::header_mark) {
            file_.sections.push_back({line.value, line.number, {}});
        } else if (file_.sections.empty()) {
            if (line.kind == Line::Kind::entry) {
                problem(line.number, "'" + line.fed + "' stands before the first section",
                        "put it below [coffer] or below the name of its server");
            }
        } else if (line.kind == Line::Kind::entry) {
            file_.sections.back().entries.push_back({line.fed, line.value, line.number});
        } else if (!file_.sections.back().entries.empty()) {
            std::string& value = file_.sections.back().entries.back().value;
            value += (value.empty() ? "" : "\n") + line.value;
        }
    }

    std::string_view text_;
    IniFile file_;
    std::vector<Line> lines_;
    std::size_t next_ = 0;
    bool in_entry_ = false;
    std::size_t indent_ = 0;
};

}  // namespace

const IniEntry* IniSection::find(std::string_view key) const noexcept {
    const auto found = std::find_if(entries.rbegin(), entries.rend(), [&](const IniEntry& e) { return e.key == key; });
    return found == entries.rend() ? nullptr : &*found;
}

IniFile parse_ini(std::string_view text, const Path& path) {
    return Parser(text, path).run();
}

}  // namespace coffer::config
