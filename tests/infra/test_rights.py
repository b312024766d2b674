"""Who may do what, and who has a way where; and how the stores are kept."""

import unittest

import templates
from templates import FUNCTIONS, NESTED, WITHOUT_REDIS, Stack, listed, load, references, walk


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
                             [[f"Monitoring.Outputs.{name.title()}LogGroupArn"]])
        self.assertEqual(len(set(roles.values())), len(roles))

    def test_only_who_needs_a_store_may_connect_to_it(self):
        root = load("template")
        of = {name: set(references(root["Resources"][f"{name.title()}Role"])) for name in FUNCTIONS}
        for name in FUNCTIONS:
            self.assertEqual("RedisPolicy" in of[name], name not in WITHOUT_REDIS, name)
            self.assertEqual("PostgresPolicy" in of[name], name not in ("migrate", "deploy"), name)
        proxied = set(references(root["Resources"]["ProxyPolicy"]["Properties"]["Roles"]))
        self.assertEqual(proxied, {f"{name.title()}Role" for name in FUNCTIONS if "PostgresPolicy" in of[name]})
        secrets = [owner for template in ("template", *NESTED)
                   for owner, statement in templates.policy_statements(load(template))
                   if "secretsmanager:GetSecretValue" in listed(statement["Action"])]
        self.assertEqual(secrets, ["AdministratorPolicy"])
        for name in ("AdministratorPolicy", "KeyPolicy"):
            self.assertEqual(root["Resources"][name]["Properties"]["Roles"], [{"Ref": "DeployRole"}])

    def test_deploy_may_invoke_what_it_asks_and_look_at_its_own_stack(self):
        [policy] = load("template")["Resources"]["DeployRole"]["Properties"]["Policies"]
        rights = {s["Action"]: listed(s["Resource"]) for s in policy["PolicyDocument"]["Statement"] if isinstance(s["Action"], str)}
        self.assertEqual(set(rights), {"cloudformation:DescribeStacks", "lambda:InvokeFunction"})
        self.assertEqual(rights["cloudformation:DescribeStacks"], [{"Ref": "AWS::StackId"}])
        names = [Stack(load("template")).value(one).split(":function:")[1] for one in rights["lambda:InvokeFunction"]]
        self.assertEqual(names, ["store-migrate:*", "store-probe:*"])

    def test_only_who_needs_a_store_has_a_way_to_it(self):
        network = load("network")
        groups = {name: group["SecurityGroupIds"][0]["Fn::GetAtt"][1].removeprefix("Outputs.").removesuffix("Id")
                  for name, function in templates.functions().items() if (group := function.get("VpcConfig"))}
        wanted = {name: "PostgresGroup" if name in WITHOUT_REDIS else "StoresGroup" for name in FUNCTIONS if name != "deploy"}
        self.assertEqual(groups, {**wanted, "migrate": "MigrationGroup"})
        for proxy in ("true", "false"):
            found = dict(Stack(network, Prefix="store", DatabaseProxy=proxy).resources())
            ways = {name: [next(references(rule["DestinationSecurityGroupId"])) for rule in
                           resource["Properties"]["SecurityGroupEgress"] if "DestinationSecurityGroupId" in rule]
                    for name, resource in found.items() if resource["Type"] == "AWS::EC2::SecurityGroup"}
            self.assertEqual(ways["StoresGroup"], ["DatabaseGroup.GroupId", "CacheGroup.GroupId"])
            self.assertEqual(ways["PostgresGroup"], ["DatabaseGroup.GroupId"])
            self.assertEqual(ways["MigrationGroup"], ["DatabaseGroup.GroupId"])
            self.assertEqual(ways["DatabaseGroup"] + ways["CacheGroup"], [])
            more = {next(references(one["Properties"]["GroupId"])): next(references(one["Properties"]["DestinationSecurityGroupId"]))
                    for one in found.values() if one["Type"] == "AWS::EC2::SecurityGroupEgress"}
            proxied = {"StoresGroup.GroupId": "ProxyGroup.GroupId", "PostgresGroup.GroupId": "ProxyGroup.GroupId"}
            self.assertEqual(more, proxied if proxy == "true" else {})

    def test_old_code_keeps_its_way_when_a_proxy_or_another_cache_comes_or_goes(self):
        """CloudFormation changes what stays at once, before functions, and takes away what goes after them: so what both
        have must be alike."""
        def made(name, **given):
            fixed = {"Prefix": "store", "SubnetIds": "a,b", "DatabaseProxy": "false", "CacheReplicas": "0", "DatabaseSnapshot": "",
                     "KmsKeyArn": "", "DatabaseStandby": "false"}
            return dict(Stack(load(name), **{**fixed, **given}).resources())

        def policies(**given):
            stack = Stack(templates.translated(), **given)
            return {n: r for n, r in stack.resources() if r["Type"].startswith("AWS::IAM") or n in ("Network",)}

        pairs = [(made("network", DatabaseProxy="false"), made("network", DatabaseProxy="true")),
                 (made("data", Database="rds", Cache="nodes"), made("data", Database="rds", Cache="nodes", DatabaseProxy="true")),
                 (made("data", Database="rds", Cache="nodes"), made("data", Database="rds", Cache="serverless")),
                 (policies(), policies(DatabaseProxy="true")), (policies(), policies(CacheKind="serverless"))]
        for number, (one, other) in enumerate(pairs):
            self.assertTrue(set(one) & set(other))
            for name in set(one) & set(other) - {"Network"}:
                self.assertEqual(one[name], other[name], (number, name))
        caches = load("template")["Resources"]["RedisPolicy"]["Properties"]["PolicyDocument"]["Statement"][0]["Resource"]
        named = [Stack(load("template")).value(one).split(":")[-2:] for one in caches[:2]]
        self.assertEqual(named, [["serverlesscache", "store"], ["replicationgroup", "store"]])
        data = load("data")["Resources"]
        self.assertEqual(data["ServerlessCache"]["Properties"]["ServerlessCacheName"], {"Ref": "Prefix"})
        self.assertEqual(data["CacheNodes"]["Properties"]["ReplicationGroupId"], {"Ref": "Prefix"})

    def test_the_zones_of_a_new_vpc_are_the_first_two_or_those_named(self):
        nothing = {"Ref": "AWS::NoValue"}
        for zones in ({}, {"FirstZoneId": "use1-az1", "SecondZoneId": "use1-az2"}):
            found = dict(Stack(load("network"), Prefix="store", **zones).resources())
            of = [found[name]["Properties"] for name in ("SubnetA", "SubnetB")]
            self.assertEqual([one["AvailabilityZoneId"] for one in of], list(zones.values()) or [nothing] * 2)
            self.assertEqual([one["AvailabilityZone"] == nothing for one in of], [bool(zones)] * 2)

    def test_ports_of_existing_stores_are_opened_as_they_are(self):
        given = load("template")["Resources"]["Network"]["Properties"]["Parameters"]
        of = lambda **more: [str(Stack(load("template"), **more).value(given[n])) for n in ("PostgresPort", "RedisPort", "RedisLastPort")]
        ports = {"PostgresPort": "5433", "RedisPort": "6390", "RedisLastPort": "6391"}
        self.assertEqual(of(**ports), ["5432", "6379", "6380"])
        self.assertEqual(of(DatabaseUrlSecret="a", RedisUrlSecret="b", **ports), ["5433", "6390", "6391"])
        # A range that ends before it begins would fail the network.
        for port in ("6379", "6390", "16379"):
            self.assertEqual(of(RedisUrlSecret="b", RedisPort=port), ["5432", port, port])
        self.assertEqual(of(RedisUrlSecret="b", RedisLastPort="6380"), ["5432", "6379", "6380"])

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
                 "PostgresVersion": "17", "DatabaseSnapshot": "", "KmsKeyArn": "", "AllowMajorVersionUpgrade": "false"}
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

    def test_the_caches_user_may_use_single_commands_and_halt_nobody(self):
        access = load("data")["Resources"]["CacheUser"]["Properties"]["AccessString"].split()
        self.assertEqual(access[:3], ["on", "~*conversation:*", "-@all"])
        granted = {one.removeprefix("+") for one in access[3:]}
        self.assertEqual(len(granted), len(access) - 3)
        self.assertFalse([one for one in granted if one.startswith(("@", "-", "~"))])
        self.assertFalse(granted & {"client", "client|kill", "client|pause", "script", "script|load", "time", "keys", "cluster"})
        self.assertLessEqual({"client|setinfo", "client|setname", "hello", "ping", "pexpire", "pttl", "evalsha"}, granted)

    def test_another_number_of_shards_is_no_other_cache(self):
        self.assertEqual(load("data")["Resources"]["CacheNodes"]["UpdatePolicy"], {"UseOnlineResharding": True})

    def test_a_major_version_is_allowed_where_it_is_asked_for(self):
        for answer in ("true", "false"):
            found = dict(self.stack(Database="rds", Cache="nodes", AllowMajorVersionUpgrade=answer).resources())
            self.assertEqual(found["RdsInstance"]["Properties"]["AllowMajorVersionUpgrade"], answer)
        # A cluster has no such property; Guard asks for both.
        guard = load("template")["Resources"]["Guard"]["Properties"]
        self.assertEqual((guard["Postgres"], guard["AllowMajorVersionUpgrade"]),
                         ({"Ref": "PostgresVersion"}, {"Ref": "AllowMajorVersionUpgrade"}))
        self.assertEqual(load("template")["Resources"]["Data"]["DependsOn"], "Guard")

    def test_a_key_of_yours_encrypts_all_that_is_kept(self):
        nothing = {"Ref": "AWS::NoValue"}
        for key in ("", "arn:aws:kms:eu-central-1:123456789012:key/a"):
            expected = key or nothing
            for kind, main in (("rds", "RdsInstance"), ("aurora", "AuroraCluster")):
                found = dict(self.stack(Database=kind, Cache="serverless", KmsKeyArn=key).resources())
                self.assertEqual(found[main]["Properties"]["KmsKeyId"], expected)
                self.assertEqual(found[main]["Properties"]["MasterUserSecret"], {"KmsKeyId": key} if key else nothing)
                self.assertEqual(found["ServerlessCache"]["Properties"]["KmsKeyId"], expected)
                performance = found["RdsInstance" if kind == "rds" else "AuroraWriter"]["Properties"]
                self.assertEqual(performance["PerformanceInsightsKMSKeyId"], expected)
            nodes = dict(self.stack(Database="rds", Cache="nodes", KmsKeyArn=key).resources())["CacheNodes"]["Properties"]
            self.assertEqual(nodes["KmsKeyId"], expected)
        restored = dict(self.stack(Database="rds", Cache="nodes", KmsKeyArn=key, DatabaseSnapshot="before").resources())
        self.assertEqual(restored["RdsInstance"]["Properties"]["KmsKeyId"], nothing)
        self.assertEqual(restored["RdsInstance"]["Properties"]["MasterUserSecret"], {"KmsKeyId": key})

    def test_what_exists_is_not_made_again(self):
        self.assertEqual(list(self.stack(Database="existing", Cache="existing").resources()), [])
        kinds = {resource["Type"] for _, resource in self.stack(Database="existing", Cache="serverless").resources()}
        self.assertTrue(all(kind.startswith("AWS::ElastiCache") for kind in kinds), kinds)


if __name__ == "__main__":
    unittest.main()
