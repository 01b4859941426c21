#!/usr/bin/env python3
"""Network files around each kind of layer, for Scripts/check-export.sh.

Reads what `dtrain describe --layers --json` prints, and writes DIRECTORY/KIND.yaml for each kind with an example: a map of
16x16x64, the example, and a dense layer to 48 values.

Usage: layer_files.py DIRECTORY
"""

import json
import pathlib
import sys

directory = pathlib.Path(sys.argv[1])
for layer in json.load(sys.stdin):
    if "example" not in layer:
        continue
    before = "{convolution: {channels: 64, kernel: 5, stride: 2}}, max-pooling"
    text = f"input: 64\nlayers: [{before}, {layer['example']}, {{dense: {{units: 48, name: outputs}}}}]\n"
    (directory / f"{layer['kind']}.yaml").write_text(text)
