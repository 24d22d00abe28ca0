"""One order and one set of names for an ONNX graph, whatever process made it.

tf2onnx sorts, folds, merges and numbers in the order of sets of objects, which is that of their
addresses: another one in every process. Here the operators follow from the graph's outputs, each
after those that it reads, and names follow from the order of the operators.
"""

from __future__ import annotations

import collections
import copy
import re
from typing import Any


def rename(graph: Any) -> None:
    """Sort a graph's operators and name what lies between its inputs and its outputs, in place.

    A constant is named, and placed, by its first reader. Left as they are: graphs that hold others,
    such as a loop's, which may read their values, and those whose values are named elsewhere too.
    """
    holds_others = any(
        attribute.HasField("g") or attribute.graphs
        for node in graph.node
        for attribute in node.attribute
    )
    if holds_others or graph.sparse_initializer or graph.quantization_annotation:
        return
    names = _Names({end.name for end in (*graph.input, *graph.output)})
    constants = {constant.name: copy.deepcopy(constant) for constant in graph.initializer}
    nodes = _in_order(graph)
    values = {name: name for name in (*names.taken, "")}  # "" is an input that is left out
    kept = [constants[name] for name in sorted(names.taken & constants.keys())]
    for node in nodes:
        node.name = names.free(node.name)
        for index, name in enumerate(node.input):
            if name in constants and name not in values:
                values[name] = constants[name].name = names.free(f"{node.name}/input_{index}")
                kept.append(constants[name])
        node.input[:] = [values[name] for name in node.input]
        for name in node.output:
            if name not in values:
                values[name] = names.free(name)
        node.output[:] = [values[name] for name in node.output]
    del graph.node[:], graph.initializer[:]
    del graph.value_info[:]  # it says by name what shape inference finds
    graph.node.extend(nodes)
    graph.initializer.extend(kept)


class _Names:
    """Gives every name once, with a number of its own in place of tf2onnx's."""

    def __init__(self, taken: set[str]) -> None:
        self.taken = taken
        self._used: collections.Counter[str] = collections.Counter()

    def free(self, name: str) -> str:
        stem = re.sub(r"__\d+", "", name)
        while True:
            self._used[stem] += 1
            number = self._used[stem]
            found = stem if number == 1 else f"{stem}__{number}"
            if found not in self.taken:
                self.taken.add(found)
                return found


def _in_order(graph: Any) -> list[Any]:
    """Copies of the operators that the outputs need, depth first from these, inputs in order."""
    makers = {name: node for node in graph.node for name in node.output if name}
    ordered: list[Any] = []
    done: set[int] = set()
    pending = [(makers[end.name], False) for end in reversed(graph.output) if end.name in makers]
    while pending:
        node, inputs_are_done = pending.pop()
        if id(node) in done:
            continue
        if inputs_are_done:
            done.add(id(node))
            ordered.append(copy.deepcopy(node))
            continue
        pending.append((node, True))
        pending += [(makers[name], False) for name in reversed(node.input) if name in makers]
    return ordered
