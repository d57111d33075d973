"""The chart as Helm renders it: the templates' objects for some values."""

import pathlib

import helm_python as helm
import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
CHART = ROOT / "deploy/helm/tidemark"
CASES = sorted((CHART / "ci").glob("*.yaml"))


def render(values):
    """All objects of a first installation with these values."""
    with helm.Chart.load(CHART) as chart:
        texts = chart.render(values, name="demo", namespace="streams", is_install=True)
    manifests = [text for path, text in sorted(texts.items()) if path.endswith(".yaml")]
    return [manifest for text in manifests for manifest in yaml.safe_load_all(text) if manifest]
