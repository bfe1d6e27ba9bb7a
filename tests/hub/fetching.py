"""Names become files: whole, split, of the quantization that was meant."""
import json
import os
import pathlib
import shutil

import hub as fake
from case import DATA, HubTest, NAME, REPO, TALES
from hub import File


class Fetching(HubTest):
    def test_a_name_becomes_a_file_of_the_standard_folder(self):
        path = self.pulled()
        repo = self.cache / "models--someone--Model-GGUF"
        self.assertEqual(path, repo / "snapshots" / fake.COMMIT / NAME)
        self.assertEqual(os.readlink(path), "../../blobs/" + self.file.hash)
        self.assertEqual((repo / "refs/main").read_text(), fake.COMMIT)
        self.assertEqual(len(self.hub.file_requests()), 1)

    def test_the_second_time_nothing_is_fetched(self):
        self.pulled()
        self.pulled()
        self.assertEqual(len(self.hub.file_requests()), 1)

    def test_a_file_in_a_folder_of_the_repository(self):
        self.hub.repositories[REPO] = {"a b/Model ü-Q8_0.gguf": self.file}
        path = self.pulled()
        self.assertTrue(str(path).endswith("/a b/Model ü-Q8_0.gguf"))
        self.assertEqual(os.readlink(path), "../../../blobs/" + self.file.hash)

    def test_a_small_file_is_checked_as_git_names_it(self):
        data = DATA[:10_000]
        self.hub.repositories[REPO] = {NAME: File(data, large=False)}
        self.pulled(data=data)
        self.hub.repositories[REPO][NAME].data = DATA[:9_999] + b"x"
        shutil.rmtree(self.cache)
        self.refused("SHA-1", "nothing of it is kept")

    def test_all_parts_of_a_split_model(self):
        parts = {f"Q4_K_M/M-Q4_K_M-0000{i}-of-00003.gguf": File(DATA[:1000 * i]) for i in (1, 2, 3)}
        self.hub.repositories[REPO] = {"M-Q8_0-00001-of-00002.gguf": File(b"x"), **parts}
        path = self.pulled(data=DATA[:1000])
        self.assertEqual(sorted(p.name for p in path.parent.iterdir()),
                         [name.split("/")[1] for name in parts])
        self.refused_parts()

    def refused_parts(self):
        shutil.rmtree(self.cache)
        self.refused("M-Q8_0-00002-of-00002.gguf", "is missing", name=REPO + ":Q8_0")

    def test_a_model_that_is_loaded_by_its_name(self):
        self.hub.repositories[REPO] = {"Tales-Q8_0.gguf": File(TALES)}
        ask = ["generate", "--prompt", "Once upon a time", "--max-tokens", "8", "--seed", "1"]
        expected = self.lockstep(*ask)
        self.assertEqual(expected.returncode, 0, expected.stderr)
        for words in (["--hf", REPO], ["-hf", REPO + ":q8_0"], ["--model", f"hf://{REPO}"],
                      ["-m", f"{self.hub.url}/{REPO}/resolve/main/Tales-Q8_0.gguf"],
                      ["--hf-repo", f"{REPO}:Tales-Q8_0.gguf"]):
            result = self.lockstep(*ask, *words)
            self.assertEqual((result.returncode, result.stdout), (0, expected.stdout), result.stderr)
        self.assertEqual(len(self.hub.file_requests()), 1)
        result = self.lockstep(*ask, LOCKSTEP_HF=REPO)
        self.assertEqual((result.returncode, result.stdout), (0, expected.stdout), result.stderr)

    def test_answers_are_checked_by_a_model_that_is_named(self):
        self.hub.repositories[REPO] = {"Tales-Q8_0.gguf": File(TALES)}
        answers = self.folder / "answers.jsonl"
        answers.write_text(json.dumps({"route": "/generate", "tokens": [5, 6, 7], "request": {
            "prompt": "Once", "max_tokens": 3, "seed": 1}}))
        result = self.lockstep("verify", "--hf", REPO, str(answers))
        self.assertEqual(result.returncode, 1, result.stderr)  # they are not the model's
        self.assertIn("differs: token 0", result.stdout)
        self.assertEqual(len(self.hub.file_requests()), 1)

    def test_nothing_is_asked_without_a_name(self):
        self.lockstep("generate", "--prompt", "a", "--max-tokens", "1")
        self.lockstep("list")
        self.lockstep("inspect", str(TALES))
        self.lockstep("someone/Model-GGUF", timeout=60)
        self.assertEqual(self.hub.requests, [])


class Quantizations(HubTest):
    def setUp(self):
        super().setUp()
        self.quants = {q: File(q.encode()) for q in ("BF16", "IQ4_XS", "Q4_K_M", "Q4_K_S", "Q8_0",
                                                      "UD-Q4_K_XL")}
        self.hub.repositories[REPO] = {
            "mmproj-Q4_K_M.gguf": File(b"no"), "imatrix-Q4_K_M.gguf": File(b"no"),
            **{f"M-{q}.gguf": file for q, file in self.quants.items()}}

    def chosen(self, name):
        return pathlib.Path(self.lockstep("pull", name).stdout.strip()).name

    def test_what_names_mean(self):
        for quant, file in {"": "M-Q4_K_M.gguf", ":Q8_0": "M-Q8_0.gguf", ":bf16": "M-BF16.gguf",
                            ":IQ4_XS": "M-IQ4_XS.gguf", ":UD-Q4_K_XL": "M-UD-Q4_K_XL.gguf",
                            ":Q4_K_XL": "M-UD-Q4_K_XL.gguf", ":latest": "M-Q4_K_M.gguf",
                            ":m-q4_k_s.gguf": "M-Q4_K_S.gguf"}.items():
            with self.subTest(quant):
                self.assertEqual(self.chosen(REPO + quant), file)
        del self.hub.repositories[REPO]["M-Q4_K_M.gguf"]
        self.assertEqual(self.chosen(REPO), "M-Q8_0.gguf")
        del self.hub.repositories[REPO]["M-Q8_0.gguf"]
        self.assertEqual(self.chosen(REPO), "M-BF16.gguf")

    def test_what_is_not_there_is_listed(self):
        for quant in ("Q5_K_M", "Q4_XS", "Q4_K", "K_M", "4_K_M", "x.gguf"):
            with self.subTest(quant):
                self.refused(f'there is no "{quant}"', "BF16, IQ4_XS, Q4_K_M, Q4_K_S, Q8_0 and UD-Q4_K_XL",
                             name=f"{REPO}:{quant}")

    def test_a_repository_without_models(self):
        self.hub.repositories[REPO] = {"a.safetensors": File(b"x"), "mmproj-F16.gguf": File(b"y")}
        self.refused("no GGUF file of a model")

    def test_names_that_are_none(self):
        for name in ("model", "a/b/c", "../a/b", "a/..", "a/b:", "a//b", "a/b:../../x.gguf", "a-/b",
                     "a--b/c", "hf://", "a/b:x\ny", "a/b@c"):
            with self.subTest(name):
                self.refused("names no model", name=name)
                result = self.lockstep("--hf", name)
                self.assertEqual(result.returncode, 2)
        self.assertEqual(self.hub.requests, [])

    def test_two_models_are_one_too_many(self):
        result = self.lockstep("--hf", REPO, "--model", "a.gguf")
        self.assertEqual((result.returncode, "two models" in result.stderr), (2, True))
        # The command line counts more than a variable.
        result = self.lockstep("generate", "--hf", REPO, "--prompt", "a", "--offline",
                               LOCKSTEP_MODEL="/x.gguf")
        self.assertIn("--offline", result.stderr)
