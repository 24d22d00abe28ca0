"""What a browser would meet in a page that the toolkit writes."""

from __future__ import annotations

import re
from html.parser import HTMLParser


class Page(HTMLParser):
    """What a browser would meet in a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.words: list[str] = []
        self._silent = ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, {name: value or "" for name, value in attrs}))
        if tag == "style":
            self._silent = tag

    def handle_endtag(self, tag):
        if tag == self._silent:
            self._silent = ""

    def handle_data(self, data):
        if not self._silent:
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.tags if name == tag]

    @property
    def photographs(self) -> list[dict[str, str]]:
        return [found for found in self.all("img") if found["src"].startswith("data:image/jpeg")]


def check_self_contained(text: str) -> None:
    """The page asks no network and runs no script, and every reference in it is to a part of it."""
    page = Page(text)
    assert not {tag for tag, _ in page.tags} & {
        "script", "link", "iframe", "object", "embed", "base", "form", "foreignobject",
    }  # fmt: skip
    for tag, attributes in page.tags:
        for name, value in attributes.items():
            assert not name.startswith("on"), (tag, name)
            assert not re.match(r"\s*(https?:|//|javascript:)", value), (tag, name, value)
            if name == "src":
                assert value.startswith("data:image/jpeg;base64,")
            if name in ("href", "xlink:href"):
                assert value.startswith("#")
    assert all(target.startswith("#") for target in re.findall(r"url\(([^)]*)", text))
    for asking in ("@import", "http:", "https:"):
        assert asking not in text
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    links = {a[name][1:] for _, a in page.tags for name in ("href", "xlink:href") if name in a}
    assert links | set(re.findall(r"url\(#([^)]*)\)", text)) <= set(ids)
