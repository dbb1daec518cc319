"""README.md as tests read it: the commands, files and statements that it gives are those that they execute."""
import os
import re

from lib import processes


def blocks(section):
    """The indented blocks of a section, each as text without the indentation."""
    with open(os.path.join(processes.TOP, "README.md"), encoding="utf-8") as readme:
        text = readme.read()
    body = re.search(rf"^## {re.escape(section)}\n(.*?)(?=^## |\Z)", text, re.M | re.S).group(1)
    found = re.findall(r"(?:^    .*\n|^\n(?=    ))+", body, re.M)
    return [re.sub(r"^    ", "", block, flags=re.M).strip("\n") + "\n" for block in found]


def command_blocks(section):
    """Those that are commands, each as a list of lines without sudo (tests are root)."""
    begin = re.compile(r"(sudo|cmake|cofferctl|\.) ")
    return [[re.sub(r"\bsudo (-u \S+ )?", "", line) for line in block.splitlines()]
            for block in blocks(section) if begin.match(block)]


def statements(section):
    """The blocks that are SQL, each as a list of statements."""
    begin = re.compile(r"(create|alter) ")
    plain = [re.sub(r"\s+--.*|^--.*\n", "", block, flags=re.M) for block in blocks(section) if begin.match(block)]
    return [[each.strip() for each in text.split(";") if each.strip()] for text in plain]


def files(section):
    """{path: text} of what stands below lines "# /path"."""
    found = {}
    for block in blocks(section):
        parts = re.split(r"^# (/\S+)$\n", block, flags=re.M)
        found.update(zip(parts[1::2], parts[2::2]))
    return found
