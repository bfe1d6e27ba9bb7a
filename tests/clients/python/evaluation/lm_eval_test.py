"""lm-evaluation-harness, through its local-completions and its remote tokenizer: a task that generates
and two by likelihood, over a small file. Its figures are the same to the last digit whenever they are
taken, in whichever batches, and on every instruction set. $EVAL_MODEL is another model than the embedded
one, of which fewer than 40 $ITEMS may be enough."""
import concurrent.futures
import contextlib
import glob
import json
import math
import os
import pathlib
import subprocess
import sys
import tempfile

from client_test_case import ClientTest, get, main, post, start

NAMES = ["Tom", "Lily", "Ben", "Mia", "Max", "Anna", "Sam", "Sue", "Tim", "Jane"]
THINGS = ["ball", "dog", "tree", "boat", "cake", "hat", "bird", "book"]
CLAUSES = ["was very happy", "went to the park", "wanted to play with it", "saw a big {other}"]
ITEMS = [{
    "text": f"Once upon a time there was a child named {name}. One day {name} found a {thing}. {name}",
    "choices": [" " + clause.format(other=THINGS[(i + j + 1) % len(THINGS)]) for clause in CLAUSES],
    "label": (i + j) % len(CLAUSES),
} for i, name in enumerate(NAMES) for j, thing in enumerate(THINGS[:4])][:int(os.environ.get("ITEMS", 40))]

CHOICE = """\
task: {name}
dataset_path: json
dataset_kwargs: {{data_files: {{test: {data}}}}}
test_split: test
output_type: {kind}
doc_to_text: "{{{{text}}}}"
"""
TASKS = {
    "tales_choice": CHOICE + """\
doc_to_choice: "{{{{choices}}}}"
doc_to_target: "{{{{label}}}}"
metric_list: [{{metric: acc}}, {{metric: acc_norm}}]
""",
    "tales_last": CHOICE + """\
doc_to_target: "{{{{choices[label]}}}}"
target_delimiter: ""
metric_list: [{{metric: perplexity, aggregation: mean, higher_is_better: true}}, {{metric: acc}}]
""",
    "tales_generate": CHOICE + """\
doc_to_target: "{{{{choices[label]}}}}"
generation_kwargs: {{until: ["."], max_gen_toks: 12, do_sample: false}}
metric_list: [{{metric: exact_match, aggregation: mean, higher_is_better: true}}]
""",
}
KINDS = {"tales_choice": "multiple_choice", "tales_last": "loglikelihood",
         "tales_generate": "generate_until"}
FLAGS = ("--model", os.environ["EVAL_MODEL"]) if os.environ.get("EVAL_MODEL") else ()


class LmEvalTest(ClientTest):
    client = "lm_eval"

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.stack = contextlib.ExitStack()
        cls.addClassCleanup(cls.stack.close)
        if FLAGS:
            cls.server = cls.stack.enter_context(start(*FLAGS))
        cls.folder = pathlib.Path(cls.stack.enter_context(tempfile.TemporaryDirectory()))
        data = cls.folder / "items.jsonl"
        data.write_text("".join(json.dumps(item) + "\n" for item in ITEMS))
        for name, text in TASKS.items():
            (cls.folder / f"{name}.yaml").write_text(
                text.format(name=name, kind=KINDS[name], data=data))

    def evaluate(self, server, name, batch=1, concurrent_requests=1):
        """The figures, and what was seen of each item."""
        out = self.folder / name
        arguments = (f"model=lockstep,base_url={server.url}/v1/completions,tokenizer_backend=remote,"
                     f"num_concurrent={concurrent_requests},max_length=500,max_retries=1")
        run = subprocess.run(
            [sys.executable, "-m", "lm_eval", "run", "--model", "local-completions", "--model_args",
             arguments, "--tasks", ",".join(TASKS), "--include_path", str(self.folder), "--batch_size",
             str(batch), "--output_path", str(out), "--log_samples"],
            env={**os.environ, "HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1",
                 "HF_HOME": str(self.folder / "cache"), "TOKENIZERS_PARALLELISM": "false"},
            capture_output=True, text=True)
        self.assertEqual(run.returncode, 0, run.stdout + run.stderr)
        [results] = glob.glob(f"{out}/**/results_*.json", recursive=True)
        figures = json.loads(pathlib.Path(results).read_text())["results"]
        samples = {}
        for task in TASKS:
            [file] = glob.glob(f"{out}/**/samples_{task}_*.jsonl", recursive=True)
            lines = [json.loads(line) for line in pathlib.Path(file).read_text().splitlines()]
            samples[task] = {line["doc_id"]: line["resps"] for line in lines}
        return figures, samples

    def test_basic(self):
        first = self.evaluate(self.server, "first")
        figures = first[0]
        if os.environ.get("EVAL_MODEL"):
            print(json.dumps(figures, indent=1))
        self.assertEqual(len(first[1]["tales_choice"]), len(ITEMS))
        # The mean of logprobs, whose error needs no bootstrapping.
        self.assertLess(figures["tales_last"]["perplexity,none"], 0)
        for task in figures.values():
            for name, value in task.items():
                if isinstance(value, float):
                    self.assertTrue(math.isfinite(value), name)
        self.assertEqual(self.evaluate(self.server, "second"), first)
        self.assertEqual(self.evaluate(self.server, "batches", 32, 2), first)
        with start(*FLAGS, "--isa", "scalar", "--threads", "1") as server:
            self.assertEqual(self.evaluate(server, "scalar", 7), first)

    # Beside what no client is needed for: 128 prompts at once, and the perplexity of the command.
    def test_batch(self):
        prompts = [post(self.server, "/tokenize", {"prompt": item["text"] + choice})["tokens"]
                   for item in ITEMS for choice in item["choices"]][:128]
        body = {"max_tokens": 1, "logprobs": 1, "echo": True, "temperature": 0, "seed": 1}
        together = post(self.server, "/v1/completions", {"prompt": prompts, **body})
        self.assertEqual(len(together["choices"]), len(prompts))
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            alone = list(pool.map(
                lambda ids: post(self.server, "/v1/completions", {"prompt": [ids], **body}), prompts[:16]))
        for one, among in zip(alone, together["choices"]):
            self.assertEqual(one["choices"][0]["logprobs"], among["logprobs"])

    def test_perplexity(self):
        text = " ".join(f"{item['text']}{item['choices'][item['label']]}." for item in ITEMS)
        file = self.folder / "text.txt"
        file.write_text(text)
        context = 64
        run = subprocess.run([os.environ["LOCKSTEP"], "perplexity", *FLAGS, "--file", str(file),
                              "--context", str(context)], capture_output=True, text=True, check=True)
        line = next(line for line in run.stdout.splitlines() if line.startswith("Final estimate"))
        tokens = post(self.server, "/tokenize", {"prompt": text, "parse_special": False})["tokens"]
        scored = []
        for begin in range(0, len(tokens) - context + 1, context):
            window = tokens[begin:begin + context]
            if get(self.server, "/tokenizer_info")["add_bos_token"]:
                window[0] = tokens[0]
            choice = post(self.server, "/v1/completions", {
                "prompt": [window], "max_tokens": 0, "echo": True, "logprobs": 0})["choices"][0]
            # The command scores the second half of each window.
            scored += choice["logprobs"]["token_logprobs"][context // 2 + 1:]
        perplexity = math.exp(-sum(scored) / len(scored))
        self.assertIn(f"PPL = {perplexity:.4f} +/-", line)


if __name__ == "__main__":
    main()
