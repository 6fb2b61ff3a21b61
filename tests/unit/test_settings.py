"""Settings: every fault at once, no secret in what is printed, each process only its own."""

import json
from pathlib import Path

import msgspec
import pytest

from api.settings import BadSettings, all_faults, own_environment, read
from signing.contract import Trust
from signing.errors import HolderMisconfigured
from signing.holders import AuthoritySettings, HolderConfig, open_holder, open_timestamps

KEY = "ab" * 32


@pytest.fixture
def environment(tmp_path):
    (tmp_path / "holders.json").write_text('[{"name": "remote", "kind": "remote", "url": "https://holder.example"}]')
    return {
        "DATABASE_URL": "postgresql://owner@db/motcua",
        "DATABASE_URL_APP": "postgresql://app:hush@db/motcua",
        "DATABASE_URL_SIGNER": "postgresql://signer:hush@db/motcua",
        "DATABASE_URL_WORKER": "postgresql://worker:hush@db/motcua",
        "MOTCUA_DATA_KEYS": f"k2:{KEY},k1:{'cd' * 32}",
        "MOTCUA_FACTOR_KEYS": f"f1:{KEY}",
        "MOTCUA_SESSION_KEYS": f"s1:{KEY}",
        "MOTCUA_CHECKPOINT_KEYS": f"c1:{KEY}",
        "MOTCUA_CHECKPOINT_DIR": str(tmp_path),
        "MOTCUA_BLOB_DIR": str(tmp_path),
        "MOTCUA_TRUST_DIR": str(tmp_path),
        "MOTCUA_HOLDERS_FILE": str(tmp_path / "holders.json"),
        "MOTCUA_PUBLIC_URL": "https://motcua.example/",
    }


def test_each_process_holds_only_its_own_secrets(environment):
    api, signer, worker = (read(process, environment) for process in ("api", "signer", "worker"))
    assert api.database_url.startswith("postgresql://app:")
    assert api.factor_keys == worker.factor_keys == {}
    assert signer.session_keys == worker.session_keys == {}
    assert api.checkpoint_keys == signer.checkpoint_keys == {}
    assert list(worker.checkpoint_keys) == ["c1"]
    assert api.holders == worker.holders == ()
    assert signer.holders[0]["name"] == "remote"
    assert api.data_key == "k2"
    assert api.public_url == "https://motcua.example"


def test_a_session_key_without_an_id_is_the_first(environment):
    del environment["MOTCUA_SESSION_KEYS"]
    assert read("api", {**environment, "MOTCUA_SESSION_KEY": KEY}).session_keys == {"first": bytes.fromhex(KEY)}


def test_a_child_is_given_its_own_environment_only(environment):
    given = own_environment("api", {**environment, "PATH": "/bin"})
    assert set(environment) - set(given) == {
        "DATABASE_URL",
        "DATABASE_URL_SIGNER",
        "DATABASE_URL_WORKER",
        "MOTCUA_FACTOR_KEYS",
        "MOTCUA_CHECKPOINT_KEYS",
        "MOTCUA_CHECKPOINT_DIR",
        "MOTCUA_HOLDERS_FILE",
    }
    assert read("api", given) == read("api", environment)


def test_nothing_printed_shows_a_secret(environment):
    assert repr(read("signer", environment)) == "Settings(process='signer', demo=False)"


def test_an_empty_environment_names_everything_that_is_missing():
    names = {fault[1].partition(":")[0] for fault in all_faults({})}
    assert names == {
        "DATABASE_URL",
        "DATABASE_URL_APP",
        "DATABASE_URL_SIGNER",
        "DATABASE_URL_WORKER",
        "MOTCUA_DATA_KEYS",
        "MOTCUA_FACTOR_KEYS",
        "MOTCUA_SESSION_KEYS",
        "MOTCUA_CHECKPOINT_KEYS",
        "MOTCUA_CHECKPOINT_DIR",
        "MOTCUA_BLOB_DIR",
        "MOTCUA_TRUST_DIR",
        "MOTCUA_HOLDERS_FILE",
        "MOTCUA_PUBLIC_URL",
    }


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MOTCUA_DATA_KEYS", "k1:abcd"),
        ("MOTCUA_DATA_KEYS", f"k1:{KEY},k1:{KEY}"),
        ("MOTCUA_DATA_KEYS", f"k1:{'zz' * 32}"),
        ("MOTCUA_SESSION_KEYS", "short"),
        ("MOTCUA_TRUST_DIR", "/nowhere/at/all"),
        ("MOTCUA_LISTEN", "8080"),
        ("MOTCUA_LISTEN", "127.0.0.1:99999"),
        ("MOTCUA_PUBLIC_URL", "motcua.example"),
        ("MOTCUA_API_WORKERS", "0"),
        ("MOTCUA_POOL_BUDGET_S", "soon"),
        ("MOTCUA_DEMO", "yes"),
        ("DATABASE_URL_APP", "mysql://app@db/motcua"),
        ("MOTCUA_FAILPOINTS", "after-commit-1"),
    ],
)
def test_a_wrong_value_is_named_and_never_guessed(environment, name, value):
    with pytest.raises(BadSettings) as refused:
        read("api", {**environment, name: value})
    assert [fault[1].partition(":")[0] for fault in refused.value.faults] == [name]


def test_several_faults_come_together(environment):
    with pytest.raises(BadSettings, match="MOTCUA_LISTEN") as refused:
        read("api", {**environment, "MOTCUA_LISTEN": "x", "MOTCUA_SESSION_KEYS": "", "MOTCUA_API_WORKERS": "-1"})
    assert len(refused.value.faults) == 3


def test_key_files_refuse_to_start_in_production(environment, tmp_path):
    (tmp_path / "holders.json").write_text('[{"name": "demo", "kind": "software"}]')
    with pytest.raises(BadSettings, match="production"):
        read("signer", environment)
    assert read("signer", {**environment, "MOTCUA_DEMO": "1"}).holders[0]["kind"] == "software"


def test_a_bucket_stands_in_for_the_directory_and_must_be_whole(environment):
    del environment["MOTCUA_BLOB_DIR"]
    environment |= {"MOTCUA_S3_BUCKET": "docs", "MOTCUA_S3_ENDPOINT": "https://s3.example"}
    with pytest.raises(BadSettings) as refused:
        read("worker", environment)
    assert len(refused.value.faults) == 2
    environment |= {"MOTCUA_S3_ACCESS_KEY": "who", "MOTCUA_S3_SECRET_KEY": "hush"}
    assert "hush" not in repr(read("worker", environment).s3)


def test_the_example_of_key_holders_opens_in_production(tmp_path):
    made = json.loads((Path(__file__).parents[2] / "deploy" / "holders.example.json").read_text())
    assert sorted(one["kind"] for one in made) == ["csc", "pkcs11", "sp769", "upload", "vtss"]
    for one in made:
        if "state_dir" in one[one["kind"]]:
            one[one["kind"]]["state_dir"] = str(tmp_path / one["kind"])
        if "certificates" in one[one["kind"]]:
            one[one["kind"]]["certificates"] = str(tmp_path)
        config = msgspec.convert({**one, "production": True}, HolderConfig)
        assert set(one[one["kind"]]) <= set(msgspec.to_builtins(config)[one["kind"]]), "a setting that nobody reads"
        assert open_holder(config).capabilities.name == one[one["kind"]].get("name", one["kind"])


def test_the_example_of_timestamping_authorities_opens_in_production_but_a_tests_does_not():
    path = Path(__file__).parents[2] / "deploy" / "timestamps.example.json"
    made = [msgspec.convert(one, AuthoritySettings) for one in json.loads(path.read_text())]
    named = [msgspec.structs.replace(one, chain="") for one in made]
    assert open_timestamps(named, Trust(), production=True).well() == {"tsa-1": True, "tsa-2": True}
    assert "…" not in repr(named[0])
    with pytest.raises(HolderMisconfigured):
        open_timestamps([msgspec.structs.replace(named[0], development=True)], Trust(), production=True)


def test_timestamping_authorities_are_told_to_the_signer_alone(environment, tmp_path):
    (tmp_path / "tsa.json").write_text('[{"name": "a", "url": "https://a.example"}]')
    environment |= {"MOTCUA_TIMESTAMPS_FILE": str(tmp_path / "tsa.json")}
    assert read("signer", environment).authorities == ({"name": "a", "url": "https://a.example"},)
    assert read("worker", environment).authorities == ()
    assert "MOTCUA_TIMESTAMPS_FILE" not in own_environment("api", environment)
