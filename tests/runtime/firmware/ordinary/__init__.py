# Classes as one writes them, for the tests of ports/freeze: frozen they must be what they are unfrozen
import asyncio

from . import other

_LIMIT = 3


def generate(n=2, *, step=-1, text=b"\x00\xff", scale=0.5):
    while n:
        yield n, text, scale
        n += step


# Texts that cannot be names of C
def short_texts(key="a b"):
    table = {"a b": "é", "": "-", "%": ("x y", "+")}
    return table[key], table[""], table["%"], "%r!" % key, "a " + "b" in table, 'it"s', key.split(" "), "\n"


class Empty:
    pass


class Documented:
    """Nothing but this."""


class Plain:
    def __init__(self, value, *more, key=None, **others):
        self.value = value
        self.others = more, key, others

    def __repr__(self):
        return "Plain with value %r" % self.value

    def __eq__(self, other):
        return self.value == other.value

    @property
    def doubled(self):
        return 2 * self.value

    async def later(self):
        await asyncio.sleep(0)
        return self.value

    async def __aenter__(self):
        return self

    async def __aexit__(self, *_):
        self.value = "left"

    def __iter__(self):
        for n in range(self.value):
            yield (lambda: n * self.value)()


class Variables(Plain):
    """With a docstring."""

    DEBUG = False
    COUNT = 0
    table = {"a": 1}

    def __init__(
        self,
        value=7,
    ):
        super().__init__(value, key="k")
        Variables.COUNT += 1

    def name(self):
        return "variables"

    def nested(self):
        def inner():
            return self.value + 1

        return [inner() for _ in range(2)]

    @staticmethod
    def static(a, b=2):
        return a + b

    @classmethod
    def of_class(cls):
        return cls.__name__

    def not_constant(self, limit=_LIMIT + 1):
        return limit

    def first(self):
        return "overwritten"

    def first(self):  # noqa: F811
        return "first"

    alias = name

    if _LIMIT:

        def conditional(self):
            return "conditional"


class Heir(
    # A comment
    Variables
):
    def name(self):
        return "the heir of " + super().name()

    async def later(self):
        return await super().later() + 1, super().doubled, super().DEBUG

    def __iter__(self):
        yield "first"
        yield from super().__iter__()

    def many(self, a, b, c, d=4, *, e=-5.5, f="six"):
        return super().name(), a, b, c, d, e, f


class Grandchild(Heir):
    def name(self):
        return "the child of " + super().name()


class Setter:
    def __init__(self):
        self._x = 0

    @property
    def x(self):
        return self._x

    @x.setter
    def x(self, value):
        self._x = 10 * value

    def plain(self):
        return self.x


class Stays(Variables):
    "super() of a method that cannot be constant: all of it stays in the file"

    def name(self):
        return "stays"

    def not_constant(self, limit=_LIMIT):
        return super().name(), super().not_constant(limit)


class Named(Variables):
    def name(self):
        return "by its name, " + super(Named, self).name()  # noqa: UP008

    def own(self):
        return __class__ is Named


class Problem(ValueError):
    code = None

    def __init__(self, code):
        super().__init__("problem", code)
        self.code = code


class Quiet(OSError):
    def quiet(self):
        return True


class Several(Empty, Variables):
    def name(self):
        return "of several, " + super().name()


class Attribute(other.Base):
    def name(self):
        return "attribute, " + super().name()


class Accessors:
    limit = 1

    def __setattr__(self, name, value):
        object.__setattr__(self, name, value + self.limit)

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return "there is no " + name


class New:
    made = 0

    def __new__(cls):
        cls.made += 1
        return object.__new__(cls)

    def name(self):
        return "new"
