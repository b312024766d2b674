#!/usr/bin/env python3
"""Keeps rds-roots.pem, the authorities of Amazon RDS that the programs are built with.

  rds_roots.py renew                 from the bundles that AWS publishes, one for each partition: needs the internet
  rds_roots.py renew --as-of YYYY-MM-DD BUNDLE...   from files with certificates, of that day
  rds_roots.py check                 says what is wrong with the file, and if it is more than a year old

A certificate is taken if it is a root of Amazon RDS: signed by itself, named after a region and an algorithm, in date. What was
known stays; a root that is known already under the same name has to be the same. Needs openssl.
"""

import argparse
import concurrent.futures
import datetime
import pathlib
import re
import subprocess
import sys
import tempfile
import urllib.request

FILE = pathlib.Path(__file__).with_name("rds-roots.pem")
BUNDLES = [
    "https://truststore.pki.rds.amazonaws.com/global/global-bundle.pem",
    "https://truststore.pki.us-gov-west-1.rds.amazonaws.com/global/global-bundle.pem",
    "https://rds-truststore.s3.cn-north-1.amazonaws.com.cn/global/global-bundle.pem",
]
HEADER = """\
The authorities that sign the certificates of Amazon RDS: Amazon's public data, made by rds_roots.py. One line with a region
comes before its own.
as of: {as_of}
"""
CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----\n.*?-----END CERTIFICATE-----\n", re.DOTALL)
SUBJECT = re.compile(r"CN=Amazon RDS ([a-z]+(?:-[a-z]+)+-\d) Root CA (RSA2048|RSA4096|ECC384) G1(?:,|$)")
AMAZON = ("O=Amazon Web Services\\, Inc.", "OU=Amazon RDS", "C=US")
ALGORITHMS = {"RSA2048", "RSA4096", "ECC384"}
YEAR = 365


def openssl(*arguments, pem):
    """How openssl ends with a certificate as its standard input, and what it says."""
    done = subprocess.run(["openssl", *arguments], input=pem, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout


def is_signed_by_itself(pem):
    """With nothing else in the world to trust."""
    with tempfile.NamedTemporaryFile("w", suffix=".pem") as file:
        file.write(pem)
        file.flush()
        alone = ["-no-CApath", "-no-CAstore", "-check_ss_sig", "-CAfile", file.name]
        return openssl("verify", *alone, pem=pem)[0] == 0


def examined(pem):
    """The region and algorithm of a root of Amazon RDS, and why it may not be trusted, if so; none for other certificates."""
    form = ["-nameopt", "RFC2253", "-ext", "basicConstraints", "-checkend", str(YEAR * 86400)]
    ended, said = openssl("x509", "-noout", "-subject", *form, pem=pem)
    subject = said.split("\n", 1)[0].removeprefix("subject=").strip()
    found = SUBJECT.search(subject)
    if not found or any(part not in subject for part in AMAZON):
        return None
    if "CA:TRUE" not in said:
        return found.groups(), "is no authority"
    if ended != 0:
        return found.groups(), "expires within a year"
    return found.groups(), None if is_signed_by_itself(pem) else "is not signed by itself"


def roots_of(text):
    """The roots of Amazon RDS in a text, by region and algorithm."""
    certificates = CERTIFICATE.findall(text.replace("\r\n", "\n"))
    roots = {}
    with concurrent.futures.ThreadPoolExecutor() as threads:
        for pem, found in zip(certificates, threads.map(examined, certificates)):
            name, why = found or (None, None)
            if why:
                raise SystemExit(f"{' '.join(name)} {why}")
            if name:
                add(roots, name, pem)
    return roots


def add(roots, name, pem):
    if roots.setdefault(name, pem) != pem:
        raise SystemExit(f"{' '.join(name)} is another one than is known: compare them with what AWS publishes")


def written(roots, as_of):
    text = HEADER.format(as_of=as_of)
    for region in sorted({region for region, _ in roots}):
        own = {algorithm: pem for (of, algorithm), pem in roots.items() if of == region}
        if own.keys() != ALGORITHMS:
            raise SystemExit(f"{region} has no more than {', '.join(sorted(own))}")
        text += f"\nregion: {region}\n" + "".join(own[algorithm] for algorithm in sorted(own))
    return text


def as_of(text):
    return datetime.date.fromisoformat(re.search(r"^as of: (.*)$", text, re.MULTILINE).group(1))


def download(url):
    with urllib.request.urlopen(url, timeout=30) as answer:
        return answer.read().decode("ascii", "replace")


def renew(bundles, day):
    known = FILE.read_text()
    roots, before = roots_of(known), as_of(known)
    for text in [pathlib.Path(bundle).read_text() for bundle in bundles] or map(download, BUNDLES):
        for name, pem in roots_of(text).items():
            add(roots, name, pem)
    FILE.write_text(written(roots, max(before, day)))
    print(f"{FILE.name} has {len({region for region, _ in roots})} regions, as of {max(before, day)}")


def check():
    text = FILE.read_text()
    if written(roots_of(text), as_of(text)) != text:
        raise SystemExit(f"{FILE.name} is not as rds_roots.py writes it")
    age = (datetime.date.today() - as_of(text)).days
    if age > YEAR:
        print(f"warning: {FILE} is {age} days old; regions that are newer are not in it: python3 {__file__} renew", file=sys.stderr)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--file", type=pathlib.Path, default=FILE, help="another file than the one beside this program")
    commands = parser.add_subparsers(dest="command", required=True)
    renewing = commands.add_parser("renew")
    renewing.add_argument("--as-of", type=datetime.date.fromisoformat, default=datetime.date.today(), metavar="YYYY-MM-DD")
    renewing.add_argument("bundles", nargs="*")
    commands.add_parser("check")
    given = parser.parse_args()
    globals()["FILE"] = given.file
    if given.command == "check":
        check()
    else:
        renew(given.bundles, given.as_of)


if __name__ == "__main__":
    main()
