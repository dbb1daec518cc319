// coffer-put-wal: what cofferctl becomes for put-wal.
#include "tools/cofferctl/put_wal.h"

int main(int argc, char** argv) {
    return coffer::cofferctl::put_wal(argc, argv);
}
