#pragma once
// A container from its end to its beginning, for range-for: for (const Backup& backup : reversed(backups)).
//
// Instead of std::views::reverse, which clang 14, the compiler of the fuzzers, rejects together with the library of
// gcc 12. The container must outlive the loop; a temporary is refused.
#include <iterator>

namespace coffer {

template <typename Container>
struct Reversed {
    const Container& container;
    auto begin() const { return std::rbegin(container); }
    auto end() const { return std::rend(container); }
};

template <typename Container>
Reversed<Container> reversed(const Container& container) {
    return {container};
}
template <typename Container>
Reversed<Container> reversed(const Container&& container) = delete;

}  // namespace coffer
