"""What `porch` does to the workloads of real files: PORCH DIR...

Every YAML or JSON file below the directories that holds a workload is a package of its own, as it stands. Each of its first six
workloads is scaled to a number that no file has. Exact: one path differs, to that number, one place of the bytes, and no second file
came. Refused: nothing was written. Everything else is wrong. The parser is libyaml by way of PyYAML, which shares nothing with the
engine.
"""

import collections
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

import yaml

from manifests import differing, read

NUMBER = 97
WORKLOADS_MAX = 6
BYTES_MAX = 2_000_000
KINDS = {("apps", "Deployment"), ("apps", "StatefulSet"), ("apps", "ReplicaSet"), ("", "ReplicationController"),
         ("extensions", "Deployment"), ("extensions", "ReplicaSet")}
MENTIONED = re.compile(rb"kind\"?:\s*[\"']?(Deployment|StatefulSet|ReplicaSet|ReplicationController)\b")
NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")


def files(tops):
    seen = set()
    for top in tops:
        for where, _, names in os.walk(top):
            for name in sorted(names):
                path = os.path.join(where, name)
                if not name.endswith((".yaml", ".yml", ".json")) or not os.path.isfile(path) or os.path.getsize(path) > BYTES_MAX:
                    continue
                with open(path, "rb") as file:
                    content = file.read()
                digest = hashlib.sha256(content).digest()
                if MENTIONED.search(content) and digest not in seen:
                    seen.add(digest)
                    yield path, content


def objects(document):
    if isinstance(document, dict) and str(document.get("kind", "")).endswith("List"):
        for item in document.get("items") or []:
            yield from objects(item)
    elif isinstance(document, dict):
        yield document


def workloads(documents):
    for one in (one for document in documents for one in objects(document)):
        about, spec = one.get("metadata"), one.get("spec")
        group = str(one.get("apiVersion", "")).rpartition("/")[0]
        if (group, one.get("kind")) not in KINDS or not isinstance(about, dict) or not isinstance(spec, dict) or "template" not in spec:
            continue
        name, namespace = about.get("name"), about.get("namespace", "space")
        if all(isinstance(word, str) and NAME.fullmatch(word) for word in (name, namespace)):
            yield name, namespace


def places(old, new):
    """The number of lines from the first to the last one that differ."""
    old, new = old.split(b"\n"), new.split(b"\n")
    shorter, begin, end = min(len(old), len(new)), 0, 0
    while begin < shorter and old[begin] == new[begin]:
        begin += 1
    while end < shorter - begin and old[-1 - end] == new[-1 - end]:
        end += 1
    return max(len(old), len(new)) - begin - end


def verdict(porch, kind, content, documents, name, namespace):
    with tempfile.TemporaryDirectory() as top:
        package = f"{top}/out/{namespace}/{name}"
        file = f"{package}/file.{kind}"
        os.makedirs(package)
        with open(file, "wb") as written:
            written.write(content)
        intent = {"intent_type": "scaling", "target": name, "namespace": namespace, "replicas": NUMBER}
        with open(f"{top}/intent.json", "w") as written:
            json.dump(intent, written)
        run = subprocess.run([porch, "-intent", f"{top}/intent.json", "-out", f"{top}/out"], capture_output=True, text=True)
        with open(file, "rb") as edited:
            after = edited.read()
        count = sum(len(names) for _, _, names in os.walk(f"{top}/out"))
        if run.returncode != 0:
            return ("refused", run.stderr.split("\n")[0]) if count == 1 and after == content else ("wrong", "refused, and written")
        found = list(differing(documents, read(after.decode())))
        right = [value for _, _, value in found] == [str(NUMBER)] and count == 1 and places(content, after) <= 2
        return ("exact", "") if right else ("wrong", f"{count} files, {found}")


def main(porch, tops):
    tally, unread = collections.Counter(), 0
    for path, content in files(tops):
        try:
            text = content.decode()
            documents = read(text)
        except (UnicodeDecodeError, yaml.YAMLError):
            unread += 1
            continue
        kind = "json" if path.endswith(".json") else "yaml"
        for name, namespace in list(workloads(documents))[:WORKLOADS_MAX]:
            said, why = verdict(os.path.abspath(porch), kind, content, documents, name, namespace)
            tally[said] += 1
            if said != "exact":
                print(f"{said}: {path}: {namespace}/{name}: {why}")
    count = sum(tally.values())
    share = 100 * tally["exact"] / max(count, 1)
    print(f"{count} workloads: {tally['exact']} exact ({share:.1f} %), {tally['refused']} refused, {tally['wrong']} wrong; "
          f"{unread} files are no YAML for this parser")
    return 1 if tally["wrong"] or not count else 0


sys.exit(main(sys.argv[1], sys.argv[2:]))
