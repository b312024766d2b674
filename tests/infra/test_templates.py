"""What linters cannot know of the templates: what must agree between them, and with the code."""

import itertools
import re
import unittest

import templates
from templates import FUNCTIONS, INFRA, NESTED, OPERATIONS, ROOT, Stack, listed, load, of_type, references, walk

# Metrics that the functions emit, in the namespace ConversationStore.
OWN_METRICS = {
    "Latency", "Requests", "Errors", "CacheHits", "CacheMisses", "RedisTime", "PostgresTime", "DeferredWrites",
    "FencesCleared", "WindowBytes", "CacheDebtDepth", "CacheDebtAge", "ConsistencyNinesAt1s", "ConsistencyNinesAt1m",
}  # fmt: skip
# Metrics of AWS, each with the dimensions under which it is found.
AWS_METRICS = {
    "AWS/Lambda": ({"FunctionName"}, {"Errors", "Invocations", "Throttles", "Duration", "ConcurrentExecutions"}),
    "AWS/ApiGateway": ({"ApiId"}, {"Count", "4xx", "5xx", "Latency"}),
    "AWS/ElastiCache": (
        {"clusterId", "CacheClusterId"},
        {"ThrottledCmds", "BytesUsedForCache", "ElastiCacheProcessingUnits", "Evictions", "CurrConnections",
         "EngineCPUUtilization", "DatabaseMemoryUsagePercentage"},
    ),
    "AWS/RDS": (
        {"DBInstanceIdentifier", "DBClusterIdentifier", "ProxyName"},
        {"DatabaseConnections", "FreeStorageSpace", "CPUUtilization", "ACUUtilization", "AuroraReplicaLagMaximum",
         "DatabaseConnectionsCurrentlySessionPinned", "VolumeBytesUsed"},
    ),
}  # fmt: skip
STORES = [
    {"Database": database, "Cache": cache}
    for database, cache in itertools.product(("rds", "aurora", "existing"), ("serverless", "nodes", "existing"))
]


def functions():
    """The functions of the root template as CloudFormation sees them, by their names."""
    stack = Stack(templates.translated())
    named = {}
    for found in of_type(stack.template, "AWS::Lambda::Function").values():
        named[stack.value(found["Properties"]["FunctionName"]).removeprefix("store-")] = found["Properties"]
    return named


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
        named = functions()
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
        self.assertEqual(set(functions()), binaries | {"deploy"})
        self.assertEqual(set(FUNCTIONS), set(functions()))

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


class Rights(unittest.TestCase):
    def test_no_policy_names_everything_where_it_could_name_less(self):
        for name in ("template", *NESTED):
            for owner, statement in templates.policy_statements(load(name)):
                everything = any(isinstance(part, str) and part.endswith("*") and ":" not in part
                                 for part in listed(statement["Resource"]))
                wide = any(action.endswith("*") for action in listed(statement["Action"]))
                if statement["Effect"] == "Deny" or not (everything or wide):
                    continue
                # Lambda makes interfaces, which have no name before.
                self.assertEqual(owner, "VpcAccessPolicy")
                self.assertTrue(all(action.startswith("ec2:") for action in statement["Action"]))

    def test_what_lambda_may_do_in_the_vpc_the_code_may_not(self):
        statements = load("template")["Resources"]["VpcAccessPolicy"]["Properties"]["PolicyDocument"]["Statement"]
        [denied] = [statement for statement in statements if statement["Effect"] == "Deny"]
        self.assertEqual(denied["Action"], "ec2:*")
        self.assertEqual(denied["Condition"], {"Null": {"lambda:SourceFunctionArn": "false"}})

    def test_each_function_has_a_role_of_its_own_and_logs_to_its_own_group(self):
        roles = {}
        for name, function in functions().items():
            [role] = references(function["Role"])
            roles[name] = role.removesuffix(".Arn")
            self.assertEqual(roles[name], f"{name.title()}Role")
            group = Stack(load("template")).value(function["LoggingConfig"]["LogGroup"])
            self.assertEqual(group, f"/aws/lambda/store-{name}")
            policy = load("template")["Resources"][roles[name]]["Properties"]["Policies"][0]["PolicyDocument"]
            logs = [s for s in policy["Statement"] if isinstance(s, dict) and "logs:PutLogEvents" in listed(s.get("Action", []))]
            self.assertEqual([list(references(s["Resource"])) for s in logs],
                             [[f"Observability.Outputs.{name.title()}LogGroupArn"]])
        self.assertEqual(len(set(roles.values())), len(roles))

    def test_only_who_needs_a_store_may_connect_to_it(self):
        root = load("template")
        of = {name: set(references(root["Resources"][f"{name.title()}Role"])) for name in FUNCTIONS}
        for name in FUNCTIONS:
            self.assertEqual("RedisPolicy" in of[name], name not in ("list", "migrate", "deploy"), name)
            self.assertEqual("PostgresPolicy" in of[name], name not in ("migrate", "deploy"), name)
        secrets = [owner for template in ("template", *NESTED)
                   for owner, statement in templates.policy_statements(load(template))
                   if "secretsmanager:GetSecretValue" in listed(statement["Action"])]
        self.assertEqual(secrets, ["DeployRole"])

    def test_only_who_needs_a_store_has_a_way_to_it(self):
        network = load("network")
        groups = {name: group["SecurityGroupIds"][0]["Fn::GetAtt"][1].removeprefix("Outputs.").removesuffix("Id")
                  for name, function in functions().items() if (group := function.get("VpcConfig"))}
        self.assertEqual(groups.pop("list"), "PostgresGroup")
        self.assertEqual(groups.pop("migrate"), "MigrationGroup")
        self.assertEqual(set(groups.values()), {"StoresGroup"})
        self.assertEqual(set(groups), set(FUNCTIONS) - {"list", "migrate", "deploy"})
        for proxy in ("true", "false"):
            stack = Stack(network, Prefix="store", DatabaseProxy=proxy)
            ways = {name: [next(references(rule["DestinationSecurityGroupId"])) for rule in
                           resource["Properties"]["SecurityGroupEgress"] if "DestinationSecurityGroupId" in rule]
                    for name, resource in stack.resources() if resource["Type"] == "AWS::EC2::SecurityGroup"}
            database = "ProxyGroup.GroupId" if proxy == "true" else "DatabaseGroup.GroupId"
            self.assertEqual(ways["StoresGroup"], [database, "CacheGroup.GroupId"])
            self.assertEqual(ways["PostgresGroup"], [database])
            self.assertEqual(ways["MigrationGroup"], ["DatabaseGroup.GroupId"])
            self.assertEqual(ways["DatabaseGroup"] + ways["CacheGroup"], [])

    def test_nothing_is_open_to_addresses(self):
        for name in ("template", *NESTED):
            for resource in load(name)["Resources"].values():
                for part in walk(resource):
                    if isinstance(part, dict):
                        self.assertIn(part.get("CidrIp", "255.255.255.255/32"), ("255.255.255.255/32",))
                        self.assertNotIn("CidrIpv6", part)


class Data(unittest.TestCase):
    def stack(self, **given):
        fixed = {"Prefix": "store", "SubnetIds": "a,b", "DatabaseClass": "c", "DatabaseStorage": "20"}
        usual = {"DatabaseStandby": "true", "DatabaseProxy": "true", "AuroraMinimumCapacity": "1", "CacheReplicas": "1",
                 "PostgresVersion": "17", "DatabaseSnapshot": ""}
        return Stack(load("data"), **{**fixed, **usual, **given})

    def test_postgres_is_encrypted_kept_and_has_no_password_of_ours(self):
        for kind in ("rds", "aurora"):
            found = dict(self.stack(Database=kind, Cache="serverless", DatabaseDeletionProtection="true").resources())
            main = found["RdsInstance" if kind == "rds" else "AuroraCluster"]
            properties = main["Properties"]
            self.assertEqual((main["DeletionPolicy"], main["UpdateReplacePolicy"]), ("Snapshot", "Snapshot"))
            self.assertTrue(properties["StorageEncrypted"] and properties["ManageMasterUserPassword"])
            self.assertTrue(properties["EnableIAMDatabaseAuthentication"])
            self.assertEqual(properties["DeletionProtection"], "true")
            self.assertNotIn("MasterUserPassword", properties)
            for resource in found.values():
                self.assertFalse(resource.get("Properties", {}).get("PubliclyAccessible", False))
            self.assertEqual(found["Proxy"]["Properties"]["DefaultAuthScheme"], "IAM_AUTH")
            self.assertNotIn("Auth", found["Proxy"]["Properties"])

    def test_a_snapshot_brings_its_own_database_administrator_and_encryption(self):
        for kind, main in (("rds", "RdsInstance"), ("aurora", "AuroraCluster")):
            found = dict(self.stack(Database=kind, Cache="serverless", DatabaseSnapshot="before").resources())
            properties = found[main]["Properties"]
            self.assertIn("before", (properties.get("DBSnapshotIdentifier"), properties.get("SnapshotIdentifier")))
            said = {key for key, value in properties.items() if value != {"Ref": "AWS::NoValue"}}
            self.assertFalse(said & {"DBName", "DatabaseName", "MasterUsername", "StorageEncrypted"})
            self.assertIn("ManageMasterUserPassword", said)

    def test_the_caches_default_user_is_off_and_the_other_authenticates_by_iam(self):
        for kind in ("serverless", "nodes"):
            found = dict(self.stack(Database="rds", Cache=kind).resources())
            self.assertEqual(found["DefaultUser"]["Properties"]["UserName"], "default")
            self.assertEqual(found["DefaultUser"]["Properties"]["AccessString"].split()[0], "off")
            user = found["CacheUser"]["Properties"]
            self.assertEqual(user["AuthenticationMode"], {"Type": "iam"})
            self.assertEqual(user["UserId"], user["UserName"])
            self.assertEqual(user["UserName"], user["UserName"].lower())
            cache = found["ServerlessCache" if kind == "serverless" else "CacheNodes"]["Properties"]
            self.assertIn("CacheUsers", references([cache.get("UserGroupId"), cache.get("UserGroupIds")]))

    def test_what_exists_is_not_made_again(self):
        self.assertEqual(list(self.stack(Database="existing", Cache="existing").resources()), [])
        kinds = {resource["Type"] for _, resource in self.stack(Database="existing", Cache="serverless").resources()}
        self.assertTrue(all(kind.startswith("AWS::ElastiCache") for kind in kinds), kinds)


class Observability(unittest.TestCase):
    def metrics(self):
        """Every metric that an alarm or the dashboard names: where, namespace, name, dimensions."""
        for name in ("observability", "api"):
            for stores in STORES:
                given = {"DatabaseStandby": "true", "DatabaseProxy": "true", "ReserveConcurrency": "true", **stores}
                stack = Stack(load(name), Prefix="store", Authorizer="jwt", CorsOrigins="", AlarmTopicArn="", **given)
                for alarm, resource in stack.resources():
                    for part in walk(resource):
                        if isinstance(part, dict) and "MetricName" in part:
                            dimensions = {one["Name"]: one["Value"] for one in part["Dimensions"]}
                            yield alarm, part["Namespace"], part["MetricName"], dimensions
        for stores in STORES:
            for widget in templates.dashboard(**stores):
                for metric in widget["properties"].get("metrics", []):
                    if isinstance(metric[0], dict):
                        self.assertRegex(metric[0]["expression"], r"^SEARCH\('\{ConversationStore,Operation,Reason\} MetricName=\"CacheMisses\"'")
                        continue
                    namespace, name, *rest = metric
                    rest = [part for part in rest if not isinstance(part, dict)]
                    yield widget["properties"]["title"], namespace, name, dict(zip(rest[::2], rest[1::2], strict=True))

    def test_every_metric_exists_under_its_dimensions(self):
        seen = set()
        for where, namespace, name, dimensions in self.metrics():
            with self.subTest(where=where, metric=name):
                if namespace == "ConversationStore":
                    self.assertIn(name, OWN_METRICS)
                    self.assertEqual(set(dimensions), {"Operation"})
                    self.assertIn(dimensions["Operation"], (*OPERATIONS, "sweep"))
                else:
                    known, names = AWS_METRICS[namespace]
                    self.assertIn(name, names)
                    self.assertLessEqual(set(dimensions), known)
                    if "FunctionName" in dimensions:
                        self.assertIn(dimensions["FunctionName"].removeprefix("store-"), FUNCTIONS)
            seen.add((namespace, name))
        self.assertLessEqual({("ConversationStore", name) for name in OWN_METRICS}, seen, "a metric that nobody looks at")

    def test_every_alarm_tells_and_is_told_of(self):
        guide = (ROOT / "docs/deploying.md").read_text()
        for name in ("observability", "api"):
            for logical, alarm in of_type(load(name), "AWS::CloudWatch::Alarm").items():
                properties = alarm["Properties"]
                self.assertIn("AlarmTopicArn", references(properties["AlarmActions"]), logical)
                slug = Stack(load(name), Prefix="store").value(properties["AlarmName"]).removeprefix("store-")
                slug = re.sub(rf"^({'|'.join(OPERATIONS)})-errors$", "*-errors", slug)
                self.assertIn(f"| `{slug}` |", guide, "the guide says what to do when it rings")

    def test_an_alarm_name_is_there_once(self):
        for stores in STORES:
            given = {"DatabaseStandby": "true", "DatabaseProxy": "true", "ReserveConcurrency": "true", **stores}
            stack = Stack(load("observability"), Prefix="store", **given)
            names = [r["Properties"]["AlarmName"] for _, r in stack.resources() if r["Type"] == "AWS::CloudWatch::Alarm"]
            self.assertEqual(len(names), len(set(names)), names)

    def test_the_widgets_of_the_dashboard_do_not_overlap(self):
        for stores in STORES:
            taken = set()
            for widget in templates.dashboard(**stores):
                cells = {(x, y) for x in range(widget["x"], widget["x"] + widget["width"])
                         for y in range(widget["y"], widget["y"] + widget["height"])}
                self.assertFalse(cells & taken, widget["properties"])
                self.assertLessEqual(widget["x"] + widget["width"], 24)
                taken |= cells

    def test_every_log_has_an_end(self):
        for name in ("template", *NESTED):
            for group in of_type(load(name), "AWS::Logs::LogGroup").values():
                self.assertEqual(group["Properties"]["RetentionInDays"], {"Ref": "LogRetentionDays"})


if __name__ == "__main__":
    unittest.main()
