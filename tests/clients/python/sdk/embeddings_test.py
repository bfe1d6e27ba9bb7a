"""Vectors of texts by the clients of OpenAI's, Ollama's and Hugging Face's APIs, of a model that is
served alone."""
import huggingface_hub
import langchain_ollama
import langchain_openai
import ollama
import openai

import client_test_case
from client_test_case import post, start_with

TEXTS = ["once upon a time", "there was a king", "the end"]
LONG = "king " * 200


def start_encoder():
    return start_with("""
        import { writeEncoder } from './encoder.mjs';
        writeEncoder(file);""")


client_test_case.Servers.KINDS["encoder"] = start_encoder


class Vectors(client_test_case.ClientTest):
    @classmethod
    def setUpClass(cls):
        cls.server = client_test_case.SERVERS.encoder
        cls.url = f"{cls.server.url}/v1"
        made = post(cls.server, "/v1/embeddings", {"input": TEXTS})
        cls.vectors = [one["embedding"] for one in made["data"]]

    def agree(self, vectors, expected=None):
        """All but the last digits, which some clients round away."""
        for vector, right in zip(vectors, expected or self.vectors, strict=True):
            self.assertEqual(len(vector), len(right))
            for a, b in zip(vector, right):
                self.assertAlmostEqual(a, b, places=6)


class OpenAI(Vectors):
    client = "openai"

    def setUp(self):
        self.openai = openai.OpenAI(base_url=self.url, api_key="any", max_retries=0)

    def test_vectors(self):
        made = self.openai.embeddings.create(model="any", input=TEXTS)
        self.agree([one.embedding for one in made.data])
        self.assertEqual(made.usage.prompt_tokens, made.usage.total_tokens)
        numbers = self.openai.embeddings.create(model="any", input=TEXTS[0], encoding_format="float")
        self.agree([numbers.data[0].embedding], self.vectors[:1])

    def test_refusals(self):
        create = self.openai.embeddings.create
        self.rejects(openai.BadRequestError, lambda: create(model="any", input=LONG), "may have 64")
        self.rejects(openai.BadRequestError, lambda: create(model="any", input=["a"] * 2049), "2048")
        self.rejects(openai.BadRequestError,
                     lambda: self.openai.completions.create(model="any", prompt="a"),
                     "generates nothing")
        plain = openai.OpenAI(base_url=f"{client_test_case.SERVERS.plain.url}/v1", api_key="any")
        self.rejects(openai.BadRequestError,
                     lambda: plain.embeddings.create(model="any", input="a"), "makes no vectors")


class LangchainOpenAI(Vectors):
    client = "langchain-openai"

    def test_vectors(self):
        # It counts tokens by OpenAI's vocabulary unless it is told not to.
        embeddings = langchain_openai.OpenAIEmbeddings(
            model="any", base_url=self.url, api_key="any", check_embedding_ctx_length=False)
        self.agree(embeddings.embed_documents(TEXTS))
        self.agree([embeddings.embed_query(TEXTS[1])], self.vectors[1:2])


class Ollama(Vectors):
    client = "ollama"

    def test_vectors(self):
        client = ollama.Client(host=self.server.url)
        made = client.embed(model="any", input=TEXTS)
        self.agree(made.embeddings)
        self.agree([client.embeddings(model="any", prompt=TEXTS[2]).embedding], self.vectors[2:])
        self.assertEqual(len(client.embed(model="any", input=LONG).embeddings), 1)
        self.rejects(ollama.ResponseError,
                     lambda: client.embed(model="any", input=LONG, truncate=False), "may have 64")
        self.assertEqual(client.show("any").capabilities, ["embedding"])


class LangchainOllama(Vectors):
    client = "langchain-ollama"

    def test_vectors(self):
        embeddings = langchain_ollama.OllamaEmbeddings(model="any", base_url=self.server.url)
        self.agree(embeddings.embed_documents(TEXTS))


class HuggingFace(Vectors):
    client = "huggingface-hub"

    def test_vectors(self):
        client = huggingface_hub.InferenceClient(self.server.url)  # its features would need numpy
        cosines = client.sentence_similarity(TEXTS[0], other_sentences=TEXTS)
        self.assertAlmostEqual(cosines[0], 1, places=6)
        self.assertEqual(len(cosines), 3)


if __name__ == "__main__":
    client_test_case.main()
