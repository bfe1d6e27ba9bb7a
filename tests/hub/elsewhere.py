"""Redirects, tokens, folders, addresses of their own and TLS."""
import shutil
import socket
import subprocess
import threading

import hub as fake
from case import DATA, HubTest, REPO, TOKEN, free_port
from hub import File


class Elsewhere(HubTest):
    """Redirects, tokens, addresses, TLS."""

    def test_the_token_goes_to_the_hub_alone(self):
        self.hub.storage = self.start()
        self.pulled(HF_TOKEN=TOKEN)
        self.assertTrue(all(headers["Authorization"] == "Bearer " + TOKEN
                            for _, _, headers in self.hub.requests))
        [(_, path, headers)] = self.hub.storage.requests
        self.assertNotIn("Authorization", headers)
        self.assertTrue(path.endswith("?X-Sig=a%2Fb+c%3D&Policy=e~_Q__"), path)

    def test_relative_redirects_keep_the_token(self):
        self.hub.relative_redirects = True
        self.pulled(HF_TOKEN=TOKEN)
        self.assertEqual(len(self.hub.requests), 3)
        self.assertTrue(all("Authorization" in headers for _, _, headers in self.hub.requests))

    def test_a_storage_that_breaks_off_is_asked_for_anew(self):
        self.hub.storage = self.start()
        self.hub.storage.faults = [fake.broken_after(1_000_000), fake.status(403)]
        self.hub.faults = []
        self.refused("403")
        self.pulled()
        self.assertEqual(self.hub.storage.file_requests()[-1][1]["Range"], "bytes=1000000-")

    def test_redirects_without_end(self):
        self.hub.before = lambda request: (
            "/resolve/" in request.path and (request.reply(302, Location=request.path) or True))
        self.refused("redirects more than")

    def test_odd_redirects(self):
        for place, words in {"ftp://a/b": "neither with https:// nor", "http://": "host",
                             "http://a:b@c/": "password", "http://a:99999/": "port",
                             "javascript:alert(1)": "https://"}.items():
            with self.subTest(place):
                self.hub.before = lambda request, place=place: (
                    "/resolve/" in request.path and (request.reply(307, Location=place) or True))
                self.refused(words)

    def test_a_token_from_where_hf_auth_login_leaves_it(self):
        home = self.folder / "home"
        home.mkdir()
        (home / "token").write_text(TOKEN + "\n")
        self.pulled(HF_HOME=str(home))
        self.assertEqual(self.hub.requests[0][2]["Authorization"], "Bearer " + TOKEN)
        result = self.lockstep("pull", REPO, HF_TOKEN="a b")
        self.assertEqual((result.returncode, "HF_TOKEN" in result.stderr), (2, True))

    def test_where_the_folder_is(self):
        for variables, folder in (({"HF_HUB_CACHE": "", "HF_HOME": str(self.folder / "a")}, "a/hub"),
                                  ({"HF_HUB_CACHE": "", "XDG_CACHE_HOME": str(self.folder / "b")},
                                   "b/huggingface/hub"),
                                  ({"HF_HUB_CACHE": ""}, ".cache/huggingface/hub"),
                                  ({"HF_HUB_CACHE": "~/c"}, "c")):
            path = self.pulled(**variables)
            self.assertTrue(path.is_relative_to(self.folder / folder), path)

    def test_an_address_of_a_file(self):
        files = {"m.gguf": self.file, **{f"s-0000{i}-of-00002.gguf": File(b"%d" % i) for i in (1, 2)}}
        self.hub.repositories["files"] = files
        address = f"{self.hub.url}/plain/files/m.gguf"
        self.hub.faults = [fake.broken_after(1_000_000)]
        path = self.pulled(address)
        self.assertEqual(path.name, "m.gguf")
        self.assertTrue(path.is_relative_to(self.folder / ".cache/lockstep/urls"))
        self.assertEqual(self.hub.file_requests()[-1][1]["If-Range"], f'"{self.file.hash}"')
        # Nothing has changed, and then something has.
        self.pulled(address)
        self.assertEqual(self.hub.file_requests()[-1][1]["If-None-Match"], f'"{self.file.hash}"')
        files["m.gguf"] = File(DATA[:-1])
        self.pulled(address, data=DATA[:-1])
        # Another file, since the half of the first.
        files["m.gguf"] = self.file
        self.hub.faults = [fake.broken_after(1_000_000)] + [fake.broken_after(0)] * 5
        self.assertEqual(self.lockstep("pull", address).returncode, 1)
        files["m.gguf"] = File(DATA[::-1])
        self.pulled(address, data=DATA[::-1])
        # All parts, whichever is named.
        path = self.pulled(f"{self.hub.url}/plain/files/s-00002-of-00002.gguf", data=b"1")
        self.assertEqual((path.parent / "s-00002-of-00002.gguf").read_bytes(), b"2")
        self.assertNotIn("Authorization", self.hub.requests[-1][2])
        listed = self.lockstep("list").stdout
        self.assertIn(address, listed)
        self.assertEqual(self.lockstep("rm", address).returncode, 0)
        self.assertFalse(list(self.folder.rglob("m.gguf*")))

    def test_addresses_that_cannot_be(self):
        self.hub.repositories["files"] = {"m.gguf": self.file}
        for address, words in {"/plain/files/n.gguf": "404", "/plain/files/n.bin": "ends in .gguf",
                               "/plain/files/..%2f..%2fn.gguf": "neither a file's address"}.items():
            with self.subTest(address):
                result = self.lockstep("pull", self.hub.url + address)
                self.assertEqual(result.returncode, 2)
                self.assertIn(words, result.stderr)
        self.hub.faults = [fake.without_length]
        result = self.lockstep("pull", self.hub.url + "/plain/files/m.gguf")
        self.assertEqual((result.returncode, "how long" in result.stderr), (2, True))
        self.assertFalse(list(self.folder.rglob("*m.gguf")))

    def test_a_proxy_that_fails_is_named(self):
        port = free_port()
        self.refused("cannot be reached", f"port {port}", code=1, http_proxy=f"http://127.0.0.1:{port}")
        proxy = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(proxy.close)

        def refuse():
            while True:
                try:
                    client, _ = proxy.accept()
                except OSError:
                    return
                client.recv(65536)
                client.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
                client.close()
        threading.Thread(target=refuse, daemon=True).start()
        self.refused("broke off", "407", code=1, HF_ENDPOINT="https://hub.invalid",
                     https_proxy=f"http://127.0.0.1:{proxy.getsockname()[1]}")

    def test_tls(self):
        pem = self.folder / "hub.pem"
        made = subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
             "-nodes", "-days", "2", "-subj", "/CN=hub", "-addext", "subjectAltName=IP:127.0.0.1",
             "-keyout", pem, "-out", self.folder / "ca.pem"], capture_output=True)
        self.assertEqual(made.returncode, 0, made.stderr)
        with pem.open("a") as file:
            file.write((self.folder / "ca.pem").read_text())
        plain = self.hub
        self.hub = self.start(plain.repositories, certificate=pem)
        trust = {"SSL_CERT_FILE": str(self.folder / "ca.pem")}
        self.refused("certificate", "not trusted", "ca-certificates")
        self.refused("SSL_CERT_FILE must name a file", "/nowhere.pem", SSL_CERT_FILE="/nowhere.pem")
        self.hub.faults = [fake.broken_after(1_000_000, reset=True)]
        self.pulled(**trust)
        shutil.rmtree(self.cache)
        # Another name than the certificate's; and a redirect to where everybody can read.
        self.refused("certificate", HF_ENDPOINT=self.hub.url.replace("127.0.0.1", "localhost"), **trust)
        self.hub.storage = plain
        self.refused("not encrypted", **trust)
