"""What linters cannot know of the templates: what must agree between them, and with the code."""

import json
import math
import pathlib
import re
import tempfile
import unittest

import tomlkit

from samcli.lib.providers.sam_function_provider import SamFunctionProvider
from samcli.lib.providers.sam_stack_provider import SamLocalStackProvider

import templates
from templates import FUNCTIONS, INFRA, NESTED, OPERATIONS, ROOT, WITHOUT_REDIS, Stack, load, of_type, references, render

# What a deployment runs before it tries anything.
FIRST = ("MigrateFunction", "DeployFunction")


class Routes(unittest.TestCase):
    def setUp(self):
        self.api = load("api")
        self.routes = of_type(self.api, "AWS::ApiGatewayV2::Route")

    def test_every_route_leads_to_the_alias_of_a_function_that_lets_it(self):
        given = load("template")["Resources"]["Api"]["Properties"]["Parameters"]
        for name, route in self.routes.items():
            [target] = references(route["Properties"]["Target"])
            integration = self.api["Resources"][target]["Properties"]
            parameter = integration["IntegrationUri"]["Ref"]
            self.assertEqual(given[parameter], {"Ref": f"{parameter}Function.Alias"}, name)
            self.assertEqual(self.api["Resources"][f"{parameter}Permission"]["Properties"]["FunctionName"]["Ref"], parameter)
            self.assertIn(parameter.lower(), OPERATIONS)

    def test_every_route_has_an_authorizer_but_those_that_cannot(self):
        open_to_all = {"GET /v1/health", "HEAD /v1/health", "OPTIONS /{proxy+}"}
        for route in self.routes.values():
            properties = route["Properties"]
            if properties["RouteKey"] in open_to_all:
                self.assertEqual(properties["AuthorizationType"], "NONE")
                continue
            for authorizer, kind in (("jwt", "JWT"), ("iam", "AWS_IAM")):
                stack = Stack(self.api, Authorizer=authorizer, CorsOrigins="")
                self.assertEqual(stack.value(properties["AuthorizationType"]), kind, properties["RouteKey"])
                self.assertEqual(stack.value(properties["AuthorizerId"]) == {"Ref": "Jwt"}, kind == "JWT")

    def test_the_routes_are_those_of_the_contract(self):
        contract = templates.yaml_parse((INFRA / "openapi.yaml").read_text())
        methods = {"get", "post", "put", "patch", "delete"}
        # OpenAPI cannot say that a parameter spans slashes. The key of a record does; `{key}` would be one segment of a path.
        paths = {path.replace("/records/{key}", "/records/{key+}"): item for path, item in contract["paths"].items()}
        of_contract = {f"{m.upper()} {path}" for path, item in paths.items() for m in item if m in methods}
        # Where there is GET there is HEAD.
        of_contract |= {key.replace("GET", "HEAD", 1) for key in of_contract if key.startswith("GET ")}
        of_template = {route["Properties"]["RouteKey"] for route in self.routes.values()}
        self.assertEqual(of_template - of_contract, {"$default", "OPTIONS /{proxy+}"})
        self.assertEqual(of_contract - of_template, set())

    def test_throttled_routes_exist(self):
        settings = self.api["Resources"]["Stage"]["Properties"]["RouteSettings"]
        keys = {route["Properties"]["RouteKey"] for route in self.routes.values()}
        self.assertLessEqual(set(settings), keys)

    def test_a_function_answers_before_api_gateway_gives_up(self):
        named = templates.functions()
        for integration in of_type(self.api, "AWS::ApiGatewayV2::Integration").values():
            function = named[integration["Properties"]["IntegrationUri"]["Ref"].lower()]
            waits = integration["Properties"]["TimeoutInMillis"]
            self.assertLess(function["Timeout"] * 1000, waits)
            self.assertLessEqual(waits, 30_000)


class Stacks(unittest.TestCase):
    def test_a_nested_stack_is_given_what_it_declares(self):
        root = load("template")
        for name, stack in of_type(root, "AWS::CloudFormation::Stack").items():
            nested = load(stack["Properties"]["TemplateURL"].removesuffix(".yaml"))
            declared, given = nested["Parameters"], set(stack["Properties"]["Parameters"])
            self.assertLessEqual(given, set(declared), name)
            needed = {parameter for parameter, one in declared.items() if "Default" not in one}
            self.assertLessEqual(needed, given, name)

    def test_a_nested_stack_has_the_outputs_that_are_used(self):
        root = load("template")
        stacks = of_type(root, "AWS::CloudFormation::Stack")
        self.assertEqual({stack["Properties"]["TemplateURL"] for stack in stacks.values()}, {f"{n}.yaml" for n in NESTED})
        used = set()
        for reference in references(root):
            stack, _, output = reference.partition(".Outputs.")
            if output:
                nested = load(stacks[stack]["Properties"]["TemplateURL"].removesuffix(".yaml"))
                self.assertIn(output, nested["Outputs"], reference)
                used.add(reference)
        declared = {f"{name}.Outputs.{output}" for name, stack in stacks.items()
                for output in load(stack["Properties"]["TemplateURL"].removesuffix(".yaml")).get("Outputs", {})}
        self.assertEqual(declared, used, "an output that is not used, or the other way round")

    def test_what_a_translated_template_refers_to_exists(self):
        template = templates.translated()
        known = set(template["Resources"]) | set(template["Parameters"])
        for reference in references([template["Resources"], template["Outputs"]]):
            name = reference.split(".")[0]
            self.assertTrue(name in known or name.startswith("AWS::"), reference)

    def test_sam_finds_every_function_that_it_is_to_build(self):
        # It replaces what is called like a parameter by that one's value, also names of outputs.
        with tempfile.TemporaryDirectory() as folder:
            render.write(pathlib.Path(folder))
            stacks, _ = SamLocalStackProvider.get_stacks(f"{folder}/template.yaml")
        self.assertEqual({stack.name for stack in stacks}, {"", "Network", "Data", "Monitoring", "Api", "Dashboard"})
        found = SamFunctionProvider(stacks, use_raw_codeuri=True).get_all()
        built = {one.metadata["BuildProperties"]["Binary"]: (one.codeuri, one.architectures)
                 for one in found if not one.inlinecode}
        self.assertEqual(built, {name: ("../../functions", ["arm64"]) for name in FUNCTIONS if name != "deploy"})

    def test_configured_parameters_exist(self):
        declared = set(load("template")["Parameters"])
        config = (ROOT / "samconfig.toml").read_text()
        named = re.findall(r"""^    ['"](\w+)=""", config, re.MULTILINE)
        self.assertGreater(len(named), 20)
        self.assertLessEqual(set(named), declared)

    def test_what_stays_in_the_template_is_within_its_limits(self):
        for name in render.TEMPLATES:
            self.assertLess(len(render.render(name)), 1_000_000)
            template = load(name)
            self.assertLessEqual(len(template.get("Parameters", {})), 200)
            for resource in of_type(template, "AWS::Lambda::Function").values():
                # 4 MB; until 2022 it was 4096 characters.
                self.assertLessEqual(len(resource["Properties"]["Code"].get("ZipFile", "")), 4_000_000)


class Functions(unittest.TestCase):
    def test_there_is_one_for_each_binary(self):
        binaries = {path.stem for path in (ROOT / "functions/src/bin").glob("*.rs")} | templates.COMING["binaries"]
        self.assertEqual(set(templates.functions()), binaries | {"deploy"})
        self.assertEqual(set(FUNCTIONS), set(templates.functions()))

    def test_none_changes_before_the_schema_has(self):
        template = templates.translated()
        for name, resource in of_type(template, "AWS::Lambda::Function").items():
            after = {reference.split(".")[0] for reference in references(resource["Properties"])}
            self.assertEqual("Probe" in after, name not in (*FIRST, "ProbeFunction"), name)
            self.assertEqual("Migration" in after, name.removesuffix("Function").lower() not in WITHOUT_REDIS, name)

    def test_steps_come_in_their_order(self):
        resources = templates.translated()["Resources"]

        def before(name, seen):
            """All that a resource waits for."""
            resource = resources.get(name, {})
            waits = {reference.split(".")[0] for reference in references(resource)}
            for one in (waits | set(templates.listed(resource.get("DependsOn", [])))) - seen:
                seen.add(one)
                before(one, seen)
            return seen

        self.assertNotIn("Data", before("Guard", set()))
        self.assertIn("Guard", before("Data", set()))
        self.assertLessEqual({"Guard", "Data", "AdministratorPolicy"}, before("Migration", set()))
        self.assertLessEqual({"Migration", "ProbeFunction", "ProxyPolicy"}, before("Probe", set()))
        others = set(resources) - before("CacheMove", set()) - {"CacheMove", "SweepSilentAlarm"}
        kinds = {resources[name]["Type"] for name in others}
        self.assertLessEqual(kinds, {"AWS::Lambda::EventInvokeConfig", "AWS::Events::Rule", "AWS::Lambda::Permission",
                                     "AWS::Lambda::Alias"}, others)
        aliases = {name for name in others if resources[name]["Type"] == "AWS::Lambda::Alias"}
        self.assertEqual(aliases, {"MigrateFunctionAliaslive", "ProbeFunctionAliaslive"})

    def test_a_change_of_any_setting_publishes_every_function_anew(self):
        root = load("template")
        settings = root["Resources"]["Migration"]["Properties"]["Settings"]
        hashed = set(references(settings)).union(*(templates.decided_by(root, c) for c in templates.conditions(settings)))
        template = templates.translated()

        def asked(function):
            """What the environment of a function depends on."""
            made_of = template["Resources"][function]["Properties"]["Environment"]
            found = set(references(made_of)).union(*(templates.decided_by(root, c) for c in templates.conditions(made_of)))
            return {one for one in found if not one.startswith("AWS::")}

        for name in set(of_type(template, "AWS::Lambda::Function")) - set(FIRST):
            # The generation is part of the hash; only the probe reads the connections.
            known = {"Migration.Generation"} | ({"Migration.Connections"} if name == "ProbeFunction" else set())
            self.assertLessEqual(asked(name) - known, hashed, name)
        for name, version in of_type(template, "AWS::Lambda::Version").items():
            description = set(references(version["Properties"]["Description"]))
            step = {"Migrate": "Guard", "Probe": "Migration"}.get(name.split("Function")[0], "Probe")
            self.assertIn(f"{step}.Settings", description, name)
        probe = root["Resources"]["Probe"]["Properties"]
        self.assertEqual(list(references(probe["Settings"])), ["Migration.Settings"])
        # What it refers to in Data follows from parameters.
        parameters = {one for one in asked("MigrateFunction") if "." not in one}
        self.assertLessEqual({"LogLevel", "Observability", "Traces", "DatabaseUrlSecret", "DatabaseSharding", "RecordBytes"}, parameters)
        self.assertLessEqual(parameters, set(references(root["Resources"]["Guard"]["Properties"]["Settings"])))

    def test_the_cache_moves_with_its_own_revision_and_not_with_that_of_the_functions(self):
        root = load("template")
        cache, settings = (root["Resources"]["Migration"]["Properties"][name] for name in ("Cache", "Settings"))
        existing = {"DatabaseUrlSecret": "a", "RedisUrlSecret": "b"}
        for stores in ({}, existing, {"DatabaseUrlSecret": "a"}, {"RedisUrlSecret": "b"}):
            of = lambda node, **more: Stack(root, **stores, **more).value(node)
            self.assertNotEqual(of(cache), of(cache, CacheRevision="2"), stores)
            self.assertEqual(of(cache), of(cache, Revision="2"), stores)
            self.assertNotEqual(of(settings), of(settings, Revision="2"), stores)
        # A secret may lead to another Postgres: migrate then has to read it again.
        guard = root["Resources"]["Guard"]["Properties"]["Settings"]
        self.assertLessEqual({"Revision", "CacheRevision"}, set(references(guard)))

    def test_migrate_looks_at_the_database_in_the_deployment_that_upgrades_it(self):
        root = load("template")
        migration = root["Resources"]["Migration"]["Properties"]
        of = lambda **given: {name: Stack(root, **given).value(node) for name, node in migration.items()}
        changed = {name for name, value in of().items() if value != of(PostgresVersion="18")[name]}
        self.assertEqual(changed, {"Postgres"})
        # It says nothing of an existing Postgres.
        self.assertEqual(of(DatabaseUrlSecret="a"), of(DatabaseUrlSecret="a", PostgresVersion="18"))

    def test_only_routes_and_schedules_lead_to_an_alias_and_each_rollout_has_its_alarm(self):
        template = templates.translated({"Rollout": "Canary10Percent5Minutes"})
        groups = of_type(template, "AWS::CodeDeploy::DeploymentGroup")
        self.assertEqual({name for name in groups}, {f"{name.title()}FunctionDeploymentGroup" for name in OPERATIONS})
        for name, group in groups.items():
            operation = name.removesuffix("FunctionDeploymentGroup")
            alarms = list(references(group["Properties"]["AlarmConfiguration"]))
            self.assertEqual(alarms, [f"Monitoring.Outputs.{operation}ErrorsAlarm"])
        aliases = of_type(template, "AWS::Lambda::Alias")
        self.assertEqual(len(aliases), len(FUNCTIONS) - 1)

    def test_the_deployment_waits_longer_than_an_invocation_may_take(self):
        root = load("template")
        deploy = root["Resources"]["DeployFunction"]["Properties"]
        patience = int(re.search(r"read_timeout=(\d+)", deploy["Code"]["ZipFile"])[1])
        spare = int(re.search(r"^SPARE = ([0-9_]+)$", deploy["Code"]["ZipFile"], re.MULTILINE)[1]) / 1000
        for name in ("MigrateFunction", "ProbeFunction"):
            self.assertLess(root["Resources"][name]["Properties"]["Timeout"], patience)
        self.assertLess(patience, spare)
        self.assertLess(spare, deploy["Timeout"])
        for step in ("Guard", "Migration", "Probe", "CacheMove"):
            self.assertLess(deploy["Timeout"], int(root["Resources"][step]["Properties"]["ServiceTimeout"]))


class Rules(unittest.TestCase):
    GIVEN = {"JwtIssuer": "https://issuer.example.com", "JwtAudience": "store"}

    def refused(self, **given):
        return list(Stack(load("template"), **{**self.GIVEN, **given}).allowed())

    def test_what_is_well_is_taken(self):
        vpc = {"VpcId": "vpc-1", "SubnetIds": "subnet-1,subnet-2"}
        for given in ({}, vpc, {"FirstZoneId": "use1-az1", "SecondZoneId": "use1-az2"}, {"DatabaseProxy": "true"}):
            self.assertEqual(self.refused(**given), [], given)

    def test_what_cannot_be_is_refused_before_anything_is_made(self):
        for given, about in (
            ({"VpcId": "vpc-1"}, "SubnetIds"), ({"SubnetIds": "subnet-1,subnet-2"}, "VpcId"), ({"FirstZoneId": "use1-az1"}, "zones"),
            ({"FirstZoneId": "use1-az1", "SecondZoneId": "use1-az1"}, "zones"), ({"DomainName": "api.example.com"}, "certificate"),
            ({"DatabaseUrlSecret": "a", "PostgresSecurityGroupId": "sg-1", "VpcId": "vpc-1", "SubnetIds": "a,b",
              "DatabaseProxy": "true"}, "proxy"), ({"JwtIssuer": ""}, "JwtIssuer"),
        ):  # fmt: skip
            said = self.refused(**given)
            self.assertEqual([about in one for one in said], [True], (given, said))

    def test_the_least_capacity_of_aurora_is_not_above_the_most(self):
        parameters = load("template")["Parameters"]
        for least in parameters["AuroraMinimumCapacity"]["AllowedValues"]:
            for most in parameters["AuroraMaximumCapacity"]["AllowedValues"]:
                said = self.refused(DatabaseKind="aurora", AuroraMinimumCapacity=str(least), AuroraMaximumCapacity=str(most))
                self.assertEqual(bool(said), least > most, (least, most))
        self.assertGreater(min(parameters["AuroraMinimumCapacity"]["AllowedValues"]), 0, "the sweep keeps it awake")

    def test_a_name_that_rds_would_not_take_is_refused_at_once(self):
        for name in ("network", "data"):
            prefix = load(name)["Parameters"]["Prefix"]
            for taken in ("a", "conversation-store-prod-2", "a1"):
                self.assertRegex(taken, prefix["AllowedPattern"])
            for refused in ("a--b", "a-", "-a", "1a", "A"):
                self.assertNotRegex(refused, prefix["AllowedPattern"])
            self.assertEqual(prefix["MaxLength"], 30)

    def test_what_is_deployed_fits_its_database(self):
        """By the formula of the deploy function and of docs/deploying.md."""
        code = load("template")["Resources"]["DeployFunction"]["Properties"]["Code"]["ZipFile"]
        space = {"int": int}
        exec(code[code.index("def connections("):code.index("def handle(")], space)
        configured = tomlkit.parse((ROOT / "samconfig.toml").read_text())
        for environment, most in (("dev", 80), ("staging", 80), ("prod", 400)):
            given = dict(one.split("=", 1) for one in configured[environment]["deploy"]["parameters"]["parameter_overrides"])
            stack = Stack(load("template"), **given)
            instances = stack.value(load("template")["Resources"]["Migration"]["Properties"]["Instances"])
            # Of which Postgres reserves three (superuser_reserved_connections) and RDS two (reserved_connections).
            self.assertLessEqual(int(space["connections"]({"Instances": instances})), most - 3 - 2, environment)
            burst = int(stack.values["ThrottlingBurst"])
            self.assertLessEqual(burst, sum(map(int, instances)), "requests above it get 429 and not 503")


class Api(unittest.TestCase):
    def test_an_access_log_line_is_json_whatever_goes_wrong(self):
        form = load("api")["Resources"]["Stage"]["Properties"]["AccessLogSettings"]["Format"]
        # Of these only a caller chooses none, and none is text for people.
        for variable in re.findall(r"\$context\.([A-Za-z.]+)", form):
            self.assertNotRegex(variable, r"[mM]essage|authorizer|path$|userAgent")
        self.assertEqual(json.loads(re.sub(r"\$context\.[A-Za-z.]+", "-", form))["error"], "-")

    def test_no_metric_is_paid_for_that_nobody_looks_at(self):
        self.assertIs(load("api")["Resources"]["Stage"]["Properties"]["DefaultRouteSettings"]["DetailedMetricsEnabled"], False)

    def test_with_a_name_of_its_own_the_api_answers_under_no_other(self):
        for name in ("", "api.example.com"):
            found = dict(Stack(load("api"), Prefix="store", Authorizer="jwt", CorsOrigins="", AlarmTopicArn="", DomainName=name).resources())
            self.assertIs(found["Api"]["Properties"]["DisableExecuteApiEndpoint"], bool(name))
            self.assertEqual({"Domain", "DomainMapping"} <= set(found), bool(name))


class Environment(unittest.TestCase):
    """Settings: what the code reads is set, and what is set is read."""

    # Lambda sets these itself, or a deployment has no use for them: ElastiCache's certificates are publicly signed.
    NOT_DEPLOYED = re.compile(r"AWS_\w+|REDIS_CA_FILE")

    def read_by(self, function):
        """The variables that a function reads: those of the settings that it opens."""
        files = [ROOT / "core/src/config.rs", *sorted((ROOT / "core/src/config").glob("*.rs"))]
        code = "".join(file.read_text().split("#[cfg(test)]")[0] for file in files)
        names = {name for name in re.findall(r'"([A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+|METRICS|TRACES)"', code)}
        names |= templates.COMING["settings"]
        if function == "probe":
            redis, callers = True, False
        else:
            binary = (ROOT / f"functions/src/bin/{function}.rs").read_text()
            redis, callers = "open_store" in binary, bool(re.search(r"use conversation_functions::\{[^}]*\bserve\b", binary))
        of_redis = {name for name in names if name.startswith(("REDIS_", "CACHE_"))}
        of_callers = {"AUTH_MODE", "OWNER_CLAIM", "DEFAULT_OWNER"}
        self.assertLessEqual(of_callers, names)
        wanted = names - (set() if redis else of_redis) - (set() if callers else of_callers)
        of_one = {"CONNECTIONS_NEEDED": "probe", "DATABASE_SHARDING": "migrate", "RETENTION_DAYS": "migrate"}
        wanted -= {name for name, reader in of_one.items() if function != reader}
        return {name for name in wanted if not self.NOT_DEPLOYED.fullmatch(name)}

    def test_nothing_is_coming_that_is_there(self):
        files = [*(ROOT / "core/src").rglob("*.rs"), *(ROOT / "functions/src").rglob("*.rs")]
        code = "".join(file.read_text() for file in files)
        self.assertFalse({name for name in templates.COMING["settings"] if f'"{name}"' in code})
        metrics = (ROOT / "functions/src/telemetry/metrics.rs").read_text()
        field = lambda name: re.sub(r"(?<!^)([A-Z])", r"_\1", name).lower()
        self.assertFalse({name for name in templates.COMING["metrics"] if field(name) in metrics})
        self.assertFalse({name for name in templates.GOING if field(name) not in metrics})
        self.assertFalse(templates.COMING["reasons"] & templates.reasons())
        self.assertFalse({name for name in templates.COMING["binaries"] if (ROOT / f"functions/src/bin/{name}.rs").exists()})

    def test_each_function_has_the_settings_that_it_reads_and_no_more(self):
        for name, function in templates.functions().items():
            if name != "deploy":
                with self.subTest(function=name):
                    self.assertEqual(set(function["Environment"]["Variables"]), self.read_by(name))

    def test_values_are_what_the_code_takes(self):
        root = templates.translated()
        secrets = {"DatabaseUrlSecret": "a", "RedisUrlSecret": "b"}
        for given, auth, jwt in (({}, "iam", True), (secrets, "password", True), ({"Authorizer": "iam"}, "iam", False)):
            add = Stack(root, **given).value(root["Resources"]["AddFunction"]["Properties"]["Environment"]["Variables"])
            self.assertEqual((add["DATABASE_AUTH"], add["REDIS_AUTH"]), (auth, auth))
            self.assertEqual(add["AUTH_MODE"], "jwt" if jwt else "trusted_header")
            self.assertEqual(add["OWNER_CLAIM"], "sub" if jwt else "")
            self.assertEqual(add["REDIS_CACHE_NAME"], "" if secrets == given else "store")
            self.assertEqual((add["REDIS_SERVERLESS"], add["STORE_NAME"]), ("false", "store"))

    def test_a_record_may_be_as_large_as_the_code_takes_and_no_larger(self):
        code = (ROOT / "core/src/types/record.rs").read_text()
        most = math.prod(map(int, re.search(r"const RECORD_BYTES: usize = ([\d *]+);", code)[1].split("*")))
        root = templates.translated()
        parameter = root["Parameters"]["RecordBytes"]
        self.assertEqual((parameter["Default"], parameter["MaxValue"]), (most, most), "a function does not start with more")
        for name in set(FUNCTIONS) - {"deploy"}:
            variables = root["Resources"][f"{name.title()}Function"]["Properties"]["Environment"]["Variables"]
            self.assertEqual(Stack(root, RecordBytes="1000").value(variables["RECORD_BYTES"]), "1000", name)

    def test_a_cache_that_hides_its_servers_is_created_here_or_said_to_be_one(self):
        root = templates.translated()
        for given, hides in (
            ({"CacheKind": "serverless"}, "true"), ({"RedisUrlSecret": "b", "RedisServerless": "true"}, "true"),
            # Neither parameter says anything of the other kind of cache.
            ({"RedisUrlSecret": "b", "CacheKind": "serverless"}, "false"), ({"CacheKind": "nodes", "RedisServerless": "true"}, "false"),
        ):  # fmt: skip
            for function in ("Add", "Recent", "Sweep", "Probe"):
                variables = root["Resources"][f"{function}Function"]["Properties"]["Environment"]["Variables"]
                self.assertEqual(Stack(root, **given).value(variables["REDIS_SERVERLESS"]), hides, (function, given))


if __name__ == "__main__":
    unittest.main()
