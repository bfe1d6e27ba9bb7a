"""HAProxy, nginx and Envoy before two replicas: each as a cluster would configure it for us.

They ask /readyz every second, keep a conversation on the replica that its x-session-id hashes to,
do not buffer streams, and try another replica where one refuses the connection or says 503.
"""
import json
import os
import subprocess
import sys
import tempfile
import urllib.request

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.append(f"{ROOT}/tests/support")
from launch import DoesNotStart, poll  # noqa: E402

# HAProxy 2.6 has no `retry-on 429`.
HAPROXY = """
global
  maxconn 1000
defaults
  mode http
  timeout connect 1s
  timeout client 300s
  timeout server 300s
  retries 3
  option redispatch
  retry-on conn-failure empty-response 503
frontend f
  bind 127.0.0.1:{port}
  default_backend l
backend l
  balance hdr(x-session-id)
  hash-type consistent
  option httpchk GET /readyz
  default-server check inter 1s fall 1 rise 1
  server a 127.0.0.1:{replicas[0]}
  server b 127.0.0.1:{replicas[1]}
"""

# With max_fails=0, because nginx takes a server that has failed for one until a request to it has
# ended, which is as long as a stream takes, and answers 502 by itself where all have failed; and
# without http_429, so that a refusal reaches the client with its Retry-After.
NGINX = """
daemon off;
error_log {folder}/error.log;
pid {folder}/nginx.pid;
events {{}}
http {{
  access_log off;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  upstream l {{
    hash $http_x_session_id consistent;
    server 127.0.0.1:{replicas[0]} max_fails=0;
    server 127.0.0.1:{replicas[1]} max_fails=0;
    keepalive 16;
  }}
  server {{
    listen 127.0.0.1:{port};
    client_max_body_size 16m;
    location / {{
      proxy_pass http://l;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_buffering off;
      proxy_connect_timeout 1s;
      proxy_read_timeout 300s;
      proxy_next_upstream error timeout http_503 non_idempotent;
      proxy_next_upstream_tries 2;
    }}
  }}
}}
"""


def envoy_configuration(port, replicas):
    def address(number):
        return {"socket_address": {"address": "127.0.0.1", "port_value": number}}

    def typed(name, **fields):
        return {"@type": f"type.googleapis.com/envoy.extensions.{name}", **fields}

    # Without max_retries Envoy allows three retries at a time, and hands others' 503 on.
    cluster = {
        "name": "lockstep", "type": "STATIC", "connect_timeout": "1s", "lb_policy": "RING_HASH",
        "circuit_breakers": {"thresholds": [{"max_retries": 1000}]},
        # Without no_traffic_interval the second check comes a minute after the first.
        "health_checks": [{"timeout": "1s", "interval": "1s", "no_traffic_interval": "1s",
                           "unhealthy_threshold": 1,
                           "healthy_threshold": 1, "http_health_check": {"path": "/readyz"}}],
        "load_assignment": {"cluster_name": "lockstep", "endpoints": [{"lb_endpoints": [
            {"endpoint": {"address": address(replica)}} for replica in replicas]}]}}
    elsewhere = {"name": "envoy.retry_host_predicates.previous_hosts", "typed_config": typed(
        "retry.host.previous_hosts.v3.PreviousHostsPredicate")}
    route = {
        "cluster": "lockstep", "timeout": "0s",
        "hash_policy": [{"header": {"header_name": "x-session-id"}}],
        "retry_policy": {
            "retry_on": "connect-failure,reset-before-request,refused-stream,"
                        "retriable-status-codes",
            "retriable_status_codes": [503], "num_retries": 2,
            "retry_host_predicate": [elsewhere], "host_selection_retry_max_attempts": 5}}
    manager = typed(
        "filters.network.http_connection_manager.v3.HttpConnectionManager", stat_prefix="l",
        route_config={"virtual_hosts": [{"name": "l", "domains": ["*"], "routes": [
            {"match": {"prefix": "/"}, "route": route}]}]},
        http_filters=[{"name": "envoy.filters.http.router",
                       "typed_config": typed("filters.http.router.v3.Router")}])
    listener = {"address": address(port), "filter_chains": [{"filters": [
        {"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]}]}
    return json.dumps({"static_resources": {"listeners": [listener], "clusters": [cluster]}})


class Gateway:
    """A context manager: runs until it is left; ready when a replica answers through it."""

    def __init__(self, name, unpacked, folder, port, replicas):
        file = f"{folder}/{name}.{'json' if name == 'envoy' else 'conf'}"
        with open(file, "w") as out:
            out.write(envoy_configuration(port, replicas) if name == "envoy" else
                      {"haproxy": HAPROXY, "nginx": NGINX}[name].format(
                          port=port, replicas=replicas, folder=folder))
        command = {"haproxy": [f"{unpacked}/usr/sbin/haproxy", "-db", "-f", file],
                   "nginx": [f"{unpacked}/usr/sbin/nginx", "-p", folder, "-c", file],
                   "envoy": [f"{unpacked}/envoy/_bin/envoy", "-c", file, "--concurrency", "1",
                             "--log-level", "error"]}[name]
        self.port = port
        self.log = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen(command, stdout=self.log, stderr=self.log)

    def __enter__(self):
        if poll(self._ready, 20) is None:
            self.__exit__()
            self.log.seek(0)
            raise DoesNotStart(self.log.read()[-3000:])
        return self

    def __exit__(self, *_):
        # Asked to, nginx ends its workers, too, which a kill would leave behind.
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def _ready(self):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/readyz", timeout=5):
                return True
        except OSError:
            return False
