"""What each container of the chart and of the compose file and each systemd service runs, as deploy/commands.json, which a test runs.

Expands what the kubelet, Docker and systemd would: $(NAME), fields of the pod, ENTRYPOINT, ${NAME}, specifiers.
"""

import configparser
import json
import re
import shlex
import sys

import yaml

from rendered import CHART, ROOT, render

COMMANDS = ROOT / "deploy/commands.json"
QUANTITY = {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "": 1}


def chart(case):
    """The processes of the chart with the values of a file in ci/."""
    objects = {manifest["kind"]: manifest for manifest in render(yaml.safe_load((CHART / "ci" / case).read_text()))}
    spec = objects["StatefulSet"]["spec"]
    pod = spec["template"]["spec"]
    (container,) = pod["containers"]
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    files, secrets, folders = {}, [], []
    for mount in container["volumeMounts"]:
        path, volume = mount["mountPath"], volumes[mount["name"]]
        if "configMap" in volume:
            files |= {f"{path}/{name}": text for name, text in objects["ConfigMap"]["data"].items()}
        elif "projected" in volume:
            items = [item for source in volume["projected"]["sources"] for item in source["secret"]["items"]]
            secrets += [f"{path}/{item['path']}" for item in items]
        else:
            folders.append(path)
    processes = []
    for index in range(spec["replicas"]):
        environment = {}
        expand = lambda text: re.sub(r"\$\((\w+)\)", lambda found: environment.get(found[1], found[0]), text)
        for entry in container["env"]:
            environment[entry["name"]] = expand(entry["value"]) if "value" in entry else field(entry["valueFrom"], container, index)
        processes.append({
            "command": [expand(word) for word in container["command"] + container["args"]],
            "environment": environment,
            "live": container["livenessProbe"]["exec"]["command"],
            "ready": container["readinessProbe"]["exec"]["command"],
        })
    return {"files": files, "secrets": secrets, "folders": folders, "processes": processes}


def field(source, container, index):
    if "fieldRef" in source:
        assert source["fieldRef"]["fieldPath"] == "metadata.labels['apps.kubernetes.io/pod-index']", source
        return str(index)
    section, resource = source["resourceFieldRef"]["resource"].split(".")
    number, unit = re.fullmatch(r"(\d+)(\w*)", container["resources"][section][resource]).groups()
    return str(int(number) * QUANTITY[unit])


def compose():
    """The processes of the compose file."""
    entrypoint = json.loads(re.search(r"(?m)^ENTRYPOINT (.*)$", (ROOT / "deploy/Dockerfile").read_text())[1])
    image = dict(re.findall(r"(?m)^ENV (\w+)=(.*)$", (ROOT / "deploy/Dockerfile").read_text()))
    services = yaml.safe_load((ROOT / "deploy/compose.yaml").read_text())["services"]
    # ${NAME:?text}, which has to come from outside: its name stands for it.
    value = lambda text: re.sub(r"\$\{(\w+):\?[^}]*\}", r"\1 of the outside", str(text))
    processes = []
    for service in services.values():
        if service["image"] == "tidemark":
            environment = image | {name: value(text) for name, text in service["environment"].items()}
            process = {"command": entrypoint + service["command"], "environment": environment}
            if "healthcheck" in service:
                kind, *words = service["healthcheck"]["test"]
                assert kind == "CMD", service
                process["live"] = words
            processes.append(process)
    return {"files": {}, "secrets": [], "folders": ["/tmp"], "processes": processes}


def unit(name, processes, more):
    """The processes of a systemd unit, with the variables `more` of its EnvironmentFile."""
    parser = configparser.RawConfigParser(strict=False, delimiters=("=",), dict_type=Several)
    parser.optionxform = str
    parser.read(ROOT / "deploy/systemd" / name)
    service = dict(parser.items("Service"))
    credentials = f"/run/credentials/{name}"
    secrets = [f"{credentials}/{line.split(':')[0]}" for line in service["LoadCredential"].splitlines()]
    found = {"files": {"/etc/tidemark/tidemark.toml": ""}, "secrets": secrets, "folders": [f"/var/lib/{service.get('StateDirectory', 'tidemark')}"], "processes": []}
    for index in range(processes):
        special = lambda text: text.replace("%d", credentials).replace("%i", str(index))
        words = [word for line in service["Environment"].splitlines() for word in shlex.split(special(line))]
        environment = dict(word.split("=", 1) for word in words) | more
        expand = lambda word: re.sub(r"\$\{(\w+)\}", lambda name: environment[name[1]], word)
        found["processes"].append({
            "command": [expand(word) for word in shlex.split(special(service["ExecStart"]))],
            "environment": environment,
        })
    return found


class Several(dict):
    """A section in which a key that comes again is added to what it had, one a line."""

    def __setitem__(self, key, value):
        if isinstance(value, list) and key in self:
            value = self[key] + value
        super().__setitem__(key, value)


def commands():
    hosts = {"HOSTS": "a:7000,b:7000", "STATE": "/var/lib/tidemark/hot-items"}
    return {
        "the chart with a volume": chart("volume.yaml"),
        "the chart with one process": chart("one.yaml"),
        "the compose file": compose(),
        "tidemark.service": unit("tidemark.service", 1, {}),
        "tidemark-cluster.service": unit("tidemark-cluster.service", 1, {}),
        "tidemark@.service": unit("tidemark@.service", 2, hosts),
    }


text = json.dumps(commands(), indent=2) + "\n"
if sys.argv[1:] == ["--write"]:
    COMMANDS.write_text(text)
elif not COMMANDS.exists() or COMMANDS.read_text() != text:
    sys.exit("deploy/commands.json is not what the chart, the compose file and the units run: deploy/check --write, and look at the difference")
