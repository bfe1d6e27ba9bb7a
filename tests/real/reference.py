"""The models of this test, evaluated as their papers have it: float32 matrices as the file holds
them, norms and softmax in float64, no cache, nothing rounded on the way. What lockstep's numbers
are compared with."""
import numpy as np

CHUNK = 256  # queries whose scores are held at once
GEMMA_LOCAL_BASE = 10000.0  # of the layers with a window; files do not name it
GEMMA_PATTERN = 6  # each sixth layer sees all positions


def rms_norm(x, weight, eps):
    wide = x.astype(np.float64)
    wide /= np.sqrt(np.mean(wide * wide, axis=-1, keepdims=True) + eps)
    return (wide * weight).astype(np.float32)


def silu(x):
    return x / (1 + np.exp(-x))


def gelu(x):
    return 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi).astype(np.float32) * (x + 0.044715 * x**3)))


def log_softmax(logits):
    """In float64, over the last axis."""
    wide = logits.astype(np.float64)
    wide -= wide.max(axis=-1, keepdims=True)
    return wide - np.log(np.exp(wide).sum(axis=-1, keepdims=True))


def rotate(x, base, neighbours):
    """Rotary position embedding of x, [tokens][heads][head_dim], from position 0 on. llama's pairs
    are neighbours, gemma's lie half a head apart."""
    tokens, _, width = x.shape
    angles = np.arange(tokens)[:, None] * base ** (-np.arange(0, width, 2) / width)[None, :]
    cos, sin = np.cos(angles)[:, None, :], np.sin(angles)[:, None, :]
    out = np.empty_like(x)
    halves = ((slice(0, None, 2), slice(1, None, 2)) if neighbours else
              (slice(0, width // 2), slice(width // 2, None)))
    a, b = (x[..., half].astype(np.float64) for half in halves)
    out[..., halves[0]] = a * cos - b * sin
    out[..., halves[1]] = a * sin + b * cos
    return out


def attend(q, k, v, window):
    """Causal attention. q: [tokens][heads][width], k and v: [tokens][kv_heads][width]. `window`:
    the positions that a query sees, itself included, or None for all."""
    tokens, heads, width = q.shape
    group = heads // k.shape[1]
    out = np.empty_like(q)
    for begin in range(0, tokens, CHUNK):
        end = min(begin + CHUNK, tokens)
        first = max(0, begin - window + 1) if window else 0
        here, there = np.arange(begin, end)[:, None], np.arange(first, end)[None, :]
        hidden = there > here
        if window:
            hidden |= here - there >= window
        for head in range(heads):
            keys, values = k[first:end, head // group], v[first:end, head // group]
            scores = (q[begin:end, head] @ keys.T).astype(np.float64) / np.sqrt(width)
            scores[hidden] = -np.inf
            weights = np.exp(log_softmax(scores)).astype(np.float32)
            out[begin:end, head] = weights @ values
    return out.reshape(tokens, heads * width)


class Reference:
    """Immutable once made; holds all weights as float32."""

    def __init__(self, file):
        architecture = file.metadata["general.architecture"]
        if architecture not in ("llama", "gemma3"):
            raise ValueError(f"{file.path}: no reference for the architecture {architecture}")
        self.gemma = architecture == "gemma3"
        self.weights = {name: file.tensor(name) for name in file.shapes}
        self.layers = file.of_architecture("block_count")
        self.heads = file.of_architecture("attention.head_count")
        self.kv_heads = file.of_architecture("attention.head_count_kv")
        self.eps = file.of_architecture("attention.layer_norm_rms_epsilon")
        self.base = file.of_architecture("rope.freq_base")
        self.window = file.of_architecture("attention.sliding_window")

    def hidden(self, ids):
        """What the last layer leaves, normed. [tokens][dim]"""
        x = self.weights["token_embd.weight"][ids]
        if self.gemma:
            x = x * np.float32(np.sqrt(x.shape[1]))
        for layer in range(self.layers):
            x = x + self._attention(layer, x)
            x = x + self._feed_forward(layer, x)
        return rms_norm(x, self.weights["output_norm.weight"], self.eps)

    def log_probabilities(self, hidden):
        """float64, [rows][vocab]."""
        head = self.weights.get("output.weight", self.weights["token_embd.weight"])
        return log_softmax(hidden @ head.T)

    def _norm(self, x, name):
        return rms_norm(x, self.weights[name + ".weight"], self.eps)

    def _times(self, x, name):
        return x @ self.weights[name + ".weight"].T

    def _attention(self, layer, x):
        block = f"blk.{layer}."
        normed = self._norm(x, block + "attn_norm")
        q, k, v = (self._times(normed, block + "attn_" + part).reshape(len(x), heads, -1)
                   for part, heads in (("q", self.heads), ("k", self.kv_heads),
                                       ("v", self.kv_heads)))
        sliding = self.gemma and layer % GEMMA_PATTERN != GEMMA_PATTERN - 1
        if self.gemma:
            q, k = self._norm(q, block + "attn_q_norm"), self._norm(k, block + "attn_k_norm")
        base = GEMMA_LOCAL_BASE if sliding else self.base
        q, k = (rotate(part, base, neighbours=not self.gemma) for part in (q, k))
        out = self._times(attend(q, k, v, self.window if sliding else None), block + "attn_output")
        return self._norm(out, block + "post_attention_norm") if self.gemma else out

    def _feed_forward(self, layer, x):
        block = f"blk.{layer}."
        normed = self._norm(x, block + "ffn_norm")
        gate = (gelu if self.gemma else silu)(self._times(normed, block + "ffn_gate"))
        out = self._times(gate * self._times(normed, block + "ffn_up"), block + "ffn_down")
        return self._norm(out, block + "post_ffw_norm") if self.gemma else out
