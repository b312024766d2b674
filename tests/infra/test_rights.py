"""Who may do what, and who has a way where; and how the stores are kept."""

import unittest

import templates
from templates import FUNCTIONS, NESTED, Stack, listed, load, references, walk


class Rights(unittest.TestCase):
    def test_no_policy_names_everything_where_it_could_name_less(self):
        for name in ("template", *NESTED):
            for owner, statement in templates.policy_statements(load(name)):
                everything = any(isinstance(part, str) and part.endswith("*") and ":" not in part
                                 for part in listed(statement["Resource"]))
                wide = any(action.endswith("*") for action in listed(statement["Action"]))
                if statement["Effect"] == "Deny" or not (everything or wide):
                    continue
                # Lambda makes interfaces, which have no name before; X-Ray's traces never have one.
                service = {"VpcAccessPolicy": "ec2:", "TracesPolicy": "xray:Put"}.get(owner, "nothing")
                self.assertTrue(all(action.startswith(service) for action in statement["Action"]))

    def test_what_lambda_may_do_in_the_vpc_the_code_may_not(self):
        statements = load("template")["Resources"]["VpcAccessPolicy"]["Properties"]["PolicyDocument"]["Statement"]
        [denied] = [statement for statement in statements if statement["Effect"] == "Deny"]
        self.assertEqual(denied["Action"], "ec2:*")
        self.assertEqual(denied["Condition"], {"Null": {"lambda:SourceFunctionArn": "false"}})

    def test_each_function_has_a_role_of_its_own_and_logs_to_its_own_group(self):
        roles = {}
        for name, function in templates.functions().items():
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
                  for name, function in templates.functions().items() if (group := function.get("VpcConfig"))}
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


if __name__ == "__main__":
    unittest.main()
