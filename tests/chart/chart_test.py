"""The chart's and the manifest's objects, by tests/chart/run."""
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import threading
import unittest
import urllib.error
import urllib.request

import jsonschema
import yaml

from download import FETCHED, SHA, Download  # noqa: F401
from manifests import (CHART, ROOT, container_of, environment_of, manifest, of_kind, pod_of, render, tool,
                       validate)

sys.path.append(str(ROOT / "tests/support"))
from launch import Process  # noqa: E402

LOCKSTEP = os.environ["LOCKSTEP"]
MONITORING = {"podMonitor": {"enabled": True, "labels": {"release": "prometheus"}},
              "rules": {"enabled": True, "labels": {"release": "prometheus"}},
              "dashboard": {"enabled": True}}
CLAIMED = {"hf": "a/b", "volume": {"claim": {"create": True}}}
SHARED = {"hf": "a/b", "volume": {"claim": {"create": True, "accessModes": ["ReadWriteMany"]}}}
CASES = {
    "as it is": {},
    "three replicas": {"replicas": 3},
    "none": {"replicas": 0},
    "by name, into a claim": {"model": {"hf": "Qwen/Qwen3-4B-GGUF:Q8_0",
                                        "volume": {"claim": {"create": True, "storageClass": "fast"}}}},
    "replicas of one claim": {"replicas": 2, "model": SHARED},
    "by name, anew in each pod": {"model": {"hf": "a/b", "volume": {"sizeLimit": "8Gi"}}},
    "of a claim": {"model": {"file": "m.gguf", "volume": {"existingClaim": "models"}}},
    "fetched by an init container": {"model": FETCHED},
    "keys": {"apiKeys": {"existingSecret": "tales-keys", "key": "list"}},
    "hpa": {"autoscaling": {"kind": "hpa", "maxReplicas": 9}},
    "keda": {"autoscaling": {"kind": "keda", "predictedWaitSeconds": 0.5}},
    "no more than one": {"autoscaling": {"kind": "hpa", "maxReplicas": 1}},
    "monitoring": {"monitoring": MONITORING},
    "pool": {"inferencePool": {"enabled": True, "endpointPicker": {"service": "picker"}},
             "httpRoute": {"enabled": True, "parentRefs": [{"name": "gateway"}], "hostnames": ["a.example.org"]}},
    "pool by events": {"inferencePool": {"enabled": True}, "kvEvents": {"enabled": True, "model": "org/tales"}},
    "route": {"httpRoute": {"enabled": True, "parentRefs": [{"name": "gateway"}]}},
    "open network": {"networkPolicy": {"enabled": False}},
    "one gateway, one collector": {"networkPolicy": {
        "from": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "gateway"}}}],
        "extraEgress": [{"ports": [{"port": 4318, "protocol": "TCP"}]}]}},
    "long drain": {"drain": {"delay": 15, "timeout": 300}, "startupSeconds": 3601},
    "everything": {
        "image": {"repository": "registry.example.org/lockstep", "tag": "1", "pullPolicy": "Always"},
        "imagePullSecrets": [{"name": "pull"}], "nameOverride": "llm", "replicas": 2, "model": FETCHED,
        "apiKeys": {"existingSecret": "tales-keys"}, "monitoring": MONITORING,
        "inferencePool": {"enabled": True}, "extraArgs": ["--sessions=16", "--strict"],
        "extraEnv": [{"name": "LOCKSTEP_LOG_FORMAT", "value": "json"}],
        "extraVolumes": [{"name": "more", "emptyDir": {}}],
        "extraVolumeMounts": [{"name": "more", "mountPath": "/more"}],
        "extraObjects": [{"apiVersion": "v1", "kind": "ConfigMap",
                          "metadata": {"name": "{{ .Release.Name }}-more"}, "data": {"a": "b"}}],
        "service": {"type": "LoadBalancer", "port": 8000, "annotations": {"a": "b"}},
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 1, "maxSurge": 0}},
        "podAnnotations": {"a": "b"}, "podLabels": {"c": "d"}, "priorityClassName": "high",
        "serviceAccountName": "tales", "nodeSelector": {"e": "f"}, "tolerations": [{"operator": "Exists"}],
        "affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {
            "nodeSelectorTerms": [{"matchExpressions": [{"key": "g", "operator": "Exists"}]}]}}},
        "topologySpreadConstraints": [{"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule",
                                       "labelSelector": {"matchLabels": {"h": "i"}}}],
        "podDisruptionBudget": {"maxUnavailable": "50%"}},
}
# Values that are refused, and a part of what is said.
REFUSED = [
    ({"replica": 2}, "replica"),
    ({"model": {"File": "m.gguf"}}, "File"),
    ({"replicas": "2"}, "replicas"),
    ({"model": {"file": "/models/m.gguf", "volume": {"existingClaim": "c"}}}, "file"),
    ({"model": {"hf": "Qwen3-4B"}}, "hf"),
    ({"model": {**FETCHED, "download": {"url": "https://a/m.gguf", "sha256": "12"}}}, "sha256"),
    ({"model": {"file": "m.gguf", "hf": "a/b"}}, "set one of them"),
    ({"model": {"file": "m.gguf"}}, "existingClaim"),
    ({"model": {"file": "m.gguf", "download": {"url": "https://a/m.gguf"}}}, "needs model.download.sha256"),
    ({"model": {"download": {"url": "https://a/m.gguf", "sha256": SHA}}}, "needs model.file"),
    ({"autoscaling": {"kind": "keda", "minReplicas": 0}}, "minReplicas"),
    ({"autoscaling": {"kind": "vpa"}}, "kind"),
    ({"extraArgs": ["sessions=16"]}, "extraArgs"),
    ({"kvEvents": {"enabled": True}}, "kvEvents.model"),
    ({"replicas": 2, "model": CLAIMED}, "a claim that several nodes may use"),
    ({"autoscaling": {"kind": "hpa"}, "model": CLAIMED}, "a claim that several nodes may use"),
    ({"fullnameOverride": "Bad_Name"}, "fullnameOverride"),
    ({"nameOverride": "-a"}, "nameOverride"),
    ({"strategy": {"type": "Rolling"}}, "strategy"),
    ({"kvEvents": {"enabled": True, "model": "a@b"}}, "model"),
    ({"extraEnv": [{"name": "LOCKSTEP_PORT", "value": "9000"}]}, "the probes ask port 8080"),
    ({"extraEnv": [{"name": "LOCKSTEP_DRAIN_TIMEOUT", "value": "9"}]}, "set drain.timeout"),
    ({"extraArgs": ["--strict", "--port=9000"]}, "extraArgs: --port is the chart's own: the probes ask port 8080"),
    ({"extraArgs": ["--drain-delay", "9"]}, "extraArgs"),
    ({"extraArgs": ["--drain-delay=9"]}, "set drain.delay"),
    ({"podLabels": {"app.kubernetes.io/name": "x"}}, "podLabels: app.kubernetes.io/name is the chart's own"),
    ({"podLabels": {"helm.sh/chart": "x"}}, "podLabels: helm.sh/chart"),
    ({"autoscaling": {"kind": "hpa", "minReplicas": 5}}, "minReplicas is more than"),
    ({"autoscaling": {"kind": "keda", "minReplicas": 2, "maxReplicas": 1}}, "minReplicas is more than"),
    ({"kvEvents": {"enabled": True, "model": "a", "port": 5558}}, "must be two ports"),
    ({"kvEvents": {"enabled": True, "model": "a", "replayPort": 8080}}, "neither the API's 8080"),
    ({"podDisruptionBudget": {"maxUnavailable": "150%"}}, "maxUnavailable"),
    ({"podDisruptionBudget": {"maxUnavailable": "0%"}}, "maxUnavailable"),
]


def rendered_rules():
    return of_kind(render({"monitoring": MONITORING}), "PrometheusRule")["spec"]


def queries():
    """Everything that is asked of Prometheus, as the place and the expression."""
    for group in rendered_rules()["groups"]:
        for rule in group["rules"]:
            yield rule["alert"], rule["expr"]
    for trigger in of_kind(render(CASES["keda"]), "ScaledObject")["spec"]["triggers"]:
        yield trigger["name"], trigger["metadata"]["query"]
    for panel in json.loads((CHART / "files/dashboard.json").read_text())["panels"]:
        for target in panel["targets"]:
            yield panel["title"], target["expr"].replace("$__rate_interval", "5m")
    for metric in of_kind(render(CASES["hpa"]), "HorizontalPodAutoscaler")["spec"]["metrics"]:
        yield "hpa", metric["pods"]["metric"]["name"]


class Chart(unittest.TestCase):
    def test_lint(self):
        for name, values in CASES.items():
            with self.subTest(name), tempfile.NamedTemporaryFile("w", suffix=".json") as file:
                json.dump(values, file)
                file.flush()
                tool("helm", "lint", "--strict", CHART, "--values", file.name)

    def test_every_object_is_what_its_schema_says(self):
        kinds = set()
        for name, values in CASES.items():
            for thing in render(values):
                kinds.add(thing["kind"])
                with self.subTest(name, kind=thing["kind"]):
                    validate(thing)
                    self.assertLessEqual(len(thing["metadata"]["name"]), 63)
        self.assertEqual(kinds, {
            "ConfigMap", "Deployment", "HTTPRoute", "HorizontalPodAutoscaler", "InferencePool", "NetworkPolicy",
            "PersistentVolumeClaim", "Pod", "PodDisruptionBudget", "PodMonitor", "PrometheusRule", "ScaledObject",
            "Service"})

    def test_a_wrong_object_is_seen(self):
        for kind, values in (("Deployment", {}), ("ScaledObject", CASES["keda"]), ("PodMonitor", CASES["monitoring"]),
                             ("InferencePool", CASES["pool"]), ("HTTPRoute", CASES["route"])):
            thing = of_kind(render(values), kind)
            for spec in ({**thing["spec"], "selektor": {}}, "a text"):
                with self.subTest(kind, spec=spec), self.assertRaises(jsonschema.ValidationError):
                    validate({**thing, "spec": spec})

    def test_wrong_values_are_refused_with_their_name(self):
        for values, said in REFUSED:
            with self.subTest(values), self.assertRaises(AssertionError) as caught:
                render(values)
            self.assertIn(said, str(caught.exception))

    def test_names_of_any_length(self):
        for thing in render({"fullnameOverride": "a" * 80, "monitoring": MONITORING, "inferencePool": {"enabled": True}}):
            self.assertLessEqual(len(thing["metadata"]["name"]), 63)
            self.assertRegex(thing["metadata"]["name"], "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")

    def test_selectors_meet_the_pods_and_no_other(self):
        for values in ({**CASES["everything"], "autoscaling": {"kind": "none"}}, {"replicas": 2, **CASES["pool"]}):
            objects = render(values)
            labels = pod_of(objects)["metadata"]["labels"].items()
            test_pod = of_kind(objects, "Pod")["metadata"]["labels"].items()
            for thing in objects:
                spec = thing.get("spec", {})
                selector = spec.get("selector") or spec.get("podSelector")
                if selector is None:
                    continue
                selector = selector.get("matchLabels", selector)
                with self.subTest(thing["kind"]):
                    self.assertTrue(selector.items() <= labels)
                    self.assertFalse(selector.items() <= test_pod)

    def test_the_grace_is_longer_than_the_drain(self):
        for name, values in CASES.items():
            objects = render(values)
            environment = environment_of(container_of(objects))
            drain = int(environment["LOCKSTEP_DRAIN_DELAY"]) + int(environment["LOCKSTEP_DRAIN_TIMEOUT"])
            self.assertGreater(pod_of(objects)["spec"]["terminationGracePeriodSeconds"], drain + 5, name)

    def test_what_depends_on_values(self):
        def has(kind, name):
            return of_kind(render(CASES[name]), kind) is not None

        for name, several in (("as it is", False), ("three replicas", True), ("hpa", True), ("no more than one", False)):
            self.assertEqual(has("PodDisruptionBudget", name), several, name)
        self.assertIn("replicas", of_kind(render({}), "Deployment")["spec"])
        self.assertEqual(of_kind(render(CASES["none"]), "Deployment")["spec"]["replicas"], 0)
        for kind in ("hpa", "keda"):  # a replica count would undo the autoscaler's at each upgrade
            self.assertNotIn("replicas", of_kind(render(CASES[kind]), "Deployment")["spec"])
        # A pod on another node cannot have a claim of one node before the old pod ends.
        rolling = {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}}
        turn = {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 1, "maxSurge": 0}}
        for values, strategy in (({}, rolling), ({"model": CLAIMED}, {"type": "Recreate"}), ({"model": SHARED}, rolling),
                                 (CASES["of a claim"], rolling), ({"strategy": {"type": "Recreate"}}, {"type": "Recreate"}),
                                 ({"model": CLAIMED, "strategy": turn}, turn)):
            self.assertEqual(of_kind(render(values), "Deployment")["spec"]["strategy"], strategy)
        self.assertFalse(has("NetworkPolicy", "open network"))
        for name, ports in (("as it is", set()), ("of a claim", set()), ("by name, into a claim", {53, 443}),
                            ("fetched by an init container", {53, 443}), ("one gateway, one collector", {4318})):
            policy = of_kind(render(CASES[name]), "NetworkPolicy")["spec"]
            self.assertEqual(policy["policyTypes"], ["Ingress", "Egress"])
            self.assertEqual({port["port"] for rule in policy["egress"] for port in rule["ports"]}, ports, name)
        for url, port in (("http://minio.store.svc:9000/m.gguf", 9000), ("http://a/m.gguf", 80),
                          ("https://a:8443/m.gguf", 8443), ("http://[fd00::1]:81/m.gguf", 81), ("https://a/b:1/m.gguf", 443)):
            fetched = {"model": {**FETCHED, "download": {**FETCHED["download"], "url": url}}}
            rules = of_kind(render(fetched), "NetworkPolicy")["spec"]["egress"]
            self.assertEqual({entry["port"] for entry in rules[0]["ports"]}, {53, 443, port}, url)
        (backend,) = of_kind(render(CASES["pool"]), "HTTPRoute")["spec"]["rules"][0]["backendRefs"]
        self.assertEqual((backend["kind"], backend["name"]), ("InferencePool", "tales-lockstep"))
        (backend,) = of_kind(render(CASES["route"]), "HTTPRoute")["spec"]["rules"][0]["backendRefs"]
        self.assertEqual(backend, {"name": "tales-lockstep", "port": 80})

    def test_a_variable_stands_once_and_the_users_holds(self):
        own = [entry["name"] for entry in container_of(render({}))["env"]]
        given = [("LOCKSTEP_HOST", "0.0.0.0"), ("A", "1"), ("HF_HUB_CACHE", "/cache"), ("A", "2")]
        entries = container_of(render({"extraEnv": [{"name": name, "value": value} for name, value in given]}))["env"]
        self.assertEqual([(entry["name"], entry["value"]) for entry in entries if entry["name"] not in own or
                          entry["name"] in dict(given)],
                         [("LOCKSTEP_HOST", "0.0.0.0"), ("HF_HUB_CACHE", "/cache"), ("A", "2")])
        names = [entry["name"] for entry in entries]
        self.assertEqual(sorted(names), sorted({*own, "A"}))

    def test_the_model_is_where_the_server_looks_and_only_a_fetch_writes(self):
        for name, variable, value, claim, read_only in (
                ("as it is", None, None, None, True),
                ("of a claim", "LOCKSTEP_MODEL", "/models/m.gguf", "models", True),
                ("fetched by an init container", "LOCKSTEP_MODEL", "/models/qwen/m.gguf", None, True),
                ("by name, into a claim", "LOCKSTEP_HF", "Qwen/Qwen3-4B-GGUF:Q8_0", "tales-lockstep", False)):
            with self.subTest(name):
                objects = render(CASES[name])
                environment = environment_of(container_of(objects))
                self.assertEqual({key: environment[key] for key in ("LOCKSTEP_MODEL", "LOCKSTEP_HF") if key in environment},
                                 {variable: value} if variable else {})
                (mount,) = container_of(objects)["volumeMounts"]
                self.assertEqual(mount, {"name": "models", "mountPath": "/models", "readOnly": read_only})
                (volume,) = pod_of(objects)["spec"]["volumes"]
                self.assertEqual(volume.get("persistentVolumeClaim", {}).get("claimName"), claim)

    def test_a_picker_is_told_of_events_where_they_are_sent(self):
        objects = render(CASES["pool by events"])
        ports = {port["name"]: port["containerPort"] for port in container_of(objects)["ports"]}
        self.assertEqual(ports, {"http": 8080, "kv-events": 5557, "kv-replay": 5558})
        environment = environment_of(container_of(objects))
        self.assertEqual(environment["LOCKSTEP_KV_EVENTS"], "tcp://*:5557")
        self.assertEqual(environment["LOCKSTEP_KV_EVENTS_REPLAY"], "tcp://*:5558")
        self.assertEqual(environment["LOCKSTEP_KV_EVENTS_POD"], "$(POD_IP):8080")
        (config,) = [thing for thing in objects if thing["kind"] == "ConfigMap"]
        picker = yaml.safe_load(config["data"]["config.yaml"])
        parameters = {each["type"]: each.get("parameters") for each in picker["plugins"]}
        self.assertEqual({each["pluginRef"] for profile in picker["schedulingProfiles"] for each in profile["plugins"]} -
                         set(parameters), set())
        for source in picker["dataLayer"]["sources"]:
            self.assertIn(source["pluginRef"], parameters)
            self.assertLessEqual({each["pluginRef"] for each in source["extractors"]}, set(parameters))
        producer = parameters["precise-prefix-cache-producer"]
        self.assertEqual(producer["kvEventsConfig"]["podDiscoveryConfig"], {"socketPort": 5557, "replaySocketPort": 5558})
        self.assertEqual(parameters["token-producer"], {
            "modelName": environment["LOCKSTEP_MODEL_ALIAS"], "vllm": {"url": "http://tales-lockstep.stories:80"}})
        events, = [rule for rule in of_kind(objects, "NetworkPolicy")["spec"]["ingress"]
                   if {"port": "kv-events", "protocol": "TCP"} in rule["ports"]]
        self.assertEqual(events["from"], [{"podSelector": {}}])
        self.assertNotIn("kv-events", json.dumps(render({})))

    def test_pods_are_confined(self):
        for name in ("as it is", "everything"):
            objects = render(CASES[name])
            for pod in (pod_of(objects)["spec"], of_kind(objects, "Pod")["spec"]):
                self.assertIs(pod["automountServiceAccountToken"], False)
                self.assertIs(pod["securityContext"]["runAsNonRoot"], True)
                for container in pod["containers"] + pod.get("initContainers", []):
                    self.assertEqual(container["securityContext"], {
                        "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}})

    def test_the_version_is_the_servers(self):
        version = subprocess.check_output([LOCKSTEP, "--version"], text=True).split()[-1]
        self.assertEqual(yaml.safe_load((CHART / "Chart.yaml").read_text())["appVersion"], version)


class Manifest(unittest.TestCase):
    def test_is_what_its_schemas_say(self):
        for thing in manifest():
            validate(thing)

    def test_kustomize_gives_the_same(self):
        built = list(yaml.safe_load_all(tool("kubectl", "kustomize", ROOT / "docker/k8s")))
        self.assertEqual(sorted(built, key=str), sorted(manifest(), key=str))

    def test_the_grace_is_longer_than_the_drain(self):
        help_text = subprocess.check_output([LOCKSTEP, "--help"], text=True)
        timeout = int(re.search(r"--drain-timeout N=(\d+)", help_text)[1])
        delay = int(environment_of(container_of(manifest()))["LOCKSTEP_DRAIN_DELAY"])
        self.assertGreater(pod_of(manifest())["spec"]["terminationGracePeriodSeconds"], delay + timeout + 5)


class Server(unittest.TestCase):
    def test_takes_the_variables_and_arguments_of_each_container(self):
        variables = set(re.findall(r"\(Env:(\w+)\)", subprocess.check_output([LOCKSTEP, "--help"], text=True)))
        for objects in (manifest(), *(render(CASES[name]) for name in ("keys", "everything", "by name, into a claim",
                                                                     "pool by events"))):
            names = set(environment_of(container_of(objects))) - {"HF_HUB_CACHE", "POD_IP"}
            self.assertEqual(names - variables, set())
        with tempfile.TemporaryDirectory() as folder:
            keys = pathlib.Path(folder) / "keys"
            keys.write_text("0123456789abcdef0123\n")
            container = container_of(render({**CASES["everything"], "model": {}}))
            environment = environment_of(container)
            self.assertEqual(environment["LOCKSTEP_API_KEY_FILE"], "/keys/keys")
            environment |= {"LOCKSTEP_API_KEY_FILE": str(keys), "LOCKSTEP_DRAIN_DELAY": "0"}
            with Process([LOCKSTEP, *container["args"]], environment=environment) as server:
                with self.assertRaises(urllib.error.HTTPError) as refused:
                    urllib.request.urlopen(server.url + "/v1/models")
                self.assertEqual(refused.exception.code, 401)
                probe = of_kind(render({}), "Pod")["spec"]["containers"][0]["args"]
                self.assertEqual(probe, ["probe", "--host=tales-lockstep", "--port=80"])
                subprocess.run([LOCKSTEP, "probe", "--host=localhost", f"--port={server.port}"], check=True,
                               env={"LOCKSTEP_HOST": "::"})

    def test_has_every_metric_and_label_that_is_asked_for(self):
        with Process([LOCKSTEP, "--sessions", "1", "--queue", "1", "--log-level", "off"]) as server:
            body = json.dumps({"prompt": "Once", "max_tokens": 400, "ignore_eos": True}).encode()

            def ask():
                try:
                    urllib.request.urlopen(urllib.request.Request(
                        server.url + "/v1/completions", body, {"Content-Type": "application/json"})).read()
                except urllib.error.HTTPError as error:
                    self.assertEqual(error.code, 429)

            threads = [threading.Thread(target=ask) for _ in range(8)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            text = urllib.request.urlopen(server.url + "/metrics").read().decode()
        known = set(re.findall(r"^([a-z_:]+)[{ ]", text, re.MULTILINE))
        pairs = set(re.findall(r'(\w+)="([^"]*)"', text))
        labels = {name for name, _ in pairs} | {"namespace", "pod"}
        asked = 0
        for place, query in queries():
            names = set(re.findall(r"\b(?:lockstep|vllm|process)[a-z_:]*", query.replace("tales-lockstep-", "")))
            self.assertTrue(names, place)
            self.assertEqual(names - known, set(), place)
            for label, operator, value in re.findall(r'(\w+)(=~|!~|=|!=)"([^"]*)"', query):
                self.assertIn(label, labels, place)
                if operator == "=" and label != "namespace":
                    self.assertIn((label, value), pairs, place)
            for label in re.findall(r"by \(([^)]*)\)", query):
                self.assertLessEqual(set(label.split(", ")), labels, place)
            asked += len(names)
        self.assertGreater(asked, 30)
        picker = (CHART / "files/endpoint-picker.yaml").read_text()
        profiles = yaml.safe_load(picker)
        self.assertEqual({each["pluginRef"] for profile in profiles["schedulingProfiles"] for each in profile["plugins"]} -
                         {each["type"] for each in profiles["plugins"]}, set())
        for name in ("vllm:num_requests_waiting", "vllm:num_requests_running", "vllm:kv_cache_usage_perc",
                     "vllm:cache_config_info"):  # what the picker's scorers read
            self.assertIn(name, known)


class Prometheus(unittest.TestCase):
    def test_takes_every_expression(self):
        rules = [{"record": f"query:{number}", "expr": query} for number, (_, query) in enumerate(queries())]
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
            yaml.safe_dump({"groups": [{"name": "queries", "rules": rules}]}, file)
            file.flush()
            tool("promtool", "check", "rules", file.name)

    def test_alerts_when_it_should(self):
        with tempfile.TemporaryDirectory() as folder:
            folder = pathlib.Path(folder)
            (folder / "rules.yaml").write_text(yaml.safe_dump(rendered_rules()))
            (folder / "test.yaml").write_text((ROOT / "tests/chart/alerts_test.yaml").read_text())
            tool("promtool", "check", "rules", folder / "rules.yaml")
            tool("promtool", "test", "rules", folder / "test.yaml")


if __name__ == "__main__":
    unittest.main(verbosity=2)
