"""Configuration files are dropped, changed and broken while the box works."""
import os

from lib import processes, waiting
from lib.postgres import Postgres


def test_a_broken_file_harms_only_its_own_server(primary, box):
    box.add_server("main", primary)
    processes.write(os.path.join(box.servers_directory, "broken.conf"), "[broken]\nconninfo = host=nowhere\nslot_name\n=\n[\n")
    processes.write(os.path.join(box.servers_directory, "binary.conf"), "\x00\x01\x02[")
    box.start("streamer", "archiver")
    box.wait_streaming(primary)
    listed = box.cofferctl("list-servers", check=False).stdout
    assert "main" in listed
    box.backup("main")
    checked = box.cofferctl("check", "broken", check=False)
    assert checked.returncode != 0
    assert "broken.conf" in checked.stdout + checked.stderr


def test_a_server_dropped_in_is_streamed_without_a_restart(place, primary, box):
    box.add_server("main", primary)
    box.start("streamer", "archiver")
    box.wait_streaming(primary)
    other = Postgres(os.path.join(place, "other")).create().start()
    box.add_server("other", other)
    box.wait_streaming(other, seconds=10)
    box.wait_archived("other", other.switch_wal())
    os.unlink(os.path.join(box.servers_directory, "other.conf"))
    other.wait_for("select count(*) = 0 from pg_stat_replication", "the removed server is let go", 10)
    assert primary.value("select count(*) from pg_stat_replication") == 1


def test_a_changed_file_takes_effect_without_a_restart(primary, box):
    box.add_server("main", primary, streaming_archiver_name="first_name")
    box.start("streamer", "archiver")
    box.wait_streaming(primary)
    box.add_server("main", primary, streaming_archiver_name="second_name")
    primary.wait_for("select bool_or(application_name = 'second_name') from pg_stat_replication", "the new name is used", 10)


def test_unknown_keys_are_warnings_with_file_and_line(primary, box):
    box.add_server("main", primary, compresion="gzip")
    done = box.cofferctl("diagnose", check=False)
    assert "compresion" in done.stdout + done.stderr
    box.start("streamer")
    box.wait_streaming(primary)
    waiting.until(lambda: "main.conf:" in open(box.streamer.log, encoding="utf-8").read(), "the log names file and line", 10)
