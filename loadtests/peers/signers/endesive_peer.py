"""Endesive, as its examples sign: an invisible signature in memory, the key parsed once.

endesive_peer.py KEYS.p12 PASSWORD FILE.pdf OUT.pdf; then a count a line, milliseconds of the processor back.
"""

import sys
import time
from pathlib import Path

from cryptography.hazmat.primitives.serialization import pkcs12
from endesive.pdf import cms


def main() -> None:
    keys, password, source, target = sys.argv[1:]
    key, certificate, others = pkcs12.load_key_and_certificates(Path(keys).read_bytes(), password.encode())
    file = Path(source).read_bytes()
    said = {"sigflags": 3, "contact": "", "location": "", "signingdate": "D:20261120083015+07'00'", "reason": ""}
    for line in sys.stdin:
        count, signed = int(line), b""
        before = time.process_time()
        for _ in range(count):
            signed = file + cms.sign(file, said, key, certificate, others, "sha256")
        spent = (time.process_time() - before) * 1000 / count
        Path(target).write_bytes(signed)
        print(spent, flush=True)  # noqa: T201  the answer


if __name__ == "__main__":
    main()
