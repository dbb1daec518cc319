#pragma once
// A number of bytes for people, as Barman writes it: with one digit behind the point and in KiB, MiB, GiB ..., each
// 1024 of the one before ("1.5 MiB"); below that "512 B".
#include <string>

namespace coffer {

std::string pretty_size(double bytes);

}  // namespace coffer
