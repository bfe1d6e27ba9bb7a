"""Types that people write, of Pydantic, as what an answer must be: each answer must be one by the type
itself. Sent as the openai package does it (`parse`, which makes the schema strict in its way), and as
Pydantic's own schema, strict and not."""
import datetime
import decimal
import enum
import ipaddress
import json
import unittest
import uuid
from typing import Annotated, Any, Generic, Literal, NamedTuple, Optional, TypeVar, Union

import jsonschema
import openai
from pydantic import (AnyUrl, BaseModel, Base64Bytes, ConfigDict, EmailStr, Field, HttpUrl, RootModel,
                      SecretStr, StringConstraints, TypeAdapter, UUID4)
from client_test_case import start
from typing_extensions import TypedDict

MODEL = "lockstep-tales"
MESSAGES = [{"role": "user", "content": "Answer in JSON."}]
SEEDS = (1, 2, 3)


class Color(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 10


class Address(BaseModel):
    """Where one lives."""
    street: str = Field(max_length=20, description="With its number.")
    code: str = Field(pattern=r"^\d{5}$")


class Person(BaseModel):
    name: str = Field(min_length=1, max_length=12)
    home: Address
    work: Optional[Address] = None
    color: Color = Color.RED


class Cat(BaseModel):
    kind: Literal["cat"]
    lives: int = Field(ge=1, le=9)


class Dog(BaseModel):
    kind: Literal["dog", "puppy"]
    good: bool


class Pet(BaseModel):
    pet: Annotated[Union[Cat, Dog], Field(discriminator="kind")]


class Times(BaseModel):
    at: datetime.datetime
    on: datetime.date
    clock: datetime.time
    lasts: datetime.timedelta


class Ids(BaseModel):
    one: uuid.UUID
    four: UUID4


class Money(BaseModel):
    any: decimal.Decimal


class Net(BaseModel):
    email: EmailStr
    url: AnyUrl
    page: HttpUrl
    v4: ipaddress.IPv4Address
    v6: ipaddress.IPv6Address
    network: ipaddress.IPv4Network


class Numbers(BaseModel):
    big: int = Field(gt=1000, lt=100000, multiple_of=5)
    ratio: float = Field(ge=0, lt=1)
    small: Annotated[int, Field(ge=-3, le=3)]
    floor: float = Field(gt=-0.5)


class Texts(BaseModel):
    slug: Annotated[str, StringConstraints(pattern=r"^[a-z]+(-[a-z]+)*$", min_length=3, max_length=12)]
    secret: SecretStr = Field(max_length=8)
    raw: bytes = Field(max_length=10)
    coded: Base64Bytes


class Lists(BaseModel):
    some: list[int] = Field(min_length=1, max_length=3)
    unique: set[Literal["a", "b", "c"]] = Field(min_length=2)
    frozen: frozenset[bool]
    pair: tuple[int, Literal["x"]]
    many: tuple[bool, ...] = Field(max_length=4)


class Maps(BaseModel):
    counts: dict[str, int] = Field(max_length=3)
    by_color: dict[Color, float] = Field(max_length=2)
    nested: dict[str, list[Address]] = Field(max_length=1)


class Node(BaseModel):
    value: int = Field(ge=0, le=9)
    children: list["Node"] = Field(default=[], max_length=2)


class Linked(BaseModel):
    head: Literal["x"]
    tail: Optional["Linked"] = None


class Aliased(BaseModel):
    model_config = ConfigDict(populate_by_name=True, extra="forbid")
    class_name: str = Field(alias="className", max_length=5)
    the_type: Literal["t"] = Field("t", alias="@type")


T = TypeVar("T")


class Page(BaseModel, Generic[T]):
    items: list[T] = Field(max_length=2)
    next: Optional[int] = None


class Anything(BaseModel):
    value: Any
    object: dict[str, Any]


class Typed(TypedDict, total=False):
    a: int
    b: Literal["b"]


class Point(NamedTuple):
    x: int
    y: bool


class Loose(BaseModel):
    model_config = ConfigDict(extra="allow")
    known: bool


class Base(BaseModel):
    id: int = Field(ge=0, le=99)


class Derived(Base):
    base: Base
    short: Annotated[str, Field(max_length=3)]


TYPES = {
    "nested": Person, "discriminated": Pet, "enums": RootModel[Union[Color, Level]], "times": Times,
    "ids": Ids, "money": Money, "net": Net, "numbers": Numbers, "texts": Texts, "lists": Lists,
    "maps": Maps, "recursive": Node, "linked": Linked, "aliases": Aliased, "generic": Page[Cat],
    "any": Anything, "typed dict": Typed, "named tuple": Point, "loose": Loose, "derived": Derived,
    "union": RootModel[Union[int, Literal["none"], list[bool], Address]],
    "optional": RootModel[Optional[Annotated[int, Field(ge=0, le=5)]]],
    "list of models": RootModel[Annotated[list[Dog], Field(min_length=1, max_length=2)]],
    "literals": RootModel[Literal["a", 1, True, None]],
}
# By its schema, a Decimal may be any string.
WIDER = ("money",)


class TypesTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = start()
        cls.client = openai.OpenAI(base_url=f"{cls.server.url}/v1", api_key="any", max_retries=0)

    @classmethod
    def tearDownClass(cls):
        cls.client.close()
        cls.server.kill()

    def answers(self, schema, strict):
        """Those that ended by themselves, and what was not enforced."""
        for seed in SEEDS:
            raw = self.client.chat.completions.with_raw_response.create(
                model=MODEL, messages=MESSAGES, seed=seed, temperature=1.5, max_tokens=400,
                response_format={"type": "json_schema", "json_schema": {
                    "name": "answer", "strict": strict, "schema": schema}})
            choice = raw.parse().choices[0]
            if choice.finish_reason == "stop":
                yield choice.message.content, raw.headers.get("x-ignored-params", "")

    def test_every_answer_is_of_its_type(self):
        for name, kind in TYPES.items():
            adapter = TypeAdapter(kind)
            for strict in (True, False):
                with self.subTest(type=name, strict=strict):
                    schema = adapter.json_schema()
                    for text, ignored in self.answers(schema, strict):
                        jsonschema.validate(json.loads(text), schema)
                        if name not in WIDER:
                            adapter.validate_json(text)
                        self.assertEqual(ignored, "")

    def test_parse_gives_objects_of_the_type(self):
        for name, kind in TYPES.items():
            if name in WIDER or not (isinstance(kind, type) and issubclass(kind, BaseModel)):
                continue
            with self.subTest(type=name):
                for seed in SEEDS:
                    try:
                        answer = self.client.chat.completions.parse(
                            model=MODEL, messages=MESSAGES, response_format=kind, seed=seed,
                            temperature=1.5, max_tokens=400)
                    except openai.LengthFinishReasonError:
                        continue
                    self.assertIsInstance(answer.choices[0].message.parsed, kind)


if __name__ == "__main__":
    unittest.main()
