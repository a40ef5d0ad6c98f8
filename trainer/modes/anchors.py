"""Prompts that a concept is trained and held in: the concept among other things, and other words in its place.

Nothing about a concept says where it ends. So it is trained within random descriptions, of which only its own words
change, and descriptions with other words of its kind in its place are held to what the base makes of them. Both are
drawn from lists of common words, by the concept's own: ``red`` becomes ``blue``, ``red hair`` ``blue hair``, ``a
circle`` ``a star``. Of a concept without a listed word, such as a name, anything else is a neighbour. What is erased
becomes its neighbours in turn.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from random import Random
from types import MappingProxyType

KINDS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "size": ("small", "large", "tiny", "huge"),
        "colour": (
            "red", "orange", "yellow", "green", "blue", "purple", "pink", "brown", "black", "white", "gray", "cyan",
        ),
        "material": ("wooden", "metal", "glass", "stone", "plastic", "golden"),
        "age": ("young", "old", "middle-aged", "teenage"),
        "shape": ("circle", "square", "triangle", "star", "heart", "cube"),
        "thing": (
            "car", "house", "book", "chair", "cup", "ship", "sword", "guitar", "bicycle", "robot", "lamp", "clock",
        ),
        "person": ("man", "woman", "boy", "girl", "child", "1girl", "1boy", "knight", "soldier", "witch", "dancer"),
        "animal": ("cat", "dog", "horse", "bird", "fish", "fox", "rabbit", "bear", "lion", "dragon"),
        "plant": ("flower", "tree", "rose", "grass", "cactus", "mushroom"),
        "clothing": ("dress", "shirt", "hat", "coat", "skirt", "kimono", "uniform", "suit", "swimsuit", "armor"),
        "body": ("hair", "eyes", "skin", "wings", "ears", "tail", "horns"),
        "food": ("apple", "bread", "cake", "pizza", "orange juice", "banana", "ramen"),
        "style": (
            "anime", "oil painting", "watercolor", "pencil sketch", "photo", "3d render", "pixel art", "comic",
            "line art", "photorealistic",
        ),
        "place": ("forest", "city", "beach", "street", "room", "mountain", "garden", "castle", "desert", "park"),
        "position": ("left", "right", "centre", "top", "bottom"),
        "weather": ("rain", "snow", "fog", "clear sky", "clouds", "storm"),
        "time": ("day", "night", "sunset", "dawn"),
        "mood": ("smile", "angry", "sad", "surprised", "laughing", "crying"),
    }
)  # fmt: skip
"""Words of one kind, which stand in for one another."""
_ADJECTIVES = ("size", "colour", "material", "age")
_THINGS = ("shape", "thing", "person", "animal", "plant", "food")
_BARE, _WITHOUT = 0.2, 0.2
"""How often the concept stands alone, and how often nothing stands in its place."""
_OFTEN: Mapping[str, float] = MappingProxyType(
    {"size": 0.5, "colour": 0.6, "thing": 0.85, "background": 0.6, "position": 0.4, "around": 0.15}
)
_ARTICLE = re.compile(r"^(?:a|an|the)\s+", re.IGNORECASE)
_SPELLINGS = {"grey": "gray", "center": "centre", "big": "large", "little": "small"}


def _kinds() -> dict[str, str]:
    return {word: kind for kind, words in KINDS.items() for word in words}


def _listed(phrase: str) -> list[tuple[int, int, str]]:
    """Where listed words are in a phrase, and of which kind; the longest first, none twice."""
    kinds, found = _kinds(), list[tuple[int, int, str]]()
    names = {**kinds, **{other: kinds[word] for other, word in _SPELLINGS.items()}}
    for word in sorted(names, key=len, reverse=True):
        for match in re.finditer(rf"(?<![\w-]){re.escape(word)}(?:s|es)?(?![\w-])", phrase, re.IGNORECASE):
            if all(match.end() <= start or match.start() >= end for start, end, _ in found):
                found.append((match.start(), match.end(), names[word]))
    return sorted(found)


def common_thing(rng: Random) -> str:
    """A listed thing, every second one with a colour."""
    thing = rng.choice(KINDS[rng.choice(_THINGS)])
    return f"{rng.choice(KINDS['colour'])} {thing}" if rng.random() < 0.5 else thing


def _bare(phrase: str) -> str:
    return _ARTICLE.sub("", phrase.strip())


def _saying(phrases: Collection[str]) -> re.Pattern[str]:
    """Finds any of these in a prompt, as whole words."""
    either = "|".join(re.escape(_bare(each)) for each in phrases)
    return re.compile(rf"(?<![\w-])(?:{either})(?![\w-])" if either else "(?!)", re.IGNORECASE)


def _apart(thing: str) -> dict[str, str]:
    """The adjectives before a thing, by their kinds, and the rest of it."""
    kinds, parts, words = _kinds(), dict[str, str](), thing.split(" ")
    while thing.lower() not in kinds and len(words) > 1:
        kind = kinds.get(words[0].lower(), "")
        if kind not in _ADJECTIVES or kind in parts:
            break
        parts[kind] = words.pop(0)
    return {**parts, "thing": " ".join(words)}


class Anchors:
    """Descriptions around a concept.

    Args:
        concept: the original prompt.
        others: what it becomes: the target prompt, or the ends of a slider.
    """

    def __init__(self, concept: str, others: Sequence[str] = ()) -> None:
        self._concept = concept.strip()
        found = _listed(concept)
        inside = [{phrase[start:end].lower() for start, end, _ in _listed(phrase)} for phrase in others]
        changing = [each for each in found if not all(concept[each[0] : each[1]].lower() in words for words in inside)]
        self._replaced = changing or found
        self._words = {phrase[a:b].lower() for phrase in (concept, *others) for a, b, _ in _listed(phrase)}
        self._kinds = {kind for phrase in (concept, *others) for _, _, kind in _listed(phrase)}
        said = " ".join((concept, *others)).lower().split()
        self._says_background = "background" in said
        self.slot = self._slot_of(concept, found)

    @staticmethod
    def _slot_of(concept: str, found: Sequence[tuple[int, int, str]]) -> str:
        """Where in a description the concept stands."""
        if re.search(r"\bbackground$", concept.strip(), re.IGNORECASE):
            return "background"
        rest = _bare(concept)
        kinds = [kind for _, _, kind in found]
        if len(found) == 1 and concept[found[0][0] : found[0][1]].lower() == rest.lower():
            if kinds[0] in _ADJECTIVES:
                return kinds[0]
            if kinds[0] in ("position", "style", "weather", "time", "mood"):
                return "position"
        if rest.lower().endswith("style"):
            return "position"
        return "thing"

    def described(self, rng: Random) -> Mapping[str, str] | None:
        """A random description to put the concept into; None: the concept stands alone."""
        if rng.random() < _BARE:
            return None
        parts: dict[str, str] = {}
        for part, often in _OFTEN.items():
            if part == self.slot or rng.random() >= often:
                continue
            if part in _ADJECTIVES and part in self._kinds:
                continue
            if part == "background" and self._says_background:
                continue
            word = self._word_for(part, rng)
            if word:
                parts[part] = word
        return parts

    def _word_for(self, part: str, rng: Random) -> str:
        kind = part
        if part == "thing":
            kind = rng.choice(_THINGS)
        elif part == "background":
            kind = "colour"
        elif part == "around":
            kind = rng.choice(("style", "weather", "time"))
        left = [word for word in KINDS[kind] if word not in self._words]
        return rng.choice(left) if left and not (part == "position" and "position" in self._kinds) else ""

    def within(self, phrase: str, parts: Mapping[str, str] | None) -> str:
        """The phrase in the concept's place; an empty one leaves the place empty."""
        if parts is None:
            return phrase
        bare, _, after = _bare(phrase).partition(", ")
        filled = {**parts, self.slot: bare}
        if self.slot == "thing":
            filled |= _apart(bare)
        words = [filled.get(part, "") for part in ("size", "age", "colour", "material", "thing")]
        thing = " ".join(filter(None, words))
        if len(thing.split()) > 1 and not re.match(r"\d", thing):
            thing = f"{'an' if thing[0] in 'aeiou' else 'a'} {thing}"
        ground = filled.get("background", "")
        if ground:
            ground = ground if ground.lower().endswith("background") else f"{ground} background"
            ground = f"on {'an' if ground[0] in 'aeiou' else 'a'} {ground}" if thing else ground
        whole = " ".join(part for part in (thing, ground) if part)
        last = (filled.get("position", ""), after, filled.get("around", ""))
        return ", ".join(part for part in (whole, *last) if part)

    def neighbour(self, rng: Random) -> str:
        """Other words in the place of the concept's."""
        if not self._replaced:
            kind = rng.choice(_THINGS)
            return rng.choice(KINDS[kind])
        return rng.choice(self._with_another(rng.choice(self._replaced)))

    def of_its_kind(self) -> list[str]:
        """All neighbours that a concept with listed words has; none without."""
        return [phrase for each in self._replaced for phrase in self._with_another(each)]

    def _with_another(self, replaced: tuple[int, int, str]) -> list[str]:
        start, end, kind = replaced
        left = [word for word in KINDS[kind] if not self._is_own(word)]
        return [self._concept[:start] + word + self._concept[end:] for word in left]

    def _is_own(self, word: str) -> bool:
        """Whether the concept says a listed word, in any spelling or number."""
        said = [self._concept[start:end].lower() for start, end, _ in self._replaced]
        return any(each.startswith(word) or _SPELLINGS.get(each) == word for each in said)

    def held(self, rng: Random) -> str:
        """A description without the concept: with a neighbour in its place, or with nothing."""
        while True:
            parts = self.described(rng)
            nothing = parts is not None and rng.random() < _WITHOUT
            prompt = self.within("" if nothing else self.neighbour(rng), parts)
            if prompt:
                return prompt


def examples(
    concept: str, other: str, count: int, rng: Random, *, described: bool, but: Collection[str] = ()
) -> list[tuple[str, str, str]]:
    """``count`` descriptions, each of the concept, of the other words and of a neighbour, the first bare.

    Args:
        described: whether the rest stand in descriptions, too.
        but: what no neighbour says. If that leaves none, they are empty.
    """
    anchors, says = Anchors(concept, (other,)), _saying(but)
    anything = [thing for kind in _THINGS for thing in KINDS[kind]]
    neighbours = [each for each in anchors.of_its_kind() or anything if not says.search(each)]
    found: list[tuple[str, str, str]] = []
    while len(found) < count:
        parts = anchors.described(rng) if described and found else None
        neighbour = anchors.within(rng.choice(neighbours), parts) if neighbours else ""
        found.append((anchors.within(concept, parts), anchors.within(other, parts), neighbour))
    return found


def pool(concept: str, others: Sequence[str], count: int, rng: Random) -> list[tuple[str, ...]]:
    """``count`` descriptions, each of the concept and of each of the others, the first without a description."""
    anchors = Anchors(concept, others)
    found: list[tuple[str, ...]] = [(concept, *others)]
    while len(found) < count:
        parts = anchors.described(rng)
        found.append(tuple(anchors.within(phrase, parts) for phrase in (concept, *others)))
    return found


def pool_of_erased(concept: str, count: int, rng: Random, but: Collection[str] = ()) -> list[tuple[str, str]]:
    """``count`` descriptions of a concept, and each with another word of its kind in its place, the first bare.

    Their mean is everything the concept is not. A concept without a listed word leaves its place empty.

    Args:
        but: what is not to be in its place: concepts that change in the same run.
    """
    anchors, says = Anchors(concept, [""]), _saying(but)
    left = [phrase for phrase in anchors.of_its_kind() if not says.search(phrase)] or [""]
    found: list[tuple[str, str]] = []
    while len(found) < count:
        parts = anchors.described(rng) if found else None
        found.append((anchors.within(concept, parts), anchors.within(rng.choice(left), parts)))
    return found


def held_prompts(concept: str, others: Sequence[str], count: int, rng: Random, but: Collection[str] = ()) -> list[str]:
    """``count`` prompts that stay as the base has them.

    Args:
        but: what none of them says: concepts that change in the same run.
    """
    anchors, says = Anchors(concept, others), _saying(but)
    found: list[str] = []
    while len(found) < count:
        prompt = anchors.held(rng)
        if not says.search(prompt):
            found.append(prompt)
    return found
