"""Manifests in the style of real ones, and a judge of what an edit did to them that shares nothing with the engine.

make DIR COUNT SEED writes COUNT packages below DIR/out, DIR/orders.tsv (namespace, target, replicas) and DIR/made.jsonl.
break DIR COUNT SEED does the same with manifests whose layout is damaged at one place.
judge DIR reads DIR/answers.tsv (namespace, target, "done" or why not) and says what was changed that should not have been.
rows DIR reads DIR/rows.jsonl (name, text before, text after, number) and says what differs besides one number.
compare DIR reads the same as judge and says where the engine and this parser disagree about what is YAML.

One path has to differ, to the number that was asked for, and the bytes have to differ at one place. The parser is libyaml by way of PyYAML.
"""

import json
import os
import random
import re
import sys

import yaml

# Damaged JSON that the engine takes and this parser does not: a key over several lines in a list, a block scalar in a flow mapping.
LOOSER = {"ns11/controller-manager-223", "ns98/web-1974"}
# The other way round.
STRICTER = set()
# Rows of what only other parsers take, such as JSON laid out with tabs.
UNREAD_MAX = 5
LOADER = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
NAMES = ["web", "api-gateway", "upf", "smf", "cart", "controller-manager", "operator", "redis-leader", "node-feature", "x1"]
IMAGES = ["nginx:1.27", "registry.k8s.io/pause:3.9", "ghcr.io/acme/app@sha256:0f3b", "controller:latest", "docker.io/library/redis:7"]
WORDS = ["replicas: 7", "it's fine", 'say "so"', "a: b", "- dash", "# no comment", "50%", "100m", "128Mi", "true", "yes", "0", "null",
         "http://x/?a=b&c=d", "{{ not a template }}", "*star", "&amp", "ünï", "@every 5m", "a,b", "[x]", "{y}"]


class Pen:
    """Writes data as YAML in one of the ways in which people do."""

    def __init__(self, rng):
        self.rng = rng
        self.step = rng.choice([2, 2, 2, 4])
        self.flush = rng.random() < 0.5
        self.comments = rng.choice([0, 0.03, 0.12])
        self.odd = rng.choice([0, 0, 0.15])
        self.lines = []

    def scalar(self, value, flow=False):
        if value is None:
            return self.rng.choice(["null", "~"]) if flow else self.rng.choice(["null", "~", ""])
        if isinstance(value, (int, bool)):
            return json.dumps(value)
        plain = value and value[0].isalpha() and all(c.isalnum() or c in "-._/" for c in value)
        if plain and value not in ("true", "yes", "null", "no", "on", "off") and self.rng.random() < 0.85:
            return value
        if self.rng.random() < 0.5:
            return "'" + value.replace("'", "''") + "'"
        return json.dumps(value, ensure_ascii=False)

    def flow(self, value):
        if isinstance(value, dict):
            return "{" + ", ".join(f"{k}: {self.flow(v)}" for k, v in value.items()) + "}"
        if isinstance(value, list):
            return "[" + ", ".join(self.flow(v) for v in value) + "]"
        return self.scalar(value, flow=True)

    def leaf(self, value):
        return isinstance(value, (dict, list)) and all(not isinstance(v, (dict, list)) for v in (value.values() if isinstance(value, dict) else value))

    def tail(self):
        return "  # " + self.rng.choice(WORDS) if self.rng.random() < self.comments else ""

    def remark(self, indent):
        if self.rng.random() < self.comments:
            for _ in range(self.rng.randint(1, 3)):
                self.lines.append(" " * indent + "# " + self.rng.choice(WORDS))
        if self.rng.random() < self.comments / 3:
            self.lines.append("")

    def value(self, head, value, indent):
        """`head` is what stands before the value; `indent` is the column of what it belongs to."""
        rng = self.rng
        if isinstance(value, str) and "\n" in value:
            self.lines.append(f"{head} |" + rng.choice(["", "-"]) + self.tail())
            for line in value.rstrip("\n").split("\n"):
                self.lines.append((" " * (indent + self.step) + line).rstrip())
        elif not isinstance(value, (dict, list)):
            if isinstance(value, str) and " " in value and rng.random() < self.odd:
                first, rest = value.split(" ", 1)
                self.lines.append(f"{head} " + json.dumps(first, ensure_ascii=False)[:-1])
                self.lines.append(" " * indent + json.dumps(rest, ensure_ascii=False)[1:])
                return
            gap = "\t" if rng.random() < self.odd / 4 and head.endswith(":") else " "
            text = self.scalar(value)
            self.lines.append((head + (gap + text if text else "")).rstrip() + self.tail())
        elif not value:
            self.lines.append(f"{head} " + ("{}" if isinstance(value, dict) else "[]") + self.tail())
        elif self.leaf(value) and rng.random() < 0.2:
            if rng.random() < self.odd:
                opened, closed = ("{", "}") if isinstance(value, dict) else ("[", "]")
                items = [f"{k}: {self.flow(v)}" for k, v in value.items()] if isinstance(value, dict) else [self.flow(v) for v in value]
                self.lines.append(f"{head} {opened}")
                column = rng.choice([indent, indent + 1, indent + self.step])
                self.lines.extend(" " * column + item + "," for item in items)
                self.lines.append(" " * indent + closed)
            else:
                self.lines.append(f"{head} {self.flow(value)}" + self.tail())
        elif isinstance(value, dict):
            self.lines.append(head + self.tail())
            self.mapping(value, indent + self.step)
        else:
            self.lines.append(head + self.tail())
            self.items(value, indent if self.flush else indent + self.step)

    def mapping(self, value, indent, first=None):
        for key, inner in value.items():
            if first is None:
                self.remark(indent)
            head = (" " * indent if first is None else first) + f"{key}:"
            first = None
            self.value(head, inner, indent)

    def items(self, value, indent):
        for inner in value:
            if isinstance(inner, dict) and inner:
                self.remark(indent)
                self.mapping(inner, indent + 2, first=" " * indent + "- ")
            else:
                self.value(" " * indent + "-", inner, indent)


def container(rng, name):
    box = {"name": name, "image": rng.choice(IMAGES)}
    if rng.random() < 0.6:
        box["args"] = [rng.choice(["--leader-elect", "--v=2", "--metrics-bind-address=:8443", rng.choice(WORDS)]) for _ in range(rng.randint(1, 4))]
    if rng.random() < 0.3:
        box["command"] = ["/bin/sh", "-c", rng.choice(["exec app", "set -e\necho 'replicas: 9' # x\nexec app\n"])]
    if rng.random() < 0.5:
        box["env"] = [{"name": f"V{n}", "value": rng.choice(WORDS)} for n in range(rng.randint(1, 3))]
    if rng.random() < 0.5:
        box["resources"] = {"limits": {"cpu": "500m", "memory": "128Mi"}, "requests": {"cpu": "10m"}}
    if rng.random() < 0.4:
        box["ports"] = [{"name": "http", "containerPort": 8080, "protocol": "TCP"}]
    if rng.random() < 0.3:
        box["livenessProbe"] = {"httpGet": {"path": "/healthz", "port": 8081}, "initialDelaySeconds": 15}
    items = list(box.items())
    if rng.random() < 0.3:
        rng.shuffle(items)
    return dict(items)


def workload(rng, name, namespace):
    kind, api = rng.choice([("Deployment", "apps/v1")] * 8 + [("StatefulSet", "apps/v1")] * 2 + [("Rollout", "argoproj.io/v1alpha1")])
    meta = {"name": name}
    if rng.random() < 0.6:
        meta["namespace"] = namespace
    if rng.random() < 0.6:
        meta["labels"] = {"app.kubernetes.io/name": name, "app.kubernetes.io/managed-by": rng.choice(["Helm", "kustomize"])}
    if rng.random() < 0.3:
        meta["annotations"] = {"note": rng.choice(WORDS), "replicas": "3"}
    spec = {"selector": {"matchLabels": {"app": name}}}
    if rng.random() < 0.3:
        spec["strategy"] = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": 0}}
    if rng.random() < 0.3:
        spec["revisionHistoryLimit"] = 3
    pod = {"containers": [container(rng, name)] + ([container(rng, "proxy")] if rng.random() < 0.2 else [])}
    if rng.random() < 0.3:
        pod["nodeSelector"] = {"kubernetes.io/os": "linux"}
    if rng.random() < 0.2:
        pod["tolerations"] = [{"key": "a", "operator": "Exists"}, {"operator": "Exists"}]
    spec["template"] = {"metadata": {"labels": {"app": name}}, "spec": pod}
    items = list(spec.items())
    if rng.random() < 0.3:
        rng.shuffle(items)
    if rng.random() >= 0.4:
        number = None if rng.random() < 0.05 else rng.randint(0, 30)
        items.insert(rng.choice([0, 0, rng.randint(0, len(items))]), ("replicas", number))
    return {"apiVersion": api, "kind": kind, "metadata": meta, "spec": dict(items)}


def other(rng, name):
    return rng.choice([
        {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": {"selector": {"app": name}, "ports": [{"port": 80, "targetPort": "http"}]}},
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name}},
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": f"{name}-config"}, "data": {"x.yaml": f"kind: Deployment\nname: {name}\nreplicas: 4\n", "y": rng.choice(WORDS)}},
        {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": f"{name}-canary"}, "spec": {"replicas": 1}},
    ])


def written(rng, document):
    pen = Pen(rng)
    pen.mapping(document, 0)
    return "\n".join(pen.lines) + "\n"


def manifest(rng, name, namespace):
    """The text, the file's name, the way to the holder of the number."""
    main = workload(rng, name, namespace)
    others = [other(rng, name) for _ in range(rng.choice([0, 0, 1, 2]))]
    form = rng.random()
    if form < 0.08:
        return json.dumps(main, indent=rng.choice([2, 4, "\t"]), ensure_ascii=rng.random() < 0.5) + "\n", "deployment.json", [0, "spec"]
    at = rng.randint(0, len(others))
    all_of = others[:at] + [main] + others[at:]
    if form < 0.16:
        text = written(rng, {"apiVersion": "v1", "kind": "List", "items": all_of, "metadata": {"resourceVersion": ""}})
        return text, "all.yaml", [0, "items", at, "spec"]
    parts = []
    for document in all_of:
        head = rng.choice(["", "# Source: app/templates/deployment.yaml\n", "# Copyright: replicas: 3\n#\n\n"])
        parts.append(head + written(rng, document))
    text = rng.choice(["", "---\n"]) + "---\n".join(parts)
    if rng.random() < 0.05:
        text = text.replace("\n", "\r\n")
    if rng.random() < 0.02:
        text = "\ufeff" + text
    if rng.random() < 0.05:
        text = text.rstrip("\r\n")
    return text, rng.choice(["deployment.yaml", "manager.yml", "all.yaml"]), [at, "spec"]


def damaged(rng, text):
    """One place is laid out otherwise: a line moved, a tab, a quote or bracket too many or too few."""
    lines = text.split("\n")
    at = rng.randrange(len(lines))
    line = lines[at]
    lines[at] = rng.choice([
        " " + line, line[1:] if line.startswith(" ") else line, line.replace(": ", ":\t", 1), line.replace("  ", "\t", 1), line + '"',
        line.replace("'", "", 1), line.replace('"', "", 1), line + " [", line.replace("]", "", 1), line.replace("- ", "-", 1),
        line.replace(": ", ":", 1), line + ": x", "\t" + line, line + "\t", line.replace(": ", ": @", 1), line.replace(": ", ": |\n", 1), line + "\n...",
    ])
    return "\n".join(lines)


def make(top, count, seed, spoil):
    rng = random.Random(seed)
    with open(f"{top}/orders.tsv", "w") as orders, open(f"{top}/made.jsonl", "w") as made:
        for number in range(count):
            namespace, name = f"ns{number // 20}", f"{rng.choice(NAMES)}-{number}"
            text, file, way = manifest(rng, name, namespace)
            if spoil:
                text = damaged(rng, text)
            place = f"{top}/out/{namespace}/{name}"
            os.makedirs(place)
            with open(f"{place}/{file}", "w", newline="", encoding="utf-8") as out:
                out.write(text)
            wanted = rng.randint(1, 99)
            orders.write(f"{namespace}\t{name}\t{wanted}\n")
            made.write(json.dumps([namespace, name, file, text, way, wanted]) + "\n")


def read(text):
    return list(yaml.load_all(text, LOADER))


def walk(node, way):
    for step in way:
        node = node[step]
    return node


def answers(top):
    with open(f"{top}/answers.tsv") as lines:
        return {tuple(line.rstrip("\n").split("\t")[:2]): line.rstrip("\n").split("\t")[2] for line in lines}


def fault(top, said, case):
    namespace, name, file, before, way, wanted = case
    with open(f"{top}/out/{namespace}/{name}/{file}", newline="", encoding="utf-8") as now:
        after = now.read()
    if said != "done":
        return f"refused: {said}"
    # go-yaml and this parser both take a byte order mark only at the beginning.
    old, new = read(before.lstrip("\ufeff")), read(after.lstrip("\ufeff"))
    walk(old, way)["replicas"] = str(wanted)
    if old != new:
        return "something else differs"
    ahead = len(os.path.commonprefix([before, after]))
    behind = len(os.path.commonprefix([before[ahead:][::-1], after[ahead:][::-1]]))
    if len(before) - ahead - behind > 4 or len(after) - ahead - behind > 80:
        return "more than one place was written"
    return None


def judge(top):
    said, faults, count = answers(top), [], 0
    for line in open(f"{top}/made.jsonl"):
        case = json.loads(line)
        count += 1
        found = fault(top, said[(case[0], case[1])], case)
        if found:
            faults.append(f"{case[0]}/{case[1]}/{case[2]}: {found}\n{case[3]}")
    print("\n".join(faults[:5]))
    print(f"{count} judged, {len(faults)} wrong")
    return 1 if faults else 0


def differing(old, new, way=()):
    """The ways to what differs, with both values; text that is itself a document is looked into."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in old.keys() | new.keys():
            yield from differing(old.get(key), new.get(key), way + (key,))
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for number, (a, b) in enumerate(zip(old, new)):
            yield from differing(a, b, way + (number,))
    elif isinstance(old, str) and isinstance(new, str) and old != new and not new.isdigit():
        yield from differing(read(old), read(new), way)
    elif old != new:
        yield way, old, new


def rows(top):
    faults, count, unread = [], 0, []
    for line in open(f"{top}/rows.jsonl"):
        name, before, after, wanted = json.loads(line)
        count += 1
        try:
            old, new = read(before.lstrip("\ufeff")), read(after.lstrip("\ufeff"))
        except yaml.YAMLError:
            unread.append(name)
            continue
        found = list(differing(old, new))
        if [value for _, _, value in found] != [str(wanted)]:
            faults.append(f"{name}: {found}")
    print("\n".join(faults))
    print(f"{count} rows, {len(faults)} wrong, not read by this parser: {' '.join(unread)}")
    return 1 if faults or len(unread) > UNREAD_MAX else 0


def only_tabs(text):
    """YAML 1.2 takes tabs at the end of a line and before a comment for blanks, this parser does not."""
    try:
        read(re.sub(r"(?m)^[ \t]*(#.*)?$|[ \t]+$", "", text.replace("\r", "").lstrip("\ufeff")))
        return "\t" in text
    except yaml.YAMLError:
        return False


def compare(top):
    said, stricter, looser, count, good = answers(top), [], [], 0, 0
    for line in open(f"{top}/made.jsonl"):
        case = json.loads(line)
        count += 1
        try:
            read(case[3].lstrip("\ufeff"))
            ours = True
        except yaml.YAMLError:
            ours = False
        good += ours
        answer = said[(case[0], case[1])]
        if ours and "is not YAML" in answer:
            stricter.append((f"{case[0]}/{case[1]}", f"{answer}\n{case[3]}"))
        if not ours and answer == "done" and not only_tabs(case[3]):
            looser.append((f"{case[0]}/{case[1]}", case[3]))
    wrong = 0
    for kind, known, cases in (("STRICTER", STRICTER, stricter), ("LOOSER", LOOSER, looser)):
        new = [case for case in cases if case[0] not in known]
        wrong += len(new)
        for name, case in new[:3]:
            print(kind, name, case)
    print(f"{count} compared, {good} are YAML, {len(stricter)} refused all the same, {len(looser)} taken all the same")
    return 1 if wrong else 0


if __name__ == "__main__":
    what, place = sys.argv[1], sys.argv[2]
    if what in ("make", "break"):
        make(place, int(sys.argv[3]), int(sys.argv[4]), what == "break")
    else:
        sys.exit({"judge": judge, "compare": compare, "rows": rows}[what](place))
