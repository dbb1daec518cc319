"""What a restore says in postgresql.auto.conf, and what it replaces stays there to be read."""
import os

import pytest

from lib import judge


@pytest.fixture
def protected(primary, box):
    box.add_server("main", primary)
    box.start("streamer", "archiver")
    box.wait_streaming(primary)
    return primary


def restore(place, box):
    """The restored server, and its postgresql.auto.conf."""
    restored = box.restore("main", box.backup("main"), os.path.join(place, "restored"))
    with open(os.path.join(restored.data, "postgresql.auto.conf"), encoding="utf-8") as settings:
        return restored, settings.read()


def test_an_archive_command_of_postgresql_conf_is_kept_as_a_comment(place, box, protected):
    protected.configure(archive_command="send %p")
    restored, settings = restore(place, box)
    assert "# in postgresql.conf: archive_command = 'send %p'\narchive_command = 'false'\n" in settings
    with open(os.path.join(restored.data, "postgresql.conf"), encoding="utf-8") as untouched:
        assert "\narchive_command = 'send %p'\n" in untouched.read()
    judge.wait_promoted(restored.start())
    assert restored.value("select setting from pg_file_settings where name = 'archive_command' and applied") == "false"


def test_an_archive_command_of_alter_system_is_kept_as_a_comment_beside_the_other(place, box, protected):
    protected.configure(archive_command="send %p")
    protected.query("alter system set archive_command = 'ship %p'")
    restored, settings = restore(place, box)
    assert "# replaced by coffer restore: archive_command = 'ship %p'\n" in settings
    assert "# in postgresql.conf: archive_command = 'send %p'\n" in settings
    judge.wait_promoted(restored.start())
    assert restored.value("select setting from pg_file_settings where name = 'archive_command' and applied") == "false"
