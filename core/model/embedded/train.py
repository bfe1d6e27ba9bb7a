#!/usr/bin/env python3
"""Train the default model: a llama-architecture storyteller of 5.8M parameters.

    train.py prepare --corpus tales.txt.xz --dir WORK     vocabulary and token files
    train.py train   --dir WORK --steps N --decay-steps M  weights in WORK/model.pt
    train.py export  --dir WORK OUT.gguf                   GGUF v3, Q8_0

Needs Debian's python3-torch, python3-sentencepiece, python3-numpy and sentencepiece.
The learning rate warms up, stays constant and decays linearly over the last M steps; a
run that was stopped goes on from WORK/checkpoint.pt. Hidden matrices are trained with
Muon (K. Jordan, 2024: momentum, orthogonalised by Newton-Schulz), the rest with AdamW.
The first part reads windows of 256 tokens, the decay windows of 512, the context length.
"""
import argparse
import lzma
import os
import struct
import subprocess
import sys
import time

import numpy as np

DIM, LAYERS, HEADS, KV_HEADS, FFN, VOCAB, CONTEXT = 256, 6, 8, 4, 768, 4096, 512
HEAD_DIM, ROPE_BASE, EPS = DIM // HEADS, 10000.0, 1e-5
BOS, EOS, UNK = 1, 2, 0
TOKENS_PER_STEP = 4096

# A conversation is a tale that both sides tell, a paragraph each; the model goes on in the last one.
CHAT_TEMPLATE = (
    "{% for message in messages if message['role'] != 'system' %}"
    "{{ message['content'] }}{{ '\\n' if not loop.last }}"
    "{% endfor %}")


def prepare(o):
    import sentencepiece as spm
    text = lzma.open(o.corpus, "rt", encoding="utf-8").read()
    with open(f"{o.dir}/tales.txt", "w", encoding="utf-8") as f:
        f.write(text)
    subprocess.run(["spm_train", f"--input={o.dir}/tales.txt", f"--model_prefix={o.dir}/sp", f"--vocab_size={VOCAB}",
                    "--model_type=bpe", "--byte_fallback=true", "--split_digits=true", "--character_coverage=1.0",
                    "--normalization_rule_name=identity", "--remove_extra_whitespaces=false",
                    "--max_sentence_length=100000"], check=True)
    sp = spm.SentencePieceProcessor(model_file=f"{o.dir}/sp.model")
    parts = {"train": [], "valid": []}
    for i, story in enumerate(text.split("\n\n\n")):
        parts["valid" if i % 50 == 25 else "train"] += [BOS] + sp.encode(story.strip()) + [EOS]
    for name, ids in parts.items():
        np.array(ids, dtype=np.uint16).tofile(f"{o.dir}/{name}.u16")
        print(name, len(ids), "tokens")


def build_model():
    import torch
    import torch.nn as nn
    import torch.nn.functional as F

    def rms(x, w):
        x = x.float()
        return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + EPS) * w

    def rope(x, c, s):  # rotates pairs (2i, 2i+1), the order of GGUF llama files
        a, b = x.float()[..., 0::2], x.float()[..., 1::2]
        return torch.stack((a * c - b * s, a * s + b * c), -1).flatten(-2).to(x.dtype)

    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.attn_norm, self.ffn_norm = nn.Parameter(torch.ones(DIM)), nn.Parameter(torch.ones(DIM))
            linear = lambda n_in, n_out: nn.Linear(n_in, n_out, bias=False)
            self.attn_q, self.attn_output = linear(DIM, DIM), linear(DIM, DIM)
            self.attn_k, self.attn_v = linear(DIM, KV_HEADS * HEAD_DIM), linear(DIM, KV_HEADS * HEAD_DIM)
            self.ffn_gate, self.ffn_up, self.ffn_down = linear(DIM, FFN), linear(DIM, FFN), linear(FFN, DIM)

        def forward(self, x, cos, sin, mask):
            b, t, _ = x.shape
            h = rms(x, self.attn_norm)
            q = rope(self.attn_q(h).view(b, t, HEADS, HEAD_DIM), cos, sin)
            k = rope(self.attn_k(h).view(b, t, KV_HEADS, HEAD_DIM), cos, sin)
            v = self.attn_v(h).view(b, t, KV_HEADS, HEAD_DIM)
            k, v = (z.repeat_interleave(HEADS // KV_HEADS, 2) for z in (k, v))
            q, k, v = (z.transpose(1, 2) for z in (q, k, v))
            q, k, v = (z.reshape(b * HEADS, t, HEAD_DIM) for z in (q, k, v))
            a = torch.baddbmm(mask.to(q.dtype), q, k.transpose(-1, -2), alpha=HEAD_DIM ** -0.5)
            a = torch._softmax(a, -1, False) @ v  # in bf16: torch.softmax would write f32
            x = x + self.attn_output(a.view(b, HEADS, t, HEAD_DIM).transpose(1, 2).reshape(b, t, DIM))
            h = rms(x, self.ffn_norm)
            return x + self.ffn_down(F.silu(self.ffn_gate(h)) * self.ffn_up(h))

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.token_embd = nn.Embedding(VOCAB, DIM)
            self.blk = nn.ModuleList([Block() for _ in range(LAYERS)])
            self.output_norm = nn.Parameter(torch.ones(DIM))
            for m in self.modules():
                if isinstance(m, (nn.Linear, nn.Embedding)):
                    nn.init.normal_(m.weight, std=0.02)
            p = torch.arange(CONTEXT)[:, None] * (ROPE_BASE ** (-torch.arange(0, HEAD_DIM, 2) / HEAD_DIM))[None]
            self.cos, self.sin = p.cos()[None, :, None], p.sin()[None, :, None]
            self.mask = torch.full((CONTEXT, CONTEXT), -1e9).triu(1)

        def forward(self, x):
            t, h = x.shape[1], self.token_embd(x)
            for block in self.blk:
                h = block(h, self.cos[:, :t], self.sin[:, :t], self.mask[:t, :t])
            return F.linear(rms(h, self.output_norm), self.token_embd.weight)

    return Model()


def orthogonalised(g):
    """The nearest semi-orthogonal matrix of g, by five Newton-Schulz steps."""
    x = (g / (g.norm() + 1e-7)).bfloat16()
    tall = x.shape[0] > x.shape[1]
    if tall:
        x = x.T
    for _ in range(5):
        a = x @ x.T
        x = 3.4445 * x + (-4.7750 * a + 2.0315 * a @ a) @ x
    return (x.T if tall else x).float()


def validation_loss(model, tokens, window):
    import torch
    import torch.nn.functional as F
    total = count = 0
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        for at in range(0, len(tokens) - window - 1, window * 8):
            rows = [tokens[j:j + window + 1] for j in range(at, min(at + window * 8, len(tokens) - window - 1), window)]
            x = torch.stack(rows)
            loss = F.cross_entropy(model(x[:, :-1]).float().reshape(-1, VOCAB), x[:, 1:].reshape(-1), reduction="sum")
            total, count = total + loss.item(), count + x[:, 1:].numel()
    return total / count


def train(o):
    import torch
    import torch.nn.functional as F
    torch.set_num_threads(o.threads)
    torch.manual_seed(1)
    model = build_model()
    data = {n: torch.from_numpy(np.fromfile(f"{o.dir}/{n}.u16", dtype=np.uint16).astype(np.int64)) for n in ("train", "valid")}
    hidden = [p for n, p in model.named_parameters() if p.dim() == 2 and n.startswith("blk.")]
    others = [p for p in model.parameters() if not any(p is h for h in hidden)]
    momentum = [torch.zeros_like(p) for p in hidden]
    adam = torch.optim.AdamW(others, lr=1.0, betas=(0.9, 0.95), weight_decay=0.0)
    checkpoint, first = f"{o.dir}/checkpoint.pt", 0
    if os.path.exists(checkpoint):
        saved = torch.load(checkpoint)
        first, momentum = saved["step"], saved["momentum"]
        model.load_state_dict(saved["model"])
        adam.load_state_dict(saved["adam"])
    average, start = None, time.time()
    for step in range(first, o.steps):
        left = (o.steps - step) / o.decay_steps
        rate = min(1.0, (step + 1) / 100, left)
        window = CONTEXT if left <= 1 else CONTEXT // 2
        g = torch.Generator().manual_seed(step)
        at = torch.randint(0, len(data["train"]) - window - 1, (TOKENS_PER_STEP // window,), generator=g)
        rows = torch.stack([data["train"][j:j + window + 1] for j in at])
        with torch.autocast("cpu", dtype=torch.bfloat16):
            logits = model(rows[:, :-1])
        loss = F.cross_entropy(logits.float().view(-1, VOCAB), rows[:, 1:].reshape(-1))
        model.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(others, 1.0)
        adam.param_groups[0]["lr"] = 3e-3 * rate
        adam.step()
        with torch.no_grad():
            for p, m in zip(hidden, momentum):
                m.mul_(0.95).add_(p.grad)
                update = orthogonalised(p.grad + 0.95 * m)
                lr = 0.02 * rate
                p.mul_(1 - 0.1 * lr).add_(update, alpha=-lr * max(1, p.shape[0] / p.shape[1]) ** 0.5)
        average = loss.item() if average is None else 0.98 * average + 0.02 * loss.item()
        if step % 20 == 19:
            print(step + 1, f"{average:.3f}", f"{(time.time() - start) / (step + 1 - first):.3f} s/step", flush=True)
        if step % 250 == 249 or step + 1 == o.steps:
            torch.save({"step": step + 1, "model": model.state_dict(), "momentum": momentum, "adam": adam.state_dict()}, checkpoint + ".new")
            os.replace(checkpoint + ".new", checkpoint)
            print("validation loss", step + 1, f"{validation_loss(model, data['valid'], window):.4f}", flush=True)
    torch.save(model.state_dict(), f"{o.dir}/model.pt")


def q8_0(a):
    """Rows of 32 values -> f16 scale and 32 int8 (GGUF type 8)."""
    blocks = a.astype(np.float32).reshape(-1, 32)
    scale = np.abs(blocks).max(1, keepdims=True) / 127
    inverse = np.divide(1, scale, out=np.zeros_like(scale), where=scale > 0)
    out = np.empty((len(blocks), 34), np.uint8)
    out[:, :2] = scale.astype(np.float16).view(np.uint8)
    out[:, 2:] = np.rint(blocks * inverse).astype(np.int8).view(np.uint8)
    return out.tobytes()


def export(o):
    import sentencepiece as spm
    import torch
    weights = torch.load(f"{o.dir}/model.pt")
    sp = spm.SentencePieceProcessor(model_file=f"{o.dir}/sp.model")
    U32, F32, BOOL, STRING, ARRAY, I32 = 4, 6, 7, 8, 9, 5
    text = lambda s: struct.pack("<Q", len(s.encode())) + s.encode()
    pairs = []

    def put(key, kind, value):
        pack = {U32: "<I", F32: "<f", BOOL: "<?"}
        pairs.append(text(key) + struct.pack("<I", kind) + (text(value) if kind == STRING else struct.pack(pack[kind], value)))

    def put_array(key, kind, values):
        body = b"".join(text(v) for v in values) if kind == STRING else np.array(values, "<f4" if kind == F32 else "<i4").tobytes()
        pairs.append(text(key) + struct.pack("<IIQ", ARRAY, kind, len(values)) + body)

    put("general.architecture", STRING, "llama")
    put("general.name", STRING, "lockstep-tales")
    put("general.description", STRING, "Writes fairy tales. Trained from public-domain books.")
    put("general.license", STRING, "mit")
    put("general.quantization_version", U32, 2)
    put("general.file_type", U32, 7)  # mostly Q8_0
    for key, value in (("context_length", CONTEXT), ("embedding_length", DIM), ("block_count", LAYERS), ("feed_forward_length", FFN),
                       ("attention.head_count", HEADS), ("attention.head_count_kv", KV_HEADS), ("rope.dimension_count", HEAD_DIM),
                       ("vocab_size", VOCAB)):
        put("llama." + key, U32, value)
    put("llama.rope.freq_base", F32, ROPE_BASE)
    put("llama.attention.layer_norm_rms_epsilon", F32, EPS)
    put("tokenizer.ggml.model", STRING, "llama")
    put("tokenizer.ggml.pre", STRING, "default")
    put_array("tokenizer.ggml.tokens", STRING, [sp.id_to_piece(i) for i in range(VOCAB)])
    put_array("tokenizer.ggml.scores", F32, [sp.get_score(i) for i in range(VOCAB)])
    kind = lambda i: 2 if sp.is_unknown(i) else 3 if sp.is_control(i) else 6 if sp.is_byte(i) else 1
    put_array("tokenizer.ggml.token_type", I32, [kind(i) for i in range(VOCAB)])
    for key, value in (("bos", BOS), ("eos", EOS), ("unknown", UNK)):
        put(f"tokenizer.ggml.{key}_token_id", U32, value)
    for key, value in (("add_bos_token", True), ("add_eos_token", False), ("add_space_prefix", True)):
        put("tokenizer.ggml." + key, BOOL, value)
    put("tokenizer.chat_template", STRING, CHAT_TEMPLATE)

    pad = lambda n: -n % 32
    table, data = b"", b""
    for name, w in weights.items():
        a = w.float().numpy()
        if a.ndim == 2:
            name = name if name.endswith(".weight") else name + ".weight"
            kind_id, raw = 8, q8_0(a)
        else:
            name, kind_id, raw = name + ".weight", 0, a.astype("<f4").tobytes()
        table += text(name) + struct.pack("<I", a.ndim) + b"".join(struct.pack("<Q", d) for d in reversed(a.shape))
        table += struct.pack("<IQ", kind_id, len(data))
        data += raw + b"\0" * pad(len(raw))
    head = struct.pack("<4sIQQ", b"GGUF", 3, len(weights), len(pairs)) + b"".join(pairs) + table
    with open(o.out, "wb") as f:
        f.write(head + b"\0" * pad(len(head)) + data)
    print(o.out, os.path.getsize(o.out), "bytes")


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    sub = a.add_subparsers(required=True)
    for name, run in (("prepare", prepare), ("train", train), ("export", export)):
        p = sub.add_parser(name)
        p.set_defaults(run=run)
        p.add_argument("--dir", required=True)
        if run is prepare:
            p.add_argument("--corpus", required=True)
        if run is train:
            p.add_argument("--steps", type=int, required=True)
            p.add_argument("--decay-steps", type=int, required=True)
            p.add_argument("--threads", type=int, default=os.cpu_count())
        if run is export:
            p.add_argument("out")
    o = a.parse_args()
    o.run(o)


if __name__ == "__main__":
    sys.exit(main())
