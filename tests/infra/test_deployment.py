"""All templates deployed together, to moto's server. It resolves what they refer to, from one to the other, and makes
what it has a model for; the rest is recorded as it would be made."""

import ipaddress
import json
import os
import unittest
from unittest import mock

import boto3
import requests
from moto.cloudformation import parsing
from moto.cloudformation.models import Stack as MotoStack
from moto.server import ThreadedMotoServer

import templates
from templates import FUNCTIONS, NESTED, OPERATIONS, WITHOUT_REDIS, load, of_type, walk

BUCKET = "code-of-the-store"
PARAMETERS = {"JwtIssuer": "https://issuer.example.com", "JwtAudience": "store", "LogRetentionDays": "14"}
# The smallest archive there is.
ZIP = b"PK\x05\x06" + bytes(18)
# What moto has no model for, and is only recorded. What leaves this list is to be looked for among what is made.
RECORDED = {
    "AWS::ApiGatewayV2::Api", "AWS::ApiGatewayV2::Authorizer", "AWS::ApiGatewayV2::Integration",
    "AWS::ApiGatewayV2::Route", "AWS::ApiGatewayV2::Stage", "AWS::CloudWatch::Alarm", "AWS::CodeDeploy::Application",
    "AWS::CodeDeploy::DeploymentGroup", "AWS::ElastiCache::ReplicationGroup", "AWS::ElastiCache::ServerlessCache",
    "AWS::ElastiCache::SubnetGroup", "AWS::ElastiCache::User", "AWS::ElastiCache::UserGroup",
    "AWS::CloudFormation::WaitConditionHandle", "AWS::Lambda::Alias", "AWS::Lambda::EventInvokeConfig", "AWS::RDS::DBCluster",
    "AWS::RDS::DBProxy", "AWS::RDS::DBProxyTargetGroup", "AWS::ApiGatewayV2::DomainName", "AWS::ApiGatewayV2::ApiMapping",
    "AWS::EC2::SecurityGroupEgress", "Custom::Guard", "Custom::Migration", "Custom::Probe", "Custom::CacheMove",
}  # fmt: skip
# Of these its models do not know all that is asked of them.
INCOMPLETE = {"AWS::RDS::DBInstance", "AWS::Lambda::Version", "AWS::Lambda::Permission"}


class Recorded:
    """Stands for a resource that moto has no model for."""

    made = {}

    def __init__(self, name, kind, properties):
        self.name, self.kind, self.properties = name, kind, properties

    @property
    def physical_resource_id(self):
        if self.kind == "AWS::Lambda::Alias":
            return f"arn:aws:lambda:{templates.REGION}:123456789012:function:{self.properties['FunctionName']}:live"
        return self.name

    @staticmethod
    def cloudformation_name_type():
        return ""

    @classmethod
    def has_cfn_attr(cls, attr):
        return True

    def is_created(self):
        return True

    def get_cfn_attribute(self, attribute_name):
        if attribute_name.endswith("Arn"):
            return f"arn:aws:recorded:{templates.REGION}:123456789012:{attribute_name.lower()}:{self.name}"
        return f"{self.name}.{attribute_name}"

    @classmethod
    def create_from_cloudformation_json(cls, resource_name, cloudformation_json, account_id, region_name, **kwargs):
        kind = cloudformation_json["Type"]
        made = cls(resource_name, kind, cloudformation_json.get("Properties", {}))
        cls.made.setdefault(kind, []).append(made.properties)
        return made


def without_what_moto_lacks(template):
    """The same template, where moto does not compute blocks of addresses and knows no secret of a database."""
    blocks = [str(block) for block in ipaddress.ip_network("10.64.0.0/16").subnets(new_prefix=24)]

    def simpler(node):
        if isinstance(node, list):
            return [simpler(part) for part in node]
        if not isinstance(node, dict):
            return node
        if "Fn::Select" in node and isinstance(node["Fn::Select"][1], dict) and "Fn::Cidr" in node["Fn::Select"][1]:
            return blocks[node["Fn::Select"][0]]
        return {key: simpler(part) for key, part in node.items()}

    return simpler(template)


def model(kind, known=parsing.resource_class_from_type):
    """What stands for a type of resources."""
    return Recorded if kind in RECORDED | INCOMPLETE else known(kind)


def output(stack, attribute):
    """An output of a nested stack, which moto's stacks do not have."""
    outputs = {one.key: one.value for one in stack.output_map.values() if one}
    return outputs[attribute.removeprefix("Outputs.")]


class Cloud(unittest.TestCase):
    """A server with an empty account, and the bucket from which is deployed."""

    @classmethod
    def setUpClass(cls):
        keys = {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x", "AWS_DEFAULT_REGION": templates.REGION}
        for patch in (
            mock.patch.dict(os.environ, keys),
            mock.patch.object(MotoStack, "get_cfn_attribute", output, create=True),
            mock.patch.object(parsing, "resource_class_from_type", model),
        ):
            patch.start()
            cls.addClassCleanup(patch.stop)
        server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        server.start()
        cls.addClassCleanup(server.stop)
        cls.url = "http://{}:{}".format(*server.get_host_and_port())
        cls.empty()

    @classmethod
    def empty(cls):
        requests.post(f"{cls.url}/moto-api/reset", timeout=10)
        requests.post(f"{cls.url}/moto-api/config", json={"lambda": {"use_docker": False}}, timeout=10)
        Recorded.made.clear()
        cls.put_code()

    @classmethod
    def client(cls, service):
        return boto3.client(service, endpoint_url=cls.url)

    @classmethod
    def put_code(cls):
        s3 = cls.client("s3")
        s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": templates.REGION})
        for function in FUNCTIONS:
            s3.put_object(Bucket=BUCKET, Key=function, Body=ZIP)
        for name in NESTED:
            s3.put_object(Bucket=BUCKET, Key=f"{name}.yaml", Body=json.dumps(without_what_moto_lacks(load(name))))

    @classmethod
    def create(cls, parameters, name="store"):
        template = templates.translated(parameters, BUCKET)
        for stack in of_type(template, "AWS::CloudFormation::Stack").values():
            file = stack["Properties"]["TemplateURL"]
            stack["Properties"]["TemplateURL"] = f"https://{BUCKET}.s3.amazonaws.com/{file}"
        cls.client("cloudformation").create_stack(
            StackName=name,
            TemplateBody=json.dumps(without_what_moto_lacks(template)),
            Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()],
            Capabilities=["CAPABILITY_IAM"],
        )


class Deployment(Cloud):
    """With what is the default."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.create(PARAMETERS)

    def test_moto_makes_all_but_what_is_recorded(self):
        used = {resource["Type"] for name in NESTED for resource in load(name)["Resources"].values()}
        used |= {resource["Type"] for resource in templates.translated()["Resources"].values()}
        self.assertEqual({kind for kind in used if kind not in parsing.get_model_map()}, RECORDED)

    def test_every_stack_is_complete(self):
        stacks = self.client("cloudformation").describe_stacks()["Stacks"]
        self.assertGreaterEqual(len(stacks), 1 + len(NESTED))
        self.assertEqual({stack["StackStatus"] for stack in stacks}, {"CREATE_COMPLETE"})

    def test_functions_have_the_addresses_of_the_stores(self):
        client = self.client("lambda")
        made = {one["FunctionName"]: one for one in client.list_functions()["Functions"]}
        self.assertEqual(set(made), {f"store-{name}" for name in FUNCTIONS})
        for name in (*OPERATIONS, "sweep", "probe", "migrate"):
            function = made[f"store-{name}"]
            self.assertEqual(function["Runtime"], "provided.al2023")
            self.assertEqual(len(function["VpcConfig"]["SubnetIds"]), 2)
            variables = function["Environment"]["Variables"]
            self.assertTrue(all(isinstance(value, str) for value in variables.values()), variables)
            self.assertRegex(variables["DATABASE_URL"], "^postgres://conversation_store@[^:]+:5432/conversations")
            self.assertEqual(variables["DATABASE_AUTH"], "iam")
            self.assertEqual("REDIS_URL" in variables, name not in WITHOUT_REDIS, name)
            self.assertEqual(variables.get("REDIS_CACHE_NAME", "store"), "store")
            self.assertEqual("AUTH_MODE" in variables, name in OPERATIONS)
            self.assertEqual(variables["STORE_NAME"], "store")
            generation = variables.get("CACHE_GENERATION", "")
            self.assertEqual(generation.endswith(".Generation"), name not in WITHOUT_REDIS, (name, generation))
            connections = variables.get("CONNECTIONS_NEEDED", "")
            self.assertEqual(connections.endswith(".Connections"), name == "probe", connections)
        self.assertNotIn("VpcConfig", {key for key, value in made["store-deploy"].items() if value})

    def test_logs_end_after_the_days_given(self):
        groups = self.client("logs").describe_log_groups()["logGroups"]
        names = {group["logGroupName"] for group in groups}
        self.assertLessEqual({f"/aws/lambda/store-{name}" for name in FUNCTIONS}, names)
        self.assertLessEqual({"/aws/vendedlogs/store-api", "/aws/rds/instance/store/postgresql"}, names)
        self.assertEqual({group.get("retentionInDays") for group in groups}, {14})

    def test_roles_let_functions_write_their_own_logs_and_connect_as_one_user(self):
        client = self.client("iam")
        roles = client.list_roles()["Roles"]
        policies = {policy["PolicyName"]: policy["Arn"] for policy in client.list_policies(Scope="Local")["Policies"]}
        for name in FUNCTIONS:
            [role] = [one["RoleName"] for one in roles if one["RoleName"].startswith(f"store-{name.title()}Role")]
            [inline] = client.list_role_policies(RoleName=role)["PolicyNames"]
            document = client.get_role_policy(RoleName=role, PolicyName=inline)["PolicyDocument"]
            self.assertIn(f":log-group:/aws/lambda/store-{name}", str(document))
        for policy, actions in (("PostgresPolicy", ["rds-db:connect"]), ("RedisPolicy", ["elasticache:Connect"])):
            [arn] = [arn for name, arn in policies.items() if policy in name]
            version = client.get_policy_version(PolicyArn=arn, VersionId="v1")["PolicyVersion"]
            [statement] = version["Document"]["Statement"]
            self.assertEqual(templates.listed(statement["Action"]), actions)
            self.assertNotIn("*", str(statement["Resource"]))
        postgres = client.get_policy_version(PolicyArn=next(a for n, a in policies.items() if "PostgresPolicy" in n), VersionId="v1")
        self.assertRegex(str(postgres["PolicyVersion"]["Document"]), r":dbuser:[^/]+\.DbiResourceId/conversation_store")

    def test_routes_lead_to_the_live_version_of_their_function(self):
        keys = {route["RouteKey"] for route in Recorded.made["AWS::ApiGatewayV2::Route"]}
        self.assertEqual(len(keys), len(Recorded.made["AWS::ApiGatewayV2::Route"]))
        self.assertIn("POST /v1/conversations/{conversation_id}/messages", keys)
        uris = {integration["IntegrationUri"] for integration in Recorded.made["AWS::ApiGatewayV2::Integration"]}
        self.assertEqual({uri.split(":function:")[1] for uri in uris}, {f"store-{name}:live" for name in OPERATIONS})
        self.assertEqual({one["FunctionName"] for one in Recorded.made["AWS::Lambda::Permission"]} - uris,
                         {next(iter(uris)).replace(next(iter(uris)).split(":")[6], "store-sweep")})
        [authorizer] = Recorded.made["AWS::ApiGatewayV2::Authorizer"]
        self.assertEqual(authorizer["JwtConfiguration"]["Issuer"], PARAMETERS["JwtIssuer"])

    def test_the_network_has_no_way_out(self):
        ec2 = self.client("ec2")
        [vpc] = [one for one in ec2.describe_vpcs()["Vpcs"] if not one["IsDefault"]]
        here = [{"Name": "vpc-id", "Values": [vpc["VpcId"]]}]
        subnets = ec2.describe_subnets(Filters=here)["Subnets"]
        self.assertEqual(len({subnet["AvailabilityZone"] for subnet in subnets}), 2)
        self.assertEqual(ec2.describe_internet_gateways()["InternetGateways"], [])
        self.assertEqual(ec2.describe_nat_gateways()["NatGateways"], [])
        for table in ec2.describe_route_tables(Filters=here)["RouteTables"]:
            self.assertEqual({route["GatewayId"] for route in table["Routes"]}, {"local"})

    def test_what_is_recorded_refers_to_what_is_there(self):
        for kind, made in Recorded.made.items():
            for properties in made:
                for part in walk(properties):
                    if isinstance(part, dict):
                        self.assertFalse({"Ref", "Fn::GetAtt", "Fn::Sub", "Fn::If"} & set(part), (kind, part))
        alarms = {alarm["AlarmName"] for alarm in Recorded.made["AWS::CloudWatch::Alarm"]}
        self.assertLessEqual({f"store-{name}-errors" for name in (*OPERATIONS, "sweep", "api")}, alarms)
        [migration] = Recorded.made["Custom::Migration"]
        self.assertEqual(migration["ServiceToken"].split(":")[-1], "store-deploy")
        self.assertIn("MasterUserSecret.SecretArn".lower(), migration["Secret"])
        # What the cache's generation follows.
        for part in ("nodes", "-CacheNodes-", ".DbiResourceId"):
            self.assertIn(part, migration["Cache"])
        self.assertEqual(migration["Instances"], [8, 8, 4, 4, 3, 3, 5])
        [guard], [probe], [move] = (Recorded.made[f"Custom::{step}"] for step in ("Guard", "Probe", "CacheMove"))
        self.assertEqual(guard["Database"], ["", "rds", "", ""])
        self.assertEqual({one["ServiceToken"] for one in (guard, probe, move)}, {migration["ServiceToken"]})
        self.assertIn("Probe", probe["Version"])
        self.assertEqual((move["Version"], move["Probe"]), (migration["Version"], probe["Version"]))
        self.assertTrue(move["Generation"].endswith(".Generation"))

    def test_the_sweep_is_called_every_minute(self):
        events = self.client("events")
        [rule] = events.list_rules()["Rules"]
        self.assertEqual((rule["ScheduleExpression"], rule["State"]), ("rate(1 minute)", "ENABLED"))
        [target] = events.list_targets_by_rule(Rule=rule["Name"])["Targets"]
        self.assertTrue(target["Arn"].endswith("function:store-sweep:live"), target)

    def test_the_dashboard_is_json(self):
        client = self.client("cloudwatch")
        body = client.get_dashboard(DashboardName="store")["DashboardBody"]
        self.assertGreater(len(json.loads(body)["widgets"]), 20)
        self.assertNotIn("${", body)


class TwoStacks(Cloud):
    """Two environments in one account and region."""

    NAMES = ("alpha", "omega")

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        more = {"DatabaseKind": "aurora", "DatabaseStandby": "true", "DatabaseProxy": "true", "CacheKind": "serverless"}
        cls.create({**PARAMETERS, "CacheReplicas": "1"}, "alpha")
        cls.create({**PARAMETERS, **more}, "omega")

    def of(self, name):
        """Alarms and widgets of a stack, by what they are called."""
        alarms = {one["AlarmName"]: one for one in Recorded.made["AWS::CloudWatch::Alarm"] if one["AlarmName"].startswith(f"{name}-")}
        body = json.loads(self.client("cloudwatch").get_dashboard(DashboardName=name)["DashboardBody"])
        return alarms, [widget["properties"] for widget in body["widgets"] if widget["type"] == "metric"]

    def test_each_alarm_is_of_one_of_them(self):
        counted = sum(len(self.of(name)[0]) for name in self.NAMES)
        self.assertEqual(counted, len(Recorded.made["AWS::CloudWatch::Alarm"]))
        self.assertGreater(counted, 40)

    def test_no_alarm_and_no_widget_of_one_names_the_other(self):
        for name, other in (self.NAMES, reversed(self.NAMES)):
            alarms, widgets = self.of(name)
            self.assertGreater(len(widgets), 15)
            for whole in (*alarms.values(), *widgets):
                self.assertNotIn(other, json.dumps(whole), whole)

    def test_every_metric_names_its_own(self):
        for name in self.NAMES:
            alarms, widgets = self.of(name)
            for alarm in alarms.values():
                metrics = [part for part in walk(alarm) if isinstance(part, dict) and "MetricName" in part]
                self.assertTrue(metrics)
                for metric in metrics:
                    self.check(name, metric["Namespace"], {one["Name"]: one["Value"] for one in metric["Dimensions"]})
            for widget in widgets:
                for metric in widget["metrics"]:
                    if isinstance(metric[0], dict):
                        self.assertTrue("SEARCH" not in metric[0]["expression"] or f'Store="{name}"' in metric[0]["expression"])
                        continue
                    parts = [part for part in metric[2:] if isinstance(part, str)]
                    self.check(name, metric[0], dict(zip(parts[::2], parts[1::2], strict=True)))

    def check(self, name, namespace, dimensions):
        """That one of the dimensions is what this stack alone has."""
        if namespace == "ConversationStore":
            self.assertEqual(dimensions["Store"], name)
        else:
            self.assertTrue(any(value.startswith(name) for value in dimensions.values()), (namespace, dimensions))

    def test_functions_name_their_own_store(self):
        made = self.client("lambda").list_functions()["Functions"]
        stores = {one["FunctionName"]: one["Environment"]["Variables"]["STORE_NAME"] for one in made if "Environment" in one}
        self.assertEqual(len(stores), 2 * (len(FUNCTIONS) - 1))
        for function, store in stores.items():
            self.assertEqual(function.split("-")[0], store)


class OtherStores(Cloud):
    """With the other stores that there may be."""

    def setUp(self):
        self.empty()

    def test_an_essential_deployment_is_complete_without_a_dashboard(self):
        for name, rollout, guarded in (("alpha", "AllAtOnce", set()), ("omega", "Canary10Percent5Minutes", set(OPERATIONS))):
            self.create({**PARAMETERS, "Observability": "essential", "Rollout": rollout}, name)
            variables = self.client("lambda").get_function_configuration(FunctionName=f"{name}-add")["Environment"]["Variables"]
            self.assertEqual(variables["METRICS"], "essential")
            made = {one["AlarmName"] for one in Recorded.made["AWS::CloudWatch::Alarm"]}
            self.assertEqual({operation for operation in OPERATIONS if f"{name}-{operation}-errors" in made}, guarded)
            self.assertIn(f"{name}-sweep-silent", made)
        self.assertEqual({one["StackStatus"] for one in self.client("cloudformation").describe_stacks()["Stacks"]}, {"CREATE_COMPLETE"})
        self.assertEqual(self.client("cloudwatch").list_dashboards()["DashboardEntries"], [])

    def test_aurora_behind_a_proxy_and_nodes(self):
        more = {"DatabaseKind": "aurora", "DatabaseProxy": "true", "DatabaseStandby": "true", "CacheKind": "nodes"}
        self.create({**PARAMETERS, **more})
        self.assertEqual({"AWS::RDS::DBProxy", "AWS::RDS::DBCluster", "AWS::ElastiCache::ReplicationGroup"} - set(Recorded.made), set())
        add = self.client("lambda").get_function_configuration(FunctionName="store-add")["Environment"]["Variables"]
        migrate = self.client("lambda").get_function_configuration(FunctionName="store-migrate")["Environment"]["Variables"]
        self.assertIn("-Proxy-", add["DATABASE_URL"])
        self.assertIn("-AuroraCluster-", migrate["DATABASE_URL"])
        self.assertEqual((add["DATABASE_POOLER"], migrate["DATABASE_POOLER"]), ("true", "false"))
        self.assertEqual((add["REDIS_CLUSTER"], add["REDIS_SERVERLESS"]), ("true", "false"))
        self.assertIn("-CacheNodes-", add["REDIS_URL"])

    def test_stores_that_exist(self):
        for name, url in (("database", "postgres://a:b@db:5432/c"), ("redis", "rediss://a:b@redis:6379")):
            self.client("secretsmanager").create_secret(Name=name, SecretString=url)
        vpc = self.client("ec2").create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
        subnets = [self.client("ec2").create_subnet(VpcId=vpc, CidrBlock=f"10.0.{n}.0/24")["Subnet"]["SubnetId"] for n in (1, 2)]
        groups = [self.client("ec2").create_security_group(VpcId=vpc, GroupName=n, Description=n)["GroupId"] for n in "ab"]
        existing = {"VpcId": vpc, "SubnetIds": ",".join(subnets), "DatabaseUrlSecret": "database", "RedisUrlSecret": "redis",
                    "PostgresSecurityGroupId": groups[0], "RedisSecurityGroupId": groups[1], "Authorizer": "iam",
                    "RedisPort": "16379", "RedisServerless": "true"}
        self.create(existing)
        self.assertFalse([kind for kind in Recorded.made if kind.startswith(("AWS::RDS", "AWS::ElastiCache"))])
        add = self.client("lambda").get_function_configuration(FunctionName="store-add")
        self.assertEqual(set(add["VpcConfig"]["SubnetIds"]), set(subnets))
        variables = add["Environment"]["Variables"]
        self.assertEqual((variables["DATABASE_AUTH"], variables["AUTH_MODE"]), ("password", "trusted_header"))
        self.assertEqual(variables["REDIS_SERVERLESS"], "true")
        self.assertIn("secretsmanager:database", variables["DATABASE_URL"])
        opened = self.client("ec2").describe_security_groups(GroupIds=groups)["SecurityGroups"]
        ports = {group["GroupId"]: {rule["FromPort"] for rule in group["IpPermissions"]} for group in opened}
        self.assertEqual(ports, {groups[0]: {5432}, groups[1]: {16379}})
        self.assertNotIn("Secret", Recorded.made["Custom::Migration"][0])


if __name__ == "__main__":
    unittest.main()
