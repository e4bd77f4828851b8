#!/usr/bin/env python3
"""A warm script in Python: what is loaded here is loaded once, however many files come."""

import json
import os
import sys
from collections import Counter
from pathlib import Path

model = Counter  # as large as it likes; a real one would be loaded here
with os.fdopen(int(os.environ["WARM_REPLY_FD"]), "w", buffering=1) as replies:
    for line in sys.stdin:
        request = json.loads(line)
        words = model(Path(request["input"]).read_text(encoding="utf-8").split())
        Path(request["output"], "words.json").write_text(json.dumps(words.most_common(10)), encoding="utf-8")
        replies.write('{"status": 0}\n')
