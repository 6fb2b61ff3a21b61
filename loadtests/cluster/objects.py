"""SeaweedFS on four hosts: master, filer and S3 on one, and three volume servers, each file on two of them."""

import asyncio
import json
import secrets
import subprocess
import sys
from pathlib import Path
from typing import Final

import aiohttp

from loadtests.cluster.lan import address, inside
from loadtests.cluster.parts import ROOT, Part, answers, until

WEED: Final = str(Path(sys.executable).parent / "weed")
VOLUMES: Final = ("vol1", "vol2", "vol3")
BUCKET: Final = "docs"
REPLICATION: Final = "001"
"""One more copy, on another server of the same rack."""
_HEAD_BYTES: Final = 8
"""What an empty volume's file begins with."""
RULES: Final = ROOT / "deploy" / "cluster" / "store.weed"


class Objects:
    """The store's servers, and how the product is told of them."""

    def __init__(self, room: Path) -> None:
        self._room = room
        self._keys = (secrets.token_hex(8), secrets.token_hex(24))
        config = room / "s3.json"
        config.touch(mode=0o600)
        credentials = [{"accessKey": self._keys[0], "secretKey": self._keys[1]}]
        one = {"name": "motcua", "credentials": credentials, "actions": ["Admin", "Read", "Write", "List"]}
        config.write_text(json.dumps({"identities": [one]}))
        here = address("s3")
        self.master = self._part(
            "s3", "master", f"-ip={here}", f"-ip.bind={here}", "-port=9333", f"-mdir={self._directory('master')}",
            f"-defaultReplication={REPLICATION}", "-volumeSizeLimitMB=64", "-telemetry=false",
        )  # fmt: skip
        self.filer = self._part(
            "s3", "filer", f"-ip={here}", f"-ip.bind={here}", "-port=8888", f"-master={here}:9333",
            f"-defaultReplicaPlacement={REPLICATION}", f"-defaultStoreDir={self._directory('filer')}", "-s3",
            "-iam=false", "-s3.cacheCapacityMB=0", "-s3.port=8333", f"-s3.config={config}",
        )  # fmt: skip
        self.volumes = {
            name: self._part(
                name, "volume", f"-ip={address(name)}", f"-ip.bind={address(name)}", "-port=8080",
                f"-master={here}:9333", f"-dir={self._directory(name)}", "-max=20", "-rack=one",
            )
            for name in VOLUMES
        }  # fmt: skip

    @property
    def environment(self) -> dict[str, str]:
        """What a process of the product is told."""
        return {
            "MOTCUA_S3_ENDPOINT": f"http://{address('s3')}:8333",
            "MOTCUA_S3_BUCKET": BUCKET,
            "MOTCUA_S3_ACCESS_KEY": self._keys[0],
            "MOTCUA_S3_SECRET_KEY": self._keys[1],
        }

    async def start(self, web: aiohttp.ClientSession) -> None:
        """Start all of them and lay bucket, durability and room."""
        here = address("s3")
        await self.master.start()
        await until("the store's master", answers(web, f"http://{here}:9333/cluster/status", 200), 40, self.master)
        for part in self.volumes.values():
            await part.start()
        await self.filer.start()
        await until("the store's filer", answers(web, f"http://{here}:8888/"), 40, self.filer)
        await until("the store's S3", answers(web, f"http://{here}:8333/"), 40, self.filer)
        for name, part in self.volumes.items():
            await until(name, answers(web, f"http://{address(name)}:8080/status", 200), 40, part)
        said = await asyncio.to_thread(self.shell, RULES.read_text())
        if "error" in said.lower():
            raise RuntimeError(f"the store took no rules: {said}")

    def held(self, name: str) -> int:
        """Return how many bytes of documents a volume server holds."""
        return sum(file.stat().st_size - _HEAD_BYTES for file in (self._room / "objects" / name).glob("*.dat"))

    def shell(self, script: str) -> str:
        """Give orders to `weed shell`; return what it says."""
        here = address("s3")
        words = [*inside("s3"), WEED, "shell", f"-master={here}:9333", f"-filer={here}:8888"]
        done = subprocess.run(words, input=script, capture_output=True, text=True, check=True, timeout=60)
        return done.stdout + done.stderr

    def _directory(self, name: str) -> Path:
        place = self._room / "objects" / name
        place.mkdir(parents=True)
        return place

    def _part(self, host: str, what: str, *words: str) -> Part:
        return Part(self._room, host, what, [WEED, what, *words])
