"""What linters cannot know of the templates: what must agree between them, and with the code."""

import re
import unittest

import templates
from templates import FUNCTIONS, INFRA, NESTED, OPERATIONS, ROOT, Stack, load, of_type, references

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

    def test_every_route_has_an_authorizer_but_the_two_that_cannot(self):
        open_to_all = {"GET /v1/health", "OPTIONS /{proxy+}"}
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
        of_contract = {f"{m.upper()} {path}" for path, item in contract["paths"].items() for m in item if m in methods}
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

    def test_what_is_asked_of_a_nested_stack_it_tells(self):
        root = load("template")
        stacks = of_type(root, "AWS::CloudFormation::Stack")
        self.assertEqual({stack["Properties"]["TemplateURL"] for stack in stacks.values()}, {f"{n}.yaml" for n in NESTED})
        asked = set()
        for reference in references(root):
            stack, _, output = reference.partition(".Outputs.")
            if output:
                nested = load(stacks[stack]["Properties"]["TemplateURL"].removesuffix(".yaml"))
                self.assertIn(output, nested["Outputs"], reference)
                asked.add(reference)
        told = {f"{name}.Outputs.{output}" for name, stack in stacks.items()
                for output in load(stack["Properties"]["TemplateURL"].removesuffix(".yaml")).get("Outputs", {})}
        self.assertEqual(told, asked, "an output that nobody asks for, or the other way round")

    def test_what_a_translated_template_refers_to_exists(self):
        template = templates.translated()
        known = set(template["Resources"]) | set(template["Parameters"])
        for reference in references([template["Resources"], template["Outputs"]]):
            name = reference.split(".")[0]
            self.assertTrue(name in known or name.startswith("AWS::"), reference)

    def test_configured_parameters_exist(self):
        declared = set(load("template")["Parameters"])
        config = (ROOT / "samconfig.toml").read_text()
        named = re.findall(r"""^    ['"](\w+)=""", config, re.MULTILINE)
        self.assertGreater(len(named), 20)
        self.assertLessEqual(set(named), declared)

    def test_what_stays_in_the_template_is_within_its_limits(self):
        self.assertLess(len((INFRA / "template.yaml").read_bytes()), 1_000_000)
        for name in ("template", *NESTED):
            template = load(name)
            self.assertLessEqual(len(template.get("Parameters", {})), 200)
            for resource in of_type(template, "AWS::Lambda::Function").values():
                self.assertLessEqual(len(resource["Properties"]["Code"].get("ZipFile", "")), 4096)


class Functions(unittest.TestCase):
    def test_there_is_one_for_each_binary(self):
        binaries = {path.stem for path in (ROOT / "functions/src/bin").glob("*.rs")}
        self.assertEqual(set(templates.functions()), binaries | {"deploy"})
        self.assertEqual(set(FUNCTIONS), set(templates.functions()))

    def test_none_changes_before_the_schema_has(self):
        template = templates.translated()
        for name, resource in of_type(template, "AWS::Lambda::Function").items():
            first = "Migration" in {reference.split(".")[0] for reference in references(resource["Properties"])}
            self.assertEqual(first, name not in ("MigrateFunction", "DeployFunction"), name)

    def test_a_change_of_any_setting_publishes_every_function_anew(self):
        root = load("template")
        settings = root["Resources"]["Migration"]["Properties"]["Settings"]
        told = set(references(settings)).union(*(templates.decided_by(root, c) for c in templates.conditions(settings)))
        template = templates.translated()
        for name, resource in of_type(template, "AWS::Lambda::Function").items():
            if name in ("MigrateFunction", "DeployFunction"):
                continue
            made_of = resource["Properties"]["Environment"]
            asked = set(references(made_of))
            asked = asked.union(*(templates.decided_by(root, c) for c in templates.conditions(made_of)))
            self.assertLessEqual({a for a in asked if not a.startswith("AWS::")}, told, name)
        for name, version in of_type(template, "AWS::Lambda::Version").items():
            description = set(references(version["Properties"]["Description"]))
            self.assertTrue("Migration.Settings" in description or name.startswith("MigrateFunction"), name)

    def test_only_routes_and_schedules_lead_to_an_alias_and_each_rollout_has_its_alarm(self):
        template = templates.translated({"Rollout": "Canary10Percent5Minutes"})
        groups = of_type(template, "AWS::CodeDeploy::DeploymentGroup")
        self.assertEqual({name for name in groups}, {f"{name.title()}FunctionDeploymentGroup" for name in OPERATIONS})
        for name, group in groups.items():
            operation = name.removesuffix("FunctionDeploymentGroup")
            alarms = list(references(group["Properties"]["AlarmConfiguration"]))
            self.assertEqual(alarms, [f"Observability.Outputs.{operation}ErrorsAlarm"])
        aliases = of_type(template, "AWS::Lambda::Alias")
        self.assertEqual(len(aliases), len(FUNCTIONS) - 1)

    def test_the_deployment_waits_longer_than_a_migration_may_take(self):
        root = load("template")
        migrate = root["Resources"]["MigrateFunction"]["Properties"]["Timeout"]
        deploy = root["Resources"]["DeployFunction"]["Properties"]
        patience = int(re.search(r"read_timeout=(\d+)", deploy["Code"]["ZipFile"])[1])
        self.assertLess(migrate, patience)
        self.assertLess(patience, deploy["Timeout"])
        self.assertLess(deploy["Timeout"], int(root["Resources"]["Migration"]["Properties"]["ServiceTimeout"]))


class Environment(unittest.TestCase):
    """Settings: what the code reads is set, and what is set is read."""

    # Lambda sets these itself, or a deployment has no use for them: ElastiCache's certificates are publicly signed.
    NOT_DEPLOYED = re.compile(r"AWS_\w+|REDIS_CA_FILE")

    def read_by(self, function):
        """The variables that a function reads: those of the settings that it opens."""
        files = [ROOT / "core/src/config.rs", *sorted((ROOT / "core/src/config").glob("*.rs"))]
        code = "".join(file.read_text().split("#[cfg(test)]")[0] for file in files)
        names = {name for name in re.findall(r'"([A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+|METRICS|TRACES)"', code)}
        binary = (ROOT / f"functions/src/bin/{function}.rs").read_text()
        redis, callers = "open_store" in binary, "serve(open" in binary
        of_redis = {name for name in names if name.startswith(("REDIS_", "CACHE_"))}
        of_callers = {"AUTH_MODE", "OWNER_CLAIM", "DEFAULT_OWNER"}
        self.assertLessEqual(of_callers, names)
        wanted = names - (set() if redis else of_redis) - (set() if callers else of_callers)
        wanted = {name for name in wanted if not self.NOT_DEPLOYED.fullmatch(name)}
        return wanted if "DATABASE_AUTH" in names else wanted | self.soon(redis)

    @staticmethod
    def soon(redis):
        """What is read as soon as the stores are logged in to by IAM."""
        of_redis = {"REDIS_AUTH", "REDIS_CACHE_NAME", "REDIS_SERVERLESS"}
        return {"DATABASE_AUTH", "DATABASE_POOLER"} | (of_redis if redis else set())

    def test_each_function_is_told_what_it_reads_and_no_more(self):
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
            self.assertEqual(add["REDIS_SERVERLESS"], "false" if secrets == given else "true")


if __name__ == "__main__":
    unittest.main()
