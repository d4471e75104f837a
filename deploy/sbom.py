#!/usr/bin/env python3
"""Prints the software bill of materials of a package as CycloneDX 1.5 JSON:

    deploy/sbom.py sphinx-trainer > sphinx-trainer.cdx.json

Everything that can end up in its Linux binaries, and the build scripts and macros that make them: name, version,
licence, the checksum of Cargo.lock, and what depends on what. The same tree gives the same bytes. Needs Python 3.11
and cargo.
"""

import json
import subprocess
import sys
import tomllib
from pathlib import Path

TARGET = "x86_64-unknown-linux-gnu"
ROOT = Path(__file__).resolve().parent.parent


def metadata():
    command = ["cargo", "metadata", "--format-version", "1", "--locked", "--filter-platform", TARGET]
    return json.loads(subprocess.run(command, cwd=ROOT, check=True, capture_output=True).stdout)


def dependencies(nodes, package):
    """Without those of tests and examples."""
    kinds = lambda found: {kind["kind"] for kind in found["dep_kinds"]}
    return sorted(found["pkg"] for found in nodes[package]["deps"] if kinds(found) - {"dev"})


def reachable(nodes, package):
    reached, waiting = set(), [package]
    while waiting:
        one = waiting.pop()
        if one not in reached:
            reached.add(one)
            waiting.extend(dependencies(nodes, one))
    return reached


def purl(package):
    return f"pkg:cargo/{package['name']}@{package['version']}"


def component(package, checksums, kind="library"):
    found = {
        "type": kind,
        "bom-ref": purl(package),
        "name": package["name"],
        "version": package["version"],
        "purl": purl(package),
    }
    if package.get("description"):
        found["description"] = " ".join(package["description"].split())
    if package.get("license"):
        # The older way to write a choice.
        found["licenses"] = [{"expression": package["license"].replace("/", " OR ")}]
    checksum = checksums.get((package["name"], package["version"]))
    if checksum:
        found["hashes"] = [{"alg": "SHA-256", "content": checksum}]
    if package.get("repository"):
        found["externalReferences"] = [{"type": "vcs", "url": package["repository"]}]
    return found


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    found = metadata()
    packages = {package["id"]: package for package in found["packages"]}
    nodes = {node["id"]: node for node in found["resolve"]["nodes"]}
    own = {packages[member]["name"]: member for member in found["workspace_members"]}
    name = sys.argv[1]
    if name not in own:
        sys.exit(f"{name} is no package of this workspace: {', '.join(sorted(own))}")
    lock = tomllib.loads((ROOT / "Cargo.lock").read_text())
    checksums = {(one["name"], one["version"]): one.get("checksum") for one in lock["package"]}
    reached = sorted(reachable(nodes, own[name]), key=lambda one: purl(packages[one]))
    bill = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {"component": component(packages[own[name]], checksums, "application")},
        "components": [component(packages[one], checksums) for one in reached if one != own[name]],
        "dependencies": [
            {
                "ref": purl(packages[one]),
                "dependsOn": sorted({purl(packages[other]) for other in dependencies(nodes, one)}),
            }
            for one in reached
        ],
    }
    json.dump(bill, sys.stdout, indent=1)
    print()


main()
