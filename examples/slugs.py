"""A sync example engine: makes a slug from a title, as a publishing service does on every save."""

import re
import unicodedata
from collections import deque
from collections.abc import Callable, Sequence

ARTICLES = {"en": {"the", "a", "an"}, "de": {"der", "die", "das"}, "fr": {"le", "la", "les"}}
TITLES = ("The Höhe of Fashion: A Year in Review", "Die Straße nach Süden", "Les Misérables, été comme hiver")


class Slugs:
    """Makes slugs, and remembers the last thousand so that none comes twice in a row."""

    def __init__(self, languages: Sequence[str]) -> None:
        self.dropped = set().union(*(ARTICLES[language] for language in languages))
        self.recent: deque[str] = deque(maxlen=1000)
        self.made = 0

    def next_one(self) -> str:
        """Make the slug of the next title."""
        title = f"{TITLES[self.made % len(TITLES)]} {self.made}"
        self.made += 1
        plain = unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode().lower()
        words = [word for word in re.findall(r"[a-z0-9]+", plain) if word not in self.dropped]
        slug = "-".join(words)
        self.recent.append(slug)
        return slug


def make(languages: Sequence[str] = ("en", "de")) -> Callable[[], str]:
    """Return the operation; the keyword arguments are the `options` of the configuration."""
    slugs = Slugs(languages)
    return slugs.next_one
