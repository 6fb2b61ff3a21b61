"""The manifests of deploy/kubernetes and the Containerfile: rendered and judged here, without any cluster or engine."""

import os
import re
import subprocess
import sysconfig
from pathlib import Path

import kubernetes_validate
import msgspec
import pytest
import yaml

from api.http.problems import Problem
from api.settings import own_environment, read

REPOSITORY = Path(__file__).resolve().parents[2]
DEPLOY = REPOSITORY / "deploy"
KUBERNETES = DEPLOY / "kubernetes"
SCRIPTS = Path(sysconfig.get_path("scripts"))
VERSION = "1.34"
"""The oldest Kubernetes that all of it is meant for: preStop's `sleep` is stable there."""
OVERLAYS = ("province", "data", "load")
PROCESSES = ("api", "signer", "worker")
SECRETS = KUBERNETES / "province" / "secrets"
KEY = "ab" * 32
GIVEN = {
    "DATABASE_URL": "postgresql://somebody@db/motcua",
    "MOTCUA_S3_ACCESS_KEY": "access",
    "MOTCUA_S3_SECRET_KEY": "secret",
}


def render(directory: Path) -> list[dict]:
    """What `kubectl apply -k` would send."""
    done = subprocess.run(
        [SCRIPTS / "kubectl", "kustomize", directory], capture_output=True, text=True, check=False, timeout=60,
        env={"PATH": os.environ["PATH"], "HOME": "/nonexistent"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return [one for one in yaml.safe_load_all(done.stdout) if one]


@pytest.fixture(scope="module")
def rendered() -> dict[str, list[dict]]:
    return {name: render(KUBERNETES / name) for name in OVERLAYS}


@pytest.fixture(scope="module")
def everything(rendered) -> list[dict]:
    return [one for overlay in rendered.values() for one in overlay]


def of(objects: list[dict], kind: str) -> dict[str, dict]:
    return {one["metadata"]["name"]: one for one in objects if one["kind"] == kind}


def pods(objects: list[dict]) -> dict[str, dict]:
    """Every pod's template, by the name of what makes it."""
    return {
        one["metadata"]["name"]: one["spec"]["template"]
        for one in objects
        if one["kind"] in {"Deployment", "StatefulSet", "DaemonSet", "Job"}
    }


def test_everything_is_valid_to_the_last_field(everything):
    assert len(everything) > 20
    for one in everything:
        kubernetes_validate.validate(one, VERSION, strict=True)


def test_the_validator_is_awake(rendered):
    (api,) = (one for one in rendered["province"] if one["kind"] == "Deployment" and one["metadata"]["name"] == "api")
    misspelt = {**api, "spec": {**api["spec"], "replicaz": 3}}
    with pytest.raises(kubernetes_validate.ValidationError, match="replicaz"):
        kubernetes_validate.validate(misspelt, VERSION, strict=True)


def test_every_container_is_held_down(everything):
    for name, template in pods(everything).items():
        pod = template["spec"]
        assert pod["automountServiceAccountToken"] is (name == "postgres"), name  # Patroni keeps there who leads
        assert pod["securityContext"]["runAsNonRoot"] is True, name
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, name
        for container in pod["containers"] + pod.get("initContainers", []):
            held = container["securityContext"]
            assert held["readOnlyRootFilesystem"] is True, name
            assert held["allowPrivilegeEscalation"] is False, name
            assert held["capabilities"] == {"drop": ["ALL"]}, name
            assert "memory" in container["resources"]["limits"], name
            assert re.search(r":\d", container["image"]), f"{name}: {container['image']} names no version"
            written = {mount["mountPath"] for mount in container["volumeMounts"] if not mount.get("readOnly")}
            assert "/tmp" in written, f"{name} has nowhere to write"


@pytest.mark.parametrize("process", PROCESSES)
def test_each_process_runs_twice_is_probed_and_is_never_away_whole(rendered, process):
    objects = rendered["province"]
    deployment = of(objects, "Deployment")[process]
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    assert deployment["spec"]["replicas"] >= 2
    assert deployment["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"] == 0
    assert container["args"] == [process]
    assert container["readinessProbe"]["httpGet"]["path"] == "/readyz"
    assert container["livenessProbe"]["httpGet"]["path"] == "/healthz"
    budget = of(objects, "PodDisruptionBudget")[process]["spec"]
    assert budget["minAvailable"] == 1
    assert budget["selector"]["matchLabels"].items() <= labels.items()


def environment_of(rendered: dict[str, list[dict]], process: str, tmp_path: Path) -> dict[str, str]:
    """What a process would be told, its secrets filled in with values of the right form."""
    objects = rendered["province"]
    (container,) = pods(objects)[process]["spec"]["containers"]
    told: dict[str, str] = {}
    for source in container["envFrom"]:
        if "configMapRef" in source:
            told |= of(objects, "ConfigMap")[source["configMapRef"]["name"]]["data"]
        else:
            secret = source["secretRef"]["name"].removeprefix("motcua-")
            lines = (SECRETS / f"{secret}.env.example").read_text().splitlines()
            names = [line.removesuffix("=") for line in lines]
            told |= {name: GIVEN.get(name, f"k1:{KEY}") for name in names}
            told |= {name: GIVEN["DATABASE_URL"] for name in names if name.startswith("DATABASE_URL")}
    told |= {one["name"]: one["value"] for one in container.get("env", [])}
    places = {mount["mountPath"] for mount in container["volumeMounts"]}
    for name, value in told.items():
        if value.startswith("/"):  # a path in the container: it is mounted, and here a stand-in of it
            assert any(value == place or value.startswith(f"{place}/") for place in places), f"{name}={value}"
            here = tmp_path / process / value.lstrip("/")
            if here.suffix:
                here.parent.mkdir(parents=True, exist_ok=True)
                here.write_bytes((DEPLOY / here.name.replace(".json", ".example.json")).read_bytes())
            else:
                here.mkdir(parents=True, exist_ok=True)
            told[name] = str(here)
    return told


@pytest.mark.parametrize("process", PROCESSES)
def test_each_process_is_told_all_it_needs_and_nothing_of_the_others(rendered, process, tmp_path):
    told = environment_of(rendered, process, tmp_path)
    settings = read(process, told)
    assert not settings.demo
    assert settings.s3 is not None
    assert own_environment(process, told) == told
    (container,) = pods(rendered["province"])[process]["spec"]["containers"]
    listens = {"api": settings.listen, "signer": settings.signer_listen, "worker": settings.worker_listen}[process]
    assert container["ports"] == [{"name": "http", "containerPort": listens.port}]


def test_only_the_migration_is_the_owner_and_no_secret_is_in_a_file(rendered, everything):
    assert of(everything, "Secret") == {}
    (container,) = pods(rendered["province"])["migrate"]["spec"]["containers"]
    assert container["envFrom"] == [{"secretRef": {"name": "motcua-owner"}}]
    assert all(line.endswith("=") for file in SECRETS.glob("*.example") for line in file.read_text().splitlines())
    for name in PROCESSES:
        (container,) = pods(rendered["province"])[name]["spec"]["containers"]
        secrets = [one["secretRef"]["name"] for one in container["envFrom"] if "secretRef" in one]
        assert secrets == [f"motcua-{name}"]


def test_nobody_speaks_but_where_it_is_said_and_only_the_signer_leaves(rendered):
    policies = of(rendered["province"], "NetworkPolicy")
    assert policies["nobody"]["spec"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    leaving = {name for name, one in policies.items() if "ipBlock" in str(one["spec"].get("egress"))}
    assert leaving == {"signer"}
    for name, template in pods(rendered["province"]).items():
        chosen = policies[name]["spec"]["podSelector"]["matchLabels"]
        assert chosen.items() <= template["metadata"]["labels"].items()
        opened = {port["port"] for rule in policies[name]["spec"].get("ingress", []) for port in rule["ports"]}
        ports = {port["containerPort"] for one in template["spec"]["containers"] for port in one.get("ports", [])}
        assert opened == ports, name
    reaching = {
        peer["podSelector"]["matchLabels"]["app.kubernetes.io/name"]
        for rule in policies["api"]["spec"]["ingress"]
        for peer in rule["from"]
        if "podSelector" in peer
    }
    fleet = {template["metadata"]["labels"]["app.kubernetes.io/name"] for template in pods(rendered["load"]).values()}
    assert reaching == fleet


def test_rules_and_dashboard_are_the_files_that_are_proven_elsewhere(rendered):
    maps = of(rendered["province"], "ConfigMap")
    assert {"motcua-scrape", "motcua-trust", "motcua"} <= {re.sub(r"-[a-z0-9]{10}$", "", name) for name in maps}
    files = {name: content for one in maps.values() for name, content in one["data"].items()}
    assert files["motcua.yml"] == (DEPLOY / "alerts" / "motcua.yml").read_text(encoding="utf-8")
    assert files["motcua.json"] == (DEPLOY / "dashboards" / "motcua.json").read_text(encoding="utf-8")
    jobs = {one["job_name"] for one in yaml.safe_load(files["scrape.yml"])["scrape_configs"]}
    assert jobs == {f"motcua-{name}" for name in PROCESSES}
    assert all(job in (DEPLOY / "alerts" / "motcua.yml").read_text(encoding="utf-8") for job in jobs)


def test_members_are_told_what_is_run_in_the_trial(rendered):
    maps = of(rendered["data"], "ConfigMap")
    files = {name: content for one in maps.values() for name, content in one["data"].items()}
    assert files == {name: (DEPLOY / "cluster" / name).read_text() for name in ("patroni.yml", "store.weed")}
    templates = pods(rendered["data"])
    store = " ".join(templates["seaweedfs-filer"]["spec"]["containers"][0]["args"])
    placed = (REPOSITORY / "loadtests" / "cluster" / "objects.py").read_text()
    assert "-defaultReplicaPlacement=001" in store
    assert 'REPLICATION: Final = "001"' in placed
    assert "-replication=001" in files["store.weed"]
    assert of(rendered["data"], "StatefulSet")["seaweedfs-volume"]["spec"]["replicas"] >= 3
    assert of(rendered["data"], "StatefulSet")["postgres"]["spec"]["replicas"] >= 2
    primary = of(rendered["data"], "Service")["postgres"]["spec"]["selector"]
    assert primary == {"app.kubernetes.io/name": "postgres", "role": "primary"}


def test_what_the_product_reaches_is_opened_to_it(rendered):
    """Egress of the product's policies against ingress of the data's: the same ports, and the settings name them."""
    policies = of(rendered["data"], "NetworkPolicy")
    opened = {
        port["port"]
        for one in policies.values()
        for rule in one["spec"].get("ingress", [])
        if any("namespaceSelector" in peer for peer in rule["from"])
        for port in rule["ports"]
    }
    wanted = {
        port["port"]
        for rule in of(rendered["province"], "NetworkPolicy")["worker"]["spec"]["egress"]
        if any(peer.get("namespaceSelector", {}).get("matchLabels") == {"motcua/role": "data"} for peer in rule["to"])
        for port in rule["ports"]
    }
    assert opened == wanted == {5432, 8333}
    (told,) = (
        one["data"] for name, one in of(rendered["province"], "ConfigMap").items() if "MOTCUA_S3_BUCKET" in one["data"]
    )
    assert told["MOTCUA_S3_ENDPOINT"] == "http://seaweedfs-s3.motcua-data:8333"
    assert "seaweedfs-s3" in of(rendered["data"], "Service")
    assert f"-name {told['MOTCUA_S3_BUCKET']}" in (DEPLOY / "cluster" / "store.weed").read_text()


def test_the_fleet_is_as_large_as_its_master_waits_for(rendered):
    (master,) = pods(rendered["load"])["load-master"]["spec"]["containers"]
    wanted = master["args"][master["args"].index("--expect-workers") + 1]
    assert of(rendered["load"], "Deployment")["load-workers"]["spec"]["replicas"] == int(wanted)


def test_what_the_balancer_says_by_itself_is_a_problem_like_the_apis():
    text = (DEPLOY / "cluster" / "haproxy.cfg").read_text(encoding="utf-8")
    (said,) = re.findall(r'http-error status 503 .* string "(.*)" hdr Retry-After \d+$', text, re.MULTILINE)
    problem = msgspec.json.decode(said.replace('\\"', '"'), type=Problem)
    assert (problem.status, problem.code) == (503, "no-server-ready")


def test_the_containerfiles_are_sound():
    files = sorted(DEPLOY.glob("Containerfile*"))
    linted = subprocess.run([SCRIPTS / "hadolint", *files], capture_output=True, text=True, check=False, timeout=60)
    assert linted.returncode == 0, linted.stdout + linted.stderr
    assert len(files) == 2
    text = (DEPLOY / "Containerfile").read_text()
    stages = dict(re.findall(r"^FROM \S+ AS (\w+)\n(.*?)(?=^FROM |\Z)", text, re.MULTILINE | re.DOTALL))
    assert {name for name, body in stages.items() if "USER 10001:10001" in body} == {"load", "product"}
    copied = [word for line in re.findall(r"^COPY (.+) \S+$", text, re.MULTILINE) for word in line.split()]
    assert [name for name in copied if not (REPOSITORY / name).exists()] == []


def test_the_yaml_has_one_form():
    rules = "{extends: default, rules: {document-start: disable, line-length: {max: 200}}}"
    folders = [DEPLOY / "kubernetes", DEPLOY / "cluster", DEPLOY / "alerts" / "kustomization.yaml"]
    done = subprocess.run(
        [SCRIPTS / "yamllint", "--strict", "-d", rules, *folders], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
