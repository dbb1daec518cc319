"""What cofferctl says to people when something is not as it should be: what, where, and what to do."""
import os
import re

import pytest

from lib.postgres import Postgres


@pytest.mark.parametrize("checksums", [True, False], ids=["checksums", "none"])
def test_show_backup_says_whether_pages_could_be_checked(place, box, checksums):
    server = Postgres(os.path.join(place, "server")).create(checksums=checksums).start()
    box.add_server("main", server)
    box.start("streamer")
    box.wait_streaming(server)
    shown = box.cofferctl("show-backup", "main", box.backup("main")).stdout
    assert re.search(r"Pages checked +: [1-9]", shown) if checksums else "no checksums in this cluster" in shown
