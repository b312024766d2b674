"""Draws the dashboard of infra/dashboard.yaml from metrics that functions emitted: the lines of target/soak-metrics.ndjson.

CloudWatch aggregates by the minute; a local run is short, so this does by STEP seconds. Widgets of AWS's own metrics are
left out.
"""

import json
import math
import re
import sys
from collections import defaultdict
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "infra"))
from render import render  # noqa: E402

STEP = 10
COLUMNS = 3


def widgets():
    """The dashboard's widgets, without what depends on the stack."""
    text = render("dashboard")
    body = text[text.index('{"widgets"') :]
    body = re.sub(r"\$\{[^}]*\}", "", body)
    found, _ = json.JSONDecoder().raw_decode(body)
    return [widget["properties"] for widget in found["widgets"] if widget["type"] == "metric"]


class Metrics:
    """The values of each metric, by its dimensions, in each step."""

    def __init__(self, lines):
        self.values = defaultdict(lambda: defaultdict(list))
        records = [json.loads(line) for line in lines]
        self.began = min(line["_aws"]["Timestamp"] for line in records)
        for line in records:
            self.add(line)
        self.steps = 1 + max(step for steps in self.values.values() for step in steps)

    def add(self, line):
        step = (line["_aws"]["Timestamp"] - self.began) // (STEP * 1000)
        for directive in line["_aws"]["CloudWatchMetrics"]:
            for dimensions in directive["Dimensions"]:
                if not all(name in line for name in dimensions):
                    continue
                # A local run is of one store.
                under = tuple(line[name] for name in dimensions if name != "Store")
                for metric in directive["Metrics"]:
                    if metric["Name"] in line:
                        self.values[metric["Name"], under][step].append(line[metric["Name"]])

    def series(self, name, under, stat):
        """A value for each step; none where there is no value."""
        steps = self.values.get((name, under), {})
        return [statistic(steps[step], stat) if step in steps else None for step in range(self.steps)]

    def reasons(self, name):
        """The dimensions of a metric besides the operation."""
        return sorted(under for metric, under in self.values if metric == name and len(under) > 1)


def statistic(values, stat):
    """One figure for a step."""
    if stat.startswith("p"):
        values = sorted(values)
        return values[min(len(values) - 1, math.ceil(len(values) * float(stat[1:]) / 100) - 1)]
    return {"Sum": sum, "Maximum": max, "Minimum": min, "Average": lambda all: sum(all) / len(all)}[stat](values)


def lines_of(widget, metrics):
    """The lines that a widget draws of our own metrics: label and values."""
    hidden, drawn = {}, []
    for metric in widget["metrics"]:
        options = metric[-1] if isinstance(metric[-1], dict) else {}
        stat = options.get("stat", widget["stat"])
        if "expression" in metric[0]:
            continue
        if metric[0] != "ConversationStore":
            return []
        values = metrics.series(metric[1], under(metric), stat)
        if options.get("visible", True):
            drawn.append((options.get("label", metric[1]), values))
        else:
            hidden[options["id"]] = values
    for metric in widget["metrics"]:
        if "expression" in metric[0]:
            drawn += evaluated(metric[0], hidden, metrics)
    return drawn


def under(metric):
    """The dimensions of a widget's metric, but for the store."""
    names = [part for part in metric[2:] if isinstance(part, str)]
    return tuple(value for name, value in zip(names[::2], names[1::2], strict=True) if name != "Store")


def evaluated(metric, hidden, metrics):
    """What an expression comes to: a search for misses by reason, or the nines of two sums."""
    if metric["expression"].startswith("SEARCH"):
        return [(" ".join(under), metrics.series("CacheMisses", under, "Sum")) for under in metrics.reasons("CacheMisses")]
    of = re.fullmatch(r"IF\((\w+) > 0, LOG10\((\w+) / \1\), LOG10\(\2\)\)", metric["expression"])
    part, whole = (hidden[name] for name in of.groups())
    # So few samples as a step has say little; all until then say more.
    totals = zip(running(whole), running(part), strict=True)
    return [(metric["label"], [math.log10(all_of / max(some, 1)) if all_of else None for all_of, some in totals])]


def running(values):
    total = 0
    for value in values:
        total += value or 0
        yield total


def draw(file, picture):
    metrics = Metrics(Path(file).read_text().splitlines())
    drawn = [(widget, lines_of(widget, metrics)) for widget in widgets()]
    drawn = [(widget, [line for line in lines if any(line[1])] or lines) for widget, lines in drawn if lines]
    rows = math.ceil(len(drawn) / COLUMNS)
    plt.rcParams.update({"font.size": 8, "axes.spines.top": False, "axes.spines.right": False})
    figure, axes = plt.subplots(rows, COLUMNS, figsize=(15, 3 * rows), layout="constrained")
    minutes = [step * STEP / 60 for step in range(metrics.steps)]
    for axis, (widget, lines) in zip(axes.flat, drawn, strict=False):
        for label, values in lines:
            axis.plot(minutes, [math.nan if value is None else value for value in values], label=label, marker=".", markersize=3, linewidth=1)
        axis.set_title(widget["title"], loc="left", fontweight="bold")
        axis.set_ylabel(widget.get("yAxis", {}).get("left", {}).get("label", "").replace("per minute", f"per {STEP} s"))
        axis.set_ylim(bottom=0)
        axis.grid(axis="y", alpha=0.3)
        axis.legend(fontsize=7, frameon=False, ncols=2)
    for axis in axes.flat[len(drawn) :]:
        axis.set_visible(False)
    for axis in axes[-1]:
        axis.set_xlabel("minutes")
    figure.savefig(picture, dpi=110)
    print(f"{picture}: {len(drawn)} widgets, {metrics.steps} steps")


if __name__ == "__main__":
    draw(*(sys.argv[1:] or [ROOT / "target/soak-metrics.ndjson", ROOT / "docs/dashboard.png"]))
