"""Tests that there are no circular imports, not even by imports inside functions or under TYPE_CHECKING."""

from graphlib import CycleError, TopologicalSorter

import grimp

PACKAGES = ("whatsai", "conversations", "cachelayer", "logs")

# The allowed circular imports, which Django requires: {(importing module, imported module): reason}.
FORCED_BY_DJANGO: dict[tuple[str, str], str] = {}


def test_no_import_circle() -> None:
    graph = grimp.build_graph(*PACKAGES, cache_dir=None)
    imports = {
        module: {
            imported
            for imported in graph.find_modules_directly_imported_by(module)
            if (module, imported) not in FORCED_BY_DJANGO
        }
        for module in graph.modules
    }
    circle: list[str] = []
    try:
        TopologicalSorter(imports).prepare()
    except CycleError as error:
        circle = error.args[1]
    assert not circle, " → ".join(reversed(circle))
