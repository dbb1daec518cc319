// What a client of ssh has sent as its command.
#include <algorithm>

#include "lib/base/error.h"
#include "lib/base/shell_words.h"

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
    using namespace coffer;
    try {
        const auto words = split_shell_words({reinterpret_cast<const char*>(data), size});
        std::string line;
        for (const std::string& word : words) {
            const auto control = [](unsigned char c) { return c < 0x20 || c == 0x7F; };
            if (std::any_of(word.begin(), word.end(), control)) __builtin_trap();
            line += (line.empty() ? "" : " ") + quote_shell_word(word);
        }
        // Written anew for a shell they are the same words.
        if (line.size() <= longest_command && split_shell_words(line) != words) __builtin_trap();
    } catch (const Error&) {  // every refusal is right, a crash is not
    }
    return 0;
}
