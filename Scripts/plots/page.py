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


def processor():
    """The processor's name, with that of its kind where it is AMD's: virtual machines call several kinds "AMD EPYC"."""
    text = Path("/proc/cpuinfo").read_text()
    name = re.search(r"^model name\s*:\s*(.*)$", text, re.MULTILINE)
    if not name:
        return "processor unknown"
    numbers = [re.search(rf"^{key}\s*:\s*(\d+)$", text, re.MULTILINE) for key in ("cpu family", "model")]
    if not all(numbers):
        return name.group(1)
    family, model = (int(number.group(1)) for number in numbers)
    # By AMD's revision guides: family 19h is Zen 3 or Zen 4, 1Ah Zen 5.
    kind = None
    if "AMD" in name.group(1):
        is_fourth = 0x10 <= model < 0x20 or 0x60 <= model < 0x80 or model >= 0xA0
        kind = {23: "Zen 2" if model >= 0x30 else "Zen", 25: "Zen 4" if is_fourth else "Zen 3", 26: "Zen 5"}.get(family)
    return f"{name.group(1)} ({kind})" if kind else name.group(1)


def machine(name=None):
    """Processor, its number and the memory. name: of the processor that measured; None: this one."""
    text = Path("/proc/cpuinfo").read_text()
    memory = int(re.search(r"^MemTotal:\s*(\d+)", Path("/proc/meminfo").read_text(), re.MULTILINE).group(1)) / 2**20
    processors = len(re.findall(r"^processor\s*:", text, re.MULTILINE))
    return f"{name or processor()}, {processors} processors, {memory:.0f} GiB"


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


def replace(path, begin, end, section, before, after=None):
    """Puts the section, which holds its markers, in the place of the one between them; or at the end of a page without.

    before: what stands before the section there.
    after: what the last of the section's like ends with, a regular expression; a new one is put behind it.
    """
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    likes = list(re.finditer(after, text)) if after else []
    if begin in text and end in text:
        head, rest = text.split(begin, 1)
        text = head + section + rest.split(end, 1)[1]
    elif likes:
        text = f"{text[: likes[-1].end()]}\n\n{section}{text[likes[-1].end() :]}"
    else:
        text = f"{text.rstrip()}\n\n{before}\n{section}\n".lstrip()
    path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    print(processor())
