"""What the guides say of the deployment, held against the templates and the commands."""

import re
import unittest

import templates
from templates import INFRA, ROOT, Stack, load

GUIDES = {name: (ROOT / name).read_text() for name in ("docs/deploying.md", "docs/troubleshooting.md")}
DEPLOYING, TROUBLESHOOTING = GUIDES.values()


def section(title, level="##"):
    """A section of the guide, without its heading."""
    return DEPLOYING.split(f"\n{level} {title}\n")[1].split(f"\n{level} ")[0]


def said(text, sentence):
    """Whether a text has a sentence, wherever its lines end."""
    return " ".join(sentence.split()) in " ".join(text.split())


class Guide(unittest.TestCase):
    def says(self, text, *sentences):
        for sentence in sentences:
            self.assertTrue(said(text, sentence), sentence)

    def test_the_parameters_that_it_sets_exist(self):
        declared = set(load("template")["Parameters"])
        for name, guide in GUIDES.items():
            set_to = set(re.findall(r"`([A-Z][a-z]\w+)=", guide))
            self.assertLessEqual(set_to, declared, name)
            self.assertGreaterEqual(len(set_to), 3)

    def test_its_sections_are_where_links_lead(self):
        headings = {re.sub(r"[^a-z0-9 -]", "", line.lower()).replace(" ", "-") for line in re.findall(r"^#+ (.*)$", DEPLOYING, re.MULTILINE)}
        documents = [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]
        led_to = {anchor for file in documents for anchor in re.findall(r"deploying\.md#([a-z0-9-]+)", file.read_text())}
        led_to |= set(re.findall(r"\]\(#([a-z0-9-]+)\)", DEPLOYING))
        self.assertLessEqual({"your-own-postgres", "when-a-deployment-fails"}, led_to)
        self.assertLessEqual(led_to, headings)

    def test_its_formula_is_that_of_the_deployment(self):
        root = load("template")
        code = root["Resources"]["DeployFunction"]["Properties"]["Code"]["ZipFile"]
        space = {}
        exec(code[code.index("def connections("):code.index("def handle(")], space)
        instances = Stack(root).value(root["Resources"]["Migration"]["Properties"]["Instances"])
        needed = space["connections"]({"Instances": instances})
        self.says(section("How many at a time"), f"The defaults require {needed},",
                  "+ 1 migrate + 1 probe <= max_connections - superuser_reserved_connections - reserved_connections")  # fmt: skip
        # What it is compared with.
        compared = (ROOT / "core/src/database/probe.rs").read_text()
        for reserved in ("superuser_reserved_connections", "reserved_connections"):
            self.assertIn(f"- current_setting('{reserved}'" if "super" in reserved else f"- coalesce(current_setting('{reserved}'", compared)
        self.assertIn(f"by default {needed},", (INFRA / "template.yaml").read_text().replace("\n  # ", " "))

    def test_an_alias_moves_by_hand_only_within_a_generation(self):
        back = section("Roll back")
        condition = "only if both versions have the same `CACHE_GENERATION`"
        self.says(back, condition)
        self.assertLess(back.index("CACHE_GENERATION"), back.index("update-alias"), "the condition comes before the command")
        # What the command shows is in the configuration of each version.
        shown = re.search(r"Environment\.Variables\.(\w+)", back)[1]
        for name, function in templates.functions().items():
            self.assertEqual(shown in function.get("Environment", {}).get("Variables", {}), name not in templates.WITHOUT_REDIS, name)

    def test_an_earlier_generation_is_not_called_harmless(self):
        self.says(section("When a deployment fails"), "**reads may be up to an hour old, without any sign of it**")
        [moving] = re.findall(r"\*\*Writes get 503 `cache_moving`\.\*\*.*?\n\n", TROUBLESHOOTING, re.DOTALL)
        self.says(moving, "reads may be stale: deploy at once with another `CacheRevision`")

    def test_what_forgets_the_cache_is_never_the_revision_of_the_functions(self):
        for guide in GUIDES.values():
            for paragraph in re.split(r"\n\n|\n\| ", guide):
                if re.search(r"starts? (another|a new) generation|moves the cache|restored in place", paragraph):
                    self.assertNotRegex(paragraph, r"with another `Revision`", paragraph)

    def test_a_move_is_deployed_all_at_once(self):
        self.says(section("Upgrade"), "Under a canary that is the canary's share of all writes", "deploy such a change with `Rollout=AllAtOnce`")

    def test_a_database_restored_in_place_waits_for_a_deployment(self):
        own = section("Your own Postgres", "###")
        self.says(own, "Only `migrate` compares the identity of the database, and only a deployment invokes it.",
                  "**until then cached reads can be newer than the database**", "deploy with another `CacheRevision`")  # fmt: skip
        for guide in GUIDES.values():
            self.assertFalse(said(guide, "Nobody has to remember") or said(guide, "every deployment ensure"))

    def test_an_upgrade_is_said_to_move_the_cache(self):
        self.says(section("Upgrade"), "so the same deployment moves the cache, and the next one does not")
        self.assertFalse(said(DEPLOYING, "password and cache stay the same"))

    def test_what_is_skipped_in_a_rollback_after_an_upgrade_exists(self):
        [row] = [line for line in section("When a deployment fails").splitlines() if line.startswith("| `UPDATE_ROLLBACK_FAILED` after `make upgrade`")]
        skipped = set(re.findall(r"`Data\.(\w+)`", row)) | set(re.findall(r"STACK-Data-1ABC\.(\w+)", row))
        self.assertEqual(skipped, {"RdsInstance", "AuroraCluster"})
        self.assertLessEqual(skipped, set(load("data")["Resources"]))
        for consent in ("AllowMajorVersionUpgrade=true", "RolloutAlarms=false"):
            self.assertIn(f"`{consent}`", row)

    def test_the_bound_of_a_cache_that_hides_failovers_is_the_same_wherever_it_is_told(self):
        for name in ("README.md", "docs/concepts.md", "ARCHITECTURE.md"):
            text = (ROOT / name).read_text()
            self.says(text, "until 30 seconds after the last request that was in flight across it")
        self.says((ROOT / "README.md").read_text(), "by clocks that agree")
        self.assertFalse(said((ROOT / "ARCHITECTURE.md").read_text(), "No clock is trusted; time only"))


if __name__ == "__main__":
    unittest.main()
