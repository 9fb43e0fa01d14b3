"""What belongs together when being joined is passed on: the aliases of an advisory, the sightings at one place."""

from collections.abc import Hashable, Iterable


class Closure:
    """Union-find; which node stands for a group is no contract, only that it is the same for all of the group."""

    def __init__(self) -> None:
        self._parents: dict[Hashable, Hashable] = {}

    def root(self, node: Hashable) -> Hashable:
        """The node that stands for all that are joined with this one."""
        parents = self._parents
        parent = parents.setdefault(node, node)
        while parent != node:
            # NOTE: each step halves the path, so that a long chain of aliases is walked once.
            parents[node] = parents[parent]
            node = parents[node]
            parent = parents[node]
        return node

    def join(self, nodes: Iterable[Hashable]) -> None:
        first: Hashable | None = None
        for node in nodes:
            root = self.root(node)
            if first is None:
                first = root
            elif root != first:
                self._parents[root] = first
