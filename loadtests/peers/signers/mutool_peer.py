"""MuPDF's `mutool sign`, a process for each signature: it fills the field that was laid, from file to file.

mutool_peer.py KEYS.p12 PASSWORD FILE.pdf OUT.pdf; then a count a line, milliseconds of the processor back.
"""

import re
import resource
import subprocess
import sys
from pathlib import Path


def main() -> None:
    keys, password, source, target = sys.argv[1:]
    heads = re.split(rb"(?:\A|\n)(\d+) 0 obj\n", Path(source).read_bytes())
    field = next(number for number, body in zip(heads[1::2], heads[2::2], strict=True) if b"(Signatory1)" in body[:400])
    command = ["mutool", "sign", "-s", keys, "-P", password, "-o", target, source, field.decode()]
    for line in sys.stdin:
        count = int(line)
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        for _ in range(count):
            subprocess.run(command, check=True, capture_output=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        print(spent * 1000 / count, flush=True)  # noqa: T201  the answer


if __name__ == "__main__":
    main()
