"""all-MiniLM-L6-v2 as a graph for onnxruntime: of its own fused operators where it has them, so that it
is measured at its best. Float32, or with the products in 8 bits as quantize_dynamic makes them."""
import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import QuantType, quantize_dynamic

import minilm


def build(published, path):
    """Inputs ids and mask [texts][tokens]; output vectors [texts][dim] of length 1."""
    nodes, weights = [], []
    tensors = {ours: published.tensors[theirs] for ours, theirs
               in minilm.gguf_names(published.config["num_hidden_layers"]).items()}

    def constant(name, values):
        weights.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    def node(kind, inputs, name, domain="", **attributes):
        nodes.append(helper.make_node(kind, inputs, [name], name=name, domain=domain, **attributes))
        return name

    def linear(x, name):
        product = node("MatMul", [x, constant(name + ".weight", tensors[name + ".weight"].T)],
                       name + ".product")
        return node("Add", [product, constant(name + ".bias", tensors[name + ".bias"])], name)

    def norm(x, name):
        return node("LayerNormalization",
                    [x, constant(name + ".weight", tensors[name + ".weight"]),
                     constant(name + ".bias", tensors[name + ".bias"])],
                    name, axis=-1, epsilon=minilm.EPSILON)

    constant("zero", np.array([0], np.int64))
    constant("one", np.array([1], np.int64))
    words = node("Gather", [constant("words", tensors["token_embd.weight"]), "ids"], "word")
    places = (tensors["position_embd.weight"] + tensors["token_types.weight"][0])[None]
    shape = node("Shape", ["ids"], "tokens", start=1, end=2)
    position = node("Slice", [constant("places", places), "zero", shape, "one"], "position")
    x = norm(node("Add", [words, position], "embedded"), "token_embd_norm")
    key_mask = node("Cast", ["mask"], "key_mask", to=TensorProto.INT32)
    for i in range(published.config["num_hidden_layers"]):
        at = f"blk.{i}."
        attended = node("MultiHeadAttention",
                        [*(linear(x, f"{at}attn_{c}") for c in "qkv"), "", key_mask],
                        at + "attention", "com.microsoft", num_heads=minilm.HEADS)
        x = norm(node("Add", [linear(attended, at + "attn_output"), x], at + "attended"),
                 at + "attn_output_norm")
        up = node("Gelu", [linear(x, at + "ffn_up")], at + "gelu")
        x = norm(node("Add", [linear(up, at + "ffn_down"), x], at + "added"),
                 at + "layer_output_norm")
    weight = node("Unsqueeze", [node("Cast", ["mask"], "weight", to=TensorProto.FLOAT),
                                constant("last", np.array([-1], np.int64))], "row_weight")
    total = node("ReduceSum", [node("Mul", [x, weight], "weighed"), "one"], "total", keepdims=0)
    node("LpNormalization", [total], "vectors", axis=-1, p=2)
    graph = helper.make_graph(
        nodes, "minilm",
        [helper.make_tensor_value_info(name, TensorProto.INT64, ["texts", "tokens"])
         for name in ("ids", "mask")],
        [helper.make_tensor_value_info("vectors", TensorProto.FLOAT, ["texts", "dim"])], weights)
    model = helper.make_model(graph, ir_version=10, opset_imports=[
        helper.make_opsetid("", 20), helper.make_opsetid("com.microsoft", 1)])
    onnx.save(model, path)


def quantize(path, to):
    """As its documentation has it for transformers: weights in 8 bits, activations by the step."""
    quantize_dynamic(path, to, weight_type=QuantType.QInt8,
                     extra_options={"DefaultTensorType": TensorProto.FLOAT})


def session(path, threads):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
