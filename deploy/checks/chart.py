"""Checks the chart: lint, rendering of each file in ci/ against Kubernetes' schemas, and values that must be refused."""

import re
import sys

import helm_python as helm
import kubernetes_validate as kubernetes
import yaml

from rendered import CASES, CHART, ROOT, render

# The oldest that the chart allows, and the newest that there is a schema of.
VERSIONS = ["1.28", ".".join(kubernetes.latest_version().split(".")[:2])]
# Kinds of others, of which there is no schema here.
WITHOUT_SCHEMA = {"ServiceMonitor"}

# Values, and a word of the reason for which they are refused.
REFUSED = [
    ({"replicas": 2}, "all processes must see one store"),
    ({"replicas": 2, "log": {"kind": "file"}}, "serves one process"),
    ({"state": {"kind": "s3"}}, "needs state.s3.bucket"),
    ({"state": {"kind": "s3", "s3": {"bucket": "b"}}, "log": {"kind": "file"}}, "needs state.kind = volume"),
    ({"replicas": 0}, "replicas"),
    ({"replica": 2}, "replica"),
    ({"config": 3}, "config"),
    ({"state": {"kind": "gcs"}}, "kind"),
]

# Values with which processes must not join each other while one update replaces them.
CONFIGURATIONS = [
    {},
    {"config": "[tick]"},
    {"arguments": ["-D", "a=b"]},
    {"env": [{"name": "A", "value": "b"}]},
    {"image": {"tag": "2"}},
    {"dataflow": "q3"},
]


def problems():
    """What is wrong, one text each."""
    with open(ROOT / "Cargo.toml") as file:
        version = re.search(r'(?m)^version = "(.*)"$', file.read()).group(1)
    with open(CHART / "Chart.yaml") as file:
        chart = yaml.safe_load(file)
    if chart["appVersion"] != version:
        yield f"Chart.yaml: appVersion is {chart['appVersion']}, the workspace's is {version}"
    if not chart["kubeVersion"].startswith(f">={VERSIONS[0]}."):
        yield f"Chart.yaml: kubeVersion is {chart['kubeVersion']}, {VERSIONS[0]} is checked"
    for case in CASES:
        values = yaml.safe_load(case.read_text()) or {}
        report = helm.lint(CHART, values, strict=True, kube_version=f"v{VERSIONS[0]}.0")
        yield from (f"{case.name}: helm lint: {m['error']}" for m in report["messages"] if m["severity"] >= 2)
        objects = render(values)
        for manifest in objects:
            yield from (f"{case.name}: {problem}" for problem in of_schema(manifest))
        yield from (f"{case.name}: {problem}" for problem in of_references(objects))
    names = [cluster_name(values) for values in CONFIGURATIONS]
    if len(set(names)) != len(names):
        yield f"processes of different configurations would join each other: {names}"
    if cluster_name({}) != cluster_name({"podLabels": {"a": "b"}}):
        yield "a label changes the cluster's name"
    for values, reason in REFUSED:
        try:
            render(values)
            yield f"{values} is not refused"
        except helm.HelmError as error:
            if reason not in str(error):
                yield f"{values} is refused, but not for {reason!r}: {error}"


def cluster_name(values):
    (stateful,) = (manifest for manifest in render(values) if manifest["kind"] == "StatefulSet")
    (container,) = stateful["spec"]["template"]["spec"]["containers"]
    return {entry["name"]: entry.get("value") for entry in container["env"]}["TIDEMARK_CLUSTER__NAME"]


def of_schema(manifest):
    if manifest["kind"] in WITHOUT_SCHEMA:
        return
    for version in VERSIONS:
        try:
            kubernetes.validate(manifest, version, strict=True)
        except kubernetes.ValidationError as error:
            yield f"{manifest['kind']} in Kubernetes {version}: {error.message} at {list(error.path)}"


def of_references(objects):
    """Names by which the objects of one rendering speak of each other."""
    one = {manifest["kind"]: manifest for manifest in objects if manifest["kind"] != "Service"}
    services = {manifest["metadata"]["name"]: manifest["spec"] for manifest in objects if manifest["kind"] == "Service"}
    stateful, pod = one["StatefulSet"]["spec"], one["StatefulSet"]["spec"]["template"]
    (container,) = pod["spec"]["containers"]
    name = one["StatefulSet"]["metadata"]["name"]
    labels, ports = pod["metadata"]["labels"], {port["name"] for port in container["ports"]}

    peers = services.pop(stateful["serviceName"])
    if peers["clusterIP"] != "None" or not peers["publishNotReadyAddresses"]:
        yield "processes can't find each other before they are ready"
    ((_, http),) = services.items()
    if http["selector"].pop("statefulset.kubernetes.io/pod-name") != f"{name}-0":
        yield "the HTTP service does not select process 0"
    selectors = {"the StatefulSet": stateful["selector"]["matchLabels"], "the peers": peers["selector"], "HTTP": http["selector"]}
    for kind, spec in (("PodDisruptionBudget", "selector"), ("NetworkPolicy", "podSelector")):
        if kind in one:
            selectors[kind] = one[kind]["spec"][spec]["matchLabels"]
    for what, selector in selectors.items():
        if not selector.items() <= labels.items():
            yield f"{what} selects {selector}, a pod has {labels}"
    for spec in (peers, http):
        if not {port["targetPort"] for port in spec["ports"]} <= ports:
            yield f"a service leads to a port that is none of {ports}"

    environment = {entry["name"]: entry.get("value") for entry in container["env"]}
    stop = int(environment["TIDEMARK_LIMITS__STOP_TIME_MAX"].removesuffix("s"))
    if pod["spec"]["terminationGracePeriodSeconds"] <= stop:
        yield "pods are killed before a clean stop has had its time"
    volumes = {volume["name"]: volume for volume in pod["spec"]["volumes"]}
    if set(volumes) != {mount["name"] for mount in container["volumeMounts"]}:
        yield "volumes and mounts differ"
    for source in volumes["secrets"]["projected"]["sources"]:
        made = one.get("Secret", {"metadata": {"name": None}})
        keys = {item["key"] for item in source["secret"]["items"]}
        if source["secret"]["name"] == made["metadata"]["name"] and not keys <= set(made["data"]):
            yield f"{keys} is not in the secret"


found = list(problems())
for problem in found:
    print(problem, file=sys.stderr)
sys.exit(1 if found else 0)
