"""What the scripts that write measurements into a page share."""

import json
import re
from pathlib import Path


def load(path, keys, script):
    """The JSON object in the file, which has at least these keys. script: what measures it again."""
    try:
        entry = json.loads(path.read_text(encoding="utf-8"))
        for key in keys:
            entry[key]
        return entry
    except (OSError, json.JSONDecodeError, KeyError, TypeError) as error:
        raise SystemExit(f"{path}: not a measurement ({error!r}); hint: run {script} again")


def machine():
    text = Path("/proc/cpuinfo").read_text()
    model = re.search(r"^model name\s*:\s*(.*)$", text, re.MULTILINE)
    memory = int(re.search(r"^MemTotal:\s*(\d+)", Path("/proc/meminfo").read_text(), re.MULTILINE).group(1)) / 2**20
    processors = len(re.findall(r"^processor\s*:", text, re.MULTILINE))
    return f"{model.group(1) if model else 'processor unknown'}, {processors} processors, {memory:.0f} GiB"


def style(name):
    """The pictures' common look. name: of the picture; the same measurements give the same bytes."""
    # Pages without such pictures need no matplotlib.
    import matplotlib.pyplot as plt

    plt.rcParams.update(
        {
            "svg.hashsalt": name,
            "font.size": 10,
            "axes.spines.top": False,
            "axes.spines.right": False,
        }
    )


def replace(path, begin, end, section, before):
    """Puts the section, which holds its markers, in the place of the one between them; or at the end of a page without.

    before: what stands before the section there.
    """
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    if begin in text and end in text:
        head, rest = text.split(begin, 1)
        text = head + section + rest.split(end, 1)[1]
    else:
        text = f"{text.rstrip()}\n\n{before}\n{section}\n".lstrip()
    path.write_text(text, encoding="utf-8")
