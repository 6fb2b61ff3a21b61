"""A real SeaweedFS for one test session: master, volume, filer and S3 in one process on free ports of loopback."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from api.documents.blobs import S3Place
from tests.ports import free_ports

BUCKET = "docs"
KEYS = ("motcua-test", "only-for-tests")
WEED = str(Path(sys.executable).parent / "weed")


@contextlib.contextmanager
def seaweed() -> Iterator[S3Place]:
    """Start the service with fsync on for the bucket, and kill it at the end: its filer is slow to heed SIGTERM."""
    root = Path(tempfile.mkdtemp(prefix="motcua-weed-"))
    ports = free_ports(8)
    (root / "s3.json").write_text(json.dumps(identities()))
    process = subprocess.Popen(
        command(root, ports), cwd=root, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    try:
        configure(process, ports)
        yield S3Place(endpoint=f"http://127.0.0.1:{ports[6]}", bucket=BUCKET, access_key=KEYS[0], secret_key=KEYS[1])
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(10)
        shutil.rmtree(root, ignore_errors=True)


def command(root: Path, ports: list[int]) -> list[str]:
    master, master_grpc, volume, volume_grpc, filer, filer_grpc, s3, s3_grpc = ports
    return [
        WEED, "server", f"-dir={root}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-filer", "-s3", "-iam=false",
        f"-master.port={master}", f"-master.port.grpc={master_grpc}", "-master.volumeSizeLimitMB=64",
        "-master.telemetry=false", f"-volume.port={volume}", f"-volume.port.grpc={volume_grpc}", "-volume.max=10",
        f"-filer.port={filer}", f"-filer.port.grpc={filer_grpc}", f"-s3.port={s3}", f"-s3.port.grpc={s3_grpc}",
        "-s3.ip.bind=127.0.0.1", "-s3.port.iceberg=0", "-s3.port.lance=0", f"-s3.config={root / 's3.json'}",
    ]  # fmt: skip


def identities() -> dict[str, object]:
    credentials = [{"accessKey": KEYS[0], "secretKey": KEYS[1]}]
    return {
        "identities": [{"name": "motcua", "credentials": credentials, "actions": ["Admin", "Read", "Write", "List"]}]
    }


def configure(process: subprocess.Popen[bytes], ports: list[int]) -> None:
    """Wait for the parts, make the bucket and its fsync rule."""
    wait_for(process, f"http://127.0.0.1:{ports[4]}/")
    wait_for(process, f"http://127.0.0.1:{ports[6]}/")
    script = f"s3.bucket.create -name {BUCKET}\nfs.configure -locationPrefix=/buckets/{BUCKET}/ -fsync=true -apply\n"
    subprocess.run(
        [WEED, "shell", f"-master=127.0.0.1:{ports[0]}.{ports[1]}", f"-filer=127.0.0.1:{ports[4]}.{ports[5]}"],
        input=script.encode(), capture_output=True, check=True, timeout=40,
    )  # fmt: skip


def wait_for(process: subprocess.Popen[bytes], url: str) -> None:
    deadline = time.monotonic() + 40
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise AssertionError(f"weed ended with {process.returncode}")
        try:
            urllib.request.urlopen(url, timeout=2).close()
        except urllib.error.HTTPError:
            return  # it answers: who may ask is another matter
        except OSError:
            time.sleep(0.2)
        else:
            return
    raise AssertionError(f"{url} did not answer")
