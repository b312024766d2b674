"""What a deployment costs a month, from the list prices in infra/prices.json, as the templates, the code and samconfig.toml
have it. Writes the tables of docs/deploying.md:

    .venv-infra/bin/python tests/infra/cost.py
"""

import json
import re
from functools import cache, cached_property

import tomlkit

import templates
from templates import INFRA, ROOT, Stack, parsed, render

GUIDE = ROOT / "docs/deploying.md"
LIST = json.loads((INFRA / "prices.json").read_text())
PRICES = {name: price for name, (price, _) in LIST["prices"].items()}
ASSUMED = LIST["assumptions"]
HOURS = ASSUMED["hours a month"]
MILLION = 1_000_000
# The bytes of each line that a request writes, with its end. A test of functions/src/telemetry holds them against the code.
LINES = {name: len(line) + 1 for name, line in json.loads((ROOT / "tests/infra/lines.json").read_text()).items()}
METRICS = ROOT / "functions/src/telemetry/metrics.rs"
# Who emits metrics all the time. `probe` and `migrate` run in a deployment.
EMITTING = [function for function in render.functions() if function["routes"] or function["name"] == "sweep"]


def names(chosen):
    """The names of functions that emit metrics."""
    return [function["name"] for function in EMITTING if chosen(function)]


def answering(status):
    """The operations that may answer with a status, as the contract has it."""
    paths = templates.yaml_parse((INFRA / "openapi.yaml").read_text())["paths"]

    def has(route):
        # The key of a record spans slashes in a route, which OpenAPI cannot say; the contract has no $default.
        method, _, path = route.replace("{key+}", "{key}").partition(" ")
        return status in map(str, paths.get(path, {}).get(method.lower(), {}).get("responses", {}))

    return names(lambda function: any(map(has, function["routes"].values())))


@cache
def emitted():
    """The metrics of METRICS=emf: for each name the operations that have it, once for each set of dimensions."""
    every, cached = names(lambda _: True), names(lambda one: one["cached"])
    redis, sweep = names(lambda one: one["redis"]), names(lambda one: one["name"] == "sweep")
    found = {name: every for name in ("Requests", "Errors", "Latency", "RedisRequests", "PostgresRequests", "PostgresTime")}
    found |= {"RedisTime": redis, "CacheRefused": redis, "CacheHits": cached}
    # By operation, and by operation and reason.
    found["CacheMisses"] = cached * (1 + len(templates.reasons()))
    found["DeferredWrites"] = names(lambda one: one["redis"] and one["writes"])
    found |= {"VersionMismatches": answering("412"), "NotModified": answering("304"), "WindowBytes": ["recent"]}
    of_sweep = ("IntentsCleared", "ServersNotSwept", "PendingInvalidations", "PendingInvalidationAge", "AuditSamples", "AuditStaleAt1s", "AuditStaleAt1m")
    return found | {name: sweep for name in of_sweep}


@cache
def essential():
    """The metrics of METRICS=essential, as the table in the code has them: name, operations, whether a 0 is one."""
    source = METRICS.with_name("essential.rs").read_text()
    rows = re.findall(r'Essential \{ name: "(\w+)", operation: (?:None|Some\("(\w+)"\)), at_zero: (true|false) \}', source)
    declared = int(re.search(r"const ESSENTIAL: \[Essential; (\d+)\]", source)[1])
    if len(rows) != declared:
        raise ValueError(f"the table ESSENTIAL has {declared} rows, of which {len(rows)} can be read")
    return [(name, [operation] if operation else names(lambda _: True), zero == "true") for name, operation, zero in rows]


class Deployment:
    """An environment of samconfig.toml, with changed parameters, under some number of requests a month."""

    def __init__(self, environment, requests, cached_gb=0.1, **changed):
        deploy = tomlkit.parse((ROOT / "samconfig.toml").read_text())[environment]["deploy"]["parameters"]
        given = dict(one.split("=", 1) for one in deploy["parameter_overrides"])
        self.environment, self.requests, self.cached_gb, self.changed = environment, requests, cached_gb, changed
        self.root = Stack(parsed("template"), **{**given, **changed})
        self.of = self.root.values

    def but(self, **changed):
        """The same with other parameters."""
        return Deployment(self.environment, self.requests, self.cached_gb, **{**self.changed, **changed})

    @cached_property
    def made(self):
        """All resources, those of the nested stacks too."""
        found = [one for _, one in self.root.resources()]
        for nested in [one for one in found if one["Type"] == "AWS::CloudFormation::Stack"]:
            name = nested["Properties"]["TemplateURL"].removesuffix(".yaml")
            found += [one for _, one in Stack(parsed(name), **nested["Properties"]["Parameters"]).resources()]
        return found

    def of_type(self, kind):
        """The properties of all resources of a type."""
        return [one["Properties"] for one in self.made if one["Type"] == kind]

    def alarm_metrics(self):
        """How many metrics all alarms have, each of which is charged for."""
        own = {kind for kind in (one["Type"] for one in self.made) if kind.startswith("AWS::CloudWatch::") or "MetricFilter" in kind}
        if own - {"AWS::CloudWatch::Alarm", "AWS::CloudWatch::Dashboard"}:
            raise ValueError(f"nobody counts {own}")
        count = 0
        for alarm in self.of_type("AWS::CloudWatch::Alarm"):
            stats = [one["MetricStat"] for one in alarm.get("Metrics", []) if "MetricStat" in one]
            if any(one["Period"] < 60 for one in stats or [alarm]):
                raise ValueError(f"{alarm['AlarmName']} has a period under a minute, which costs more")
            count += len(stats) or 1
        return count

    def metrics(self):
        """How many custom metrics there are in an average hour."""
        if self.root.value(parsed("template")["Globals"]["Function"]["Environment"]["Variables"]["METRICS"]) == "emf":
            return sum(map(len, emitted().values()))
        trouble = ASSUMED["hours of trouble"] / HOURS
        return sum(len(operations) * (1 if at_zero else trouble) for _, operations, at_zero in essential())

    def log_lines(self):
        """The bytes that an average request writes, by the kind of line."""
        return lines(self.of["LogLevel"], self.of["Observability"])

    def costs(self):
        """Each line of the table: its name, what it is for, and dollars."""
        hours, requests, of = HOURS, self.requests, self.of
        standby = of["DatabaseStandby"] == "true"
        size = int(of["DatabaseStorage"])
        postgres = (PRICES[of["DatabaseClass"]] * hours + PRICES["gp3"] * size) * (2 if standby else 1)
        yield "Postgres", f"`{of['DatabaseClass']}`{', standby' if standby else ''}, {size} GB", postgres
        proxy = of["DatabaseProxy"] == "true"
        yield "RDS Proxy", "2 vCPU", PRICES["proxy"] * 2 * hours if proxy else 0
        yield "Valkey", *self.valkey()
        yield "HTTP API", "", PRICES["http api"] * min(requests, 300 * MILLION) + PRICES["http api above"] * max(requests - 300 * MILLION, 0)
        yield "Lambda: requests", "", PRICES["lambda request"] * requests
        time = ASSUMED["ms of a request"] / 1000 * ASSUMED["GB of a request"]
        yield "Lambda: time", "", PRICES["lambda GB"] * time * requests
        written = sum(self.log_lines().values())
        yield "logs", f"{written:,.0f} bytes a request", PRICES["log GB"] * written * requests / 1e9
        alarms = self.alarm_metrics()
        yield "alarms", f"{alarms} metrics", PRICES["alarm metric"] * alarms
        metrics = self.metrics()
        yield "custom metrics", f"{metrics:.1f}".removesuffix(".0"), PRICES["metric"] * metrics
        yield "dashboard", "", PRICES["dashboard"] * len(self.of_type("AWS::CloudWatch::Dashboard"))
        yield "password in Secrets Manager", "", PRICES["secret"]
        time = ASSUMED["ms of a sweep"] / 1000 * ASSUMED["GB of a sweep"]
        sweep = PRICES["lambda request"] + PRICES["lambda GB"] * time + PRICES["log GB"] * ASSUMED["bytes of a sweep"] / 1e9
        yield "sweep", "", ASSUMED["sweeps a month"] * sweep

    def valkey(self):
        """What the cache is, and dollars."""
        of = self.of
        if of["CacheKind"] == "serverless":
            commands = PRICES["serverless ECPU"] * ASSUMED["ECPUs of a request"] * self.requests
            return f"serverless, {self.cached_gb:g} GB", PRICES["serverless GB"] * max(self.cached_gb, 0.1) * HOURS + commands
        nodes = int(of["CacheShards"]) * (1 + int(of["CacheReplicas"]))
        return f"{f'{nodes} × ' if nodes > 1 else ''}`{of['CacheNodeType']}`", PRICES[of["CacheNodeType"]] * nodes * HOURS

    def traces(self):
        """What X-Ray costs, which the table leaves out: Lambda keeps some of each second, and a share of what is beyond."""
        if self.of["Traces"] == "off":
            return 0
        first = min(self.requests, ASSUMED["traces a second"] * HOURS * 3600)
        return PRICES["trace"] * (first + (self.requests - first) * ASSUMED["share of traces beyond"])

    def total(self):
        """Everything together."""
        return sum(dollars for *_, dollars in self.costs()) + self.traces()


def lines(level, observability):
    """The bytes that an average request writes, by the kind of line, of what is logged at a level."""
    reads = ASSUMED["reads in a request"]
    mixed = reads * LINES[f"{observability} recent"] + (1 - reads) * LINES[f"{observability} add"]
    return {
        "Lambda: `platform.start`, `platform.report`": 0 if level in ("warn", "error") else LINES["platform.start"] + LINES["platform.report"],
        "function: a cached read": 0 if level in ("warn", "error") else reads * LINES["info recent"],
        "function: the numbers of the request": mixed,
        "API Gateway: the access log": LINES["access"],
    }


COLUMNS = {
    "smallest": Deployment("dev", MILLION, CacheKind="serverless"),
    "dev": Deployment("dev", MILLION),
    "prod": Deployment("prod", 50 * MILLION),
    "large": Deployment("prod", 1000 * MILLION, DatabaseClass="db.r7g.large", DatabaseStorage="500", DatabaseProxy="true", CacheNodeType="cache.r7g.large"),
}
# What each switch is compared with.
SWITCHES = [("Observability", "essential", "full"), ("LogLevel", "warn", "info"), ("Traces", "off", "xray"), ("DatabaseStandby", "false", "true"),
            ("CacheReplicas", "0", "1"), ("CacheKind", "serverless", "nodes")]  # fmt: skip


def money(dollars):
    """As the tables have it."""
    if dollars == 0:
        return "-"
    return f"{dollars:,.0f}" if abs(dollars) >= 99.95 else f"{dollars:.1f}"


def table(head, rows):
    """A table in Markdown."""
    wide = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(row) + " |" for row in wide)


def cost_table():
    """What each column costs, line by line."""
    costs = [list(column.costs()) for column in COLUMNS.values()]
    rows = [["requests a month", *(f"{column.requests // MILLION:,} million" for column in COLUMNS.values())]]
    for line in zip(*costs, strict=True):
        cell = lambda what, dollars: f"{what}: {money(dollars)}" if what and dollars else money(dollars)
        rows.append([line[0][0], *(cell(what, dollars) for _, what, dollars in line)])
    rows.append(["**together**", *(f"**{money(column.total())}**" for column in COLUMNS.values())])
    return table(["", *COLUMNS], rows)


def savings_table():
    """What each switch saves, everything else being as in the environment."""
    bases = [COLUMNS["dev"], COLUMNS["prod"]]
    rows = []
    for name, cheap, dear in SWITCHES:
        saved = [base.but(**{name: dear}).total() - base.but(**{name: cheap}).total() for base in bases]
        # How much is cached decides on a serverless cache; the columns above know that of dev alone.
        shown = [money(saved[0]), "-" if name == "CacheKind" else money(saved[1])]
        rows.append([f"`{name}={cheap}` instead of `{dear}`", *shown])
    return table(["switch", "dev, 1 million requests", "prod, 50 million"], rows)


def lines_table():
    """The bytes of a request."""
    kinds = [("info", "full"), ("info", "essential"), ("warn", "full"), ("warn", "essential")]
    found = [lines(*kind) for kind in kinds]
    written = lambda number: f"{number:,.0f}" if number else "-"
    rows = [[line, *(written(one[line]) for one in found)] for line in found[0]]
    rows.append(["**together**", *(f"**{sum(one.values()):,.0f}**" for one in found)])
    return table(["bytes of a request", *(f"`{level}`, `{observability}`" for level, observability in kinds)], rows)


def prices_table():
    """The prices used."""
    shown = lambda price: f"{price * MILLION:g} a million" if price < 0.0001 else f"{price:g}"
    return table(["$", "for"], [[shown(price), what] for price, what in LIST["prices"].values()])


TABLES = {"costs": cost_table, "savings": savings_table, "lines": lines_table, "prices": prices_table}


def written(guide):
    """The guide with every table as it is reckoned now."""
    for name, made in TABLES.items():
        begin, end = f"<!-- cost.py: {name} -->\n", "\n<!-- end -->"
        before, rest = guide.split(begin)
        _, after = rest.split(end, 1)
        guide = before + begin + made() + end + after
    return guide


if __name__ == "__main__":
    GUIDE.write_text(written(GUIDE.read_text()))
    print(cost_table(), savings_table(), lines_table(), prices_table(), sep="\n\n")
