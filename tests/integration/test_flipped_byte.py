"""One flipped byte, in each kind of file: found, named, and never served as good."""
import gzip
import json
import os
import shutil
import struct

import pytest

from lib import judge, processes, waiting
from lib.damage import flip


@pytest.fixture
def protected(primary, box):
    box.add_server("main", primary, compression="gzip", archiver="on")
    box.start("streamer", "archiver")
    box.wait_streaming(primary)
    primary.query("create table filled as select n, repeat('x', 100) as filler from generate_series(1, 5000) n")
    primary.backup = box.backup("main")
    return primary


def in_errors(box, segment):
    directory = box.path("main", "errors")
    return [name for name in os.listdir(directory) if name.startswith(segment)]


def deliver_damaged(box, protected, offset):
    """Hands a finished segment, one byte changed, to the archiver by way of incoming/; returns its name."""
    box.streamer.stop()  # the good copy must not come by the other way
    protected.query("insert into filled select n, repeat('y', 100) from generate_series(1, 5000) n")
    segment = protected.switch_wal()
    # Beside incoming, then renamed: as whoever delivers must do.
    waiting_room = os.path.join(box.directory, segment)
    shutil.copy(os.path.join(protected.data, "pg_wal", segment), waiting_room)
    flip(waiting_room, offset)
    os.chown(waiting_room, processes.UID, processes.GID)
    os.rename(waiting_room, box.path("main", "incoming", segment))
    return segment


@pytest.mark.parametrize("what, offset", [("the magic of the first page", 0), ("the system identifier", 25),
                                          ("the address of the fourth page", 3 * 8192 + 9),
                                          ("a record's data", 5 * 8192 + 4000)], ids=lambda v: v if isinstance(v, str) else "")
def test_a_damaged_segment_never_enters_the_archive(box, protected, what, offset):
    segment = deliver_damaged(box, protected, offset)
    waiting.file_event(box.path("main", "errors"), lambda: in_errors(box, segment), f"{what} is noticed")
    assert segment not in box.wals("main")
    # It is moved by a worker and told by the loop, so the sentence comes a moment later.
    waiting.until(lambda: segment in open(box.archiver.log, encoding="utf-8").read(), f"{what} is told in the log", 10,
                  [box.archiver.process])


def archived_segment(box, protected):
    protected.query("insert into filled select n, repeat('y', 100) from generate_series(1, 5000) n")
    segment = protected.switch_wal()
    box.wait_archived("main", segment)
    return segment, box.path("main", "wals", segment[:16], segment)


def test_a_damaged_compressed_segment_is_not_served(place, box, protected):
    segment, path = archived_segment(box, protected)
    flip(path, os.path.getsize(path) // 2)
    done = box.cofferctl("get-wal", "main", segment, "-o", box.directory, check=False)
    assert done.returncode != 0
    assert segment in done.stderr
    refused = box.job("restore", "main", protected.backup, os.path.join(place, "never", "data"), check=False)
    assert refused.returncode != 0 and segment in refused.stderr


def test_a_segment_damaged_inside_a_whole_archive_file_is_not_restored(place, box, protected):
    segment, path = archived_segment(box, protected)
    with gzip.open(path) as file:
        content = bytearray(file.read())
    content[5 * 8192 + 4000] ^= 0x40
    with gzip.open(path, "wb") as file:
        file.write(content)
    refused = box.job("restore", "main", protected.backup, os.path.join(place, "never", "data"), check=False)
    assert refused.returncode != 0 and segment in refused.stderr


def test_a_damaged_data_page_is_listed_and_the_backup_is_not_done(box, protected):
    path = protected.value("select pg_relation_filepath('filled')")
    protected.query("checkpoint")
    protected.stop()
    flip(os.path.join(protected.data, path), 2 * 8192 + 5000)
    protected.start()
    box.wait_streaming(protected)
    done = box.job("backup", "main", check=False)
    assert done.returncode != 0
    backup = box.backup_ids("main")[-1]
    assert box.backup_info("main", backup)["status"] != "DONE"
    extra = open(box.path("main", "meta", f"{backup}-coffer.json"), encoding="utf-8").read()
    assert path in extra
    shown = box.cofferctl("show-backup", "main", backup, check=False).stdout
    assert path in shown


def test_a_backup_with_a_damaged_page_fails_for_its_user_too_and_gives_its_name_away(place, box, protected):
    box.start("scheduler")
    path = protected.value("select pg_relation_filepath('filled')")

    def flip_on_server():
        protected.query("checkpoint")
        protected.stop()
        flip(os.path.join(protected.data, path), 2 * 8192 + 5000)
        protected.start()
        box.wait_streaming(protected)

    flip_on_server()
    done = box.cofferctl("backup", "main", "--wait", "--name", "weekly", check=False)
    assert done.returncode == 1
    assert f"{path} block 2" in done.stderr and "--no-verify" in done.stderr
    assert "completed" not in done.stdout + done.stderr
    damaged = box.backup_ids("main")[-1]
    flip_on_server()  # mended
    box.cofferctl("backup", "main", "--wait", "--name", "weekly")
    begin = box.backup_info("main", damaged)["begin_wal"]
    box.wait_archived("main", begin)
    box.cofferctl("delete", "main", protected.backup)
    assert begin in box.wals("main"), "its WAL went, although its files are kept"
    restored = os.path.join(processes.make_directory(os.path.join(place, "restored")), "data")
    box.job("restore", "main", damaged, restored, "--no-verify")


def write_page_header(path, block, **fields):
    """Sets fields of a page's header, so that its checksum is wrong: lsn, upper."""
    offset, form = {"lsn": (0, "<II"), "upper": (14, "<H")}[next(iter(fields))]
    value = next(iter(fields.values()))
    with open(path, "r+b") as file:
        file.seek(block * 8192 + offset)
        file.write(struct.pack(form, *(value if isinstance(value, tuple) else (value,))))


# What PageChecker takes for torn, or for new, unless it looks closer.
@pytest.mark.parametrize("header", [{"lsn": (0x7F000000, 0)}, {"upper": 0}], ids=["from the future", "as if new"])
@pytest.mark.parametrize("user", ["postgres", "little"])
def test_a_damaged_page_does_not_pass_for_another_kind(box, protected, header, user):
    protected.query("create role little login replication")
    protected.query("grant pg_read_all_settings, pg_checkpoint to little")
    path = protected.value("select pg_relation_filepath('filled')")
    protected.query("checkpoint")
    protected.stop()
    write_page_header(os.path.join(protected.data, path), 2, **header)
    protected.start()
    box.add_server("main", protected, conninfo=protected.conninfo(user=user),
                   streaming_conninfo=protected.conninfo(user=user, dbname="replication"))
    done = box.job("backup", "main", check=False)
    assert done.returncode == 1, done.stderr
    backup = box.backup_ids("main")[-1]
    assert box.backup_info("main", backup)["status"] == "FAILED"
    with open(box.path("main", "meta", f"{backup}-coffer.json"), encoding="utf-8") as extra:
        assert [(page["file"], page["block"]) for page in json.load(extra)["bad_pages"]] == [(path, 2)]


def test_a_role_without_files_to_read_backs_up_and_finds_damage(box, protected):
    """The server verifies then, and says so at the end of all that it sent."""
    protected.query("create role little login replication")
    protected.query("grant pg_read_all_settings, pg_checkpoint to little")
    box.add_server("main", protected, conninfo=protected.conninfo(user="little"),
                   streaming_conninfo=protected.conninfo(user="little", dbname="replication"))
    assert box.backup_info("main", box.backup("main"))["status"] == "DONE"
    path = protected.value("select pg_relation_filepath('filled')")
    protected.query("checkpoint")
    protected.stop()
    flip(os.path.join(protected.data, path), 2 * 8192 + 5000)
    protected.start()
    done = box.job("backup", "main", check=False)
    assert done.returncode == 1, done.stderr
    backup = box.backup_ids("main")[-1]
    assert box.backup_info("main", backup)["status"] == "FAILED"
    assert f"{path} block 2" in box.cofferctl("show-backup", "main", backup).stdout


def damage_backup(box, protected, which):
    if which == "the manifest":
        path = box.path("main", "base", protected.backup, "data", "backup_manifest")
        flip(path, os.path.getsize(path) // 2)
        return "manifest"
    path = box.path("main", "base", protected.backup, "data", protected.value("select pg_relation_filepath('filled')"))
    flip(path, 3 * 8192 + 100)
    return os.path.basename(path)


@pytest.mark.parametrize("which", ["the manifest", "a file of the image"])
def test_a_damaged_image_is_not_restored_as_good(place, box, protected, which):
    named = damage_backup(box, protected, which)
    refused = box.job("restore", "main", protected.backup, os.path.join(place, "never", "data"), check=False)
    assert refused.returncode != 0, "restored as if nothing were wrong"
    assert named in refused.stderr


def test_a_damaged_record_of_a_backup_is_shown_as_failed_with_the_reason(place, box, protected):
    path = box.path("main", "meta", f"{protected.backup}-backup.info")
    with open(path, encoding="utf-8") as file:
        text = file.read()
    processes.write(path, text.replace("begin_wal=0", "begin_wal=X"))
    listed = box.cofferctl("list-backups", "main", check=False).stdout
    assert protected.backup in listed and "FAILED" in listed
    shown = box.cofferctl("show-backup", "main", protected.backup, check=False)
    assert "begin_wal" in shown.stdout + shown.stderr
    refused = box.job("restore", "main", protected.backup, os.path.join(place, "never", "data"), check=False)
    assert refused.returncode != 0


def test_the_undamaged_backup_of_these_tests_restores(place, box, protected):
    archived_segment(box, protected)
    restored = box.restore("main", protected.backup, os.path.join(place, "restored")).start()
    judge.wait_promoted(restored)
    assert restored.value("select count(*) from filled") == 10000
